"""Inverse dynamics of the whole body, with floor and bench: torques that the muscles must produce.

Segments are pairs of point masses with the mass, the centre and the transverse inertia of the
segment (de Leva, J. Biomech. 29, 1996). Newton's laws give the wrench that floor and bench exert on
the whole body. It is shared between the contacts at least cost of forces and joint torques.

Axes of arrays: S sides (left, right), B windows, T instants of the pose, K instants of the torques
(T in functions that see one clock only), P points, R degrees of freedom.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from video2emg.physics import linear
from video2emg.physics import vectors as v
from video2emg.physics.anatomy import HEIGHT, Anatomy
from video2emg.physics.skeleton import Axes, Segments
from video2emg.physics.vectors import AnyArray

GRAVITY = 9.81  # m/s²
_GRIP = 0.75  # of the hand's length
_BEHIND, _IN_FRONT = -0.105, 0.105  # m, of a bar on the back and on the hips, from the midline
_DUMBBELL = 0.08  # m, from the grip to each head, along the x axis of the hand
_BAR = 0.6  # m, from the middle of a bar to its halves

# Cost of each foot's force (x, y, z, N) and moment (N·m): vertical forces are cheap, moments of the
# small foot expensive. On a bench the feet need no moments for balance.
_FOOT_COST = np.array([1.0, 1.0, 1.0, 50.0, 50.0, 100.0], np.float32)
_FOOT_COST_ON_BENCH = _FOOT_COST * np.array([1.0, 1.0, 1.0, 4.0, 4.0, 1.0], np.float32)
_PAD_COST = np.array([4.0, 4.0, 1.0], np.float32)  # along a soft pad (little friction), out of it
_TORQUE_WEIGHT = np.float32(np.sqrt(120.0))  # because torques have a cost, the feet push apart
_BALANCE_WEIGHT = 500.0  # of the wrench on the whole body; large, so that it is in balance
_NO_CONTACT = 1e4  # factor on the cost of a contact that is not there, or would have to pull
_PUSH_ROUNDS = 2
_ROUNDING = 3e-6  # added to the diagonal, relative, so that float32 leaves a matrix definite
_REACH_M = 0.22  # horizontal distance of the centre of mass from the feet that feet can carry
_STILL_M = 0.08  # a pelvis that moves more does not rest on a bench

# Segments of a limb with the degrees of freedom of the limb that move them.
_LIMBS = {
    "arm": {"clavicle": 1, "scapula": 1, "upper_arm": 4, "forearm": 5, "hand": 5},
    "leg": {"thigh": 3, "shank": 4, "foot": 5},
}


class Points(NamedTuple):
    """Point masses of a part of the body.

    Attributes:
      position: [S, B, T, P, 3] m.
      mass: [S, B, P] kg.
      moved_by: [P] how many degrees of freedom of the limb, from the trunk outwards, move it.
    """

    position: jax.Array
    mass: jax.Array
    moved_by: np.ndarray


class Torques(NamedTuple):
    """Result of inverse dynamics.

    Attributes:
      arm, leg: [S, B, K, R] N·m, in the order of `ARM_DOFS` and `LEG_DOFS`.
      trunk: [1, B, K, R] N·m, in the order of `TRUNK_DOFS`.
      feet: [S, B, K, 6] force of the floor on each sole, N, and its moment about the sole, N·m.
      bench: [B, K, 3] force of a bench on the trunk, N.
      residual: [B, K] m, how far the centre of pressure lies outside the sole; the floor cannot
        push there, so that the pose, the load or the contacts must be wrong.
    """

    arm: jax.Array
    leg: jax.Array
    trunk: jax.Array
    feet: jax.Array
    bench: jax.Array
    residual: jax.Array


def inverse_dynamics(
    body: Segments,
    axes: dict[str, Axes],
    root_acceleration: Float[AnyArray, "B K 3"],
    accelerate: Float[np.ndarray, "K T"],
    height: Float[AnyArray, " B"],
    mass: Float[AnyArray, " B"],
    held: Float[AnyArray, "B 5"],
    anatomy: Anatomy,
    least_lift: float,
) -> Torques:
    """Joint torques of a motion.

    Args:
      body: placed segments at T instants, relative to any origin that may move.
      axes: of `trunk`, `arm` and `leg`, at K of these instants: every (T / K)th one.
      root_acceleration: of the origin, m/s².
      accelerate: takes T positions to the accelerations at the K instants, 1/s².
      height: of the body, m.
      mass: of the body, kg.
      held: load at each of `core.equipment.PLACES`, kg.
      anatomy: proportions of the segments.
      least_lift: height of a foot over the other from which it is in the air, m.
    """
    gravity = jnp.array([0.0, 0.0, GRAVITY])
    every = -(-accelerate.shape[1] // accelerate.shape[0])
    parts, forces = {}, {}
    for name, points in _point_masses(body, height, mass, held, anatomy).items():
        acceleration = jnp.einsum("kt,sbtpx->sbkpx", accelerate, points.position)
        acceleration = acceleration + (root_acceleration + gravity)[None, :, :, None]
        forces[name] = points.mass[:, :, None, :, None] * acceleration
        parts[name] = points._replace(position=points.position[:, :, ::every])
    body = jax.tree.map(lambda x: x[:, :, ::every], body)
    needed = {name: _limb_torque(axes[name], parts[name], forces[name]) for name in ("arm", "leg")}
    upper = [(parts[name], forces[name]) for name in ("trunk", "arm")]
    needed["trunk"] = _trunk_torque(axes["trunk"], upper)
    wrench = _wrench(body.origin["pelvis"], [(parts[name], forces[name]) for name in parts])
    off_floor = lifted(body, least_lift)
    centre = _centre_of_mass(parts)
    return _share(body, axes, needed, wrench, centre, off_floor, anatomy, height)


def from_feet(body, height, mass, held, anatomy: Anatomy, least_lift: float) -> jax.Array:
    """[B, T, 3] m, from the soles on the floor to the centre of mass, with the load."""
    scale = (height / HEIGHT)[None, :, None, None]
    foot = np.array([0.25 * anatomy.lengths["foot"], 0, -anatomy.lengths["foot_height"]]) * HEIGHT
    sole = body.point("foot", foot * scale)
    on_floor = 1.001 - lifted(body, least_lift)[..., None]
    sole = (sole * on_floor).sum(0) / on_floor.sum(0)
    return _centre_of_mass(_point_masses(body, height, mass, held, anatomy)) - sole


def _point_masses(body, height, mass, held, anatomy: Anatomy) -> dict[str, Points]:
    """Points of the trunk (S = 1), the arms and the legs."""
    scale = (height / HEIGHT)[None, :, None]
    metres = {name: fraction * HEIGHT for name, fraction in anatomy.lengths.items()}
    kg = {name: fraction * mass for name, fraction in anatomy.masses.items()}
    kg["chest"] = kg["chest"] - 2 * anatomy.girdle_mass
    girdle = jnp.full_like(mass, anatomy.girdle_mass / 2)
    rods = {  # centre (x, z), length and radius, m, for a body of 1.75 m
        "pelvis": (0, 0.02, 0.16, 0.12),
        "abdomen": (0, 0.06, 0.2, 0.12),
        "chest": (0, 0.5 * metres["trunk"], 0.26, 0.14),
        "head": (0, 0.75 * metres["head"], 0.22, 0.09),
        "upper_arm": (0, -0.577 * metres["upper_arm"], metres["upper_arm"], 0.047),
        "forearm": (0, -0.457 * metres["forearm"], metres["forearm"], 0.038),
        "hand": (0, -0.6 * metres["hand"], metres["hand"], 0.038),
        "thigh": (0, -0.41 * metres["thigh"], metres["thigh"], 0.078),
        "shank": (0, -0.446 * metres["shank"], metres["shank"], 0.052),
        "foot": (0.2 * metres["foot"], -0.5 * metres["foot_height"], metres["foot"], 0.04),
    }

    def segment(name: str) -> list[tuple[str, tuple, jax.Array]]:
        if name in ("clavicle", "scapula"):
            return [(name, (0, 0, 0), girdle)]
        x, z, length, radius = rods[name]
        apart = np.sqrt(length**2 / 12 + radius**2 / 4)
        return [(name, (x, 0, z + sign * apart), kg[name] / 2) for sign in (-1, 1)]

    loads = _loads(held, metres, girth(height, mass) / scale[0, :, 0])
    trunk = [p for name in ("pelvis", "abdomen", "chest", "head") for p in segment(name)]
    rows = {"trunk": trunk}
    rows |= {limb: [p for name in moved for p in segment(name)] for limb, moved in _LIMBS.items()}
    moved_by = {"trunk": {"pelvis": 0, "abdomen": 1, "chest": 1, "head": 1}, **_LIMBS}
    result = {}
    for part, points in rows.items():
        points = points + loads[part]
        position = [body.point(name, _vector(at) * scale[..., None]) for name, at, _ in points]
        sides = position[0].shape[0]
        masses = [jnp.broadcast_to(m, (sides, len(mass))) for *_, m in points]
        result[part] = Points(
            jnp.stack(position, -2),
            jnp.stack(masses, -1),
            np.array([moved_by[part][name] for name, *_ in points]),
        )
    return result


def girth(height: Float[AnyArray, " B"], mass: Float[AnyArray, " B"]) -> Float[AnyArray, " B"]:
    """Thickness of the trunk, relative to a body of 23.5 kg/m²."""
    return jnp.sqrt(mass / height**2 / 23.5)


def _loads(held: jax.Array, metres: dict[str, float], thick: jax.Array) -> dict[str, list]:
    """Point masses of the load by part: segment, place in a body of 1.75 m, and kg."""
    hand, feet = held[:, :2].T, held[:, 4] / 2
    grip, sole = -_GRIP * metres["hand"], -metres["foot_height"] / 2
    top = metres["trunk"] + 0.005
    return {
        "trunk": [
            (segment, (from_midline * thick, y, z), held[:, place] / 2)
            for segment, from_midline, z, place in (
                ("chest", _BEHIND, top, 2),
                ("pelvis", _IN_FRONT, 0.03, 3),
            )
            for y in (-_BAR, _BAR)
        ],
        "arm": [("hand", (x, 0, grip), hand / 2) for x in (-_DUMBBELL, _DUMBBELL)],
        "leg": [("foot", (0.25 * metres["foot"], 0, sole), feet)],
    }


def _vector(at) -> jax.Array:
    """A point [3], or one for each window [1, B, 1, 3]."""
    x, y, z = jnp.broadcast_arrays(*(jnp.asarray(value, jnp.float32) for value in at))
    point = jnp.stack([x, y, z], -1)
    return point[None, :, None] if point.ndim == 2 else point


def _limb_torque(axes: Axes, points: Points, force: jax.Array) -> jax.Array:
    """[S, B, T, R] torque about each axis that gives the points beyond it their forces."""
    count = axes.axis.shape[-2]
    beyond = (np.arange(count)[:, None] < points.moved_by).astype(np.float32)
    total = jnp.einsum("rp,sbtpx->sbtrx", beyond, force)
    moment = jnp.einsum("rp,sbtpx->sbtrx", beyond, jnp.cross(points.position, force))
    return v.dot(axes.axis, moment - jnp.cross(axes.centre, total))


def _trunk_torque(axes: Axes, parts: list[tuple[Points, jax.Array]]) -> jax.Array:
    """[1, B, T, R] torque about the axes of the spine that carries everything above."""
    force = moment = jnp.zeros(())
    for points, f in parts:
        above = (points.moved_by > 0).astype(np.float32)[:, None]
        force = force + jnp.sum(above * f, (0, -2))
        moment = moment + jnp.sum(above * jnp.cross(points.position, f), (0, -2))
    return v.dot(axes.axis, moment[None, :, :, None] - jnp.cross(axes.centre, force[..., None, :]))


def _wrench(origin: jax.Array, parts: list[tuple[Points, jax.Array]]) -> jax.Array:
    """[B, T, 6] force on the whole body, and moment about the pelvis."""
    force = sum(f.sum((0, -2)) for _, f in parts)
    moment = sum(jnp.cross(points.position, f).sum((0, -2)) for points, f in parts)
    return jnp.concatenate([force, moment - jnp.cross(origin[0], force)], -1)


def _centre_of_mass(parts: dict[str, Points]) -> jax.Array:
    """[B, T, 3] m, with the load."""
    weighted = sum(
        jnp.einsum("sbp,sbtpx->btx", points.mass, points.position) for points in parts.values()
    )
    total = sum(points.mass.sum((0, -1)) for points in parts.values())
    return weighted / total[:, None, None]  # pyright: ignore


class _Contacts(NamedTuple):
    """All C force components of feet and pads.

    Attributes:
      wrench: [B, T, 6, C] what each does to the whole body, about the pelvis.
      leg: [S, B, T, R, C] and
      trunk: [B, T, R, C] what each does to the joints.
      cost: [B, T, C].
      normal: [C] index of the component that may only push, of the contact of each component.
    """

    wrench: jax.Array
    leg: jax.Array
    trunk: jax.Array
    cost: jax.Array
    normal: np.ndarray


def _share(body, axes, needed, wrench, centre, off_floor, anatomy, height) -> Torques:
    """Shares the wrench between the contacts and subtracts them from the torques."""
    on_bench = _on_bench(body, centre)
    contacts = _contacts(body, axes, on_bench, off_floor, anatomy, height)
    leg_rows = jnp.concatenate([contacts.leg[0], contacts.leg[1]], -2)
    leg_needed = jnp.concatenate([needed["leg"][0], needed["leg"][1]], -1)
    spine = _TORQUE_WEIGHT * on_bench[:, None, None]
    rows = jnp.concatenate(
        [
            _BALANCE_WEIGHT * contacts.wrench,
            _TORQUE_WEIGHT * leg_rows,
            spine[..., None] * contacts.trunk,
        ],
        -2,
    )
    target = jnp.concatenate(
        [_BALANCE_WEIGHT * wrench, _TORQUE_WEIGHT * leg_needed, spine * needed["trunk"][0]], -1
    )
    force = _least_cost(rows, target, contacts, on_bench > 0.5)
    leg = needed["leg"] - jnp.einsum("sbtrc,btc->sbtr", contacts.leg, force)
    trunk = needed["trunk"] - jnp.einsum("btrc,btc->btr", contacts.trunk, force)[None]
    feet = jnp.moveaxis(force[..., :12].reshape(*force.shape[:2], 2, 6), 2, 0)
    bench = jnp.einsum("btxc,btc->btx", contacts.wrench[..., :3, 12:], force[..., 12:])
    return Torques(
        needed["arm"], leg, trunk, feet, bench, _outside_sole(body, feet, height, anatomy)
    )


def _least_cost(
    rows: jax.Array, target: jax.Array, contacts: _Contacts, on_bench: jax.Array
) -> jax.Array:
    """[B, T, C] forces f of least Σ cost f² + |target − rows f|².

    On a bench no contact can pull: one that would gets a high cost, and the forces are computed
    again.
    """
    fixed = jax.lax.stop_gradient((rows, target, contacts.cost))

    def release(_, cost: jax.Array) -> jax.Array:
        pulls = _forces(*fixed[:2], cost)[..., contacts.normal] < 0
        pulls = pulls & (cost[..., contacts.normal] < _NO_CONTACT)
        return cost * jnp.where(pulls & on_bench[:, None, None], _NO_CONTACT, 1.0)

    def push_only(cost: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, _PUSH_ROUNDS, release, cost)

    factor = jax.lax.cond(on_bench.any(), push_only, lambda cost: cost, fixed[2]) / fixed[2]
    return _forces(rows, target, contacts.cost * factor)


def _forces(rows: jax.Array, target: jax.Array, cost: jax.Array) -> jax.Array:
    """Least squares in its dual form, whose system has the size of the rows."""
    cheap = rows / cost[..., None, :]
    eye = jnp.eye(rows.shape[-2])
    system = (1 + _ROUNDING * eye) * jnp.einsum("btrc,btqc->btrq", cheap, rows) + eye
    multiplier = linear.solve(jnp.moveaxis(system, (2, 3), (0, 1)), jnp.moveaxis(target, 2, 0))
    return jnp.einsum("btrc,rbt->btc", cheap, multiplier)


def _on_bench(body: Segments, centre: jax.Array) -> jax.Array:
    """[B] 0 standing to 1: whether the feet alone cannot carry the body."""
    feet = body.origin["foot"].mean(0)
    away = jnp.sqrt(jnp.sum((centre - feet)[..., :2] ** 2, -1) + 1e-8).mean(-1)
    return v.step((away - _REACH_M) / 0.01)


def _contacts(body, axes, on_bench, off_floor, anatomy, height) -> _Contacts:
    scale = (height / HEIGHT)[None, :, None, None]
    pelvis = body.origin["pelvis"][0]
    foot = np.array([0.25 * anatomy.lengths["foot"], 0, -anatomy.lengths["foot_height"]]) * HEIGHT
    sole = body.point("foot", foot * scale)
    b, t = pelvis.shape[:2]
    eye = jnp.broadcast_to(jnp.eye(3), (b, t, 3, 3))
    zero = jnp.zeros_like(eye)
    wrench, leg, trunk, cost = [], [], [], []
    foot_cost = _FOOT_COST + on_bench[:, None, None] * (_FOOT_COST_ON_BENCH - _FOOT_COST)
    for side in range(2):
        arm = v.skew(sole[side] - pelvis)
        wrench.append(jnp.block([[eye, zero], [arm, eye]]))
        leg_axes = Axes(axes["leg"].axis[side], axes["leg"].centre[side])
        own = _joint_rows(leg_axes, sole[side], jnp.eye(3), with_moment=True)
        rows = [jnp.zeros_like(own), jnp.zeros_like(own)]
        rows[side] = own
        leg.append(jnp.stack(rows))
        trunk.append(jnp.zeros((b, t, 3, 6)))
        cost.append(foot_cost * _NO_CONTACT ** off_floor[side][..., None])
    for segment, at, direction, there in _pads(body, anatomy, height, on_bench):
        place = body.point(segment, at)[0]
        push = _pad_frame(direction, body.rotation["pelvis"][0, ..., 1])
        arm = v.skew(place - pelvis) @ push
        wrench.append(jnp.concatenate([push, arm], -2))
        leg.append(jnp.zeros((2, b, t, 5, 3)))
        spine = Axes(axes["trunk"].axis[0], axes["trunk"].centre[0])
        own = _joint_rows(spine, place, push, with_moment=False)
        trunk.append(own if segment == "chest" else jnp.zeros_like(own))
        absent = _NO_CONTACT ** (2 * (1 - there))[:, None, None]
        cost.append(jnp.broadcast_to(_PAD_COST * absent, (b, t, 3)))
    count = (sum(x.shape[-1] for x in cost) - 12) // 3
    normal = np.concatenate([np.repeat([2, 8], 6), np.repeat(14 + 3 * np.arange(count), 3)])
    return _Contacts(
        jnp.concatenate(wrench, -1),
        jnp.concatenate(leg, -1),
        jnp.concatenate(trunk, -1),
        jnp.concatenate(cost, -1),
        normal,
    )


def _joint_rows(axes: Axes, place: jax.Array, push, *, with_moment: bool) -> jax.Array:
    """[B, T, R, 3 or 6] torque about each axis of unit forces (and moments) at a place."""
    lever = jnp.cross(axes.axis, place[:, :, None] - axes.centre)
    force = lever @ push
    return jnp.concatenate([force, axes.axis], -1) if with_moment else force


def lifted(body: Segments, least: float) -> jax.Array:
    """[S, B, T] 0 to 1: whether a foot is in the air, because it is `least` m above the other."""
    height = body.origin["foot"][..., 2] + 0.1 * jnp.minimum(body.rotation["foot"][..., 2, 0], 0.0)
    lower = jnp.minimum(height[0], height[1])
    return v.step((height - lower - least) / (0.1 * least))


def _pads(body, anatomy, height, on_bench):
    """Points of the trunk that a bench may support.

    Yields:
      Segment, point [1, B, 1, 3], direction in which the pad pushes [B, T, 3], and 0 to 1 whether
      the body rests there [B].
    """
    chest, pelvis = body.rotation["chest"][0], body.rotation["pelvis"][0]
    hips = body.origin["pelvis"][0] - body.origin["foot"].mean(0)
    still = v.step((_STILL_M - jnp.ptp(hips[..., 2], -1)) / 0.01)
    belly = chest[..., 2, 0].mean(-1)  # up if the person lies on the back
    on_back = v.step((belly + 0.25) / 0.02)
    upright = v.step((0.5 - pelvis[..., 2, 0].mean(-1)) / 0.05)
    metres = (height / HEIGHT)[None, :, None, None]
    up = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), chest.shape[:-1])

    def mean_forward(rotation: jax.Array, sign: float) -> jax.Array:
        x = sign * v.unit(rotation[..., 0].mean(1, keepdims=True))
        return jnp.broadcast_to(x, rotation.shape[:-1])

    high = 0.85 * anatomy.lengths["trunk"] * HEIGHT
    for y in (-0.08, 0.08):
        for segment, x, z, direction, there in (
            ("chest", -0.113, high, mean_forward(chest, 1.0), on_back),
            ("chest", 0.123, high, mean_forward(chest, -1.0), 1 - on_back),
            ("pelvis", -0.098, 0.03, mean_forward(pelvis, 1.0), on_back * still),
            ("pelvis", 0.0, -0.09, up, on_back * still * upright),
        ):
            yield segment, np.array([x, y, z]) * metres, direction, there * on_bench


def _pad_frame(normal: jax.Array, left: jax.Array) -> jax.Array:
    """[B, T, 3, 3] directions of the forces of a pad: two along it, then out of it."""
    across = v.unit(v.reject(left, normal))
    return v.frame(jnp.cross(across, normal), across, normal)


def _outside_sole(body: Segments, feet: jax.Array, height, anatomy: Anatomy) -> jax.Array:
    """[B, T] m, distance of the centre of pressure from the sole, of the worse loaded foot."""
    vertical = jnp.maximum(feet[..., 2], 1.0)
    offset = jnp.stack([-feet[..., 4], feet[..., 3], jnp.zeros_like(vertical)], -1)
    local = v.rotate(v.inverse(body.rotation["foot"]), offset / vertical[..., None])
    half = 0.5 * anatomy.lengths["foot"] * height[None, :, None]
    outside = jnp.maximum(jnp.abs(local[..., :2]) - jnp.stack([half, 0.3 * half], -1), 0.0)
    loaded = feet[..., 2] / jnp.maximum(jnp.sum(jnp.maximum(feet[..., 2], 0.0), 0), 1.0)
    return jnp.max(jnp.sqrt((outside**2).sum(-1) + 1e-8) * jnp.clip(loaded, 0, 1), 0)
