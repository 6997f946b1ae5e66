"""The outputs of every Video→EMG model."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

_POSE_TOKENS = 25  # of a window, at least, that a head reads of a model without cameras


@flax.struct.dataclass
class Outputs:
    """Predictions for one batch of windows.

    B windows of N EMG samples and T video frames, M EMG channels, J joints, D joint torques. Fields
    that the model does not predict are None.

    Attributes:
      emg: [B, N, M] EMG envelope, not negative, as a fraction of the normalisation (1 = MVC, if
        normalised to MVC).
      predicted_mae: [B, N, M] expected mean absolute error of `emg`, in its unit.
      pose: [B, T, J, 3] joint positions in the canonical frame (`core.body_frame`), m.
      torque: [B, T, D] joint torques, N·m.
      load: [B] load in the hands or on the back, as log(1 + kg).
      held: [B, 5] share of the load at each of `equipment.PLACES`, 0-1.
      explained: [B, 2, T, D] joint torques, N·m, that the learned moment arms make of the predicted
        EMG (first) and of the measured EMG (second); see `moment_arms`.
    """

    emg: jax.Array
    predicted_mae: jax.Array | None = None
    pose: jax.Array | None = None
    torque: jax.Array | None = None
    load: jax.Array | None = None
    held: jax.Array | None = None
    explained: jax.Array | None = None


def aqa_inputs(
    outputs: Outputs, intermediates: Mapping[str, Any], batch: Mapping[str, Any]
) -> dict[str, Any]:
    """What the AQA head needs of a Video→EMG model's outputs for `batch`.

    The tokens of a model that reads the pose are means over `pose_stride` frames, because there are
    many and they are wide. The pose is the given one, or, of a model that cleans it, the cleaned.
    """
    tokens, known = intermediates["tokens"], intermediates["token_mask"]
    pose, pose_known = batch["pose"], batch["pose_mask"]
    if not batch["view"].shape[1]:
        stride = pose_stride(tokens.shape[1])
        count = tokens.shape[1] // stride
        tokens, known = (x[:, : count * stride] for x in (tokens, known))
        parts = known.reshape(len(known), count, stride, 1).astype(tokens.dtype)
        sums = (tokens.reshape(len(known), count, stride, -1) * parts).sum(2)
        tokens, known = sums / jnp.maximum(parts.sum(2), 1.0), parts.any((2, 3))
        if outputs.pose is not None:
            pose, pose_known = outputs.pose, mostly_seen(pose_known)
    return {
        "tokens": tokens,
        "token_mask": known,
        "activity": outputs.emg,
        "activity_mask": batch["emg_mask"],
        "pose": pose,
        "pose_mask": pose_known,
    }


def complete(known: Bool[Array, "B T J"]) -> Bool[Array, "B T J"]:
    """What is known of a cleaned pose: all joints of frames with a known joint."""
    return jnp.broadcast_to(known.any(-1, keepdims=True), known.shape)


def mostly_seen(known: Bool[Array, "B T J"]) -> Bool[Array, "B T J"]:
    """What a head may read of a cleaned pose.

    Joints that were seen in at least half of the frames in which any joint was seen. A cleaned
    pose has a usual place for a limb that was hidden, which is no evidence of an error.
    """
    frames = known.any(-1, keepdims=True)
    seen = 2 * known.sum(1, keepdims=True) >= frames.sum(1, keepdims=True)
    return frames & seen


def pose_stride(frames: int) -> int:
    """Frames of a window of a model without cameras that one token for a head stands for."""
    return max(frames // _POSE_TOKENS, 1)
