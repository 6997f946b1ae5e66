"""From named joints to the segments of the body: positions, rotations and joint axes.

Axes of arrays: S sides (left, right), B windows, T instants. Segments of the trunk have S = 1.
x points forward, y to the left and z up in the frame of every segment of a standing body, on both
sides. The origin of a segment is its upper joint, that of the pelvis the middle of the hips.

The joints give directions; distances come from the anatomy and the height, so that segments do not
change their length.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from video2emg.core import vocabulary
from video2emg.physics import vectors as v
from video2emg.physics.anatomy import HEIGHT, Anatomy

# Outward on each side, in the order of `vocabulary.SIDES`: +y on the left, −y on the right.
OUTWARD = np.array([1.0, -1.0], np.float32)[:, None, None]
ARM_DOFS = ("clavicle", "shoulder_x", "shoulder_y", "shoulder_z", "elbow")
LEG_DOFS = ("hip_x", "hip_y", "hip_z", "knee", "ankle")
TRUNK_DOFS = ("lumbar_flexion", "lumbar_bend", "lumbar_turn")

_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe")
JOINTS = ("head", "neck", "chest", *(f"{s}_{part}" for s in vocabulary.SIDES for part in _PARTS))
# How much a direction from the neighbouring segment counts against the plane of a bent limb. Only a
# straight limb, which has no plane, depends on it.
_ELBOW_WEIGHT, _KNEE_WEIGHT = 0.05, 0.1
_LUMBAR_SHARE, _LUMBAR_FROM = 0.35, np.deg2rad(60)
_THORAX = 0.02  # rad, bend of the chest over the abdomen
_TRUNK_TOP = 0.03  # m, from the line of the shoulder girdle to the neck


class Segments(NamedTuple):
    """Rotation [S, B, T, 3, 3] and origin [S, B, T, 3] of each segment, m, by name."""

    rotation: dict[str, jax.Array]
    origin: dict[str, jax.Array]

    def point(self, segment: str, place: jax.Array | np.ndarray) -> Float[Array, "S B T 3"]:
        """Position of a point that is given in the frame of a segment, m."""
        return self.origin[segment] + v.rotate(self.rotation[segment], jnp.asarray(place))


class Axes(NamedTuple):
    """Degrees of freedom of a group: unit axis and a point on it, [S, B, T, R, 3] each."""

    axis: jax.Array
    centre: jax.Array


def segments(
    joints: Mapping[str, Float[Array, "B T 3"]],
    height: Float[Array, " B"],
    anatomy: Anatomy,
    spine_seen: bool = True,
) -> Segments:
    """Places the segments of the body.

    Args:
      joints: positions of `JOINTS`, m, z up.
      height: of the body, m.
      anatomy: its proportions.
      spine_seen: whether the chest was seen. Else it lies between hips and shoulders, and the back
        is bent as it usually is, see `_usual_back`.
    """
    h = height[None, :, None]
    sided = {p: jnp.stack([joints[f"{s}_{p}"] for s in vocabulary.SIDES]) for p in _PARTS}
    chest_at, head = joints["chest"][None], joints["head"][None]
    hips = sided["hip"].mean(0, keepdims=True)
    length = {name: fraction * h for name, fraction in anatomy.lengths.items()}
    left_shoulder, left_hip = (sided[p][:1] - sided[p][1:] for p in ("shoulder", "hip"))
    chest = v.upright_frame(joints["neck"][None] - chest_at, left_shoulder)
    thorax = v.about("y", jnp.full(chest.shape[:3], -_THORAX))
    if spine_seen:
        lumbar = chest_at - hips - length["abdomen"][..., None] * (chest @ thorax)[..., 2]
        pelvis = v.upright_frame(lumbar, left_hip)
    else:
        line = sided["shoulder"].mean(0, keepdims=True) - hips
        thighs = sided["knee"].mean(0, keepdims=True) - hips
        back, forward = _usual_back(v.unit(line), v.unit(thighs), anatomy)
        pelvis = v.upright_frame(line, left_hip) @ v.about("y", -back)
        chest = chest @ v.about("y", forward)
    up = v.rotate(v.inverse(chest), head - chest_at) - _vector(
        0.01, 0, length["trunk"] + 0.7 * length["neck"]
    )
    nod = jnp.clip(jnp.arctan2(up[..., 0], jnp.maximum(up[..., 2], 1e-3)), -0.8, 0.8)
    rotation = {
        "pelvis": pelvis,
        "abdomen": chest @ thorax,
        "chest": chest,
        "head": chest @ v.about("y", nod),
    }
    rotation |= _arm_rotations(sided, chest, chest_at, length)
    rotation |= _leg_rotations(sided)
    return Segments(rotation, origins(rotation, hips, h, anatomy))


def _usual_back(up: jax.Array, thighs: jax.Array, anatomy: Anatomy) -> tuple[jax.Array, jax.Array]:
    """How far pelvis and chest lean out of the line from hips to shoulders, rad.

    Of the flexion between trunk and thighs beyond 60°, a third is of the lumbar spine (lumbopelvic
    rhythm). The pelvis leans back and the chest forward, so that the shoulders stay where they are.

    Args:
      up: from hips to shoulders, unit vectors.
      thighs: from hips to knees, unit vectors.
      anatomy: lengths of the trunk.
    """
    flexion = jnp.pi - v.angle(v.norm(jnp.cross(up, thighs)), v.dot(up, thighs))
    softness = np.deg2rad(8)
    bend = _LUMBAR_SHARE * softness * jax.nn.softplus((flexion - _LUMBAR_FROM) / softness)
    length = anatomy.lengths
    lever = length["lumbar"] / (length["abdomen"] + length["trunk"])
    return bend / (1 + lever), bend * lever / (1 + lever)


def _vector(x, y, z) -> jax.Array:
    parts = jnp.broadcast_arrays(*(jnp.asarray(p, jnp.float32) for p in (x, y, z)))
    return jnp.stack(parts, -1)


def _arm_rotations(sided, chest, chest_at, length) -> dict[str, jax.Array]:
    shoulder, elbow, wrist = (sided[part] for part in ("shoulder", "elbow", "wrist"))
    raised = v.rotate(v.inverse(chest), shoulder - chest_at)[..., 2] - (
        length["trunk"] - _TRUNK_TOP
    )
    elevation = jnp.arcsin(jnp.clip(raised / length["shoulder"], -0.3, 0.6))
    girdle = chest @ v.about("x", OUTWARD * elevation)
    up, down = v.unit(shoulder - elbow), v.unit(wrist - elbow)
    default = v.rotate(girdle, _swing(v.rotate(v.inverse(girdle), -up))[..., 0])
    x = v.unit(v.reject(v.reject(down, up) + _ELBOW_WEIGHT * default, up))
    upper = v.frame(x, jnp.cross(up, x), up)
    scapula = girdle @ scapular_rhythm(v.inverse(girdle) @ upper)
    forearm = upper @ v.about("y", -_bend(up, down))
    return {
        "clavicle": girdle,
        "scapula": scapula,
        "upper_arm": upper,
        "forearm": forearm,
        "hand": forearm,
    }


def _leg_rotations(sided) -> dict[str, jax.Array]:
    up, down = (v.unit(sided[part] - sided["knee"]) for part in ("hip", "ankle"))
    toes = v.unit(sided["toe"] - sided["heel"])
    x = v.unit(v.reject(_KNEE_WEIGHT * toes - v.reject(down, up), up))
    thigh = v.frame(x, jnp.cross(up, x), up)
    z = v.unit(jnp.array([0.0, 0.0, 1.0]) - toes * toes[..., 2:])
    return {
        "thigh": thigh,
        "shank": thigh @ v.about("y", _bend(up, down)),
        "foot": v.frame(toes, jnp.cross(z, toes), z),
    }


def origins(rotation, hips, h, anatomy: Anatomy) -> dict[str, jax.Array]:
    """The chain of the segments, from the pelvis outwards."""
    length = {name: fraction * h for name, fraction in anatomy.lengths.items()}
    inner = anatomy.clavicle * h / HEIGHT
    neck = length["trunk"] + 0.7 * length["neck"]
    chain = {  # segment: the one before it, and its place there
        "abdomen": ("pelvis", (0, 0, length["lumbar"])),
        "chest": ("abdomen", (0, 0, length["abdomen"])),
        "head": ("chest", (0.01, 0, neck)),
        "clavicle": ("chest", (0, OUTWARD * inner, length["trunk"] - _TRUNK_TOP)),
        "scapula": ("clavicle", (0, OUTWARD * length["shoulder"], 0)),
        "upper_arm": ("scapula", (0, 0, 0)),
        "forearm": ("upper_arm", (0, 0, -length["upper_arm"])),
        "hand": ("forearm", (0, 0, -length["forearm"])),
        "thigh": ("pelvis", (0, OUTWARD * length["hip"], 0)),
        "shank": ("thigh", (0, 0, -length["thigh"])),
        "foot": ("shank", (0, 0, -length["shank"])),
    }
    origin = {"pelvis": hips}
    for segment, (parent, place) in chain.items():
        origin[segment] = origin[parent] + v.rotate(rotation[parent], _vector(*place))
    return origin


def _bend(up: jax.Array, down: jax.Array) -> jax.Array:
    """Flexion of a limb, rad; 0 is straight."""
    return jnp.arctan2(v.norm(jnp.cross(up, down)), -v.dot(up, down))


def _swing(direction: jax.Array) -> jax.Array:
    """The least rotation from straight down to a direction."""
    down = jnp.array([0.0, 0.0, -1.0])
    cross = v.skew(jnp.cross(jnp.broadcast_to(down, direction.shape), direction))
    cosine = (direction @ down)[..., None, None]
    return jnp.eye(3) + cross + cross @ cross / (1 + cosine + 1e-3)


def scapular_rhythm(upper: Float[Array, "*A 3 3"]) -> Float[Array, "*A 3 3"]:
    """Rotation of the scapula for upper arms in the shoulder girdle.

    Beyond about 30° of elevation, one of three degrees is of the scapula (Inman et al., J. Bone
    Joint Surg. 26, 1944).
    """
    down = -upper[..., 2]
    axis = jnp.stack([down[..., 1], -down[..., 0], jnp.zeros_like(down[..., 0])], -1)
    elevation = jnp.arctan2(v.norm(axis), -down[..., 2])
    softness = np.deg2rad(8)  # of the corner at 30°
    turn = softness * jax.nn.softplus((elevation - np.deg2rad(30)) / softness) / 3
    return v.from_vector(turn[..., None] * v.unit(axis))


def trunk_axes(body: Segments) -> Axes:
    """Axes of `TRUNK_DOFS`, through the joint between pelvis and abdomen."""
    pelvis, abdomen = body.rotation["pelvis"], body.rotation["abdomen"]
    relative = v.inverse(pelvis) @ abdomen
    flexion = jnp.arctan2(relative[..., 0, 2], jnp.maximum(relative[..., 2, 2], 1e-3))
    bend = pelvis @ v.about("y", flexion)
    axis = jnp.stack([pelvis[..., 1], bend[..., 0], abdomen[..., 2]], -2)
    return _through(axis, [body.origin["abdomen"]] * 3)


def arm_axes(body: Segments) -> Axes:
    """Axes of `ARM_DOFS`: elevation of the girdle, axes of the upper arm, flexion of the elbow."""
    clavicle, upper = body.rotation["clavicle"], body.rotation["upper_arm"]
    elevation = OUTWARD[..., None] * clavicle[..., 0]
    axis = jnp.stack([elevation, *jnp.moveaxis(upper, -1, 0), -upper[..., 1]], -2)
    shoulder = [body.origin["upper_arm"]] * 3
    return _through(axis, [body.origin["clavicle"], *shoulder, body.origin["forearm"]])


def leg_axes(body: Segments) -> Axes:
    """Axes of `LEG_DOFS`: axes of the thigh, flexion of the knee, dorsiflexion of the ankle."""
    thigh, shank = body.rotation["thigh"], body.rotation["shank"]
    axis = jnp.stack([*jnp.moveaxis(thigh, -1, 0), thigh[..., 1], -shank[..., 1]], -2)
    hip = [body.origin["thigh"]] * 3
    return _through(axis, [*hip, body.origin["shank"], body.origin["foot"]])


def _through(axis: jax.Array, centres: list[jax.Array]) -> Axes:
    return Axes(axis, jnp.broadcast_to(jnp.stack(centres, -2), axis.shape))
