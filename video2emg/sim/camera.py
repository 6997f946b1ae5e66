"""A pinhole camera, and the pixels that a solid can cover."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int

_NEAR = 0.05  # m; a solid that comes closer may cover the whole picture


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks at a point.

    It stands at `look_at − distance · forward`. Azimuth 180 looks along −x, that is at the front of
    a subject who faces +x; 270 looks along −y, at his left side.

    In the camera's frame x points right, y up and z forward; a pixel's ray is (x, y, 1), so that
    "depth" is the distance along the forward axis.

    Attributes:
      azimuth_deg: direction of view in the horizontal plane, from +x towards +y.
      elevation_deg: of the direction of view; negative looks down.
      distance: from `look_at`, m.
      look_at: m.
      fovy_deg: full angle of view.
      size: pictures are `size` × `size` pixels.
    """

    azimuth_deg: float
    elevation_deg: float
    distance: float
    look_at: tuple[float, float, float] = (0.0, 0.0, 1.0)
    fovy_deg: float = 45.0
    size: int = 96

    @functools.cached_property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Rows: right, up, forward, in the world."""
        azimuth, elevation = np.deg2rad([self.azimuth_deg, self.elevation_deg])
        forward = np.array(
            [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ]
        )
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, forward), forward])

    @functools.cached_property
    def position(self) -> Float[np.ndarray, " 3"]:
        """In the world, m."""
        return np.asarray(self.look_at) - self.distance * self.axes[2]

    @functools.cached_property
    def slopes(self) -> Float[np.ndarray, " S"]:
        """Slope x of the rays through every column; slope y of the rows is its negative."""
        edge = np.tan(np.deg2rad(self.fovy_deg) / 2)
        return (((np.arange(self.size) + 0.5) / self.size * 2 - 1) * edge).astype(np.float32)

    def rays(
        self, row: Int[np.ndarray, " n"], column: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "3 n"]:
        """Rays of depth 1 through pixels, in the camera's frame."""
        x, y = self.slopes[column], -self.slopes[row]
        return np.stack([x, y, np.ones_like(x)])

    def _to_pixels(self, slope: np.ndarray) -> np.ndarray:
        """Column, as a real number, of a slope x."""
        edge = np.tan(np.deg2rad(self.fovy_deg) / 2)
        return (np.clip(slope / edge, -2, 2) + 1) * self.size / 2 - 0.5

    def covered(
        self, centre: Float[np.ndarray, "N K 3"], spread: Float[np.ndarray, "N 3 3"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pixels that N solids can cover.

        Each solid lies in the union of the convex hulls of consecutive ellipsoids. In a row of the
        picture it covers at most the range of columns of the hulls that reach this row.

        Args:
          centre: of the K ellipsoids of each solid, in the camera's frame, m.
          spread: their matrix M = E Eᵀ, with E the map from the unit sphere to the ellipsoid.

        Returns:
          Solid and row of each run of pixels [R], and run and column of each pixel [n].
        """
        left, right = map(self._to_pixels, self._slope_range(centre, spread, 0))
        low, high = self._slope_range(centre, spread, 1)
        top, bottom = self._to_pixels(-high), self._to_pixels(-low)
        first_column, last_column = _joined(np.ceil(left), np.floor(right))
        first_row, last_row = _joined(np.ceil(top), np.floor(bottom))
        last = self.size - 1
        start_row = np.clip(first_row.min(1), 0, None)
        solid, row = _ranges(start_row, np.clip(last_row.max(1), None, last) - start_row + 1)
        reached = (first_row[solid] <= row[:, None]) & (row[:, None] <= last_row[solid])
        start = np.where(reached, first_column[solid], self.size).min(1).clip(0, None)
        stop = np.where(reached, last_column[solid], -1).max(1).clip(None, last)
        run, column = _ranges(start, stop - start + 1)
        return solid, row, run, column

    @staticmethod
    def _slope_range(
        centre: np.ndarray, spread: np.ndarray, axis: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest slope of an ellipsoid's points along one axis; two [N, K] arrays.

        The plane n = (1, 0, −u) through the camera touches it where (n·c)² = nᵀ M n, a quadratic
        equation in the slope u.
        """
        z, x = centre[..., 2], centre[..., axis]
        across, mixed, along = (spread[:, i, j, None] for i, j in ((axis, axis), (axis, 2), (2, 2)))
        inside = z < np.sqrt(along) + _NEAR
        a = np.where(inside, 1.0, z**2 - along)
        b, c = x * z - mixed, x**2 - across
        root = np.sqrt(np.maximum(b**2 - a * c, 0))
        return np.where(inside, -np.inf, (b - root) / a), np.where(inside, np.inf, (b + root) / a)


def _joined(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integer ranges [N, K−1] of the hulls of consecutive ellipsoids (K = 1: unchanged)."""
    if first.shape[1] > 1:
        first = np.minimum(first[:, :-1], first[:, 1:])
        last = np.maximum(last[:, :-1], last[:, 1:])
    return first.astype(np.int32), last.astype(np.int32)


def _ranges(start: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Concatenated integer ranges: the range that each value belongs to, and the values.

    For start [3, 7] and count [2, 1], these are [0, 0, 1] and [3, 4, 7].
    """
    count = np.maximum(count, 0)
    index = np.repeat(np.arange(len(count), dtype=np.int32), count)
    offset = (np.cumsum(count) - count - start).astype(np.int32)
    return index, np.arange(len(index), dtype=np.int32) - np.repeat(offset, count)
