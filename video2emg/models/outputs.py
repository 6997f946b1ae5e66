"""What every Video→EMG model returns."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax


@flax.struct.dataclass
class Outputs:
    """Predictions for one batch of windows.

    Attributes:
      emg: [B, N, M] envelope in units of the reference (1 = e.g. MVC), not negative.
      spread: [B, N, M] mean absolute error to be expected of `emg`, or None.
      pose: [B, T, J, 3] m, relative to the hips, or None.
      torque: [B, T, D] N·m, or None.
      load: [B] log(1 + kg), or None.
      explained: [B, 2, T, D] N·m that the predicted EMG, and the measured, explain; or None.
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
    """What the head reads of a Video→EMG model's answer to `batch`."""
    return {
        "tokens": intermediates["tokens"],
        "token_mask": intermediates["token_mask"],
        "activity": outputs.emg,
        "activity_mask": batch["emg_mask"],
    }
