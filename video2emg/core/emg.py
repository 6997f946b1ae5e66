"""Surface EMG: from the recorded voltage to a normalised envelope, and back.

The steps are those of ISEK (Merletti 1999) and of the CEDE consensus on amplitude normalisation
(Besomi et al., J. Electromyogr. Kinesiol. 53, 2020): DC removal, band-pass, optional mains notch,
full-wave rectification, zero-phase low-pass, division by one value per channel.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from scipy import signal

from video2emg.core import interpolation, units, vocabulary
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError

Kind = Literal["mvc", "subject", "train"]
KINDS: tuple[Kind, ...] = ("mvc", "subject", "train")


@dataclasses.dataclass(frozen=True)
class Chain:
    """Settings of the filters that compute the envelope.

    Attributes:
      band: band-pass corners, Hz; the upper one is lowered to 0.45·rate where needed.
      notch: mains frequency to remove, Hz, or 0 for none. Off by default: of EMG sampled at 200 Hz
        the notch would remove the middle of the usable band.
      cutoff: low-pass of the envelope, Hz.
      order: effective Butterworth order after the two passes of the zero-phase filter.
    """

    band: tuple[float, float] = (20.0, 450.0)
    notch: float = 0.0
    cutoff: float = 6.0
    order: int = 4


def envelope(
    emg: Float[np.ndarray, "N C"], rate: float, chain: Chain = Chain()
) -> Float[np.ndarray, "N C"]:
    """Linear envelope of raw EMG, in the unit of `emg`.

    Args:
      emg: [N, C] voltage as recorded.
      rate: sampling rate, Hz.
      chain: the filters' settings.

    Returns:
      [N, C] float32, not negative, at the same rate. The filters are zero-phase: without delay, but
      not causal.

    Raises:
      UserError: the rate is too low for the band, or the signal too short for the filters.
    """
    low, high = chain.band[0], min(chain.band[1], 0.45 * rate)
    if not 0 < low < high:
        raise UserError(f"emg_rate {rate:g} Hz is too low for a band-pass from {low:g} Hz")
    # sosfiltfilt applies each filter twice; scipy designs a band-pass of order n with 2n poles.
    stages = [signal.butter(chain.order // 2, [low, high], "bandpass", fs=rate, output="sos")]
    if chain.notch:
        stages.append(signal.tf2sos(*signal.iirnotch(chain.notch, 30.0, fs=rate)))
    smooth = signal.butter(chain.order // 2, chain.cutoff, "lowpass", fs=rate, output="sos")
    # Padding by one period of the slowest filter avoids ringing at the ends.
    pad = int(rate / chain.cutoff)
    if len(emg) <= pad:
        raise UserError(f"emg has {len(emg)} samples at {rate:g} Hz; more than {pad} are needed")
    x = np.asarray(emg, np.float64) - np.mean(emg, axis=0)
    for sos in stages:
        x = signal.sosfiltfilt(sos, x, axis=0, padlen=pad)
    x = signal.sosfiltfilt(smooth, np.abs(x), axis=0, padlen=pad)
    return np.maximum(x, 0.0).astype(np.float32)


def resample(
    values: Float[np.ndarray, "N C"],
    time: Float[np.ndarray, " N"],
    new_time: Float[np.ndarray, " M"],
) -> tuple[Float[np.ndarray, "M C"], np.ndarray]:
    """Reads a band-limited signal at new instants by linear interpolation.

    Args:
      values: [N, C] samples; slow compared with their rate, as an envelope is.
      time: [N] seconds, increasing.
      new_time: [M] seconds.

    Returns:
      [M, C] values and [M] bool, false outside the recording (half a sample of tolerance).
    """
    resampled = interpolation.linear(values, time, new_time)
    tolerance = 0.5 * (time[-1] - time[0]) / (len(time) - 1)
    inside = (new_time >= time[0] - tolerance) & (new_time <= time[-1] + tolerance)
    return resampled.astype(np.float32), inside


def clip_envelope(clip: Clip, chain: Chain = Chain()) -> Float[np.ndarray, "N C"]:
    """`envelope` of a clip's EMG.

    EMG that was recorded as an envelope (`Clip.emg_is_envelope`) is not filtered again; values
    below zero become zero.

    Raises:
      UserError: see `envelope`; names the clip.
    """
    if clip.emg_is_envelope:
        return np.maximum(clip.emg, 0.0).astype(np.float32)
    try:
        return envelope(clip.emg, clip.emg_rate, chain)
    except UserError as error:
        raise UserError(f"clip {clip.clip_id!r}, field emg: {error}") from None


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """The value that corresponds to 1 in a normalised envelope; stored with models and results.

    Attributes:
      kind: `mvc`: the subject's maximal voluntary contraction, from each clip. `subject`: 99th
        percentile over all clips of a subject (uses the EMG of test subjects). `train`: 99th
        percentile of each muscle over the training subjects.
      table: scale, by `subject/channel` (`subject`) or muscle (`train`).
      units: of the scales, by the same names; the clips' own where it is not given.
    """

    kind: Kind
    table: dict[str, float] = dataclasses.field(default_factory=dict)
    units: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def fit(
        cls, kind: Kind, clips: Iterable[tuple[Clip, np.ndarray]], train: set[str]
    ) -> "Normalisation":
        """Fits the table.

        Args:
          kind: see the class.
          clips: (clip, envelope [N, C]) of all splits; `train` uses those of training subjects
            only.
          train: the training subjects.

        Raises:
          UserError: unknown kind, or clips whose units cannot be converted into one another.
        """
        if kind not in KINDS:
            raise UserError(f"config.data.normalisation: {kind!r} is not one of {KINDS}")
        samples: dict[str, list[np.ndarray]] = {}
        first_units: dict[str, str] = {}
        for clip, envelope in clips if kind != "mvc" else ():
            if kind == "train" and clip.subject not in train:
                continue
            for key, values in zip(_keys(kind, clip), envelope.T, strict=True):
                factor = _factor(clip.emg_unit, first_units.setdefault(key, clip.emg_unit), clip)
                samples.setdefault(key, []).append(values * np.float32(factor))
        table = {k: float(np.percentile(np.concatenate(v), 99)) for k, v in samples.items()}
        return cls(kind, table, first_units)

    def scale(self, clip: Clip) -> Float[np.ndarray, " C"]:
        """[C] float32: an envelope divided by it is normalised.

        Raises:
          UserError: the clip has no MVC, or its subject or muscle has no fitted value.
        """
        if self.kind == "mvc":
            scale = np.asarray(clip.emg_max, np.float32)
        else:
            keys = _keys(self.kind, clip)
            missing = [key for key in keys if key not in self.table]
            if missing:
                raise UserError(
                    f"clip {clip.clip_id!r}: no {self.kind!r} reference was fitted for {missing}"
                )
            own = clip.emg_unit
            scales = [_factor(self.units.get(k, own), own, clip) * self.table[k] for k in keys]
            scale = np.array(scales, np.float32)
        if not (np.isfinite(scale) & (scale > 0)).all():
            raise UserError(
                f"clip {clip.clip_id!r}, field emg_max: needs one positive value per channel for "
                f"the {self.kind!r} reference, got {scale}; try --config.data.normalisation=subject"
            )
        return scale

    def to_json(self) -> dict[str, Any]:
        """A copy that can be written as JSON."""
        return dataclasses.asdict(self)


def _keys(kind: Kind, clip: Clip) -> list[str]:
    """Names in the table of a clip's channels."""
    if kind == "subject":
        return [f"{clip.subject}/{name}" for name in clip.muscles]
    return [vocabulary.split_channel(name)[1] for name in clip.muscles]


def _factor(unit: str, other: str, clip: Clip) -> float:
    return units.factor(unit, other, f"clip {clip.clip_id!r}, field emg_unit")
