"""The outputs of every Video→EMG model."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax


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
      explained: [B, 2, T, D] joint torques, N·m, that the learned moment arms make of the predicted
        EMG (first) and of the measured EMG (second); see `moment_arms`.
    """

    emg: jax.Array
    predicted_mae: jax.Array | None = None
    pose: jax.Array | None = None
    torque: jax.Array | None = None
    load: jax.Array | None = None
    explained: jax.Array | None = None


def aqa_inputs(
    outputs: Outputs, intermediates: Mapping[str, Any], batch: Mapping[str, Any]
) -> dict[str, Any]:
    """What the AQA head needs of a Video→EMG model's outputs for `batch`."""
    return {
        "tokens": intermediates["tokens"],
        "token_mask": intermediates["token_mask"],
        "activity": outputs.emg,
        "activity_mask": batch["emg_mask"],
        "pose": batch["pose"],
        "pose_mask": batch["pose_mask"],
    }
