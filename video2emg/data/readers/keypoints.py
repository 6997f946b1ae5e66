"""2-D keypoints of pose detectors: OpenPose's folder of JSON files, or a JSON file as COCO's.

They are pixels of a picture without depth, and therefore never become a `Clip.pose`.
"""

import collections
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from video2emg.core.errors import UserError
from video2emg.core.skeleton import COCO_17, HALPE_26, OPENPOSE_25
from video2emg.data import readers

_SKELETONS = {len(skeleton): skeleton for skeleton in (OPENPOSE_25, COCO_17, HALPE_26)}
_MOST_FRAMES = 10_000_000  # 23 hours at 120 Hz; a larger number in a name is a date


@dataclasses.dataclass(frozen=True)
class Keypoints:
    """The keypoints of one person in a video.

    Attributes:
      joints: K names, of OpenPose's BODY_25, COCO's 17 or Halpe's 26.
      frame: [Q] number of the frame as in the files, increasing.
      points: [Q, K, 3] x to the right and y down, px of the upright picture (NaN if not found), and
        confidence in [0, 1].
    """

    joints: tuple[str, ...]
    frame: Int[np.ndarray, " Q"]
    points: Float[np.ndarray, "Q K 3"]


def read(path: Path, largest: bool = False) -> Keypoints:
    """Reads the keypoints of one person.

    Args:
      path: a folder of OpenPose's `…_000000000012_keypoints.json`, one per frame, or a COCO file:
        a list of results, or a mapping with `images` and `annotations`.
      largest: if there are several people in a frame, take the one with the largest box.

    Raises:
      UserError: another kind of file or skeleton, nobody in any frame, or several people in a frame
        without `largest`.
    """
    people: dict[int, np.ndarray] = {}
    counts: collections.Counter[int] = collections.Counter()
    width = 0
    for frame, numbers, where in _openpose(path) if path.is_dir() else _coco(path):
        points = _points(numbers, where)
        if width and len(points) != width:
            raise UserError(f"{where}: {len(points)} keypoints, but {width} before")
        width = len(points)
        if not np.isfinite(points[:, 0]).any():
            continue
        counts[frame] += 1
        if frame not in people or _box_area(points) > _box_area(people[frame]):
            people[frame] = points
    if not people:
        raise UserError(f"{path}: nobody was found in it")
    several = [frame for frame, count in counts.items() if count > 1]
    if several and not largest:
        raise UserError(
            f"{path}: {max(counts.values())} people in frame {min(several)}; keep one "
            "per frame, or set keypoints_person=largest"
        )
    points = np.stack([people[frame] for frame in sorted(people)])
    if np.nanmax(points[..., :2]) <= 1.5:
        raise UserError(
            f"{path}: coordinates up to {np.nanmax(points[..., :2]):.2f} are not "
            "pixels; export them unscaled"
        )
    return Keypoints(_SKELETONS[width], np.array(sorted(people)), points)


def _openpose(folder: Path) -> Iterator[tuple[int, Any, str]]:
    # Names that begin with a dot are the notes of macOS beside each file.
    files = sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))
    if not files:
        raise UserError(f"{folder}: no JSON files in it; OpenPose writes one per frame")
    numbers: dict[int, Path] = {}
    for file in files:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{file}: a link out of its folder")
        number = _number(file.stem.removesuffix("_keypoints"), str(file))
        if number in numbers:
            raise UserError(f"{file}: frame {number} is also in {numbers[number].name}")
        numbers[number] = file
    for number, file in sorted(numbers.items()):
        content = readers.load_json(file)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise UserError(f"{file}: not a file of OpenPose (no list `people`)")
        for person in people:
            if person is None:
                continue
            if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
                raise UserError(f"{file}: a person without `pose_keypoints_2d`")
            if person["pose_keypoints_2d"] is not None:
                yield number, person["pose_keypoints_2d"], str(file)


def _coco(path: Path) -> Iterator[tuple[int, Any, str]]:
    if path.suffix.lower() != ".json":
        raise UserError(f"{path}: expected a JSON file of COCO's, or OpenPose's folder")
    content = readers.load_json(path)
    pictures: dict[Any, int] = {}
    if isinstance(content, dict):
        if not all(isinstance(content.get(key), list) for key in ("images", "annotations")):
            raise UserError(f"{path}: expected lists `images` and `annotations`, as COCO has them")
        for image in content["images"]:
            if not isinstance(image, dict) or not isinstance(image.get("id"), int | str):
                raise UserError(f"{path}: an image without an id")
            name = str(image.get("file_name", image["id"]))
            pictures[image["id"]] = _number(_stem(name), f"{path}, image {name!r}"[:200])
    people = content["annotations"] if isinstance(content, dict) else content
    if not isinstance(people, list):
        raise UserError(f"{path}: neither COCO's results nor its annotations")
    for i, person in enumerate(people):
        if person is None:
            continue
        where = f"{path}, person {i}"
        if not isinstance(person, dict) or "keypoints" not in person or "image_id" not in person:
            raise UserError(f"{where}: expected `image_id` and `keypoints`")
        image = person["image_id"]
        if pictures and (not isinstance(image, int | str) or image not in pictures):
            raise UserError(f"{where}: image_id {str(image)[:40]!r} is not among the images")
        yield (
            pictures[image] if pictures else _number(_stem(str(image)), where),
            person["keypoints"],
            where,
        )


def _stem(name: str) -> str:
    """The name of a picture without folders and ending."""
    return Path(name.replace("\\", "/")).stem


def _number(name: str, where: str) -> int:
    digits = re.search(r"([0-9]+)$", name)
    if not digits or len(digits[1]) > 18 or int(digits[1]) > _MOST_FRAMES:
        raise UserError(f"{where}: {name[-40:]!r} does not end in the number of a frame")
    return int(digits[1])


def _points(numbers: Any, where: str) -> np.ndarray:
    """[K, 3]; NaN for points that were not found: null, at the origin, or with zero confidence."""
    try:
        points = np.array(numbers, np.float64).reshape(-1, 3)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where}: keypoints must be numbers x, y, confidence in turn") from None
    if len(points) not in _SKELETONS:
        raise UserError(
            f"{where}: {len(points)} keypoints; known are OpenPose's BODY_25, COCO's 17 and "
            "Halpe's 26"
        )
    points[np.isnan(points).any(1)] = 0.0
    if not np.isfinite(points).all() or (points[:, 2] < 0).any():
        raise UserError(f"{where}: keypoints must be finite, and confidences not negative")
    # COCO's annotations have 1 (hidden) or 2 (visible) in place of a confidence.
    points[:, 2] = np.minimum(points[:, 2], 1.0)
    missing = (points[:, 2] == 0) | (points[:, :2] == 0).all(1)
    points[missing] = np.nan, np.nan, 0.0
    return points


def _box_area(points: np.ndarray) -> float:
    """Area of the box around the points, px²."""
    return float(np.prod(np.nanmax(points[:, :2], 0) - np.nanmin(points[:, :2], 0)))
