"""Joint torques of slow movement, from joint positions, body mass and load alone.

For recordings without force plates and inverse dynamics. Each torque holds the weight of the body
segments and of the load beyond the joint, as if the body stood still (statics; Winter, Biomechanics
and Motor Control of Human Movement, ch. 5, without inertia). Segment masses and centres are those
of de Leva, J. Biomech. 29 (1996).

Torques that cannot be determined are NaN: all, if the load or the way it is held is unknown; legs
and back, if the centre of mass is not above the feet, because a bench may support the body; and hip
abduction, because two legs that push apart on the floor do not move.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import skeleton as pose_lib
from video2emg.core import vocabulary
from video2emg.core.clip import Clip
from video2emg.core.equipment import PLACES, load_shares
from video2emg.data.person import traits

GRAVITY = 9.81  # m/s²
ADULT_KG = 70.0  # if the mass is unknown; it matters for legs and back, little for the arms
BEYOND_FEET_M = 0.05  # how far outside heel and toe the centre of mass may be for a standing body

# Limb segments: two joints, place of the centre of mass from the first (0) to the second (1), share
# of body mass.
_LIMBS = (
    ("shoulder", "elbow", 0.577, 0.0271),
    ("elbow", "wrist", 0.457, 0.0162),
    ("wrist", "hand", 0.75, 0.0061),
    ("hip", "knee", 0.410, 0.1416),
    ("knee", "ankle", 0.446, 0.0433),
    ("heel", "toe", 0.442, 0.0137),
)
# Parts of the trunk: place of the centre of mass from the hips (0) to the shoulders (1), share of
# body mass.
_TRUNK = (
    ("head", 0.0, 0.0694),
    ("chest", 0.72, 0.1596),
    ("abdomen", 0.38, 0.1633),
    ("pelvis", 0.05, 0.1117),
)
_PARTS = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "heel", "toe")
_HORIZONTAL = np.array([1.0, 1.0, 0.0])  # a vector times this is its horizontal part
_LUMBAR = 0.26  # place of the lumbar joint from the hips (0) to the shoulders (1)
_GRIP = 0.75  # place of the grip from the wrist (0) to the fingers (1)
_ARM, _LEG = _LIMBS[:3], _LIMBS[3:]

_BEHIND_M = 0.07  # the bar behind the line of the shoulders


def static_torque(
    pose: Float[np.ndarray, "P J 3"],
    joints: Sequence[str],
    action: str,
    load: float,
    mass: float,
    equipment: str = "",
) -> Float[np.ndarray, "P D"]:
    """Torques that the muscles must exert to hold each posture.

    Args:
      pose: m, z up, relative to any point.
      joints: their names; missing ones are replaced as by `skeleton.arrange`.
      action: the exercise, whose name may say where the load is (`equipment.load_shares`).
      load: kg; total for barbells, per hand for dumbbells.
      mass: of the body, kg; `ADULT_KG` if it is not finite.
      equipment: what is lifted, if known.

    Returns:
      float32, N·m, in the order of `vocabulary.DOFS`; NaN if unknown.
    """
    mass = mass if np.isfinite(mass) else ADULT_KG
    posture = _Posture(pose, joints, action, equipment, load, mass)
    torques = {"lumbar_extension": posture.lumbar()}
    for side in vocabulary.SIDES:
        torques |= {f"{side}_{name}": value for name, value in posture.arm(side).items()}
        torques |= {f"{side}_{name}": value for name, value in posture.leg(side).items()}
    return np.stack([torques[name] for name in vocabulary.DOFS], -1).astype(np.float32)


def clip_torque(
    clip: Clip,
    joints: Sequence[str],
    pose: Float[np.ndarray, "T J 3"],
    mask: Bool[np.ndarray, "T J"],
) -> tuple[Float[np.ndarray, "T D"], Bool[np.ndarray, "T D"]]:
    """`static_torque` of a window of a clip, zero where unknown, and the mask of known torques."""
    (_, mass, _), (_, mass_known, _) = traits(clip)
    mass = float(mass) if mass_known else np.nan
    pose = np.where(mask[..., None], pose, np.nan)
    equipment = str(clip.provenance.get("equipment", ""))
    torque = static_torque(pose, joints, clip.action, clip.load, mass, equipment)
    known = np.isfinite(torque)
    return np.where(known, torque, 0), known


class _Posture:
    """Centres of mass of all body segments and of the load; vectors are [P, 3] m."""

    def __init__(self, pose, joints, action, equipment, load, mass):
        names = ["head", *(f"{side}_{part}" for side in vocabulary.SIDES for part in _PARTS)]
        placed = pose_lib.arrange(np.asarray(pose, np.float64), joints, names)
        self.position = dict(zip(names, placed.swapaxes(0, 1), strict=True))
        self.hips, self.shoulders = (self._middle(part) for part in ("hip", "shoulder"))
        self.mass = mass
        left, right = (self.position[f"{side}_shoulder"] for side in vocabulary.SIDES)
        self.chest = _axes(self.shoulders - self.hips, left - right)
        left, right = (self.position[f"{side}_hip"] for side in vocabulary.SIDES)
        self.pelvis = _axes(self.shoulders - self.hips, left - right)
        self._place_load(action, equipment, load)
        every = self._above_legs() + self._limb("left", _LEG) + self._limb("right", _LEG)
        self.total = sum(kg for _, kg in every)
        self.centre = sum((place * kg for place, kg in every), np.zeros(3)) / self.total
        heel, toe = self._middle("heel"), self._middle("toe")
        self.forward = _unit((toe - heel) * _HORIZONTAL)
        ahead = _dot(self.centre - heel, self.forward)
        length = _dot(toe - heel, self.forward)
        stands = (ahead > -BEYOND_FEET_M) & (ahead < length + BEYOND_FEET_M)
        self.standing = self.known + np.where(stands, 0.0, np.nan)

    def _place_load(self, action: str, equipment: str, load: float) -> None:
        """Puts the load into the hands or onto the trunk.

        Sets `known` to zero, or to NaN if the place of the load is unknown. It is added to every
        torque that depends on the load.
        """
        shares = load_shares(action, equipment)
        load_known = np.isfinite(load) or (shares is not None and not shares.any())
        self.known = 0.0 if load_known and shares is not None else np.nan
        kg = np.zeros(len(PLACES)) if shares is None else shares * np.nan_to_num(load)
        held: dict[str, float] = dict(zip(PLACES, map(float, kg), strict=True))
        back = self.shoulders - _BEHIND_M * self.chest[:, 0]
        places = (("back", back), ("hips", self.hips))
        self.on_trunk = [(place, held[name]) for name, place in places if held[name]]
        self.in_hand = {side: held[f"{side}_hand"] for side in vocabulary.SIDES}

    def _middle(self, part: str) -> np.ndarray:
        return (self.position[f"left_{part}"] + self.position[f"right_{part}"]) / 2

    def _limb(self, side: str, parts) -> list[tuple[np.ndarray, float]]:
        """Centre of mass and kg of each segment of a limb, from the trunk outwards."""
        weights = []
        for first, second, share, of_body in parts:
            a, b = self.position[f"{side}_{first}"], self.position[f"{side}_{second}"]
            weights.append((a + share * (b - a), of_body * self.mass))
        return weights

    def _arm(self, side: str) -> list[tuple[np.ndarray, float]]:
        wrist, hand = self.position[f"{side}_wrist"], self.position[f"{side}_hand"]
        grip = wrist + _GRIP * (hand - wrist)
        return [*self._limb(side, _ARM), (grip, self.in_hand[side])]

    def _above_legs(self, from_pelvis: bool = True) -> list[tuple[np.ndarray, float]]:
        weights = [weight for side in vocabulary.SIDES for weight in self._arm(side)]
        for name, share, of_body in _TRUNK[: 4 if from_pelvis else 3]:
            place = (
                self.position["head"]
                if name == "head"
                else self.hips + share * (self.shoulders - self.hips)
            )
            weights.append((place, of_body * self.mass))
        return weights + self.on_trunk

    def arm(self, side: str) -> dict[str, np.ndarray]:
        """Torques [P] of shoulder and elbow; they do not depend on what supports the body."""
        weights, sign = self._arm(side), 1.0 if side == "left" else -1.0
        shoulder = _holding_torque(self.position[f"{side}_shoulder"], weights)
        elbow = _holding_torque(self.position[f"{side}_elbow"], weights[1:])
        # The hands may rest on a bar that the trunk carries.
        known = np.nan if self.on_trunk else self.known
        upper = _unit(self.position[f"{side}_shoulder"] - self.position[f"{side}_elbow"])
        fore = _unit(self.position[f"{side}_wrist"] - self.position[f"{side}_elbow"])
        # A straight arm does not show its hinge axis; that of a hanging arm points to the side.
        hinge = _unit(np.cross(fore, upper) - 0.05 * self.chest[:, 1])
        return {
            "shoulder_flexion": known - _dot(shoulder, self.chest[:, 1]),
            "shoulder_abduction": known + sign * _dot(shoulder, self.chest[:, 0]),
            "elbow_flexion": known + _dot(elbow, hinge),
        }

    def leg(self, side: str) -> dict[str, np.ndarray]:
        """Torques [P] of hip, knee and ankle, if the body stands on both feet."""
        own, other = (
            (self.position[f"{s}_heel"] + self.position[f"{s}_toe"]) / 2
            for s in (side, {"left": "right", "right": "left"}[side])
        )
        # The floor pushes below the centre of mass: at the same distance forward on both feet, and
        # more on the nearer foot.
        apart = (other - own) * _HORIZONTAL
        share = 1 - _dot(self.centre - own, apart) / np.maximum(_dot(apart, apart), 1e-4)
        pushed = own + _dot(self.centre - own, self.forward)[:, None] * self.forward
        floor = (pushed, -np.clip(share, 0, 1) * self.total)
        weights = self._limb(side, _LEG)
        hip = _holding_torque(self.position[f"{side}_hip"], [*weights, floor])
        knee = _holding_torque(self.position[f"{side}_knee"], [*weights[1:], floor])
        ankle = _holding_torque(self.position[f"{side}_ankle"], [*weights[2:], floor])
        shank = self.position[f"{side}_knee"] - self.position[f"{side}_ankle"]
        foot = self.position[f"{side}_toe"] - self.position[f"{side}_heel"]
        hinge = _unit(np.cross(shank, foot))  # to the left, as the knee points the way of the toes
        return {
            "hip_extension": self.standing + _dot(hip, self.pelvis[:, 1]),
            "hip_abduction": np.full(len(hip), np.nan),
            "knee_extension": self.standing - _dot(knee, hinge),
            "ankle_plantarflexion": self.standing + _dot(ankle, hinge),
        }

    def lumbar(self) -> np.ndarray:
        """Torque [P] that holds the trunk, if the body stands."""
        joint = self.hips + _LUMBAR * (self.shoulders - self.hips)
        torque = _holding_torque(joint, self._above_legs(from_pelvis=False))
        return self.standing - _dot(torque, self.pelvis[:, 1])


def _holding_torque(joint: np.ndarray, weights) -> np.ndarray:
    """Torque [P, 3] N·m at `joint` that holds `weights` (places, kg) against gravity."""
    torque = np.zeros_like(joint)
    for place, kg in weights:
        force = np.zeros_like(joint)
        force[:, 2] = -GRAVITY * kg
        torque -= np.cross(place - joint, force)
    return torque


def _axes(up: np.ndarray, left: np.ndarray) -> np.ndarray:
    """[P, 3, 3] unit vectors forward, left and up of a segment."""
    up = _unit(up)
    left = _unit(left - _dot(left, up)[:, None] * up)
    return np.stack([np.cross(left, up), left, up], 1)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1)
