"""Clips of an unfinished build, kept on disk so that the next build does not make them again."""

import dataclasses
import functools
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from video2emg.core.clip import Clip
from video2emg.core.files import write_atomically

_PACKAGE = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class KeptClips:
    """A maker of clips that keeps each clip in a folder, and reads those that are there.

    A clip is found by what it is made of, by the function that makes it, and by the source code of
    this package: code that has changed makes all clips anew.

    Attributes:
      maker: a picklable function from an item to its clip.
      folder: of the clips.
    """

    maker: Callable[[Any], Clip]
    folder: Path

    def __call__(self, item: Any) -> Clip:
        """The clip of an item."""
        path = self.folder / f"{self._name(item)}.pickle"
        if path.exists():
            return pickle.loads(path.read_bytes())
        clip = self.maker(item)
        write_atomically(path, lambda file: pickle.dump(clip, file, pickle.HIGHEST_PROTOCOL))
        return clip

    def _name(self, item: Any) -> str:
        recipe = pickle.dumps((self.maker, item), pickle.HIGHEST_PROTOCOL)
        return hashlib.sha256(recipe + _code()).hexdigest()


@functools.cache
def _code() -> bytes:
    """A hash of the source code of this package."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode() + path.read_bytes())
    return digest.digest()
