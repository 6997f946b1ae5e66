"""Calibrated cameras: their files, and the place of a point that several of them see.

A calibration is Pose2Sim's TOML (one table per camera, as OpenCV has it: `matrix`, `distortions`,
`rotation` as a rotation vector, `translation` in m) or Qualisys' `.qca.txt`.
"""

import dataclasses
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from video2emg.core.errors import UserError
from video2emg.core.pose_track import UPRIGHT, PoseTrack
from video2emg.core.vocabulary import mirror_order

_SUBPIXELS = 64.0  # of Qualisys' units in a pixel
_UNDISTORTIONS = 10  # iterations; the error of a phone's lens falls below 1e-4 px
_ROUNDS = 3  # of weighting by the distance of the reprojection
_OUTLIER = 15.0  # px; a view that is farther off counts little
_UNSEEN = 60.0  # px; a joint whose views are farther off, in the median, was not found
_CROSSED = 0.6  # share of the distance that is left if an exchange of left and right is undone
_PAIRED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
_LEAST = 0.05  # weight of a view that is hardly visible
_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Camera:
    """A calibrated camera with a lens of Brown's model.

    Attributes:
      name: of the camera.
      size: width and height of its picture, px.
      matrix: intrinsic, px.
      distortions: k1, k2, p1, p2.
      rotation, translation: world to camera, the latter in m. The world has z up; the camera has
        x to the right of the picture, y down, z away.
    """

    name: str
    size: tuple[float, float]
    matrix: Float[np.ndarray, "3 3"]
    distortions: Float[np.ndarray, " 4"]
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, " 3"]

    def project(self, points: Float[np.ndarray, "*T 3"]) -> Float[np.ndarray, "*T 2"]:
        """Points of the world, m, in the picture, px."""
        x, y, z = np.moveaxis(points @ self.rotation.T + self.translation, -1, 0)
        x, y = _distort(x / z, y / z, self.distortions)
        (fx, skew, cx), (_, fy, cy), _ = self.matrix
        return np.stack([fx * x + skew * y + cx, fy * y + cy], -1)

    def rays(self, pixels: Float[np.ndarray, "*T 2"]) -> Float[np.ndarray, "*T 2"]:
        """x/z and y/z in the camera's axes of points of the picture, without the distortion."""
        (fx, skew, cx), (_, fy, cy), _ = self.matrix
        y0 = (pixels[..., 1] - cy) / fy
        x0 = (pixels[..., 0] - cx - skew * y0) / fx
        x, y = x0, y0
        for _ in range(_UNDISTORTIONS):
            moved_x, moved_y = _distort(x, y, self.distortions)
            x, y = x + x0 - moved_x, y + y0 - moved_y
        return np.stack([x, y], -1)


def _distort(x: np.ndarray, y: np.ndarray, distortions: np.ndarray) -> tuple[Any, Any]:
    k1, k2, p1, p2 = distortions
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def read_calibration(path: Path) -> list[Camera]:
    """The cameras of a calibration file, in its order.

    Raises:
      UserError: not a calibration of at least two cameras; the message names what is missing.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.stat().st_size > _BYTES:
        raise UserError(f"{path}: larger than 1 MiB; not a calibration")
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        cameras = _toml(text) if path.suffix.lower() == ".toml" else _qualisys(text)
    except (KeyError, ValueError, TypeError, AttributeError, ET.ParseError) as error:
        raise UserError(
            f"{path}: not a calibration: expected Pose2Sim's .toml or Qualisys' .qca.txt "
            f"({' '.join(str(error).split())[:120]})"
        ) from None
    if len(cameras) < 2:
        raise UserError(f"{path}: {len(cameras)} cameras; triangulation needs two")
    return cameras


def _toml(text: str) -> list[Camera]:
    tables = tomllib.loads(text)
    cameras = []
    for key, table in tables.items():
        if not isinstance(table, dict) or "matrix" not in table:
            continue
        if table.get("fisheye"):
            raise ValueError(f"{key}: fisheye lenses are not read")
        distortions = np.zeros(4)
        given = np.array(table.get("distortions", []), float)[:4]
        distortions[: len(given)] = given
        camera = Camera(
            name=str(table.get("name", key)),
            size=_pair(table["size"]),
            matrix=np.array(table["matrix"], float).reshape(3, 3),
            distortions=distortions,
            rotation=Rotation.from_rotvec(np.array(table["rotation"], float)).as_matrix(),
            translation=np.array(table["translation"], float).reshape(3),
        )
        cameras.append(_finite(camera))
    return cameras


def _qualisys(text: str) -> list[Camera]:
    """Qualisys writes the place of the camera in mm, with z towards the viewer and y up."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares entities")
    turn = np.diag([1.0, -1.0, -1.0])
    cameras = []
    for n, element in enumerate(ET.fromstring(text.encode()).findall(".//camera"), 1):
        inner = {key: float(v) for key, v in _child(element, "intrinsic").items() if _number(v)}
        outer = {key: float(v) for key, v in _child(element, "transform").items()}
        field = {key: float(v) for key, v in _child(element, "fov_video").items()}
        to_camera = np.array(
            [[outer[f"r{row}{column}"] for column in (1, 2, 3)] for row in (1, 2, 3)]
        )
        place = np.array([outer[axis] for axis in "xyz"]) / 1000
        size = (field["right"] - field["left"] + 1, field["bottom"] - field["top"] + 1)
        names = ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
        fx, fy, cx, cy = (inner[name] / _SUBPIXELS for name in names)
        cameras.append(
            _finite(
                Camera(
                    name=element.get("serial", str(n)),
                    size=size,
                    matrix=np.array(
                        [[fx, 0, cx - field["left"]], [0, fy, cy - field["top"]], [0, 0, 1]]
                    ),
                    distortions=np.array(
                        [
                            *(inner[f"radialDistortion{i}"] for i in (1, 2)),
                            *(inner[f"tangentalDistortion{i}"] for i in (1, 2)),
                        ]
                    ),
                    rotation=turn @ to_camera,
                    translation=-turn @ to_camera @ place,
                )
            )
        )
    return cameras


def _child(element: ET.Element, name: str) -> dict[str, str]:
    child = element.find(name)
    if child is None:
        raise ValueError(f"a camera without {name!r}")
    return child.attrib


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _pair(values: Any) -> tuple[float, float]:
    width, height = values
    return float(width), float(height)


def _finite(camera: Camera) -> Camera:
    numbers = (camera.matrix, camera.distortions, camera.rotation, camera.translation)
    if not all(np.isfinite(part).all() for part in numbers) or not min(camera.size) > 0:
        raise ValueError(f"{camera.name}: numbers that are not finite")
    if not (camera.matrix[0, 0] > 0 and camera.matrix[1, 1] > 0):
        raise ValueError(f"{camera.name}: a focal length that is not positive")
    if not np.allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-3):
        raise ValueError(f"{camera.name}: its rotation is none")
    return camera


def triangulate(
    tracks: Sequence[PoseTrack],
    cameras: Sequence[Camera],
    sizes: Sequence[tuple[int, int]],
) -> tuple[PoseTrack, float]:
    """The 3-D pose from the 2-D points of several cameras that started together.

    Linear triangulation (Hartley & Zisserman, Multiple View Geometry, 12.2), weighted by confidence
    and, in two further rounds, by the distance of the reprojection.

    Args:
      tracks: one per camera, all of the same joints; the times of the first are kept.
      cameras: in the same order.
      sizes: width and height of the films, px; they may be scaled from the calibrated size.

    Returns:
      The track, in the axes of the calibration (z up), and the median distance of the
      reprojections of joints that are seen, px.

    Raises:
      UserError: numbers of films and cameras differ, or a film has another shape.
    """
    if not len(tracks) == len(cameras) == len(sizes) or len(tracks) < 2:
        raise UserError(f"{len(tracks)} films for {len(cameras)} calibrated cameras")
    times, names = tracks[0].times, tracks[0].names
    points, weights = [], []
    for track, camera, size in zip(tracks, cameras, sizes, strict=True):
        if track.names != names:
            raise UserError("the tracks of the cameras have different joints")
        xy, confidence = at_times(track, times)
        points.append(xy * _scale(camera, size))
        weights.append(np.where(np.isfinite(xy).all(2), np.maximum(confidence, _LEAST), 0.0))
    pixels, weight = np.stack(points), np.stack(weights)
    _undo_exchanges(pixels, weight, names, cameras)
    joints, error = _solve(pixels, weight, cameras)
    views = (weight > 0).sum(0)
    known = np.where(weight > 0, error, np.nan)
    middle = np.full(views.shape, np.inf)
    middle[views > 0] = np.nanmedian(known[:, views > 0], axis=0)
    seen = (views >= 2) & (middle < _UNSEEN)
    mean = weight.sum(0) / np.maximum(views, 1)
    track = PoseTrack(
        names=names,
        times=times,
        joints=joints,
        confidence=np.where(seen, mean, 0.0),
        points_2d=tracks[0].points_2d,
        source=f"{len(tracks)} calibrated cameras, {tracks[0].source}",
        axes=UPRIGHT,
    )
    return track, float(np.median(middle[seen])) if seen.any() else float("nan")


def _solve(
    pixels: Float[np.ndarray, "C T J 2"],
    weight: Float[np.ndarray, "C T J"],
    cameras: Sequence[Camera],
) -> tuple[Float[np.ndarray, "T J 3"], Float[np.ndarray, "C T J"]]:
    """Points of the world, m, and the distances of their reprojections, px."""
    rays = np.stack([c.rays(np.nan_to_num(xy)) for c, xy in zip(cameras, pixels, strict=True)])
    lines = np.stack([np.c_[camera.rotation, camera.translation] for camera in cameras])
    joints, error, used = np.zeros((*pixels.shape[1:3], 3)), np.zeros(weight.shape), weight
    for _ in range(_ROUNDS):
        joints = _intersect(rays, lines, used)
        error = _distances(joints, pixels, cameras)
        used = weight / (1 + (np.nan_to_num(error) / _OUTLIER) ** 2)
    return joints, error


def _distances(joints: np.ndarray, pixels: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """[C, T, J] px between points of the world in each picture and `pixels`."""
    return np.stack(
        [
            np.linalg.norm(camera.project(joints) - xy, axis=-1)
            for camera, xy in zip(cameras, pixels, strict=True)
        ]
    )


def _undo_exchanges(
    pixels: Float[np.ndarray, "C T J 2"],
    weight: Float[np.ndarray, "C T J"],
    names: Sequence[str],
    cameras: Sequence[Camera],
) -> None:
    """Exchanges left and right in views that then fit the others; changes pixels and weight."""
    other = mirror_order(names, strict=False)
    limbs = [i for i, name in enumerate(names) if name.endswith(_PAIRED)]

    def misfit(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """[T] mean distance of the reprojections, px."""
        error = _solve(points[:, :, limbs], weights[:, :, limbs], cameras)[1]
        return np.nanmean(np.where(weights[:, :, limbs] > 0, error, np.nan), axis=(0, 2))

    for c in range(len(cameras)):
        tried, its_weight = pixels.copy(), weight.copy()
        tried[c], its_weight[c] = pixels[c][:, other], weight[c][:, other]
        exchanged = misfit(tried, its_weight) < _CROSSED * misfit(pixels, weight)
        pixels[:, exchanged] = tried[:, exchanged]
        weight[:, exchanged] = its_weight[:, exchanged]


def _scale(camera: Camera, size: tuple[int, int]) -> float:
    """By how much the calibrated picture is larger than the film's; a crop of 2 % may differ."""
    width, height = (c / s for c, s in zip(camera.size, size, strict=True))
    if abs(width / height - 1) > 0.02:
        raise UserError(
            f"camera {camera.name}: calibrated for {camera.size[0]:g} × {camera.size[1]:g} px, but "
            f"the film has {size[0]} × {size[1]}; give the films in the order of the calibration"
        )
    return height


def at_times(
    track: PoseTrack, times: Float[np.ndarray, " Q"]
) -> tuple[Float[np.ndarray, "Q J 2"], Float[np.ndarray, "Q J"]]:
    """2-D points and confidence, interpolated; a joint that is unseen beside an instant is NaN."""
    if track.points_2d is None:
        raise UserError(f"{track.source}: has no points in the picture to triangulate from")
    if np.array_equal(times, track.times):
        return track.points_2d, track.confidence
    return interpolate(track.points_2d, track.times, times), np.nan_to_num(
        interpolate(track.confidence, track.times, times)
    )


def interpolate(
    values: Float[np.ndarray, "T *rest"],
    times: Float[np.ndarray, " T"],
    wanted: Float[np.ndarray, " Q"],
) -> Float[np.ndarray, "Q *rest"]:
    """Linear between neighbouring instants; NaN outside of them."""
    right = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    left, right = right - 1, np.minimum(right, len(times) - 1)
    step = np.where(right > left, times[right] - times[left], 1.0)
    share = np.clip((wanted - times[left]) / step, 0, 1)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(invalid="ignore"):
        mixed = (1 - share) * values[left] + share * values[right]
    exact = np.where(share <= 0, values[left], np.where(share >= 1, values[right], mixed))
    outside = (wanted < times[0] - 1e-9) | (wanted > times[-1] + 1e-9)
    exact[outside] = np.nan
    return exact


def _intersect(
    rays: Float[np.ndarray, "C T J 2"],
    lines: Float[np.ndarray, "C 3 4"],
    weight: Float[np.ndarray, "C T J"],
) -> Float[np.ndarray, "T J 3"]:
    """Points nearest to weighted rays, by the smallest right singular vector."""
    rows = [
        weight[c][..., None, None] * (rays[c][..., None] * lines[c, 2] - lines[c, :2])
        for c in range(len(rays))
    ]
    equations = np.concatenate(rows, -2)
    *_, right = np.linalg.svd(equations)
    point = right[..., -1, :]
    scale = np.where(np.abs(point[..., 3:]) > 1e-12, point[..., 3:], np.nan)
    return point[..., :3] / scale
