"""What the builders share about poses: axes, and joints that were not found."""

import re

import numpy as np
from jaxtyping import Float

from video2emg.core.errors import UserError


def axes(text: str, where: str) -> Float[np.ndarray, "3 3"]:
    """A matrix: coordinates of the file @ matrix = forward, left, up.

    Args:
      text: the file's axes that point there, e.g. `x -z y`.
      where: file and field, for the message.

    Raises:
      UserError: these are not three axes, or they are left-handed.
    """
    matrix = np.zeros((3, 3), np.float32)
    words = text.split()
    if len(words) == 3 and all(re.fullmatch(r"[+-]?[xyz]", word) for word in words):
        for column, word in enumerate(words):
            matrix["xyz".index(word[-1]), column] = -1 if word[0] == "-" else 1
    # A determinant of -1 would exchange left and right.
    if round(float(np.linalg.det(matrix))) != 1:
        raise UserError(
            f"{where}: {text!r}: expected the file's axes that point forward, left and up, as a "
            "right-handed system, e.g. `x -z y`"
        )
    return matrix


def without_lost(pose: Float[np.ndarray, "T J 3"]) -> Float[np.ndarray, "T J 3"]:
    """The pose with NaN where a joint was lost, which most programs write as 0 0 0.

    A joint that never leaves the origin is the origin of the coordinates.
    """
    lost = (pose == 0).all(-1)
    lost &= ~lost.all(0)
    return np.where(lost[..., None], np.nan, pose)
