"""From a posture to MuJoCo coordinates, by inverse kinematics of the limbs and balance."""

import dataclasses
import typing

import mujoco
import numpy as np
from scipy import interpolate, spatial

from video2emg.sim import body, kinematics
from video2emg.sim.bench import Support
from video2emg.sim.body import GRIP, SIDES, Lifter
from video2emg.sim.subject import Subject

BALANCE_EVERY = 6  # samples; the centre of mass moves slowly
BALANCE_ROUNDS = 3
_BALL = 0.5  # distance from the ankle to the ball of the foot, of the foot's length


@dataclasses.dataclass
class ArmAngles:
    """An arm by its joint angles.

    Attributes:
      upper: [T, 3, 3] orientation of the upper arm in the chest; identity hangs down.
      elbow, pronation, wrist: [T] rad.
    """

    upper: np.ndarray
    elbow: np.ndarray
    pronation: np.ndarray
    wrist: np.ndarray


@dataclasses.dataclass
class ArmReach:
    """An arm by the position of its hand.

    Attributes:
      hand: [T, 3] m from the midpoint of the shoulders.
      pole: [3] direction in which the elbow points.
      frame: axes of both vectors: those of the chest, or those of the room turned by the heading.
      bar: whether the grip must be parallel to the line of the shoulders.
    """

    hand: np.ndarray
    pole: tuple[float, float, float]
    frame: typing.Literal["chest", "room"]
    bar: bool


@dataclasses.dataclass
class Posture:
    """Posture over T samples. Angles in rad, positive forward, [T] unless noted.

    Attributes:
      heading: direction of the feet.
      stance: half the distance between the ankles, m.
      toe_out: of each foot.
      pelvis_pitch, pelvis_roll, pelvis_yaw: of the pelvis in the room.
      lumbar_flexion, lumbar_bend, lumbar_turn, thoracic, neck: of the spine.
      knee: mean flexion of the knees; on a bench it follows from the positions of hips and feet.
      caving: how far the knees move inwards (dynamic valgus), 0 none to 1 strong.
      forward: distance of the centre of mass in front of the ankles, m.
      sideways: distance of the centre of mass to the left of the feet's midpoint, m.
      clavicle: elevation of the shoulder girdle by side.
      heel: how far the heels are raised over the balls of the feet; None for flat feet.
      arms: by side.
      support: of the trunk by a bench; None for standing, balanced over the feet.
    """

    heading: float
    stance: float
    toe_out: float
    pelvis_pitch: np.ndarray
    pelvis_roll: np.ndarray
    pelvis_yaw: np.ndarray
    lumbar_flexion: np.ndarray
    lumbar_bend: np.ndarray
    lumbar_turn: np.ndarray
    thoracic: np.ndarray
    neck: np.ndarray
    knee: np.ndarray
    caving: np.ndarray
    forward: np.ndarray
    sideways: np.ndarray
    clavicle: dict[str, np.ndarray]
    heel: np.ndarray | None = None
    arms: dict[str, ArmAngles | ArmReach] = dataclasses.field(default_factory=dict)
    support: Support | None = None


def solve(posture: Posture, lifter: Lifter, subject: Subject) -> np.ndarray:
    """Coordinates [T, nq] of the model in the posture, with both feet on the floor."""
    solver = _Solver(posture, lifter, subject)
    solver.spine()
    for side in SIDES:
        solver.arm(side)
    solver.bar()
    if posture.support is None:
        solver.balance()
    else:
        solver.place_on_bench(posture.support)
    return solver.qpos


class _Solver:
    def __init__(self, posture: Posture, lifter: Lifter, subject: Subject):
        self.posture, self.lifter, self.subject = posture, lifter, subject
        self.n = len(posture.knee)
        self.qpos = np.tile(lifter.model.qpos0, (self.n, 1))
        # Hands on a bar, by side: grip [T, 3] from the pelvis, m, and axes of the hand [T, 3, 3].
        self.grips: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        p = posture
        self.facing = kinematics.rotation("z", p.heading)
        self.pelvis = (
            kinematics.rotation("z", p.heading + p.pelvis_yaw)
            @ kinematics.rotation("y", p.pelvis_pitch)
            @ kinematics.rotation("x", p.pelvis_roll)
        )
        abdomen = (
            kinematics.rotation("y", p.lumbar_flexion)
            @ kinematics.rotation("x", p.lumbar_bend)
            @ kinematics.rotation("z", p.lumbar_turn)
        )
        self.abdomen = self.pelvis @ abdomen
        self.chest = self.abdomen @ kinematics.rotation("y", p.thoracic)

    def _set(self, joint: str, values: np.ndarray) -> None:
        address = self.lifter.model.joint(joint).qposadr[0]
        if values.ndim == 1:
            self.qpos[:, address] = values
        else:
            self.qpos[:, address : address + values.shape[1]] = values

    def spine(self) -> None:
        """Sets the joints of the trunk and the orientation of the pelvis."""
        self.qpos[:, 3:7] = kinematics.quaternion(self.pelvis)
        for name in ("lumbar_flexion", "lumbar_bend", "lumbar_turn", "thoracic", "neck"):
            self._set(name, getattr(self.posture, name))

    def _shoulder_middle(self) -> np.ndarray:
        """[T, 3] from the pelvis, m."""
        length = self.lifter.length
        return (
            kinematics.apply(self.pelvis, np.array([0, 0, length["lumbar"]]))
            + kinematics.apply(self.abdomen, np.array([0, 0, length["abdomen"]]))
            + kinematics.apply(self.chest, np.array([0, 0, length["trunk"] - 0.03]))
        )

    def arm(self, side: str) -> None:
        """Sets clavicle, scapula, shoulder, elbow, pronation and wrist."""
        sign, length, arm = SIDES[side], self.lifter.length, self.posture.arms[side]
        clavicle = kinematics.rotation("x", sign * self.posture.clavicle[side])
        girdle = self.chest @ clavicle
        base = np.array([0, sign * self.subject.anatomy.clavicle * self.subject.height / 1.75, 0])
        joint = np.array([0, sign * length["shoulder"] * body.width_factor(self.subject), 0])
        shoulder = (
            self._shoulder_middle()
            + kinematics.apply(self.chest, base)
            + kinematics.apply(girdle, joint)
        )
        if isinstance(arm, ArmAngles):
            upper, elbow, pronation, wrist = (
                kinematics.transpose(clavicle) @ arm.upper,
                arm.elbow,
                arm.pronation,
                arm.wrist,
            )
        else:
            axes = (
                self.chest if arm.frame == "chest" else np.broadcast_to(self.facing, (self.n, 3, 3))
            )
            hand = self._shoulder_middle() + kinematics.apply(axes, arm.hand)
            pole = kinematics.apply(axes, np.array(arm.pole))
            fore = length["forearm"] + GRIP * length["hand"]
            middle, end = kinematics.two_link(shoulder, hand, length["upper_arm"], fore, pole)
            frame, elbow = kinematics.limb_frames(shoulder, middle, end, bends=1)
            upper, wrist = kinematics.transpose(girdle) @ frame, np.zeros(self.n)
            pronation = np.zeros(self.n)
            if arm.bar:
                forearm = frame @ kinematics.rotation("y", -elbow)
                line = kinematics.apply(kinematics.transpose(forearm), self.chest[..., 1])
                turn = np.unwrap(np.arctan2(line[:, 1], line[:, 0]))
                self.grips[side] = (end, forearm @ kinematics.rotation("z", turn))
                pronation = sign * turn
        scapula = scapular_rhythm(upper)
        self._set(f"clavicle_{side}", self.posture.clavicle[side])
        self._set(f"scapula_{side}", kinematics.quaternion(scapula))
        self._set(f"shoulder_{side}", kinematics.quaternion(kinematics.transpose(scapula) @ upper))
        for name, values in (("elbow", elbow), ("pronation", pronation), ("wrist", wrist)):
            self._set(f"{name}_{side}", values)

    def bar(self) -> None:
        """Aligns both halves of a bar, if there is one, with the line through both hands."""
        names = {self.lifter.model.joint(j).name for j in range(self.lifter.model.njnt)}
        if not self.grips or "bar_left" not in names:
            return
        along = kinematics.unit(self.grips["left"][0] - self.grips["right"][0])
        forward = np.broadcast_to(self.facing[:, 0], along.shape)
        up = kinematics.unit(np.cross(forward, along))
        axes = np.stack([np.cross(along, up), along, up], -1)
        for side, (_, hand) in self.grips.items():
            self._set(f"bar_{side}", kinematics.quaternion(kinematics.transpose(hand) @ axes))

    def legs(self, shift: np.ndarray) -> None:
        """Sets the legs, and the pelvis `shift` [T, 2] m from the midpoint of the feet."""
        p, length = self.posture, self.lifter.length
        thigh, shank = length["thigh"], length["shank"]
        ankles, hips = self._ankles(dict.fromkeys(SIDES, 0.0)), self._hips()
        reach = thigh**2 + shank**2 + 2 * thigh * shank * np.cos(p.knee)
        heights = []
        for side in SIDES:
            apart = (kinematics.apply(self.facing, _flat(shift)) + hips[side] - ankles[side])[:, :2]
            above = np.sqrt(np.maximum(reach - np.sum(apart**2, -1), 0.01))
            heights.append(ankles[side][:, 2] + above)
        root = kinematics.apply(self.facing, _flat(shift))
        root[:, 2] = np.mean(heights, axis=0)
        self._place_legs(root, ankles)

    def place_on_bench(self, support: Support) -> None:
        """Fixes the trunk to the bench, and sets the legs between hips and floor."""
        segment = self.pelvis if support.segment == "pelvis" else self.chest
        point = kinematics.apply(segment, support.point)
        if support.segment == "chest":
            length = self.lifter.length
            point = point + kinematics.apply(self.pelvis, np.array([0, 0, length["lumbar"]]))
            point = point + kinematics.apply(self.abdomen, np.array([0, 0, length["abdomen"]]))
        root = kinematics.apply(self.facing, support.position) - point
        self._place_legs(root, self._ankles(support.feet))

    def _ankles(self, forward: dict[str, float]) -> dict[str, np.ndarray]:
        """Position [T, 3] of each ankle in the room, m."""
        stance, ground = self.posture.stance, self.lifter.length["foot_height"]
        ankles = {}
        for side, sign in SIDES.items():
            ankle = self.facing @ np.array([forward[side], sign * stance, ground])
            ankles[side] = np.tile(ankle, (self.n, 1))
            if self.posture.heel is not None:  # the foot turns about its ball
                ball = np.array([_BALL * self.lifter.length["foot"], 0.0, -ground])
                flat, raised = self._foot(sign, 0.0), self._foot(sign, self.posture.heel)
                ankles[side] += kinematics.apply(flat - raised, ball)
        return ankles

    def _foot(self, sign: int, heel: np.ndarray | float) -> np.ndarray:
        """Orientation [..., 3, 3] of a foot in the room."""
        toes = self.facing @ kinematics.rotation("z", sign * self.posture.toe_out)
        return toes @ kinematics.rotation("y", heel)

    def _hips(self) -> dict[str, np.ndarray]:
        """Position [T, 3] of each hip from the pelvis, m."""
        hip = self.lifter.length["hip"]
        return {
            s: kinematics.apply(self.pelvis, np.array([0, y * hip, 0])) for s, y in SIDES.items()
        }

    def _place_legs(self, root: np.ndarray, ankles: dict[str, np.ndarray]) -> None:
        """Sets the pelvis at `root` [T, 3] m in the room, and the legs down to the ankles."""
        p, length, hips = self.posture, self.lifter.length, self._hips()
        thigh, shank = length["thigh"], length["shank"]
        self.qpos[:, :3] = root
        for side, sign in SIDES.items():
            toes = self._foot(sign, 0.0 if p.heel is None else p.heel)
            inwards = self.facing @ np.array([0.0, -sign, 0.0])
            pole = self._foot(sign, 0.0)[:, 0] + 1.15 * p.caving[:, None] * inwards
            knee, ankle = kinematics.two_link(root + hips[side], ankles[side], thigh, shank, pole)
            frame, bend = kinematics.limb_frames(root + hips[side], knee, ankle, bends=-1)
            foot = kinematics.transpose(frame @ kinematics.rotation("y", bend)) @ toes
            self._set(
                f"hip_{side}", kinematics.quaternion(kinematics.transpose(self.pelvis) @ frame)
            )
            self._set(f"knee_{side}", bend)
            # foot = Ry(-ankle) Rx(sign · subtalar) Rz(small turn that the model has no joint for)
            self._set(f"ankle_{side}", -np.arctan2(foot[:, 0, 2], foot[:, 2, 2]))
            self._set(f"subtalar_{side}", -sign * np.arcsin(np.clip(foot[:, 1, 2], -1, 1)))

    def balance(self) -> None:
        """Moves the pelvis until the centre of mass is where the posture requires it."""
        model = self.lifter.model
        data = mujoco.MjData(model)
        samples = np.unique(np.append(np.arange(0, self.n, BALANCE_EVERY), self.n - 1))
        target = np.stack([self.posture.forward, self.posture.sideways], -1)
        shift = np.zeros((self.n, 2))
        for _ in range(BALANCE_ROUNDS):
            self.legs(shift)
            centre = np.zeros((len(samples), 3))
            for k, i in enumerate(samples):
                data.qpos[:] = self.qpos[i]
                mujoco.mj_kinematics(model, data)
                mujoco.mj_comPos(model, data)
                centre[k] = data.subtree_com[1]
            offset = target[samples] - kinematics.apply(self.facing.T, centre)[:, :2]
            shift += interpolate.CubicSpline(samples, offset)(np.arange(self.n))
        self.legs(shift)


def _flat(shift: np.ndarray) -> np.ndarray:
    """[T, 2] → [T, 3] on the floor."""
    return np.pad(shift, ((0, 0), (0, 1)))


def scapular_rhythm(upper: np.ndarray) -> np.ndarray:
    """Rotation of the scapula [T, 3, 3] for upper arms [T, 3, 3] in the shoulder girdle.

    Beyond about 30° of elevation, one of three degrees is of the scapula (Inman et al., J. Bone
    Joint Surg. 26, 1944). It rotates in the plane in which the arm is raised: upward rotation in
    abduction; posterior tilt and backward rotation of the clavicle in flexion.
    """
    down = -upper[..., 2]
    elevation = np.arccos(np.clip(-down[..., 2], -1, 1))
    axis = np.stack([down[..., 1], -down[..., 0], np.zeros_like(elevation)], -1)
    axis = axis / (np.linalg.norm(axis, axis=-1, keepdims=True) + 1e-6)
    softness = np.deg2rad(8)  # of the corner at 30°
    turn = softness * np.logaddexp(0, (elevation - np.deg2rad(30)) / softness) / 3
    return spatial.transform.Rotation.from_rotvec(turn[..., None] * axis).as_matrix()
