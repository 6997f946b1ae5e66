"""Simulated sEMG: interference signal, crosstalk, noise, hum and motion artefact."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy import fft, signal

from video2emg.core import emg, vocabulary
from video2emg.physics.anatomy import Anatomy
from video2emg.sim.subject import Subject


@dataclasses.dataclass(frozen=True)
class Site:
    """Position of an electrode; the anatomy says which muscles are under it.

    Attributes:
      crosstalk: amplitude of each neighbour at full drive, relative to the muscles under the
        electrode. A neighbour is a muscle of the anatomy `simulated` or what is under the electrode
        of this name.
      amplitude: typical RMS amplitude at full drive, mV.
      joint: the joint of `vocabulary.FLEX_21` (without side) whose acceleration shakes the cable.
    """

    crosstalk: Mapping[str, float]
    amplitude: float
    joint: str


_SITES: dict[str, tuple[dict[str, float], float, str]] = {  # crosstalk, amplitude, joint
    "biceps_brachii": ({"brachialis": 0.1, "triceps_long": 0.03}, 0.9, "elbow"),
    "triceps_brachii": ({"biceps_long": 0.03, "posterior_deltoid": 0.04}, 0.75, "elbow"),
    "anterior_deltoid": ({"pectoralis_clavicular": 0.08, "medial_deltoid": 0.1}, 0.7, "elbow"),
    "medial_deltoid": ({"anterior_deltoid": 0.08, "posterior_deltoid": 0.06}, 0.7, "elbow"),
    "upper_trapezius": ({"supraspinatus": 0.12}, 0.5, "shoulder"),
    "erector_spinae": ({"quadratus_lumborum": 0.06}, 0.22, "hip"),
    "vastus_lateralis": ({"rectus_femoris": 0.08, "biceps_femoris_long": 0.03}, 0.4, "knee"),
    "biceps_femoris": ({"semitendinosus": 0.1, "vastus_lateralis": 0.03}, 0.35, "knee"),
    "gluteus_maximus": ({"gluteus_medius": 0.07}, 0.25, "hip"),
    "pectoralis_major": ({"anterior_deltoid": 0.08}, 0.45, "shoulder"),
    "latissimus_dorsi": ({"teres_major": 0.08, "erector_thoracic": 0.05}, 0.3, "shoulder"),
    "posterior_deltoid": (
        {"medial_deltoid": 0.08, "infraspinatus": 0.06, "triceps_long": 0.03},
        0.5,
        "elbow",
    ),
    "brachioradialis": ({"biceps_short": 0.05}, 0.55, "wrist"),
    "rectus_abdominis": ({"external_oblique": 0.06}, 0.2, "hip"),
    "external_oblique": ({"rectus_abdominis": 0.06}, 0.22, "hip"),
    "gluteus_medius": ({"gluteus_maximus": 0.08}, 0.25, "hip"),
    "rectus_femoris": ({"vastus_lateralis": 0.08, "vastus_medialis": 0.05}, 0.35, "knee"),
    "vastus_medialis": ({"rectus_femoris": 0.06, "adductor_magnus": 0.03}, 0.42, "knee"),
    "semitendinosus": ({"biceps_femoris_long": 0.08, "adductor_magnus": 0.05}, 0.33, "knee"),
    "adductor_magnus": ({"semitendinosus": 0.08}, 0.2, "hip"),
    "tibialis_anterior": ({"peroneus": 0.06}, 0.45, "ankle"),
    "gastrocnemius": ({"soleus": 0.1}, 0.35, "ankle"),
    "soleus": ({"gastrocnemius": 0.12, "peroneus": 0.05}, 0.3, "ankle"),
}
SITES = {name: Site(*site) for name, site in _SITES.items()}
# Neighbours that another anatomy lacks → the nearest muscle that it has.
_NEAREST = {
    "peroneus": "peroneus_longus",
    "erector_thoracic": "erector_spinae",
    "quadratus_lumborum": "internal_oblique",
}

# Corner frequencies of the interference signal's spectrum, Hz (Shwedyk et al., 1977).
_LOW, _HIGH = 60.0, 120.0
_HUM = 50.0  # Hz
_MIN_PULSES, _MAX_PULSES = 250.0, 6000.0  # of motor units per second, at rest and full drive

# Every muscle that has a site, in the order of the vocabulary; on both sides, in all exercises.
MONTAGE = tuple(name for name in vocabulary.MUSCLES if name in SITES)


@dataclasses.dataclass(frozen=True)
class Electrode:
    """Properties of one electrode on one subject; constant over a session.

    Attributes:
      gain: mV RMS at full drive.
      exponent: of the relation between drive and amplitude; 1 is proportional.
      crosstalk: factor on the crosstalk of the site.
      noise: baseline noise, mV RMS.
      hum: mains hum, mV.
      artefact: motion artefact, mV per m/s² of the nearest joint.
      mvc_effort: share of the true maximum reached in the MVC trial.
    """

    gain: float
    exponent: float
    crosstalk: float
    noise: float
    hum: float
    artefact: float
    mvc_effort: float


def electrode(subject: Subject, channel: str) -> Electrode:
    """The electrode of a channel; constant for a subject."""
    side, muscle = vocabulary.split_channel(channel)
    site = [vocabulary.SIDES.index(side), vocabulary.MUSCLES.index(muscle)]
    rng, ranges = np.random.default_rng([subject.seed, *site]), subject.electrodes
    attenuation = np.exp(-0.8 * (subject.girth - 1))  # by the tissue between muscle and skin
    return Electrode(
        gain=float(SITES[muscle].amplitude * rng.lognormal(0, ranges.gain) * attenuation),
        exponent=float(rng.uniform(*ranges.exponent)),
        crosstalk=float(rng.uniform(*ranges.crosstalk)),
        noise=float(rng.uniform(*ranges.noise)),
        hum=float(rng.uniform(*ranges.hum)),
        artefact=float(rng.uniform(*ranges.artefact)),
        mvc_effort=float(rng.uniform(*ranges.mvc_effort)),
    )


def drive_at_electrode(
    muscle_drive: Float[np.ndarray, "T n"], muscles: tuple[str, ...], channel: str, anatomy: Anatomy
) -> Float[np.ndarray, " T"]:
    """Noise-free neural drive (0-1) under an electrode: weighted mean over its muscles."""
    side, muscle = vocabulary.split_channel(channel)
    return _mean_drive(muscle_drive, muscles, side, anatomy.electrodes[muscle])


def _mean_drive(muscle_drive, muscles, side: str, shares: Mapping[str, float]) -> np.ndarray:
    return sum(
        weight * muscle_drive[:, muscles.index(f"{name}_{side}")] for name, weight in shares.items()
    )  # pyright: ignore[reportReturnType]


def _neighbour(name: str, anatomy: Anatomy) -> Mapping[str, float]:
    """The share of each muscle of the anatomy in a neighbour of `Site.crosstalk`."""
    if name not in anatomy.muscles and name in anatomy.electrodes:
        return anatomy.electrodes[name]
    return {name if name in anatomy.muscles else _NEAREST[name]: 1.0}


def simulate_channel(
    muscle_drive: Float[np.ndarray, "T n"],
    muscles: tuple[str, ...],
    time: Float[np.ndarray, " T"],
    acceleration: Float[np.ndarray, " T"],
    channel: str,
    subject: Subject,
    rate: float,
    rng: np.random.Generator,
    conduction_velocity: float = 1.0,
    motor_units: bool = False,
) -> Float[np.ndarray, " N"]:
    """Raw sEMG of one channel in mV.

    Args:
      muscle_drive: neural drive of all muscles, 0-1.
      muscles: their names.
      time: of the samples, s, from 0.
      acceleration: of the joint near the electrode, m/s².
      channel: `side_muscle`.
      subject: who wears the electrode.
      rate: of the result, Hz.
      rng: for the noise.
      conduction_velocity: of the muscle fibres, relative to a rested muscle; frequencies are
        proportional to it.
      motor_units: motor-unit pulses, whose rate follows the drive, instead of Gaussian noise.
    """
    side, muscle = vocabulary.split_channel(channel)
    site, properties = SITES[muscle], electrode(subject, channel)
    new_time = np.arange(round(time[-1] * rate)) / rate

    def source(drive: np.ndarray, size: float) -> np.ndarray:
        amplitude = np.interp(new_time, time, drive) ** properties.exponent
        pulse_rate = _pulse_rate(amplitude) if motor_units else None
        noise = interference(len(new_time), rate, rng, conduction_velocity, pulse_rate)
        return size * properties.gain * amplitude * noise

    anatomy = subject.anatomy
    raw = source(drive_at_electrode(muscle_drive, muscles, channel, anatomy), 1.0)
    for name, weight in site.crosstalk.items():
        drive = _mean_drive(muscle_drive, muscles, side, _neighbour(name, anatomy))
        raw += source(drive, weight * properties.crosstalk)
    raw += properties.noise * rng.normal(size=len(raw))
    raw += properties.hum * np.sin(2 * np.pi * _HUM * new_time + rng.uniform(0, 2 * np.pi))
    cable = signal.sosfiltfilt(_cable_filter(rate), rng.normal(size=len(raw)))
    shaking = np.interp(new_time, time, acceleration)
    raw += properties.artefact * shaking * (0.5 + cable / cable.std())
    return raw


@functools.cache
def _cable_filter(rate: float) -> np.ndarray:
    return np.asarray(signal.butter(2, 10.0, fs=rate, output="sos"))


def interference(
    n: int,
    rate: float,
    rng: np.random.Generator,
    conduction_velocity: float = 1.0,
    pulse_rate: Float[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Noise of unit RMS with the spectrum of surface EMG (Shwedyk et al., 1977), 20 Hz upwards.

    Args:
      n: number of samples.
      rate: Hz.
      rng: random numbers.
      conduction_velocity: factor on the corner frequencies of the spectrum.
      pulse_rate: pulses per second. Fewer pulses give heavier tails of the amplitudes. None for
        infinitely many pulses, which means Gaussian noise.
    """
    frequency = fft.rfftfreq(n, 1 / rate)
    high = _HIGH * conduction_velocity
    high2 = frequency**2 + high**2
    low = _LOW * conduction_velocity
    shape = high**2 * frequency / (np.sqrt(frequency**2 + low**2) * high2)
    shape[frequency < 20] *= (frequency[frequency < 20] / 20) ** 2
    white = rng.normal(size=n)
    if pulse_rate is not None:
        # The sum of k pulses of random sign and exponential size has a Gamma(k) variance.
        expected = pulse_rate / rate
        white *= np.sqrt(rng.gamma(rng.poisson(expected)) / expected)
    noise = np.asarray(fft.irfft(np.asarray(fft.rfft(white)) * shape, n))
    return noise / np.sqrt(np.mean(noise**2))


def _pulse_rate(drive: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Motor-unit pulses per second under an electrode, at a drive of 0-1."""
    return _MIN_PULSES + (_MAX_PULSES - _MIN_PULSES) * drive


@functools.cache
def mvc_envelope(subject: Subject, channel: str, rate: float) -> float:
    """Envelope at maximal voluntary contraction (MVC), mV: best 0.5 s mean of a 4 s trial."""
    muscle, anatomy = vocabulary.split_channel(channel)[1], subject.anatomy
    under = anatomy.electrodes[muscle]
    neighbours = [_neighbour(name, anatomy) for name in SITES[muscle].crosstalk]
    model_muscles = dict.fromkeys(itertools.chain(under, *neighbours))
    names = tuple(f"{muscle}_{side}" for side in vocabulary.SIDES for muscle in model_muscles)
    time = np.arange(0, 4.001, 0.02)
    ramp = np.clip(np.minimum(time - 0.3, 3.7 - time) / 0.5, 0, 1)
    effort = electrode(subject, channel).mvc_effort
    share = np.array([1.0 if name.rsplit("_", 1)[0] in under else 0.4 for name in names])
    rng = np.random.default_rng([subject.seed, 99, *map(ord, channel)])
    tremor = 1 - 0.03 * np.abs(np.sin(2 * np.pi * 1.3 * time))
    drive = np.clip(effort * (ramp * tremor)[:, None] * share, 0, 1)
    still = np.zeros_like(time)
    raw = simulate_channel(drive, names, time, still, channel, subject, rate, rng)
    smooth = emg.envelope(raw[:, None].astype(np.float32), rate)[:, 0]
    window = np.ones(round(0.5 * rate)) / round(0.5 * rate)
    return float(np.convolve(smooth, window, "valid").max())
