"""A stand-in for the nets: people are squares of known colour."""

import numpy as np
from PIL import Image

from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.pose.blazepose import BlazePose, Detection, Landmarks, Region

SIZE = 25.0  # px of the region around a person of scale 1


class FakeModel(BlazePose):
    """Sees a person in each square whose red it knows; blue is the flexion of the knees, degrees.

    Attributes:
      detections: how often somebody was searched for.
    """

    def __init__(self, *reds: int):
        self.reds = reds
        self.detections = 0

    def detect(self, picture: Image.Image) -> list[Detection]:
        self.detections += 1
        return self._squares(picture)

    def _squares(self, picture: Image.Image) -> list[Detection]:
        red = np.asarray(picture)[..., 0]
        found = []
        for known in self.reds:
            place = np.argwhere(red == known)
            if len(place):
                y, x = place.mean(0)
                size = SIZE * np.sqrt(len(place)) / 10
                found.append(Detection(0.9, Region(float(x), float(y), float(size), 0.0)))
        return found

    def landmarks(self, picture: Image.Image, region: Region) -> Landmarks:
        near = [d for d in self._squares(picture) if d.region.distance(region) < 0.5]
        found = near[0].region if near else region
        x = int(np.clip(found.x, 0, picture.width - 1))
        y = int(np.clip(found.y, 0, picture.height - 1))
        blue = picture.getpixel((x, y))[2] if near else 0
        return Landmarks(
            points=np.tile([found.x, found.y], (33, 1)),
            visibility=np.full(33, 0.9),
            world=bent(float(blue)),
            presence=1.0 if near else 0.0,
            region=found,
        )


def bent(degrees: float) -> np.ndarray:
    """[33, 3] m, camera axes: somebody who stands and faces the camera, with bent knees."""
    at = {name: (0.0, -0.6, -0.05) for name in BLAZEPOSE_33}
    angle = np.radians(degrees)
    for side, x in (("left", 0.1), ("right", -0.1)):
        at |= {
            f"{side}_shoulder": (1.6 * x, -0.5, 0.0),
            f"{side}_elbow": (1.8 * x, -0.2, 0.0),
            f"{side}_wrist": (1.8 * x, 0.05, 0.0),
            f"{side}_hip": (x, 0.0, 0.0),
            f"{side}_knee": (x, 0.42, 0.0),
            f"{side}_ankle": (x, 0.42 + 0.42 * np.cos(angle), 0.42 * np.sin(angle)),
            f"{side}_heel": (x, 0.48 + 0.42 * np.cos(angle), 0.05 + 0.42 * np.sin(angle)),
            f"{side}_toe": (x, 0.48 + 0.42 * np.cos(angle), -0.2 + 0.42 * np.sin(angle)),
        }
    return np.array([at[name] for name in BLAZEPOSE_33])


def scene(*people: tuple[float, float, float, int, float], grey: int = 0) -> Image.Image:
    """A picture of 320 × 240 px with people: (x, y, scale, red, knee flexion in degrees)."""
    pixels = np.full((240, 320, 3), (0, grey, grey), np.uint8)
    for x, y, scale, red, bend in people:
        half = round(5 * scale)
        top, left = round(y) - half, round(x) - half
        pixels[top : top + 2 * half, left : left + 2 * half] = (red, 100, round(bend))
    return Image.fromarray(pixels)
