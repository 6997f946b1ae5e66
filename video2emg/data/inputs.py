"""What a model may be given beside views, and hiding some of what it is given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core.clip import Clip
from video2emg.core.vocabulary import INPUTS


def person(clip: Clip, start: float, end: float) -> dict[str, np.ndarray]:
    """`vitals` and `traits` and their masks, by the names of the fields of an example."""
    vital, vital_mask = vitals(clip, start, end)
    trait, trait_mask = traits(clip)
    return {
        "vitals": vital,
        "vitals_mask": vital_mask,
        "traits": trait,
        "traits_mask": trait_mask,
    }


def vitals(
    clip: Clip, start: float, end: float
) -> tuple[Float[np.ndarray, " 2"], Bool[np.ndarray, " 2"]]:
    """Mean heart and breath rate between `start` and `end` s, 1/min; the nearest if none is there.

    Wearables report every few seconds, more rarely than a repetition lasts.
    """
    value, mask = np.zeros(2, np.float32), np.zeros(2, bool)
    rates = ((clip.heart_time, clip.heart_rate), (clip.breath_time, clip.breath_rate))
    for k, (time, rate) in enumerate(rates):
        time, rate = time[np.isfinite(rate)], rate[np.isfinite(rate)]
        if len(time):
            near = (time >= start) & (time < end)
            nearest = np.abs(time - (start + end) / 2).argmin()
            value[k] = rate[near].mean() if near.any() else rate[nearest]
            mask[k] = True
    return value, mask


def traits(clip: Clip) -> tuple[Float[np.ndarray, " 3"], Bool[np.ndarray, " 3"]]:
    """Height (m), mass (kg) and sex (1: female) of who lifts, as far as the source tells.

    Read from `provenance["subject"]`: `height_m`, `mass_kg`, `female`.
    """
    told = clip.provenance.get("subject")
    told = told if isinstance(told, dict) else {}
    known = [told.get(name) for name in ("height_m", "mass_kg", "female")]
    mask = np.array([isinstance(x, bool | int | float) for x in known])
    value = [float(x) if ok else 0.0 for x, ok in zip(known, mask, strict=True)]  # pyright: ignore
    return np.array(value, np.float32), mask


def hide(example: dict[str, Any], views: Sequence[str], hidden: Sequence[str]) -> dict[str, Any]:
    """The example without some of its `views` (names of the V axis) or `INPUTS`."""
    gone = np.isin(views, hidden)
    masks = {f"{name}_mask" for name in hidden if name in INPUTS}
    return example | {
        "video_mask": example["video_mask"] & ~gone.reshape(-1, 1),
        **{name: np.zeros_like(example[name]) for name in masks},
    }
