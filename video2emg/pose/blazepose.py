"""BlazePose (Bazarevsky et al. 2020, arXiv:2006.10204): detector and landmarks of one picture.

Pre- and post-processing follow the published graphs of MediaPipe (pose_detection_cpu,
pose_landmark_cpu): letterbox and anchors of the detector, weighted suppression, a crop that is
rotated with the body, and landmarks refined by their heat maps.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.pose.nets import Net

JOINTS = 33

_DETECTOR_SIZE, _CROP_SIZE = 224, 256  # px of the nets' inputs
_STRIDES = (8, 16, 32, 32, 32)  # of the detector's maps; two anchors for each
_SCORE = 0.5  # least score of a detection
_OVERLAP = 0.3  # boxes that overlap more (intersection over union) are one person
_MARGIN = 1.25  # of the square around the body
_KERNEL, _HEAT = 7, 0.5  # px of the heat map around a landmark, and the least peak to refine it
_POINTS = 39  # the joints, two points for the next crop, and four that nobody uses


@dataclasses.dataclass(frozen=True)
class Region:
    """A square around a body, turned so that the body is upright in it.

    Attributes:
      x, y: centre, px.
      size: edge, px.
      angle: by which the body leans to the right of the picture, rad.
    """

    x: float
    y: float
    size: float
    angle: float

    @classmethod
    def around(cls, hips: np.ndarray, edge: np.ndarray) -> "Region":
        """The region from the middle of the hips [2] and a point on the circle around the body."""
        across, up = edge[0] - hips[0], hips[1] - edge[1]
        angle = math.remainder(math.pi / 2 - math.atan2(up, across), 2 * math.pi)
        size = 2 * _MARGIN * math.hypot(across, up)
        return cls(float(hips[0]), float(hips[1]), max(size, 1.0), angle)

    def scaled(self, factor: float) -> "Region":
        """The region in a picture that is `factor` times as large."""
        return Region(self.x * factor, self.y * factor, self.size * factor, self.angle)

    def distance(self, other: "Region") -> float:
        """How different two regions are: the way between them and the change of size, in sizes."""
        size = max(self.size, other.size)
        way = math.hypot(self.x - other.x, self.y - other.y)
        return (way + abs(self.size - other.size)) / size


@dataclasses.dataclass(frozen=True)
class Detection:
    """A person that the detector found.

    Attributes:
      score: 0 to 1.
      region: around the body.
    """

    score: float
    region: Region


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """The joints of a person in a picture.

    Attributes:
      points: px.
      visibility: that each joint is in the picture and not hidden, 0 to 1.
      world: m from the middle of the hips, in the camera's axes.
      presence: that there is a person in the region, 0 to 1.
      region: in which to look in the next picture.
    """

    points: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, " 33"]
    world: Float[np.ndarray, "33 3"]
    presence: float
    region: Region


class BlazePose:
    """Both nets; stateless."""

    def __init__(self, detector: Path, landmarks: Path, threads: int = 2):
        """Loads the nets; see `nets.Net`."""
        self._detector, self._landmarks = Net(detector, threads), Net(landmarks, threads)

    def detect(self, picture: Image.Image) -> list[Detection]:
        """All people in an upright RGB picture, the highest score first."""
        pixels, scale, corner = _letterbox(picture)
        raw, score = self._detector((pixels / 127.5 - 1)[None])
        scores = _sigmoid(score[0, :, 0])
        keep = np.flatnonzero(scores >= _SCORE)
        anchors, raw, scores = _anchors()[keep], raw[0, keep] / _DETECTOR_SIZE, scores[keep]
        centre, half = raw[:, :2] + anchors, raw[:, 2:4] / 2
        boxes = np.concatenate([centre - half, centre + half], 1)
        points = raw[:, 4:8].reshape(-1, 2, 2) + anchors[:, None]
        found = []
        for group in _groups(boxes, scores):
            weights = scores[group] / scores[group].sum()
            hips, edge = np.tensordot(weights, points[group], 1) * _DETECTOR_SIZE
            region = Region.around((hips - corner) / scale, (edge - corner) / scale)
            found.append(Detection(float(scores[group[0]]), region))
        return found

    def landmarks(self, picture: Image.Image, region: Region) -> Landmarks:
        """The joints of the person in a region of an upright RGB picture."""
        raw, presence, _, heat, world = self._landmarks(_crop(picture, region)[None])
        raw = _refine(raw.reshape(_POINTS, 5), heat[0])
        turn = _rotation(region.angle)
        points = (raw[:, :2] - _CROP_SIZE / 2) * (region.size / _CROP_SIZE) @ turn.T
        points += (region.x, region.y)
        metres = world.reshape(_POINTS, 3)[:JOINTS].astype(np.float64)
        metres[:, :2] = metres[:, :2] @ turn.T
        return Landmarks(
            points=points[:JOINTS],
            visibility=_sigmoid(raw[:JOINTS, 3]),
            world=metres,
            presence=float(presence.reshape(-1)[0]),
            region=Region.around(*points[JOINTS : JOINTS + 2]),
        )


@functools.cache
def _anchors() -> Float[np.ndarray, "A 2"]:
    """Centres of the detector's cells, as fractions of its input."""
    grids = []
    for stride in dict.fromkeys(_STRIDES):
        cells = _DETECTOR_SIZE // stride
        row, column = np.mgrid[:cells, :cells]
        centres = (np.stack([column, row], -1).reshape(-1, 2) + 0.5) / cells
        grids.append(np.repeat(centres, 2 * _STRIDES.count(stride), 0))
    return np.concatenate(grids)


def _letterbox(picture: Image.Image) -> tuple[np.ndarray, float, np.ndarray]:
    """The picture within a black square, its scale, and its upper left corner, px."""
    scale = _DETECTOR_SIZE / max(picture.size)
    width, height = (max(1, round(edge * scale)) for edge in picture.size)
    corner = ((_DETECTOR_SIZE - width) // 2, (_DETECTOR_SIZE - height) // 2)
    square = Image.new("RGB", (_DETECTOR_SIZE, _DETECTOR_SIZE))
    square.paste(picture.resize((width, height), Image.Resampling.BILINEAR), corner)
    return np.asarray(square, np.float32), scale, np.array(corner)


def _groups(boxes: Float[np.ndarray, "N 4"], scores: Float[np.ndarray, " N"]) -> list[np.ndarray]:
    """Indices of the boxes of each person, the best box first."""
    groups, rest = [], np.argsort(-scores)
    area = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), 1)
    while len(rest):
        best = rest[0]
        low = np.maximum(boxes[rest, :2], boxes[best, :2])
        high = np.minimum(boxes[rest, 2:], boxes[best, 2:])
        common = np.prod(np.clip(high - low, 0, None), 1)
        same = common > _OVERLAP * np.maximum(area[rest] + area[best] - common, 1e-9)
        same[0] = True
        groups.append(rest[same])
        rest = rest[~same]
    return groups


def _crop(picture: Image.Image, region: Region) -> np.ndarray:
    """[S, S, 3] float32 in [0, 1]: the region, upright; black outside of the picture."""
    step = region.size / _CROP_SIZE
    if step >= 2:  # bilinear sampling alone would skip pixels
        factor = int(step)
        picture, region = picture.reduce(factor), region.scaled(1 / factor)
        step /= factor
    cos, sin = step * math.cos(region.angle), step * math.sin(region.angle)
    middle = _CROP_SIZE / 2
    affine = (
        *(cos, -sin, region.x - middle * (cos - sin)),
        *(sin, cos, region.y - middle * (sin + cos)),
    )
    size = (_CROP_SIZE, _CROP_SIZE)
    cut = picture.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    return np.asarray(cut, np.float32) / 255


def _refine(raw: Float[np.ndarray, "P 5"], heat: Float[np.ndarray, "H W P"]) -> np.ndarray:
    """Moves x and y to the centre of mass of the heat map around them, where it has a peak."""
    refined = raw.astype(np.float64)
    height, width, _ = heat.shape
    place = raw[:, :2] / _CROP_SIZE * (width, height)
    for point, (column, row) in enumerate(np.floor(place).astype(int)):
        if not (0 <= column < width and 0 <= row < height):
            continue
        reach = _KERNEL // 2
        top, left = max(row - reach, 0), max(column - reach, 0)
        around = _sigmoid(heat[top : row + reach + 1, left : column + reach + 1, point])
        if around.max() < _HEAT:
            continue
        mass = around.sum()
        x = around.sum(0) @ np.arange(left, left + around.shape[1]) / mass
        y = around.sum(1) @ np.arange(top, top + around.shape[0]) / mass
        refined[point, :2] = x / width * _CROP_SIZE, y / height * _CROP_SIZE
    return refined


def _rotation(angle: float) -> Float[np.ndarray, "2 2"]:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values.astype(np.float64), -60, 60)))


def nearest(detections: Sequence[Detection], region: Region) -> Detection:
    """The detection whose region is most like `region`."""
    return min(detections, key=lambda found: found.region.distance(region))
