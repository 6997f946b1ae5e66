"""What is known of the person in a clip: vital signs and traits, as fields of an example."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core.body_frame import LARGEST_HEIGHT, LEAST_HEIGHT
from video2emg.core.clip import Clip
from video2emg.core.equipment import PLACES, load_shares


def person_fields(clip: Clip, start: float, end: float) -> dict[str, np.ndarray]:
    """The fields `vitals` and `traits` of the window from `start` to `end` s, and their masks."""
    vital, vital_mask = vitals(clip, start, end)
    trait, trait_mask = traits(clip)
    return {
        "vitals": vital,
        "vitals_mask": vital_mask,
        "traits": trait,
        "traits_mask": trait_mask,
    }


def body_fields(clip: Clip, height: float) -> dict[str, Any]:
    """Size of the body and place of the load, and what of it is known.

    Args:
      clip: its exercise or equipment says where the load is.
      height: from the lengths of the segments, in the unit of the clip's pose; a height that nobody
        has means that the unit is not the metre.
    """
    shares = load_shares(clip.action, str(clip.provenance.get("equipment", "")))
    plausible = LEAST_HEIGHT < height < LARGEST_HEIGHT
    return {
        "held": np.zeros(len(PLACES), np.float32) if shares is None else shares,
        "held_mask": np.bool_(shares is not None),
        "height": np.float32(height if plausible else 0.0),
        "height_mask": np.bool_(plausible),
    }


def vitals(
    clip: Clip, start: float, end: float
) -> tuple[Float[np.ndarray, " 2"], Bool[np.ndarray, " 2"]]:
    """Heart and breath rate, 1/min, and which of them are known.

    A rate is the mean of the readings between `start` and `end` s. Wearables report every few
    seconds, often less than once per repetition; without a reading in the window the nearest one
    counts.
    """
    value, mask = np.zeros(2, np.float32), np.zeros(2, bool)
    rates = ((clip.heart_time, clip.heart_rate), (clip.breath_time, clip.breath_rate))
    for k, (time, rate) in enumerate(rates):
        time, rate = time[np.isfinite(rate)], rate[np.isfinite(rate)]
        if len(time):
            inside = (time >= start) & (time < end)
            nearest = np.abs(time - (start + end) / 2).argmin()
            value[k] = rate[inside].mean() if inside.any() else rate[nearest]
            mask[k] = True
    return value, mask


def traits(clip: Clip) -> tuple[Float[np.ndarray, " 3"], Bool[np.ndarray, " 3"]]:
    """Height (m), mass (kg) and sex (1 for female) of the person, and which of them are known.

    Read from `provenance["subject"]`: `height_m`, `mass_kg`, `female`.
    """
    subject = clip.provenance.get("subject")
    subject = subject if isinstance(subject, dict) else {}
    values = [subject.get(name) for name in ("height_m", "mass_kg", "female")]
    mask = np.array([isinstance(x, bool | int | float) for x in values])
    known = [float(x) if ok else 0.0 for x, ok in zip(values, mask, strict=True)]  # pyright: ignore
    return np.array(known, np.float32), mask
