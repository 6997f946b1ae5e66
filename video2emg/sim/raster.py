"""Pictures of a MuJoCo model by analytic ray casting: NumPy only, no OpenGL, no system packages.

All frames of a clip and all geoms of one kind are cast at once. Each geom is cast only through the
pixels that it can cover. Static geoms are drawn once per camera.
"""

import dataclasses

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from video2emg.sim import shapes
from video2emg.sim.camera import Camera

__all__ = ["Camera", "Scene"]

# Direction of a distant lamp, to the right and in front of a subject who faces +x. A second light
# is at the camera.
_LAMP = np.array([0.45, -0.35, 1.0]) / np.linalg.norm([0.45, -0.35, 1.0])
_AMBIENT, _DIFFUSE, _HEADLIGHT = 0.34, 0.50, 0.22
_SHADE = 0.35  # share of the lamp's light that remains in a shadow
_GAMMA = 0.9
_SKY = (0.55, 0.55, 0.55)
_TILES = (0.28, 0.33)  # grey of the floor's squares, of 0.5 m
_CHUNK = 1 << 19  # pixels of film drawn at once; limits the memory


@dataclasses.dataclass(frozen=True)
class _Group:
    """Geoms of one kind: their ids [G], semi-axes [G, 3], `Solid.half` [G] and colours [G, 3]."""

    solid: shapes.Solid
    geoms: np.ndarray
    scale: np.ndarray
    half: np.ndarray
    colour: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Placed:
    """The N = F · G geoms of a group in the F frames of a clip, in the camera's frame.

    Attributes:
      group: the group.
      index: [N] index of the geom in the group.
      frame: [N] index of the frame.
      centre: [N, 3], m.
      axes: [N, 3, 3], maps the unit frame to the camera's.
    """

    group: _Group
    index: np.ndarray
    frame: np.ndarray
    centre: np.ndarray
    axes: np.ndarray

    def knots(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres [N, K, 3] and matrix [N, 3, 3] of ellipsoids whose hull contains each geom."""
        # The unit cylinder's straight part is its height: half is 1 there.
        height = self.group.half[self.index][:, None] * np.array(self.group.solid.knots)
        centre = self.centre[:, None] + self.axes[:, None, :, 2] * height[..., None]
        half_axes = self.axes * np.array(self.group.solid.spread)
        return centre, half_axes @ half_axes.swapaxes(1, 2)


@dataclasses.dataclass(frozen=True)
class _Room:
    """The static geoms as one camera sees them; S² pixels.

    Attributes:
      depth: [S²] float32, m; inf where there is nothing.
      lit: [S², 3] uint8, the picture without the subject.
      shaded: [S², 3] uint8, the same with every floor pixel in a shadow.
      floor: [S²] bool, pixels that show the floor.
    """

    depth: np.ndarray
    lit: np.ndarray
    shaded: np.ndarray
    floor: np.ndarray


class Scene:
    """Draws the geoms of groups 0-2 of one model.

    Geoms of the world body are the static room. A plane is drawn as a floor of grey tiles whatever
    its colour, and must be horizontal. All other geoms move and cast shadows on the floor.
    """

    def __init__(self, model: mujoco.MjModel, shadow: bool = True, supersample: int = 1):
        """Groups the geoms.

        Args:
          model: shapes and colours of the geoms are read now, their poses when drawing.
          shadow: whether the floor shows shadows.
          supersample: rays per pixel along each side, averaged.
        """
        visible = np.flatnonzero(model.geom_group < 3)
        static = model.geom_bodyid[visible] == 0
        self._static = self._groups(model, visible[static])
        self._moving = self._groups(model, visible[~static])
        planes = visible[model.geom_type[visible] == int(mujoco.mjtGeom.mjGEOM_PLANE)]
        self._floor = int(planes[0]) if len(planes) else None
        self._shadow = shadow
        self._supersample = supersample
        self._rooms: dict[Camera, _Room] = {}

    @staticmethod
    def _groups(model: mujoco.MjModel, geoms: np.ndarray) -> list[_Group]:
        colour = model.geom_rgba[:, :3].copy()
        has_material = model.geom_matid >= 0
        colour[has_material] = model.mat_rgba[model.geom_matid[has_material], :3]
        groups = []
        for kind, solid in shapes.SOLIDS.items():
            ids = geoms[model.geom_type[geoms] == kind]
            if len(ids):
                size = model.geom_size[ids]
                groups.append(_Group(solid, ids, solid.scale(size), solid.half(size), colour[ids]))
        return groups

    def film(
        self,
        position: Float[np.ndarray, "F G 3"],
        rotation: Float[np.ndarray, "F G 3 3"],
        camera: Camera,
    ) -> UInt8[np.ndarray, "F S S 3"]:
        """Draws F frames at once, which is several times faster than one by one.

        Args:
          position: of every geom, m (`MjData.geom_xpos`).
          rotation: of every geom (`MjData.geom_xmat`).
          camera: stands still.
        """
        fine = dataclasses.replace(camera, size=camera.size * self._supersample)
        chunk = max(_CHUNK // fine.size**2, 1)
        film = np.concatenate(
            [
                self._draw(position[f : f + chunk], rotation[f : f + chunk], fine)
                for f in range(0, len(position), chunk)
            ]
        )
        if self._supersample == 1:
            return film
        n, size = self._supersample, camera.size
        return film.reshape(-1, size, n, size, n, 3).mean((2, 4)).round().astype(np.uint8)

    def render(self, data: mujoco.MjData, camera: Camera) -> UInt8[np.ndarray, "S S 3"]:
        """The RGB picture of the current pose; `mj_kinematics` must have been run."""
        return self.film(data.geom_xpos[None], data.geom_xmat.reshape(1, -1, 3, 3), camera)[0]

    def _draw(self, position: np.ndarray, rotation: np.ndarray, camera: Camera) -> np.ndarray:
        frames, size = len(position), camera.size
        if camera not in self._rooms:
            self._rooms[camera] = self._empty_room(position, rotation, camera)
        room = self._rooms[camera]
        depth = np.tile(room.depth, frames)
        film = np.tile(room.lit, (frames, 1))
        moving = [_place(group, position, rotation, camera) for group in self._moving]
        for pixel, colour, lamp, head in _cast(moving, camera, depth):
            film[pixel] = _tone(colour, lamp, head)
        if self._shadow and self._floor is not None:
            floor = (depth.reshape(frames, -1) == room.depth) & room.floor
            height = position[0, self._floor, 2] - camera.position[2]
            for placed in moving:
                pixel = _shadows(placed, camera, depth, floor.ravel(), height)
                film[pixel] = room.shaded[pixel % size**2]
        return film.reshape(frames, size, size, 3)

    def _empty_room(self, position: np.ndarray, rotation: np.ndarray, camera: Camera) -> _Room:
        n = camera.size**2
        depth = np.full(n, np.inf, np.float32)
        colour, lamp, head = np.tile(np.array(_SKY), (n, 1)), np.zeros(n), np.ones(n)
        floor = np.zeros(n, bool)
        if self._floor is not None:
            rays = camera.rays(*np.divmod(np.arange(n), camera.size))
            world = camera.axes.T @ rays
            floor = world[2] < -1e-6
            height = position[0, self._floor, 2] - camera.position[2]
            depth[floor] = height / world[2, floor]
            tile = np.floor(2 * (camera.position[:2, None] + world[:2, floor] * depth[floor]))
            colour[floor] = np.array(_TILES)[tile.sum(0).astype(int) % 2][:, None]
            lamp[floor] = _LAMP[2]
            head[floor] = -world[2, floor] / np.linalg.norm(rays[:, floor], axis=0)
        static = [_place(g, position[:1], rotation[:1], camera) for g in self._static]
        for pixel, *shading in _cast(static, camera, depth):
            colour[pixel], lamp[pixel], head[pixel] = shading
            floor[pixel] = False
        shaded = np.where(floor, _SHADE * lamp, lamp)
        return _Room(depth, _tone(colour, lamp, head), _tone(colour, shaded, head), floor)


def _tone(
    colour: Float[np.ndarray, "n 3"], lamp: Float[np.ndarray, " n"], head: Float[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n 3"]:
    """Colours by Lambert's law, from the cosines to the lamp and to the camera's light."""
    light = _AMBIENT + _DIFFUSE * lamp + _HEADLIGHT * head
    return (255 * np.clip(colour * light[:, None], 0, 1) ** _GAMMA).astype(np.uint8)


def _place(
    group: _Group,
    position: Float[np.ndarray, "F A 3"],
    rotation: Float[np.ndarray, "F A 3 3"],
    camera: Camera,
) -> _Placed:
    frames, geoms = len(position), len(group.geoms)
    centre = (position[:, group.geoms] - camera.position) @ camera.axes.T
    axes = camera.axes @ rotation[:, group.geoms] * group.scale[:, None, :]
    return _Placed(
        group,
        np.tile(np.arange(geoms), frames),
        np.repeat(np.arange(frames), geoms),
        centre.reshape(-1, 3),
        axes.reshape(-1, 3, 3),
    )


@dataclasses.dataclass
class _Rays:
    """Rays through the n pixels that geoms can cover, in the unit frames of the geoms.

    Attributes:
      pixel: [n] index in the flattened film.
      solid: [n] index of the placed geom.
      origin: [3, n] position of the camera.
      direction: [3, n] of depth 1.
    """

    pixel: np.ndarray
    solid: np.ndarray
    origin: np.ndarray
    direction: np.ndarray


def _rays(
    placed: _Placed, camera: Camera, knots: np.ndarray, spread: np.ndarray, keep=None
) -> _Rays:
    """Rays for the pixels that the hulls of ellipsoids cover, restricted to `keep` [F · S²]."""
    solid, row, run, column = camera.covered(knots, spread)
    pixel = ((placed.frame[solid] * camera.size + row) * camera.size)[run] + column
    if keep is not None:
        kept = np.flatnonzero(keep[pixel])
        pixel, run, column = pixel[kept], run[kept], column[kept]
    to_unit = np.linalg.inv(placed.axes)
    origin = -np.einsum("nij,nj->in", to_unit, placed.centre).astype(np.float32)
    across, up, forward = to_unit.transpose(2, 1, 0).astype(np.float32)
    start = forward[:, solid] - up[:, solid] * camera.slopes[row]
    pixel_solid = solid[run]
    direction = start[:, run] + across[:, pixel_solid] * camera.slopes[column]
    return _Rays(pixel, pixel_solid, origin[:, pixel_solid], direction)


def _cast(placed: list[_Placed], camera: Camera, depth: Float[np.ndarray, " P"]):
    """Casts geoms into the depth of a film, which it updates.

    Yields:
      Pixels, colours, and the cosines to the lamp and to the camera's light, per group.
    """
    hits = []
    for geoms in placed:
        rays = _rays(geoms, camera, *geoms.knots())
        half = geoms.group.half.astype(np.float32)[geoms.index[rays.solid]]
        t = geoms.group.solid.hit(rays.origin, rays.direction, half)
        np.minimum.at(depth, rays.pixel, t)
        hits.append((geoms, rays, half, t))
    for geoms, rays, half, t in hits:
        visible = np.flatnonzero((t == depth[rays.pixel]) & np.isfinite(t))
        pixel, solid, half, t = (x[visible] for x in (rays.pixel, rays.solid, half, t))
        d = rays.direction[:, visible]
        normal = geoms.group.solid.normal(rays.origin[:, visible] + t * d, half)
        # The inverse transpose maps a normal back; this keeps its product with a direction.
        scale = geoms.group.scale.astype(np.float32)[geoms.index[solid]].T
        lamp = np.einsum("nij,i->jn", geoms.axes, camera.axes @ _LAMP).astype(np.float32)[:, solid]
        row, column = np.divmod(pixel % camera.size**2, camera.size)
        reach = np.sqrt(1 + camera.slopes[column] ** 2 + camera.slopes[row] ** 2)
        length = np.sqrt(shapes.dot(normal / scale, normal / scale))
        lamp_cosine = np.maximum(shapes.dot(normal, lamp / scale**2) / length, 0)
        head_cosine = np.maximum(-shapes.dot(normal, d) / (length * reach), 0)
        yield pixel, geoms.group.colour[geoms.index[solid]], lamp_cosine, head_cosine


def _shadows(
    placed: _Placed,
    camera: Camera,
    depth: Float[np.ndarray, " P"],
    floor: Bool[np.ndarray, " P"],
    height: float,
) -> Int[np.ndarray, " n"]:
    """Pixels of the film that show a part of the floor in the shadow of the geoms.

    The shadow of an ellipsoid on the floor is a flat ellipsoid, so `Camera.covered` finds its
    pixels.

    Args:
      placed: geoms that cast the shadow.
      camera: the camera.
      depth: of the film, m.
      floor: pixels that show the floor.
      height: of the floor over the camera, m.
    """
    up, lamp = camera.axes[:, 2], camera.axes @ _LAMP
    flatten = np.eye(3) - np.outer(lamp, up) / _LAMP[2]
    centre, spread = placed.knots()
    centre = centre @ flatten.T + lamp * height / _LAMP[2]
    rays = _rays(placed, camera, centre, flatten @ spread @ flatten.T, floor)
    origin = rays.origin + depth[rays.pixel] * rays.direction
    to_lamp = np.linalg.solve(placed.axes, lamp[:, None])[..., 0].T.astype(np.float32)
    half = placed.group.half.astype(np.float32)[placed.index[rays.solid]]
    return rays.pixel[np.isfinite(placed.group.solid.hit(origin, to_lamp[:, rays.solid], half))]
