"""Bodies of known proportions, for tests of poses."""

import numpy as np
from scipy.spatial.transform import Rotation

from video2emg.core import vocabulary

# Half a body of 1.75 m that stands and faces x, its mid-hips at the origin, m. Segment lengths are
# the fractions of height of Drillis & Contini; chest, neck, head and hand as in the simulator.
_TRUNK = 0.306 * 1.75
_HALF = {
    "hip": (0, 0.09, 0),
    "knee": (0, 0.09, -0.245 * 1.75),
    "ankle": (0, 0.09, -0.491 * 1.75),
    "heel": (-0.06, 0.09, -0.491 * 1.75 - 0.07),
    "toe": (0.18, 0.09, -0.491 * 1.75 - 0.07),
    "shoulder": (0, 0.22, _TRUNK),
    "elbow": (0, 0.22, _TRUNK - 0.186 * 1.75),
    "wrist": (0, 0.22, _TRUNK - 0.332 * 1.75),
    "hand": (0, 0.22, _TRUNK - (0.332 + 0.53 * 0.146) * 1.75),
}
_MIDDLE = {"chest": 0.4, "neck": 1.06, "head": 1.48}


def standing() -> np.ndarray:
    """[21, 3] m, in the order of `vocabulary.FLEX_21`."""
    at = {name: (0, 0, height * _TRUNK) for name, height in _MIDDLE.items()}
    at |= {f"left_{part}": place for part, place in _HALF.items()}
    at |= {f"right_{part}": (x, -y, z) for part, (x, y, z) in _HALF.items()}
    return np.array([at[joint] for joint in vocabulary.FLEX_21], float)


def swinging_arms(frames: int, degrees: float = 60.0) -> np.ndarray:
    """[frames, 21, 3] m; arms swing to and fro about the shoulders; the rest stands."""
    pose = np.repeat(standing()[None], frames, 0)
    angle = np.sin(np.linspace(0, 4 * np.pi, frames)) * degrees
    for side, sign in (("left", 1), ("right", -1)):
        arm = [vocabulary.FLEX_21.index(f"{side}_{part}") for part in ("elbow", "wrist", "hand")]
        shoulder = pose[:, [vocabulary.FLEX_21.index(f"{side}_shoulder")]]
        turn = Rotation.from_euler("y", sign * angle[:, None], degrees=True).as_matrix()
        pose[:, arm] = shoulder + (pose[:, arm] - shoulder) @ turn.transpose(0, 2, 1)
    return pose
