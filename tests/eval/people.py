"""Simulated people whose EMG is a known function of a model's curves, for tests of the ladder."""

import numpy as np

from video2emg.core.joint_angles import ANGLES
from video2emg.eval.person_calibration import Part, with_context
from video2emg.eval.series import ClipSeries

RATE = 25.0  # Hz
SECONDS = 3.0
MUSCLES = ("left_vastus_lateralis", "right_vastus_lateralis", "left_biceps_femoris")


def bursts(rng: np.random.Generator, time: np.ndarray, count: int) -> np.ndarray:
    """[N, count] bursts of a repetition that begins somewhere, each muscle with its own moment."""
    shift, size = rng.uniform(-0.4, 0.4), rng.uniform(0.6, 1.4)
    centres = np.linspace(0.8, 2.2, count) + shift
    return 0.03 + size * np.exp(-0.5 * ((time[:, None] - centres) / 0.25) ** 2)


def parts(mix: np.ndarray, count: int, seed: int = 0, noise: float = 0.02) -> list[Part]:
    """Repetitions of somebody whose channels are `curves @ mix`; angles are integrals of curves."""
    rng = np.random.default_rng(seed)
    time, found = np.arange(round(RATE * SECONDS)) / RATE, []
    channels = mix.shape[1]
    for _ in range(count):
        curves = bursts(rng, time, len(mix))
        target = np.maximum(curves @ mix + noise * rng.normal(size=(len(time), channels)), 0)
        angles = with_context(40 * np.cumsum(curves, 0)[:, :2] / RATE, time, (-0.2, 0.0, 0.2))
        mask = np.ones(target.shape, bool)
        found.append(Part(time, curves[:, :channels], curves, angles, target, mask))
    return found


def clip(subject: str, number: int, gains: np.ndarray, late: float = 0.0) -> ClipSeries:
    """A repetition as a clip; its EMG is the curves times gains, late by some seconds."""
    rng = np.random.default_rng([number, *subject.encode()])
    time = np.arange(round(RATE * SECONDS)) / RATE
    state = rng.bit_generator.state
    curves = bursts(rng, time, len(MUSCLES))
    rng.bit_generator.state = state
    target = bursts(rng, time - late, len(MUSCLES)) * gains
    angles = np.zeros((len(time), len(ANGLES)), np.float32)
    angles[:, ANGLES.index("left_knee_flexion")] = 80 * curves[:, 0]
    angles[:, ANGLES.index("right_knee_flexion")] = 80 * curves[:, 1]
    return ClipSeries(
        clip_id=f"{subject}-{number}",
        dataset="test",
        subject=subject,
        action="squat",
        muscles=MUSCLES,
        time=time,
        phase=np.linspace(0, 1, len(time), dtype=np.float32),
        target=target.astype(np.float32),
        mask=np.ones(target.shape, bool),
        angles=angles,
    )


def curves_of(series: ClipSeries) -> np.ndarray:
    """The curves of `clip`, which are what a perfect model would predict."""
    rng = np.random.default_rng([int(series.clip_id.split("-")[1]), *series.subject.encode()])
    return bursts(rng, series.time, len(MUSCLES))
