"""What the electrodes record: interference signal, crosstalk, noise, hum and motion artefact."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float
from scipy import signal

from video2emg.core import emg, vocabulary
from video2emg.sim.subject import Subject


@dataclasses.dataclass(frozen=True)
class Site:
    """Where an electrode sits.

    Attributes:
      under: share of each model muscle under the electrode; sums to one.
      near: crosstalk, amplitude relative to the electrode's own at full drive.
      volume: typical RMS amplitude at full drive, mV.
      joint: the joint of `vocabulary.FLEX_21` (without side) whose acceleration shakes the cable.
    """

    under: dict[str, float]
    near: dict[str, float]
    volume: float
    joint: str


SITES = {
    "biceps_brachii": Site(
        {"biceps_long": 0.5, "biceps_short": 0.5},
        {"brachialis": 0.10, "triceps_long": 0.03},
        0.90,
        "elbow",
    ),
    "triceps_brachii": Site(
        {"triceps_long": 0.45, "triceps_short": 0.55},
        {"biceps_long": 0.03, "posterior_deltoid": 0.04},
        0.75,
        "elbow",
    ),
    "anterior_deltoid": Site(
        {"anterior_deltoid": 1.0},
        {"pectoralis_clavicular": 0.08, "medial_deltoid": 0.10},
        0.70,
        "elbow",
    ),
    "medial_deltoid": Site(
        {"medial_deltoid": 1.0},
        {"anterior_deltoid": 0.08, "posterior_deltoid": 0.06},
        0.70,
        "elbow",
    ),
    "upper_trapezius": Site({"upper_trapezius": 1.0}, {"supraspinatus": 0.12}, 0.50, "shoulder"),
    "erector_spinae": Site(
        {"erector_lumbar": 0.6, "erector_thoracic": 0.4}, {"quadratus_lumborum": 0.06}, 0.22, "hip"
    ),
    "vastus_lateralis": Site(
        {"vastus_lateralis": 1.0},
        {"rectus_femoris": 0.08, "biceps_femoris_long": 0.03},
        0.40,
        "knee",
    ),
    "biceps_femoris": Site(
        {"biceps_femoris_long": 0.8, "biceps_femoris_short": 0.2},
        {"semitendinosus": 0.10, "vastus_lateralis": 0.03},
        0.35,
        "knee",
    ),
    "gluteus_maximus": Site({"gluteus_maximus": 1.0}, {"gluteus_medius": 0.07}, 0.25, "hip"),
    "pectoralis_major": Site(
        {"pectoralis_clavicular": 0.6, "pectoralis_sternal": 0.4},
        {"anterior_deltoid": 0.08},
        0.45,
        "shoulder",
    ),
    "latissimus_dorsi": Site(
        {"latissimus_dorsi": 1.0}, {"teres_major": 0.08, "erector_thoracic": 0.05}, 0.30, "shoulder"
    ),
    "posterior_deltoid": Site(
        {"posterior_deltoid": 1.0},
        {"medial_deltoid": 0.08, "infraspinatus": 0.06, "triceps_long": 0.03},
        0.50,
        "elbow",
    ),
}

# Corner frequencies of the interference signal's spectrum, Hz (Shwedyk et al., 1977).
_LOW, _HIGH = 60.0, 120.0
_HUM = 50.0  # Hz
_FEW, _MANY = 250.0, 6000.0  # pulses of motor units per second, at rest and at full drive

# A montage of sixteen electrodes for all exercises, as many as FLEX's device has.
SIXTEEN = (
    "biceps_brachii",
    "triceps_brachii",
    "anterior_deltoid",
    "pectoralis_major",
    "latissimus_dorsi",
    "erector_spinae",
    "gluteus_maximus",
    "vastus_lateralis",
)


@dataclasses.dataclass(frozen=True)
class Electrode:
    """One electrode as it sits on one subject for the whole session.

    Attributes:
      gain: mV RMS at full drive.
      exponent: of the relation between drive and amplitude; 1 is proportional.
      crosstalk: factor on the site's crosstalk.
      noise: baseline, mV RMS.
      hum: mains, mV.
      looseness: mV of artefact per m/s² of the joint nearby.
      effort: share of the true maximum reached in the MVC trial.
    """

    gain: float
    exponent: float
    crosstalk: float
    noise: float
    hum: float
    looseness: float
    effort: float


def electrode(subject: Subject, channel: str) -> Electrode:
    """The electrode of a channel; always the same for one subject."""
    side, muscle = vocabulary.split_channel(channel)
    place = [vocabulary.SIDES.index(side), vocabulary.MUSCLES.index(muscle)]
    rng = np.random.default_rng([subject.seed, *place])
    fat = np.exp(-0.8 * (subject.girth - 1))  # tissue between muscle and skin damps the signal
    return Electrode(
        gain=float(SITES[muscle].volume * rng.lognormal(0, 0.25) * fat),
        exponent=float(rng.uniform(0.95, 1.12)),
        crosstalk=float(rng.uniform(0.5, 1.4)),
        noise=float(rng.uniform(0.002, 0.006)),
        hum=float(rng.uniform(0, 0.003)),
        looseness=float(rng.uniform(0.0005, 0.003)),
        effort=float(rng.uniform(0.92, 1.0)),
    )


def drive_under(
    drives: Float[np.ndarray, "T n"], muscles: tuple[str, ...], channel: str
) -> Float[np.ndarray, " T"]:
    """Noise-free excitation 0-1 under an electrode."""
    side, muscle = vocabulary.split_channel(channel)
    return sum(
        weight * drives[:, muscles.index(f"{name}_{side}")]
        for name, weight in SITES[muscle].under.items()
    )  # pyright: ignore[reportReturnType]


def record(
    drives: Float[np.ndarray, "T n"],
    muscles: tuple[str, ...],
    time: Float[np.ndarray, " T"],
    shake: Float[np.ndarray, " T"],
    channel: str,
    subject: Subject,
    rate: float,
    rng: np.random.Generator,
    speed: float = 1.0,
    units: bool = False,
) -> Float[np.ndarray, " N"]:
    """Raw sEMG of one channel in mV.

    Args:
      drives: excitation of all muscles, 0-1.
      muscles: their names.
      time: of the samples, s, from 0.
      shake: acceleration of the joint near the electrode, m/s².
      channel: `side_muscle`.
      subject: who wears it.
      rate: of the result, Hz.
      rng: of this recording.
      speed: of the muscle fibres' conduction; frequencies are proportional to it.
      units: pulses of motor units, as many as the drive asks for, instead of even noise.
    """
    side, muscle = vocabulary.split_channel(channel)
    site, worn = SITES[muscle], electrode(subject, channel)
    new_time = np.arange(round(time[-1] * rate)) / rate

    def burst(drive: np.ndarray, size: float) -> np.ndarray:
        amplitude = np.interp(new_time, time, drive) ** worn.exponent
        density = _pulses(amplitude) if units else None
        noise = interference(len(new_time), rate, rng, speed, density)
        return size * worn.gain * amplitude * noise

    raw = burst(drive_under(drives, muscles, channel), 1.0)
    for name, weight in site.near.items():
        raw += burst(drives[:, muscles.index(f"{name}_{side}")], weight * worn.crosstalk)
    raw += worn.noise * rng.normal(size=len(raw))
    raw += worn.hum * np.sin(2 * np.pi * _HUM * new_time + rng.uniform(0, 2 * np.pi))
    slow = signal.butter(2, 10.0, fs=rate, output="sos")
    cable = signal.sosfiltfilt(slow, rng.normal(size=len(raw)))
    raw += worn.looseness * np.interp(new_time, time, shake) * (0.5 + cable / cable.std())
    return raw


def interference(
    n: int,
    rate: float,
    rng: np.random.Generator,
    speed: float = 1.0,
    density: Float[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Noise of unit RMS with the spectrum of surface EMG (Shwedyk et al., 1977), 20 Hz upwards.

    Args:
      n: samples.
      rate: Hz.
      rng: random numbers.
      speed: factor on the spectrum's corner frequencies.
      density: pulses per second; the sparser, the heavier the tails of the amplitudes. None for
        endlessly many, which are Gaussian.
    """
    frequency = np.fft.rfftfreq(n, 1 / rate)
    high = _HIGH * speed
    high2 = frequency**2 + high**2
    shape = high**2 * frequency / (np.sqrt(frequency**2 + (_LOW * speed) ** 2) * high2)
    shape[frequency < 20] *= (frequency[frequency < 20] / 20) ** 2
    white = rng.normal(size=n)
    if density is not None:
        # The sum of k pulses of random sign and exponential size has the variance Gamma(k).
        expected = density / rate
        white *= np.sqrt(rng.gamma(rng.poisson(expected)) / expected)
    noise = np.fft.irfft(np.fft.rfft(white) * shape, n)
    return noise / np.sqrt(np.mean(noise**2))


def _pulses(drive: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Pulses of motor units per second that an electrode sees at a drive of 0-1."""
    return _FEW + (_MANY - _FEW) * drive


@functools.cache
def maximum(subject: Subject, channel: str, rate: float) -> float:
    """Envelope at maximal voluntary contraction, mV: mean of the best 0.5 s of a 4 s trial."""
    muscle = vocabulary.split_channel(channel)[1]
    names = tuple(f"{m}_{side}" for side in vocabulary.SIDES for m in _all_names(muscle))
    time = np.arange(0, 4.001, 0.02)
    ramp = np.clip(np.minimum(time - 0.3, 3.7 - time) / 0.5, 0, 1)
    effort = electrode(subject, channel).effort
    share = np.array(
        [1.0 if name.rsplit("_", 1)[0] in SITES[muscle].under else 0.4 for name in names]
    )
    rng = np.random.default_rng([subject.seed, 99, *map(ord, channel)])
    tremor = 1 - 0.03 * np.abs(np.sin(2 * np.pi * 1.3 * time))
    drives = np.clip(effort * (ramp * tremor)[:, None] * share, 0, 1)
    raw = record(drives, names, time, np.zeros_like(time), channel, subject, rate, rng)
    smooth = emg.envelope(raw[:, None].astype(np.float32), rate)[:, 0]
    window = np.ones(round(0.5 * rate)) / round(0.5 * rate)
    return float(np.convolve(smooth, window, "valid").max())


def _all_names(muscle: str) -> tuple[str, ...]:
    return (*SITES[muscle].under, *SITES[muscle].near)
