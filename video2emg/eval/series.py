"""The measured envelopes of a clip on one clock, and checks of predictions for it."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core.errors import UserError
from video2emg.core.joint_angles import ANGLES


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipSeries:
    """The EMG envelopes of one clip, and what baselines know of it.

    N samples, C channels, R repetitions, K descriptor entries, W windows, A joint angles.

    A prediction for it is an array [N, C] in the same unit; a set of predictions is a list parallel
    to the list of series.

    Attributes:
      clip_id: globally unique.
      dataset: name of the builder.
      subject: the unit that is resampled for confidence intervals.
      action: name of the exercise.
      muscles: C channel names, `side_muscle` of `vocabulary`.
      time: [N], s on the clip clock, increasing.
      phase: [N], place within the repetition, in [0, 1]: time / duration of the repetition; NaN
        between the repetitions of a set and in free movement. It increases within a repetition.
      target: [N, C], normalised envelope (1 = e.g. the MVC). May have any value, also NaN, where
        `mask` is false.
      mask: [N, C], true where the target was measured.
      scale: [C], the divisor of the normalisation in the source's unit, for scores that are
        published in that unit; None if such scores are not wanted.
      load: kg, NaN if unknown.
      starts: [W], starts of the windows in which a model predicts the clip, s on the clip clock;
        None if there are none.
      window: length of these windows, s.
      angles: [N, A], `joint_angles.ANGLES` in degrees, NaN where unknown; None without a pose.
      mechanics: [N, C] by name, what mechanics predict, NaN where they know nothing; None without.
      descriptor: [R, K], a fixed-length summary of the video of each repetition for the
        nearest-neighbour baseline; None if there is none.
    """

    clip_id: str
    dataset: str
    subject: str
    action: str
    muscles: tuple[str, ...]
    time: Float[np.ndarray, " N"]
    phase: Float[np.ndarray, " N"]
    target: Float[np.ndarray, "N C"]
    mask: Bool[np.ndarray, "N C"]
    scale: Float[np.ndarray, " C"] | None = None
    load: float = float("nan")
    starts: Float[np.ndarray, " W"] | None = None
    window: float = float("nan")
    angles: Float[np.ndarray, "N A"] | None = None
    mechanics: Mapping[str, np.ndarray] | None = None
    descriptor: Float[np.ndarray, "R K"] | None = None

    def __post_init__(self) -> None:
        n, c = len(self.time), len(self.muscles)

        def expect(ok: bool, field: str, message: str) -> None:
            if not ok:
                raise UserError(f"clip {self.clip_id!r}, field {field}: {message}")

        expect(n > 0, "time", "has no sample")
        expect(len(set(self.muscles)) == c, "muscles", f"a name occurs twice in {self.muscles}")
        expect(bool((np.diff(self.time) > 0).all()), "time", "must increase")
        expect(self.phase.shape == (n,), "phase", f"expected [{n}], got {self.phase.shape}")
        in_range = (self.phase >= 0) & (self.phase <= 1)
        expect(bool((in_range | np.isnan(self.phase)).all()), "phase", "must lie in [0, 1]")
        expect(self.target.shape == (n, c), "target", f"expected [{n}, {c}], {self.target.shape}")
        expect(self.mask.shape == (n, c), "mask", f"expected [{n}, {c}], got {self.mask.shape}")
        if self.scale is not None:
            expect(self.scale.shape == (c,), "scale", f"expected [{c}], got {self.scale.shape}")
        if self.starts is not None:
            expect(len(self.starts) > 0 and self.window > 0, "starts", "windows without length")
        if self.angles is not None:
            a = len(ANGLES)
            expect(self.angles.shape == (n, a), "angles", f"[{n}, {a}], {self.angles.shape}")
        if self.descriptor is not None:
            rows, r = len(self.descriptor), len(self.repetitions)
            expect(rows == r, "descriptor", f"{rows} for {r} repetitions")
        measured = self.target[self.mask]
        expect(bool(np.isfinite(measured).all()), "target", "is not finite where the mask is true")

    @functools.cached_property
    def repetitions(self) -> tuple[slice, ...]:
        """The samples of each repetition: a repetition ends where the phase falls or is unknown."""
        inside = np.isfinite(self.phase)
        falls = np.concatenate([[False], np.diff(self.phase) < 0])
        before = np.concatenate([[False], inside[:-1]])
        first = np.flatnonzero(inside & (~before | falls))
        ends = np.concatenate([before & (~inside | falls), [inside[-1]]])
        return tuple(slice(a, b) for a, b in zip(first, np.flatnonzero(ends), strict=True))


def check_predictions(series: Sequence[ClipSeries], predictions: Sequence[np.ndarray]) -> None:
    """Makes sure that there is one finite prediction of the right shape for every clip.

    A prediction that is NaN or infinite is a failure of the predictor, not a missing value: leaving
    it out would reward failing on hard clips. It must be finite where the mask is false, too.

    Raises:
      UserError: naming the clip.
    """
    if len(series) != len(predictions):
        raise UserError(f"{len(predictions)} predictions for {len(series)} clips")
    for clip, prediction in zip(series, predictions, strict=True):
        if prediction.shape != clip.target.shape:
            raise UserError(
                f"clip {clip.clip_id!r}: prediction has shape {prediction.shape}, "
                f"expected {clip.target.shape} (samples, channels)"
            )
        if not np.isfinite(prediction).all():
            raise UserError(f"clip {clip.clip_id!r}: prediction is not finite (NaN or infinite)")
