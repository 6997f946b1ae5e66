"""The whole road: joint positions → segments → torques → muscle activations → excitations.

Nothing here is fitted to EMG. Axes of arrays: B windows, T instants of the pose, K instants of the
muscles, S sides (left, right), J joints, E muscles of `vocabulary.MUSCLES`, D torques of
`vocabulary.DOFS`.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from video2emg.core import skeleton as skeletons
from video2emg.core import vocabulary
from video2emg.core.body_frame import HEIGHT
from video2emg.core.equipment import PLACES
from video2emg.core.errors import UserError
from video2emg.physics import anatomy as anatomies
from video2emg.physics import dynamics, paths, skeleton
from video2emg.physics import static_optimisation as statics
from video2emg.physics import vectors as v
from video2emg.physics.anatomy import Anatomy, Group
from video2emg.physics.constants import DELAY
from video2emg.physics.length_range import length_range
from video2emg.physics.skeleton import Segments
from video2emg.physics.vectors import AnyArray

LEAST_RATE = 25.0  # Hz; slower poses hide the accelerations
_BMI = 23.7  # kg/m²
STRENGTH = 0.94  # of a person of 75 kg, if sex and strength are unknown
_BALANCE_HZ = 1.0  # above which a body may be out of balance
_LARGEST_LEAN = 0.6  # rad from the feet to the centre of mass of a body that stands
SKILL = 0.5  # of co-contraction, see `static_optimisation.cocontraction`

# N·m per unit of cost, in the order of the degrees of freedom. Rotations about a long bone, which
# ligaments also resist, may be missed by more.
_TOLERANCE: dict[Group, np.ndarray] = {
    "trunk": np.array([8.0, 8.0, 40.0], np.float32),
    "arm": np.array([3.0, 2.0, 2.0, 10.0, 3.0], np.float32),
    "leg": np.array([6.0, 6.0, 30.0, 3.0, 3.0], np.float32),
}
_GROUPS: tuple[Group, ...] = ("trunk", "arm", "leg")
# Joints without which nothing is known of a group.
_NEEDS: dict[Group, tuple[str, ...]] = {
    "trunk": ("hip", "shoulder"),
    "arm": ("shoulder", "elbow", "wrist"),
    "leg": ("hip", "knee", "ankle"),
}


class Solution(NamedTuple):
    """Mechanics of a window.

    Attributes:
      excitation: [B, K, S, E] 0-1, at the instants k / `muscle_rate` + `DELAY` earlier, see
        `Mechanics.sample`; zero for muscles that the anatomy lacks.
      known: [B, K, S, E] whether the joints that it depends on are known.
      torque: [B, K, D] N·m that the muscles exert.
      feet: [B, K, S, 3] force of the floor on each foot, N.
      bench: [B, K, 3] force of a bench, N.
      residual: [B, K] m, see `dynamics.Torques`.
    """

    excitation: jax.Array
    known: jax.Array
    torque: jax.Array
    feet: jax.Array
    bench: jax.Array
    residual: jax.Array


@dataclasses.dataclass(frozen=True)
class Mechanics:
    """Settings of the layers; a call computes a batch of windows.

    Attributes:
      joints: names of the J joints of the pose.
      rate: of the pose, Hz.
      muscle_rate: of the muscles, Hz; it divides `rate`.
      cutoff: low-pass of the positions, Hz; 0 for none.
      anatomy: name of an anatomy, or the path of a table.
      absolute: whether positions are in the room; else the origin may move with the body, and the
        feet tell how.
      least_lift: a foot so far above the other is in the air, m; more where the pose is uncertain.
      force_error, lever_error: relative errors of the muscles' forces and moment arms that a call
        with a random key draws, for training.
      balanced: turn a body that stands until its centre of mass is above its feet; for estimated
        poses, whose vertical is uncertain.
      common_drive: share of the drive of heads of one muscle that they have in common, see
        `anatomy.common_drive`.
    """

    joints: Sequence[str]
    rate: float = 25.0
    muscle_rate: float = 12.5
    cutoff: float = 0.0
    anatomy: str = "simulated"
    absolute: bool = False
    least_lift: float = 0.05
    force_error: float = 0.3
    lever_error: float = 0.2
    balanced: bool = False
    common_drive: float = 0.0

    def __post_init__(self):
        if self.rate < LEAST_RATE:
            raise UserError(
                f"mechanics: a pose of {self.rate:g} Hz; accelerations need {LEAST_RATE:g} Hz"
            )
        if round(self.rate / self.muscle_rate, 6) % 1:
            raise UserError(
                f"mechanics: {self.muscle_rate:g} Hz of the muscles does not divide the pose's "
                f"{self.rate:g} Hz"
            )
        if missing := missing_joints(self.joints):
            raise UserError(f"mechanics: joints that make no body; missing {', '.join(missing)}")

    def __call__(
        self,
        pose: Float[AnyArray, "B T J 3"],
        known: Bool[AnyArray, "B T J"],
        height: Float[AnyArray, " B"],
        mass: Float[AnyArray, " B"] | None = None,
        held: Float[AnyArray, "B 5"] | None = None,
        strength: Float[AnyArray, " B"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Solution:
        """Computes torques and excitations.

        Args:
          pose: m, z up, at the body's own size.
          known: joints that are known.
          height: of the body, m.
          mass: of the body, kg; by default `usual_mass`.
          held: load at each of `equipment.PLACES`, kg; none by default.
          strength: factor on all forces; by default that of the mass.
          key: for errors of forces and moment arms, the same on both sides.
        """
        anatomy = anatomies.load(self.anatomy)
        pose, known, height = jnp.asarray(pose), jnp.asarray(known), jnp.asarray(height)
        mass = usual_mass(height) if mass is None else jnp.asarray(mass)
        nothing = jnp.zeros((len(pose), len(PLACES)))
        held = nothing if held is None else jnp.asarray(held)
        strength = STRENGTH * (mass / 75) ** 0.67 if strength is None else strength
        joints = self._joints(pose, known, height)
        if self.balanced:
            joints = self._balanced(joints, height, mass, held)
        body = skeleton.segments(joints, height, anatomy, "chest" in self.joints)
        axes = {
            "trunk": skeleton.trunk_axes(body),
            "arm": skeleton.arm_axes(body),
            "leg": skeleton.leg_axes(body),
        }
        every = round(self.rate / self.muscle_rate)
        accelerate = second_derivative(pose.shape[1], self.rate)[::every]
        ball = jnp.stack([_ball(joints, side) for side in vocabulary.SIDES])
        now, axes = jax.tree.map(lambda x: x[:, :, ::every], (body, axes))
        root = jnp.zeros_like(pose[:, ::every, 0])
        if not self.absolute:
            root = _root_acceleration(ball, dynamics.lifted(now, self.least_lift), accelerate)
        torques = dynamics.inverse_dynamics(
            body, axes, root, accelerate, height, mass, held, anatomy, self.least_lift
        )
        keys = [None] * len(_GROUPS) if key is None else list(jax.random.split(key, len(_GROUPS)))
        parts = [
            self._excitation(now, axes[g], g, getattr(torques, g), height, strength, key)
            for g, key in zip(_GROUPS, keys, strict=True)
        ]
        return Solution(
            excitation=jnp.moveaxis(jnp.stack(parts).sum(0), 0, 2),
            known=self._known(known[:, ::every], anatomy),
            torque=named_torque(now, torques),
            feet=jnp.moveaxis(torques.feet[..., :3], 0, 2),
            bench=torques.bench,
            residual=torques.residual,
        )

    def _joints(self, pose, known, height) -> dict[str, jax.Array]:
        """Positions of `skeleton.JOINTS`, smooth, with unknown ones filled in, m."""
        pose = filled(pose, known, self._neutral() * (height / HEIGHT)[:, None, None, None])
        if self.cutoff:
            pose = jnp.einsum(
                "tu,bujx->btjx", smoothing(pose.shape[1], self.rate, self.cutoff), pose
            )
        placed = jnp.einsum("kj,btjx->btkx", _arranging(tuple(self.joints)), pose)
        return dict(zip(skeleton.JOINTS, jnp.moveaxis(placed, 2, 0), strict=True))

    def _balanced(self, joints, height, mass, held) -> dict[str, jax.Array]:
        """Joints of a standing body, turned so that its centre of mass is above its feet.

        The vertical of an estimated pose is wrong by many degrees, and a body that leans by so much
        would fall. The turn varies slowly, as errors of the depth do. What does not stand stays as
        it is.
        """
        anatomy = anatomies.load(self.anatomy)
        body = skeleton.segments(joints, height, anatomy, "chest" in self.joints)
        away = dynamics.from_feet(body, height, mass, held, anatomy, self.least_lift)
        away = jnp.einsum("tu,bux->btx", smoothing(away.shape[1], self.rate, _BALANCE_HZ), away)
        up = jnp.array([0.0, 0.0, 1.0])
        axis = jnp.cross(away, jnp.broadcast_to(up, away.shape))
        angle = jnp.arctan2(v.norm(axis), away[..., 2])
        stands = v.step((_LARGEST_LEAN - angle) / 0.05)
        turn = v.from_vector(v.unit(axis) * (angle * stands)[..., None])
        return {name: v.rotate(turn, position) for name, position in joints.items()}

    def _excitation(self, body, axes, group: Group, torque, height, strength, key) -> jax.Array:
        """[S, B, K, E] share of this group's muscles in the electrodes."""
        anatomy = anatomies.load(self.anatomy)
        lines = paths.muscle_paths(body, axes, group, anatomy, height)
        scale = (height / anatomies.HEIGHT)[:, None, None]
        shortest, longest = (scale * x for x in length_range(anatomy, group))
        velocity = jnp.asarray(jnp.gradient(lines.length, axis=2)) * self.muscle_rate
        shape = statics.force_length_velocity(lines.length, velocity, shortest, longest)
        force = [anatomy.muscles[name].force for name in anatomy.group(group)]
        force = np.array(force, np.float32) * anatomy.young_adult
        capacity = force * shape * strength[:, None, None] * scale**2
        moment = lines.moment_arm * capacity[..., None, :]
        if key is not None:
            moment = moment * self._errors(key, moment.shape[1], *moment.shape[-2:])
        tolerance = _TOLERANCE[group]
        if group == "trunk":  # one problem of the muscles of both sides
            moment = _both_sides(moment)[None]
        lower = statics.cocontraction(moment, torque, SKILL)
        common = anatomies.common_drive(anatomy, anatomy.group(group), self.common_drive)
        if group == "trunk":
            common = np.kron(np.eye(2), common)
        activation = statics.least_activation(
            moment, torque, tolerance, lower, common.astype(np.float32)
        )
        if group == "trunk":
            activation = jnp.stack(jnp.split(activation[0], 2, -1))
        drive = statics.excitation(activation, self.muscle_rate)
        return drive @ electrode_shares(anatomy, group)

    def _errors(self, key, batch: int, dofs: int, muscles: int) -> jax.Array:
        """[B, 1, R, n] factors on forces and moment arms."""
        force, lever = jax.random.split(key)
        force = self.force_error * jax.random.normal(force, (batch, 1, 1, muscles))
        lever = self.lever_error * jax.random.normal(lever, (batch, 1, dofs, muscles))
        return jnp.exp(force + lever)

    def _known(self, known: jax.Array, anatomy: Anatomy) -> jax.Array:
        """[B, K, S, E] whether all joints of a muscle's group are known, on its side."""
        sides = []
        for side in vocabulary.SIDES:
            needs = [[self.joints.index(f"{side}_{p}") for p in _NEEDS[g]] for g in _GROUPS]
            sides.append(jnp.stack([known[..., np.array(need)].all(-1) for need in needs], -1))
        both = jnp.stack(sides, 2)
        shares = np.stack([electrode_shares(anatomy, g).sum(0) > 0 for g in _GROUPS])
        return jnp.einsum("bksg,ge->bkse", both.astype(jnp.float32), shares.astype(np.float32)) > 0

    def _neutral(self) -> Float[np.ndarray, "J 3"]:
        """Joints of a body of `HEIGHT` that stands, from the middle of its hips, m."""
        places = skeletons.arrange(_STANDING[None], skeleton.JOINTS, self.joints)[0]
        return np.nan_to_num(places).astype(np.float32)

    def sample(
        self, values: Float[AnyArray, "B K *X"], count: int, rate: float, lead: float = DELAY
    ) -> Float[Array, "B N *X"]:
        """Values at `count` instants of `rate` Hz from the start of the window.

        They are linear between the instants of the muscles. Excitations lead the forces, so what is
        read is `lead` s later; torques are read with `lead` 0.
        """
        weights = interpolation(values.shape[1], self.muscle_rate, count, rate, lead)
        return jnp.einsum("nk,bk...->bn...", weights, values)


def usual_mass(height):
    """Mass of a body of average build, kg, where it is unknown; `height` in m."""
    return _BMI * height**2


def missing_joints(joints: Sequence[str]) -> list[str]:
    """Joints without which there is no body; `core.skeleton` replaces the others."""
    unknown = np.flatnonzero(np.isnan(_arranging(tuple(joints))).any(1))
    return sorted(skeleton.JOINTS[j] for j in unknown)


def _standing() -> Float[np.ndarray, "N 3"]:
    """`skeleton.JOINTS` of a standing body of `HEIGHT`, from the middle of its hips, m."""
    length = {name: f * HEIGHT for name, f in anatomies.load().lengths.items()}
    trunk = length["lumbar"] + length["abdomen"]
    top = trunk + length["trunk"]
    places = {"chest": (0, 0, trunk), "neck": (0, 0, top), "head": (0.02, 0, top + 0.19)}
    for side, sign in zip(vocabulary.SIDES, (1, -1), strict=True):
        y, hip = sign * (length["shoulder"] + 0.02), sign * length["hip"]
        shoulder, ankle = top - 0.03, -length["thigh"] - length["shank"]
        elbow = shoulder - length["upper_arm"]
        sole = ankle - 0.8 * length["foot_height"]
        places |= {
            f"{side}_shoulder": (0, y, shoulder),
            f"{side}_elbow": (0, y, elbow),
            f"{side}_wrist": (0.02, y, elbow - length["forearm"]),
            f"{side}_hip": (0, hip, 0),
            f"{side}_knee": (0.01, hip, -length["thigh"]),
            f"{side}_ankle": (0, hip, ankle),
            f"{side}_heel": (-0.3 * length["foot"], hip, sole),
            f"{side}_toe": (0.7 * length["foot"], hip, sole),
        }
    return np.array([places[name] for name in skeleton.JOINTS], np.float32)


_STANDING = _standing()


@functools.cache
def _arranging(joints: tuple[str, ...]) -> Float[np.ndarray, "N J"]:
    """Weights of given joints in `skeleton.JOINTS`, NaN where nothing replaces a joint."""
    eye = np.eye(len(joints), dtype=np.float32)[:, :, None]
    return skeletons.arrange(np.repeat(eye, 3, 2), joints, skeleton.JOINTS)[..., 0].T


def filled(
    pose: Float[AnyArray, "B T J 3"],
    known: Bool[AnyArray, "B T J"],
    neutral: Float[AnyArray, "*#B J 3"],
) -> Float[Array, "B T J 3"]:
    """The pose with unknown joints from the nearest known instants, or of a standing body.

    Values that are not finite count as unknown, so that they do not spread.
    """
    known = known & jnp.isfinite(pose).all(-1)
    pose = jnp.where(known[..., None], pose, 0.0)
    t = np.arange(pose.shape[1])
    near = np.exp(-np.abs(t[:, None] - t) / 3.0).astype(np.float32)
    weight = jnp.einsum("tu,buj->btj", near, known.astype(jnp.float32))[..., None]
    mean = jnp.einsum("tu,bujx->btjx", near, pose) / jnp.maximum(weight, 1e-9)
    mean = jnp.where(weight > 1e-6, mean, neutral)
    return jnp.where(known[..., None], pose, mean)


@functools.cache
def second_derivative(count: int, rate: float) -> Float[np.ndarray, "T T"]:
    """Weights of T samples in the second derivative at each, 1/s²: differences over 0.04 s.

    At the edges the derivative of the nearest inner sample holds.
    """
    reach = min(max(round(0.04 * rate), 1), (count - 1) // 2)
    rows = np.arange(count)
    centre = np.clip(rows, reach, count - 1 - reach)
    weights = np.zeros((count, count), np.float32)
    for offset, weight in ((-reach, 1), (0, -2), (reach, 1)):
        weights[rows, centre + offset] += weight * (rate / reach) ** 2
    return weights


@functools.cache
def smoothing(count: int, rate: float, cutoff: float) -> Float[np.ndarray, "T T"]:
    """A zero-phase low-pass as a matrix: halves the amplitude at `cutoff` Hz, order 6.

    It minimises the squared third differences (Whittaker, 1922; Eilers, Anal. Chem. 75, 2003), so
    that it needs no values outside the window.
    """
    third = np.diff(np.eye(count), 3, axis=0)
    penalty = (2 * np.sin(np.pi * cutoff / rate)) ** -6
    return np.linalg.inv(np.eye(count) + penalty * third.T @ third).astype(np.float32)


@functools.cache
def interpolation(
    count: int, rate: float, samples: int, sample_rate: float, lead: float
) -> Float[np.ndarray, "N K"]:
    """Weights of K values in N samples that show what is `lead` s later."""
    place = np.clip((np.arange(samples) / sample_rate + lead) * rate, 0, count - 1)
    weights = np.maximum(1 - np.abs(np.arange(count) - place[:, None]), 0)
    return weights.astype(np.float32)


def electrode_shares(anatomy: Anatomy, group: Group) -> Float[np.ndarray, "n E"]:
    """Share of each muscle of a group in the signal of each electrode."""
    names = anatomy.group(group)
    shares = np.zeros((len(names), len(vocabulary.MUSCLES)), np.float32)
    for electrode, muscles in anatomy.electrodes.items():
        for muscle, share in muscles.items():
            if muscle in names:
                shares[names.index(muscle), vocabulary.MUSCLES.index(electrode)] = share
    return shares


def _ball(joints: dict[str, jax.Array], side: str) -> jax.Array:
    """[B, T, 3] the ball of a foot, about which its heel is raised."""
    return 0.2 * joints[f"{side}_heel"] + 0.8 * joints[f"{side}_toe"]


def _root_acceleration(
    ball: Float[AnyArray, "S B T 3"], lifted: Float[AnyArray, "S B K"], accelerate: np.ndarray
) -> Float[Array, "B K 3"]:
    """Acceleration of the origin, m/s², from the feet on the floor, which do not accelerate."""
    standing = 1 - lifted
    moving = jnp.einsum("kt,sbtx->sbkx", accelerate, ball)
    total = (standing[..., None] * moving).sum(0)
    return -total / jnp.maximum(standing.sum(0), 0.1)[..., None]


def _both_sides(moment: Float[AnyArray, "S B K R n"]) -> Float[Array, "B K R M"]:
    """The muscles of both sides in one row."""
    return jnp.concatenate([moment[0], moment[1]], -1)


def named_torque(body: Segments, torques: dynamics.Torques) -> Float[Array, "B T D"]:
    """Torques in the order of `vocabulary.DOFS`; ball joints about the axes of the trunk."""
    values = {"lumbar_extension": -torques.trunk[0, ..., 0]}
    turned = {}
    for part, limb in (("upper_arm", "arm"), ("thigh", "leg")):
        parent = body.rotation["chest" if limb == "arm" else "pelvis"]
        own = getattr(torques, limb)
        ball = own[..., 1:4] if limb == "arm" else own[..., :3]
        turned[limb] = v.rotate(v.inverse(parent), v.rotate(body.rotation[part], ball))
    for s, side in enumerate(vocabulary.SIDES):
        outward = 1.0 if side == "left" else -1.0
        values |= {
            f"{side}_shoulder_flexion": -turned["arm"][s, ..., 1],
            f"{side}_shoulder_abduction": outward * turned["arm"][s, ..., 0],
            f"{side}_elbow_flexion": torques.arm[s, ..., 4],
            f"{side}_hip_extension": turned["leg"][s, ..., 1],
            f"{side}_hip_abduction": outward * turned["leg"][s, ..., 0],
            f"{side}_knee_extension": -torques.leg[s, ..., 3],
            f"{side}_ankle_plantarflexion": -torques.leg[s, ..., 4],
        }
    return jnp.stack([values[name] for name in vocabulary.DOFS], -1)
