"""Lengths and moment arms of muscles, from via points and surfaces that they wrap around.

Axes of arrays: S sides, B windows, T instants, R degrees of freedom, n muscles.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from video2emg.physics import vectors as v
from video2emg.physics.anatomy import GROUPS, HEIGHT, Anatomy, Group, Surface
from video2emg.physics.skeleton import OUTWARD, Axes, Segments

# Segments that each degree of freedom moves.
_MOVES: dict[Group, tuple[tuple[str, ...], ...]] = {
    "trunk": (("abdomen", "chest"),) * 3,
    "arm": (
        ("clavicle", "scapula", "upper_arm", "forearm"),
        *(("upper_arm", "forearm"),) * 3,
        ("forearm",),
    ),
    "leg": (*(("thigh", "shank", "foot"),) * 3, ("shank", "foot"), ("foot",)),
}


class Paths(NamedTuple):
    """Muscles of a group.

    Attributes:
      moment_arm: [S, B, T, R, n] torque per force, m.
      length: [S, B, T, n] m.
    """

    moment_arm: jax.Array
    length: jax.Array


class _Wraps(NamedTuple):
    """The W muscles that wrap around one surface.

    Attributes:
      before, after: [W] index of the neighbouring points.
      beside: [W, 3] points on the side of the paths.
    """

    before: np.ndarray
    after: np.ndarray
    beside: np.ndarray


class _Table(NamedTuple):
    """The paths of a group as arrays, of at most K points each.

    Attributes:
      points: [·, 3] of each segment; in this order they are the points 0 … P - 1.
      wraps: by surface; each has two points, which follow the P points.
      order: [n, K] points of each path; the last one is repeated.
      moved: [R, n, K] whether a degree of freedom moves the point.
    """

    points: dict[str, np.ndarray]
    wraps: dict[str, _Wraps]
    order: np.ndarray
    moved: np.ndarray


def muscle_paths(
    body: Segments, axes: Axes, group: Group, anatomy: Anatomy, height: Float[Array, " B"]
) -> Paths:
    """Lengths and moment arms of the muscles of a group, on both sides.

    Args:
      body: placed segments.
      axes: of the degrees of freedom of the group.
      group: of muscles; `Anatomy.group` gives their names.
      anatomy: the muscles.
      height: of the body, m.
    """
    table = _table(anatomy, group)
    scale = (height / HEIGHT)[None, :, None]
    fixed = [_place(body, segment, at, scale) for segment, at in table.points.items()]
    points = jnp.concatenate(fixed, -2)
    around = [
        _wrap(body, anatomy.surfaces[name], wraps, points, scale)
        for name, wraps in table.wraps.items()
    ]
    points = jnp.concatenate([points, *(x for x, _ in around)], -2)
    extra = jnp.concatenate([jnp.zeros((*points.shape[:3], 1)), *(x for _, x in around)], -1)
    path = points[..., table.order, :]
    step = jnp.diff(path, axis=-2)
    direction, distance = v.unit(step), v.norm(step)
    length = distance.sum(-1) + extra[..., _arc_of(table)].sum(-1)
    still = jnp.zeros_like(direction[..., :1, :])
    pull = jnp.concatenate([direction, still], -2) - jnp.concatenate([still, direction], -2)
    return Paths(_moment_arm(axes, path, pull, table.moved), length)


def _moment_arm(axes: Axes, path: jax.Array, pull: jax.Array, moved: np.ndarray) -> jax.Array:
    """Torque about each axis of unit tension, of the points that the degree of freedom moves."""
    moment, force = (
        jnp.einsum("rnk,sbtnkx->sbtrnx", moved, x) for x in (jnp.cross(path, pull), pull)
    )
    about = v.dot(axes.axis[..., None, :], moment)
    return about - v.dot(jnp.cross(axes.axis, axes.centre)[..., None, :], force)


def _arc_of(table: _Table) -> np.ndarray:
    """[n, K] index of the wrap whose first point this is, from 1; 0 for all other points."""
    count = sum(map(len, table.points.values()))
    place = table.order - count
    return np.where((place >= 0) & (place % 2 == 0), place // 2 + 1, 0)


def _place(body: Segments, segment: str, at: np.ndarray, scale: jax.Array) -> jax.Array:
    """[S, B, T, ·, 3] positions of points of a segment, m."""
    local = jnp.asarray(_sided(at)) * scale[..., None, None]
    turned = jnp.einsum("sbtij,sbtpj->sbtpi", body.rotation[segment], local)
    return body.origin[segment][..., None, :] + turned


def _sided(at: np.ndarray) -> np.ndarray:
    """[S, 1, 1, ·, 3] points of the left side (+y) and of the right side (−y)."""
    return np.asarray(at, np.float32) * np.stack(
        [np.array([1, sign, 1], np.float32) for sign in OUTWARD.ravel()]
    ).reshape(2, 1, 1, 1, 3)


def _wrap(
    body: Segments, surface: Surface, wraps: _Wraps, points: jax.Array, scale: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Two points of each path on the surface [S, B, T, 2 W, 3], m, and what the arc adds, m.

    The points are the ends of the arc. Where the straight path does not touch the surface, both are
    its middle.
    """
    rotation = body.rotation[surface.segment][..., None, :, :]
    centre = _place(body, surface.segment, np.array([surface.centre]), scale)
    radius = surface.radius * scale[..., None]
    before, after = (
        v.rotate(v.inverse(rotation), points[..., index, :] - centre)
        for index in (wraps.before, wraps.after)
    )
    offset = wraps.beside - np.array(surface.centre, np.float32)
    beside = jnp.broadcast_to(_sided(offset) * scale[..., None, None], before.shape)
    if surface.shape == "sphere":
        first, last, arc = _around_sphere(before, after, beside, radius)
    else:
        first, last, arc = _around_cylinder(before, after, beside, radius)
    ends = jnp.stack([first, last], -2)
    ends = ends.reshape(*ends.shape[:3], -1, 3)
    return centre + v.rotate(rotation, ends), arc - v.norm(last - first)


def _around_sphere(before, after, beside, radius):
    """The arc lies in the plane of both points and the centre."""
    x = v.unit(before)
    y = v.unit(v.reject(after, x))

    def flat(point: jax.Array) -> jax.Array:
        return jnp.stack([v.dot(point, x), v.dot(point, y)], -1)

    first, last, arc, wraps = _circle(flat(before), flat(after), flat(beside), radius)
    first, last = (p[..., :1] * x + p[..., 1:] * y for p in (first, last))
    middle = (before + after) / 2
    return *(jnp.where(wraps[..., None], p, middle) for p in (first, last)), arc


def _around_cylinder(before, after, beside, radius):
    """A helix around the lateral axis."""

    def flat(point: jax.Array) -> jax.Array:
        return point[..., np.array([0, 2])]

    first, last, arc, _ = _circle(flat(before), flat(after), flat(beside), radius)
    free = [v.norm(first - flat(before)), v.norm(flat(after) - last)]
    share = jnp.stack([free[0], free[0] + arc]) / (free[0] + arc + free[1])
    across = before[..., 1] + (after[..., 1] - before[..., 1]) * share
    first, last = (
        jnp.stack([p[..., 0], y, p[..., 1]], -1) for p, y in zip((first, last), across, strict=True)
    )
    return first, last, jnp.sqrt(arc**2 + (across[1] - across[0]) ** 2 + 1e-8)


def _circle(a: jax.Array, b: jax.Array, beside: jax.Array, radius: jax.Array):
    """The way from a to b around a circle at the origin, on the side of a point.

    Args:
      a: [..., 2] start, m.
      b: [..., 2] end, m.
      beside: [..., 2] a point on the side of the way, m.
      radius: [...] m.

    Returns:
      Ends of the arc [..., 2], its length, and whether the straight way is blocked. If it is not,
      both ends are the middle of a and b.
    """
    start, end = (v.angle(p[..., 1], p[..., 0]) for p in (a, b))
    tangent = [jnp.arccos(jnp.clip(radius / v.norm(p), 0.0, 1 - 1e-6)) for p in (a, b)]
    ways = []
    for turn in (1.0, -1.0):
        first, last = start + turn * tangent[0], end - turn * tangent[1]
        arc = jnp.mod(turn * (last - first), 2 * np.pi)
        middle = first + turn * arc / 2
        towards = jnp.cos(middle) * beside[..., 0] + jnp.sin(middle) * beside[..., 1]
        ways.append((towards - jnp.where(arc < np.pi, 0.0, 10.0), first, last, arc))
    better = ways[0][0] > ways[1][0]
    _, first, last, arc = (jnp.where(better, x, y) for x, y in zip(*ways, strict=True))
    line = b - a
    along = -jnp.sum(a * line, -1) / (jnp.sum(line**2, -1) + 1e-8)
    nearest = a + jnp.clip(along, 0, 1)[..., None] * line
    blocked = (v.norm(nearest) < radius) | (jnp.sum(nearest * beside, -1) < 0)
    blocked = blocked & (arc < np.pi)
    middle = (a + b) / 2
    ends = (
        jnp.where(
            blocked[..., None],
            radius[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1),
            middle,
        )
        for angle in (first, last)
    )
    return *ends, jnp.where(blocked, arc * radius, 0.0), blocked


@functools.lru_cache(maxsize=32)
def _table(anatomy: Anatomy, group: Group) -> _Table:
    muscles = [anatomy.muscles[name] for name in anatomy.group(group)]
    fixed = [(w.segment, w.at) for m in muscles for w in m.path if w.around is None]
    used = [segment for segment in GROUPS[group] if any(s == segment for s, _ in fixed)]
    rank = np.argsort([used.index(segment) for segment, _ in fixed], kind="stable")
    place = np.empty(len(rank), int)
    place[rank] = np.arange(len(rank))
    points = {
        segment: np.array([at for s, at in fixed if s == segment], np.float32) for segment in used
    }
    surfaces = [w.around for m in muscles for w in m.path if w.around is not None]
    wraps: dict[str, list] = {name: [] for name in anatomy.surfaces if name in surfaces}
    start = dict(
        zip(wraps, np.cumsum([0, *(surfaces.count(name) for name in wraps)]), strict=False)
    )
    paths, segments, number = [], [], iter(place)
    for muscle in muscles:
        path = [next(number) if w.around is None else -1 for w in muscle.path]
        full, along = [], []
        for i, waypoint in enumerate(muscle.path):
            if waypoint.around is None:
                full.append(path[i])
                along.append(waypoint.segment)
                continue
            name = waypoint.around
            wrap = start[name] + len(wraps[name])
            wraps[name].append((path[i - 1], path[i + 1], waypoint.at))
            full += [len(place) + 2 * wrap, len(place) + 2 * wrap + 1]
            along += 2 * [anatomy.surfaces[name].segment]
        paths.append(full)
        segments.append(along)
    order, names = (_padded(rows) for rows in (paths, segments))
    moved = np.stack([np.isin(names, moves) for moves in _MOVES[group]])
    arrays = {
        name: _Wraps(*(np.array(column) for column in zip(*rows, strict=True)))
        for name, rows in wraps.items()
    }
    return _Table(points, arrays, order.astype(int), moved.astype(np.float32))


def _padded(rows: Sequence[Sequence]) -> np.ndarray:
    """Rows of one length; the last element is repeated."""
    longest = max(map(len, rows))
    return np.array([[*row, *[row[-1]] * (longest - len(row))] for row in rows])
