"""Films that never were: a body in front of a camera, with the errors of an estimator."""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.bodies import standing
from video2emg.core import skeleton
from video2emg.core.pose_track import CAMERA, PoseTrack
from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.core.vocabulary import FLEX_21

FOCAL, SIZE = 560.0, (640, 480)
NAMES = tuple(name for name in BLAZEPOSE_33 if "eye" not in name and "mouth" not in name)


def body(knee: float) -> np.ndarray:
    """[J, 3] m, z up, facing x: knees, hips and trunk bent as in a squat; `NAMES` in order."""
    flex = standing()
    place = {name: i for i, name in enumerate(FLEX_21)}
    bend = np.radians(knee)
    for side in ("left", "right"):
        hip, ankle = (flex[place[f"{side}_{part}"]].copy() for part in ("hip", "ankle"))
        thigh = np.linalg.norm(flex[place[f"{side}_knee"]] - hip)
        shank = np.linalg.norm(ankle - flex[place[f"{side}_knee"]])
        thigh_way = thigh * np.array([np.sin(0.6 * bend), 0, -np.cos(0.6 * bend)])
        shank_way = shank * np.array([-np.sin(0.4 * bend), 0, -np.cos(0.4 * bend)])
        moved = hip + thigh_way + shank_way - ankle
        flex[place[f"{side}_knee"]] = hip + thigh_way
        for part in ("ankle", "heel", "toe"):
            flex[place[f"{side}_{part}"]] += moved
    lean = Rotation.from_rotvec([0, 0.3 * bend, 0]).as_matrix()
    upper = [
        i for name, i in place.items() if not name.endswith(("hip", "knee", "ankle", "heel", "toe"))
    ]
    flex[upper] = flex[upper] @ lean.T
    full = dict(zip(FLEX_21, flex, strict=True))
    full["nose"] = full["head"] + lean @ [0.1, 0, 0]
    for side, y in (("left", 1), ("right", -1)):
        full[f"{side}_ear"] = full["head"] + np.array([0, 0.07 * y, 0])
        for part in ("pinky", "index", "thumb"):
            full[f"{side}_{part}"] = full[f"{side}_hand"]
    return np.array([full[name] for name in NAMES])


def bends(seconds: float, rate: float, count: int = 3, depth: float = 100.0) -> np.ndarray:
    """Knee flexion over time: rest, squats, rest."""
    time = np.arange(0, seconds, 1 / rate)
    period = (seconds - 2) / count
    phase = np.clip((time - 1) / period, 0, count)
    return 5 + depth * np.sin(np.pi * (phase % 1)) ** 2


def filmed(
    knee: np.ndarray,
    rate: float = 15.0,
    *,
    facing: float = 30.0,
    pitch: float = 10.0,
    roll: float = 0.0,
    distance: float = 3.5,
    confidence: float = 0.95,
) -> tuple[PoseTrack, np.ndarray]:
    """What a perfect estimator sees of squats, and the true joints [T, J, 3], z up, facing x.

    Args:
      knee: [T] flexion, degrees.
      rate: Hz.
      facing, pitch, roll: see `pose.gravity.View`, degrees.
      distance: of the camera, m.
      confidence: of all joints.
    """
    truth = np.stack([body(k) for k in knee])
    camera = to_camera(truth, facing, pitch, roll)
    placed = camera + np.array([0, 0, distance])
    points = FOCAL * placed[..., :2] / placed[..., 2:] + np.array(SIZE) / 2
    track = PoseTrack(
        names=NAMES,
        times=np.arange(len(knee)) / rate,
        joints=camera,
        confidence=np.full(truth.shape[:2], confidence),
        points_2d=points,
        source="test",
        axes=CAMERA,
    )
    return track, truth


def to_camera(joints: np.ndarray, facing: float, pitch: float, roll: float) -> np.ndarray:
    """z up, facing x → camera axes, by `facing`, `pitch` and `roll` (`pose.gravity.View`)."""
    turned = joints @ Rotation.from_euler("z", facing, degrees=True).as_matrix().T
    # x towards the camera, y to the right of the picture, z up → x right, y down, z away.
    level = np.stack([turned[..., 1], -turned[..., 2], -turned[..., 0]], -1)
    tilt = Rotation.from_euler("x", pitch, degrees=True).as_matrix()
    lean = Rotation.from_euler("z", roll, degrees=True).as_matrix()
    return level @ tilt.T @ lean.T


def to_skeleton(joints: np.ndarray, names=FLEX_21) -> np.ndarray:
    """[T, J, 3] of `NAMES` in the order of another skeleton."""
    return skeleton.arrange(joints, NAMES, names)
