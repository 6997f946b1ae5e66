"""Small sets of clips for the tests of evaluation."""

import numpy as np

from video2emg.core.joint_angles import ANGLES
from video2emg.eval.series import ClipSeries

PHYSICS = ("physics", "physics_typical_load", "physics_other_anatomy")
MUSCLES = {
    "curl": ("left_biceps_brachii", "right_biceps_brachii"),
    "squat": ("left_vastus_lateralis", "right_vastus_lateralis", "left_biceps_brachii"),
}


def make_clip(
    target: np.ndarray, clip_id: str = "c0", subject: str = "s0", action: str = "curl", **fields
) -> ClipSeries:
    """A clip of one second per 50 samples; everything measured unless said otherwise."""
    target = np.asarray(target, np.float32)
    n = len(target)
    values = {
        "clip_id": clip_id,
        "dataset": "test",
        "subject": subject,
        "action": action,
        "muscles": MUSCLES[action][: target.shape[1]],
        "time": np.arange(n) / 50,
        "phase": np.linspace(0, 1, n, dtype=np.float32),
        "target": target,
        "mask": np.ones(target.shape, bool),
    }
    return ClipSeries(**values | fields)


def make_set(
    subjects: list[str], repetitions: int = 4, seed: int = 0, scaled: bool = False
) -> list[ClipSeries]:
    """Bursts whose amplitude differs by clip; descriptors and joint angles tell the action."""
    rng = np.random.default_rng(seed)
    clips = []
    for subject in subjects:
        for action, muscles in MUSCLES.items():
            for repetition in range(repetitions):
                phase = np.linspace(0, 1, int(rng.integers(60, 90)))[:, None]
                level = rng.uniform(0.2, 0.8) * np.linspace(1.0, 0.6, len(muscles))
                target = 0.03 + level * np.sin(np.pi * phase) ** 2
                angles = np.zeros((len(phase), len(ANGLES)), np.float32)
                moves = "elbow" if action == "curl" else "knee"
                angles[:, [moves in name for name in ANGLES]] = 100 * np.sin(np.pi * phase) ** 2
                clips.append(
                    make_clip(
                        target + 0.01 * rng.normal(size=target.shape),
                        clip_id=f"{subject}-{action}-{repetition}",
                        subject=subject,
                        action=action,
                        scale=np.linspace(80.0, 120.0, len(muscles)) if scaled else None,
                        starts=np.array([0.0, len(phase) / 50 - 1]),
                        window=1.0,
                        angles=angles,
                        mechanics={
                            name: np.full(target.shape, 0.3 + 0.01 * k, np.float32)
                            for k, name in enumerate(PHYSICS)
                        },
                        descriptor=np.float32([[5.0 * (action == "curl"), level[0]]]),
                    )
                )
    return clips
