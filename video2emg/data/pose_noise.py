"""What a 3-D pose estimator on video does to a pose: errors to train with, and to test under.

The errors are added to a pose in metres, z up, before it enters the canonical frame
(`core.body_frame`), in the order in which they arise: the body as the network believes it to be,
the camera and its depth, the noise of each frame, and joints that are lost or exchanged.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy import ndimage, signal
from scipy.spatial.transform import Rotation

from video2emg.core import skeleton
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import SIDES, mirror_order

_DEPTH_HZ = 0.5  # cut-off of the depth errors: they vary slowly
_JITTER_HZ = 6.0  # cut-off of the jitter
_EXCHANGE_S = (0.1, 1.0)  # shortest and longest exchange of left and right
_ANGLES = {"yaw": 180.0, "pitch": 90.0, "roll": 90.0, "knee": 90.0}  # largest ranges, degrees

# Part of a limb → the part before it, from the trunk outwards.
_BEFORE = {
    "elbow": "shoulder",
    "wrist": "elbow",
    **dict.fromkeys(("hand", "pinky", "index", "thumb", "fingertip"), "wrist"),
    "knee": "hip",
    "ankle": "knee",
    **dict.fromkeys(("heel", "toe", "small_toe"), "ankle"),
}
_FOOT = ("ankle", "heel", "toe", "small_toe")
_LIMBS = (tuple(_BEFORE)[:7], ("knee", *_FOOT))  # what is lost with an arm and with a leg
_BREADTH = 0.1  # m from the middle of the trunk to its sides


@dataclasses.dataclass(frozen=True)
class PoseNoise:
    """Ranges of the errors; zero switches one off.

    Unless something else is said, a range is the largest value, and each example draws one value
    between zero (angles and scale: minus the largest) and the largest with equal probability.

    Attributes:
      share: probability that an example has errors at all, so that clean poses are not forgotten.
      smoothing: standard deviation of a Gaussian filter over time, s.
      shrink: part of the movement about its mean in the window that is lost.
      knee: smallest knee flexion that is ever seen, degrees.
      offset: standard deviation of a constant error per joint and axis, m.
      scale: relative error of the size.
      stand_ins: probability that chest and neck are computed from shoulders and hips
        (`skeleton.arrange`), because estimators do not find them.
      yaw: of the camera about the vertical, degrees. The canonical frame removes it; it says from
        where the depth errors come. At 0 the camera stands in front.
      pitch, roll: error of the estimated vertical, about the axis to the side of the camera and
        about its line of sight, degrees.
      depth: root mean square over the joints of the errors along the line of sight, m. They vary
        slowly, below 0.5 Hz. They are wrong directions of the segments, so that they add up from
        the hips to hands and feet.
      jitter: root mean square of the errors per joint and axis, m, independent between joints and
        below 6 Hz.
      drop_joint: probability of losing each joint, in a random part of the window.
      drop_limb: probability of losing each arm or leg below shoulder or hip, in half of the cases
        in the whole window, else in a random part of it.
      exchange: probability that left and right are exchanged for 0.1 to 1 s, once in a window.
    """

    share: float = 0.0
    smoothing: float = 0.0
    shrink: float = 0.0
    knee: float = 0.0
    offset: float = 0.0
    scale: float = 0.0
    stand_ins: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    depth: float = 0.0
    jitter: float = 0.0
    drop_joint: float = 0.0
    drop_limb: float = 0.0
    exchange: float = 0.0

    @classmethod
    def from_config(cls, ranges: Mapping[str, float], where: str = "config.augment.pose"):
        """The noise of a configuration.

        Raises:
          UserError: an unknown name, or a range that makes no sense; the message begins with
            `where`.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name, value in ranges.items():
            if name not in known:
                raise UserError(f"{where}.{name}: is none of {', '.join(known)}")
            most, unit = _bounds(name)
            if not 0 <= value <= most:
                raise UserError(f"{where}.{name}: expected 0 to {most:g} {unit}, not {value}")
        noise = cls(**ranges)
        sizes = any(getattr(noise, name) for name in known if name != "share")
        if noise.share and not sizes:
            raise UserError(f"{where}.share: is {noise.share:g}, but every error is 0")
        return noise

    def __call__(
        self,
        joints: Sequence[str],
        pose: Float[np.ndarray, "T J 3"],
        rate: float,
        rng: np.random.Generator,
        lasting: np.random.Generator | None = None,
    ) -> Float[np.ndarray, "T J 3"]:
        """A pose as an estimator would see it, or, in `1 - share` of the cases, as it is.

        Args:
          joints: J names, of any skeleton.
          pose: m, z up, facing x; NaN where unknown.
          rate: of the T instants, Hz.
          rng: draws what varies in time.
          lasting: draws what is the same in all windows of one recording (camera, size, knees,
            offsets); `rng` by default.

        Returns:
          A changed copy, NaN where unknown or lost.
        """
        lasting = lasting or rng
        if not lasting.random() < self.share:
            return pose.copy()
        pose = pose.astype(np.float64)
        pose = self._believed(joints, pose, rate, lasting)
        pose = self._filmed(joints, pose, rate, rng, lasting)
        if self.jitter:
            jitter = _slow(rng, pose.shape, rate, _JITTER_HZ)
            pose = pose + lasting.uniform(0, self.jitter) * jitter
        if lasting.random() < self.stand_ins:
            kept = [j for j, joint in enumerate(joints) if joint not in ("chest", "neck")]
            pose = skeleton.arrange(pose[:, kept], [joints[j] for j in kept], joints)
        if rng.random() < self.exchange:
            _exchange(joints, pose, rate, rng)
        self._lose(joints, pose, rng)
        return pose

    def _believed(self, joints, pose, rate, lasting: np.random.Generator) -> np.ndarray:
        """The body as the network believes it to be: slower, smaller movements, bent knees."""
        if self.smoothing:
            pose = _smoothed(pose, lasting.uniform(0, self.smoothing) * rate)
        if self.shrink:
            pose = _shrunk(pose, lasting.uniform(0, self.shrink))
        if self.knee:
            pose = bend_knees(joints, pose, np.radians(lasting.uniform(0, self.knee)))
        if self.offset:
            pose = pose + lasting.uniform(0, self.offset) * lasting.normal(size=pose.shape[1:])
        return pose * (1 + lasting.uniform(-self.scale, self.scale))

    def _filmed(self, joints, pose, rate, rng, lasting: np.random.Generator) -> np.ndarray:
        """The body in the axes of a camera: depth errors along x, and a wrong vertical."""
        most = np.array([self.yaw, self.pitch, self.roll])
        yaw, *tilt = lasting.uniform(-most, most)
        pose = pose @ Rotation.from_euler("z", yaw, degrees=True).as_matrix().T
        if self.depth:
            pose[..., 0] += lasting.uniform(0, self.depth) * depth_error(joints, pose, rate, rng)
        return pose @ Rotation.from_euler("yx", tilt, degrees=True).as_matrix().T

    def _lose(self, joints, pose: np.ndarray, rng: np.random.Generator) -> None:
        """Sets lost joints and limbs to NaN, in place."""
        for j in np.flatnonzero(rng.random(len(joints)) < self.drop_joint):
            pose[_span(len(pose), rng), j] = np.nan
        for side in SIDES:
            for parts in _LIMBS:
                if rng.random() < self.drop_limb:
                    names = [f"{side}_{part}" for part in parts]
                    limb = [j for j, joint in enumerate(joints) if joint in names]
                    span = slice(None) if rng.random() < 0.5 else _span(len(pose), rng)
                    pose[span, limb] = np.nan


# Ranges that cover what was measured with BlazePose on 30 films of a gym and, against the
# triangulation of four calibrated cameras, on one man. Values without a measurement are marked.
ESTIMATOR = dict(
    share=0.7,  # not measured: three of ten examples stay clean
    smoothing=0.08,  # s; not measured: a moving average of the tracker
    shrink=0.3,  # elbows of curls peak at 92–110° where about 140° is expected
    knee=33.0,  # knees of standing people read 5–33°
    offset=0.04,  # constant errors of joint angles: knee 12–14°, hip 8°, elbow 16–18°
    scale=0.15,  # not measured; the estimated person has one size
    stand_ins=1.0,  # chest and neck are not among the 33 landmarks
    yaw=180.0,  # cameras stand anywhere
    pitch=15.0,  # error of the estimated vertical: 10–15°; people lean 3–18° towards the camera
    roll=8.0,  # not measured alone; with the pitch up to 17°
    depth=0.15,  # errors of position 105–136 mm, mostly depth; the mean of the draws is half of it
    jitter=0.033,  # 6–33 mm in upright exercises
    drop_joint=0.03,  # not measured
    drop_limb=0.1,  # the far limb of a side view is a guess
    exchange=0.2,  # one of four views: in 34 % of its frames
)
ESTIMATOR_NOISE = PoseNoise(**ESTIMATOR | {"share": 1.0})  # the same in every example


def bend_knees(
    joints: Sequence[str], pose: Float[np.ndarray, "T J 3"], least: float
) -> Float[np.ndarray, "T J 3"]:
    """Bends knees that are straighter than `least`, rad; lengths of segments stay.

    Thigh and shank turn by half of what is missing, so that the foot stays about below the hip.
    """
    pose, at = pose.copy(), {joint: j for j, joint in enumerate(joints)}
    if not {f"{side}_{part}" for side in SIDES for part in ("hip", "knee", "ankle")} <= set(at):
        return pose
    left = _unit(pose[:, at["left_hip"]] - pose[:, at["right_hip"]])
    for side in SIDES:
        hip, knee, ankle = (at[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
        thigh, shank = _unit(pose[:, knee] - pose[:, hip]), _unit(pose[:, ankle] - pose[:, knee])
        missing = np.maximum(least - np.arccos(np.clip(_dot(thigh, shank), -1, 1)), 0)
        # A straight knee does not show its hinge; that of a standing body points to the left.
        hinge = np.cross(thigh, shank) + 0.02 * left
        hinge = _unit(hinge - _dot(hinge, thigh)[:, None] * thigh)
        foot = [at[f"{side}_{part}"] for part in _FOOT if f"{side}_{part}" in at]
        _turn(pose, [knee, *foot], hip, hinge, -missing / 2)
        _turn(pose, foot, knee, hinge, missing)
    return pose


def depth_error(
    joints: Sequence[str], pose: Float[np.ndarray, "T J 3"], rate: float, rng: np.random.Generator
) -> Float[np.ndarray, "T J"]:
    """Slow errors along the line of sight, with an expected mean square of 1 over the joints.

    The error of a joint is that of the joint before it in the limb, plus a slow process times the
    length of the segment between them: directions are wrong, and the errors add up towards hands
    and feet. The trunk tilts as a whole.
    """
    at = {joint: j for j, joint in enumerate(joints)}
    pairs = [(f"{side}_{part}", f"{side}_{_BEFORE[part]}") for part in _BEFORE for side in SIDES]
    before = {at[joint]: at[inner] for joint, inner in pairs if joint in at and inner in at}
    start = (pose[:, [at["left_hip"]]] + pose[:, [at["right_hip"]]]) / 2
    start = np.repeat(start, len(joints), 1)
    start[:, list(before)] = pose[:, list(before.values())]
    segment = np.linalg.norm(pose - start, axis=2)
    length = np.nansum(segment, 0) / np.maximum(np.isfinite(segment).sum(0), 1)
    own = _slow(rng, segment.shape, rate, _DEPTH_HZ)
    error, variance = length * own, length**2
    on_trunk = [j for j in range(len(joints)) if j not in before]
    trunk = _slow(rng, (len(pose), 1), rate, _DEPTH_HZ)
    error[:, on_trunk] = trunk * length[on_trunk] + _BREADTH * own[:, on_trunk]
    variance[on_trunk] += _BREADTH**2
    for j, inner in before.items():  # from the trunk outwards
        error[:, j] += error[:, inner]
        variance[j] += variance[inner]
    return error / np.sqrt(variance.mean())


def _exchange(joints, pose: np.ndarray, rate: float, rng: np.random.Generator) -> None:
    """Exchanges left and right for a while, in place."""
    length = max(round(rng.uniform(*_EXCHANGE_S) * rate), 1)
    start = rng.integers(max(len(pose) - length, 0) + 1)
    pose[start : start + length] = pose[start : start + length][:, mirror_order(joints)]


def _span(frames: int, rng: np.random.Generator) -> slice:
    first, last = sorted(rng.integers(frames, size=2))
    return slice(first, last + 1)


def _turn(pose: np.ndarray, moved: list[int], pivot: int, axis: np.ndarray, angle) -> None:
    """Turns joints about another one by an angle [T] (Rodrigues' formula); unknown ones stay."""
    arm, axis = pose[:, moved] - pose[:, [pivot]], axis[:, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    turned = arm * cos + np.cross(axis, arm) * sin + axis * _dot(axis, arm)[..., None] * (1 - cos)
    turned = pose[:, [pivot]] + turned
    pose[:, moved] = np.where(np.isfinite(turned), turned, pose[:, moved])


def _smoothed(pose: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter over time; `sigma` in instants. Unknown joints stay unknown."""
    known = np.isfinite(pose)
    total = ndimage.gaussian_filter1d(np.where(known, pose, 0), sigma, axis=0, mode="nearest")
    weight = ndimage.gaussian_filter1d(known.astype(float), sigma, axis=0, mode="nearest")
    return np.where(known, total / np.where(known, weight, 1), np.nan)


def _shrunk(pose: np.ndarray, lost: float) -> np.ndarray:
    """Joints nearer to their mean place by the fraction `lost`."""
    known = np.isfinite(pose)
    count = np.maximum(known.sum(0), 1)
    return pose + lost * (np.where(known, pose, 0).sum(0) / count - pose)


def _slow(rng: np.random.Generator, shape: tuple[int, ...], rate: float, cutoff: float):
    """Stationary noise of unit variance below `cutoff` Hz, along the first axis."""
    if cutoff >= 0.45 * rate:
        return rng.normal(size=shape)
    filters, gain = _low_pass(cutoff, rate)
    before = round(2 * rate / cutoff)  # until the filter has forgotten its start
    white = rng.normal(size=(before + shape[0], *shape[1:]))
    return np.asarray(signal.sosfilt(filters, white, axis=0))[before:] / gain


@functools.cache
def _low_pass(cutoff: float, rate: float) -> tuple[np.ndarray, float]:
    """A second-order Butterworth filter, and its effect on the deviation of white noise."""
    filters = np.asarray(signal.butter(2, cutoff, fs=rate, output="sos"))
    impulse = np.zeros(round(10 * rate / cutoff))
    impulse[0] = 1
    return filters, float(np.linalg.norm(signal.sosfilt(filters, impulse)))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1)


def _bounds(name: str) -> tuple[float, str]:
    """Largest sensible value of a range, and its unit."""
    if name in _ANGLES:
        return _ANGLES[name], "degrees"
    if name in ("offset", "depth", "jitter"):
        return 1.0, "m"
    return 1.0, "s" if name == "smoothing" else "as a fraction"
