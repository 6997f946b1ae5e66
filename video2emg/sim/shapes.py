"""The geometric primitives of MuJoCo: intersections with rays, and surface normals.

Every solid is handled in its *unit frame*. There the sphere and the ellipsoid are the unit sphere,
the box is the cube |x|, |y|, |z| ≤ 1, the cylinder has radius 1 and |z| ≤ 1, and the capsule has
radius 1. The scaling does not change t of a ray o + t d. Vectors are [3, n], one row per component,
because NumPy is several times faster with it than with [n, 3].
"""

import dataclasses
from collections.abc import Callable

import mujoco
import numpy as np
from jaxtyping import Float

Vectors = Float[np.ndarray, "3 #n"]
Numbers = Float[np.ndarray, " #n"]


@dataclasses.dataclass(frozen=True)
class Solid:
    """One kind of geom.

    Attributes:
      scale: from `geom_size` [G, 3] to the semi-axes [G, 3] that the unit frame is scaled by.
      half: from `geom_size` to half the length of the straight part, in the unit frame [G].
      hit: from origin [3, n], direction [3, n] and `half` [n] to the first t > 0 [n]; inf or NaN
        where there is none.
      normal: from the intersection [3, n] and `half` [n] to an outward normal of any length [3, n].
      knots: heights, in units of `half`, of the centres of ellipsoids whose hull holds the solid.
      spread: semi-axes of these ellipsoids.
    """

    scale: Callable[[np.ndarray], np.ndarray]
    half: Callable[[np.ndarray], np.ndarray]
    hit: Callable[[Vectors, Vectors, Numbers], Numbers]
    normal: Callable[[Vectors, Numbers], Vectors]
    knots: tuple[float, ...]
    spread: tuple[float, float, float]


def dot(a: Vectors, b: Vectors) -> Numbers:
    """Scalar products [n]."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _first_root(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Smaller root of a t² + 2 b t + c (a ≥ 0), NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (-b - np.sqrt(b * b - a * c)) / a


def _ahead(t: np.ndarray) -> np.ndarray:
    """Positive distances; inf instead of negative ones and NaN."""
    return np.where(t > 0, t, np.float32(np.inf))


def _hit_sphere(o: Vectors, d: Vectors, half: Numbers) -> Numbers:
    return _ahead(_first_root(dot(d, d), dot(o, d), dot(o, o) - 1))


def _hit_capsule(o: Vectors, d: Vectors, half: Numbers) -> Numbers:
    a = d[0] * d[0] + d[1] * d[1]
    b = d[0] * o[0] + d[1] * o[1]
    c = o[0] * o[0] + o[1] * o[1] - 1
    side = _first_root(a, b, c)
    with np.errstate(invalid="ignore"):
        height = o[2] + side * d[2]
    # The entry point into the infinite cylinder tells which end the ray can meet.
    end = np.where(height > 0, half, -half)
    above = o[2] - end
    cap = _first_root(a + d[2] * d[2], b + d[2] * above, c + above * above)
    return _ahead(np.where(np.abs(height) <= half, side, cap))


def _hit_cylinder(o: Vectors, d: Vectors, half: Numbers) -> Numbers:
    a = d[0] * d[0] + d[1] * d[1]
    b = d[0] * o[0] + d[1] * o[1]
    c = o[0] * o[0] + o[1] * o[1] - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        side = _first_root(a, b, c)
        height = o[2] + side * d[2]
        end = -(np.sign(d[2]) + o[2]) / d[2]
        on_end = (a * end + 2 * b) * end + c <= 0
    t = np.where(np.abs(height) <= 1, side, np.float32(np.nan))
    return _ahead(np.where(on_end, end, t))


def _hit_box(o: Vectors, d: Vectors, half: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / d
        middle, reach = -o * inverse, np.abs(inverse)
        enter, leave = (middle - reach).max(0), (middle + reach).min(0)
    return _ahead(np.where(enter < leave, enter, np.float32(np.nan)))


def _normal_sphere(point: Vectors, half: Numbers) -> Vectors:
    return point


def _normal_capsule(point: Vectors, half: Numbers) -> Vectors:
    return np.stack([point[0], point[1], point[2] - np.clip(point[2], -half, half)])


def _normal_cylinder(point: Vectors, half: Numbers) -> Vectors:
    # On the ends, |z| is 1 and the distance from the axis is below 1; on the side, vice versa.
    x, y, z = point
    on_end = z * z > x * x + y * y
    return np.stack([np.where(on_end, 0, x), np.where(on_end, 0, y), np.where(on_end, z, 0)])


def _normal_box(point: Vectors, half: Numbers) -> Vectors:
    size = np.abs(point)
    return np.where(size == size.max(0), point, 0)


def _radius(size: np.ndarray) -> np.ndarray:
    return np.repeat(size[:, :1], 3, axis=1)


_ROUND = Solid(
    scale=lambda size: size,
    half=lambda size: np.zeros(len(size)),
    hit=_hit_sphere,
    normal=_normal_sphere,
    knots=(0.0,),
    spread=(1.0, 1.0, 1.0),
)
_PIECES = (-1.0, -0.5, 0.0, 0.5, 1.0)

SOLIDS: dict[int, Solid] = {
    int(mujoco.mjtGeom.mjGEOM_SPHERE): dataclasses.replace(_ROUND, scale=_radius),
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): _ROUND,
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): Solid(
        scale=_radius,
        half=lambda size: size[:, 1] / size[:, 0],
        hit=_hit_capsule,
        normal=_normal_capsule,
        knots=_PIECES,
        spread=(1.0, 1.0, 1.0),
    ),
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): Solid(
        scale=lambda size: size[:, [0, 0, 1]],
        half=lambda size: np.ones(len(size)),
        hit=_hit_cylinder,
        normal=_normal_cylinder,
        knots=_PIECES,
        spread=(1.0, 1.0, 0.0),
    ),
    int(mujoco.mjtGeom.mjGEOM_BOX): dataclasses.replace(
        _ROUND, hit=_hit_box, normal=_normal_box, spread=(3**0.5, 3**0.5, 3**0.5)
    ),
}
