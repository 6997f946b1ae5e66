"""Clips of an unfinished build, kept on disk so that the next build does not make them again."""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.core.files import write_atomically

_PACKAGE = Path(__file__).parents[1]
_SOURCES = (".py", ".yaml", ".csv")  # code, anatomies, graphs
_LIBRARIES = ("mujoco-core", "numpy", "scipy")


@dataclasses.dataclass(frozen=True)
class KeptClips:
    """A maker of clips that keeps each clip in a folder, and reads those that are there.

    The name of a clip's file is a hash of what it is made of and of the function that makes it.

    Attributes:
      maker: a picklable function from an item to its clip.
      folder: of the clips, see `folder_of_this_code`.
    """

    maker: Callable[[Any], Clip]
    folder: Path

    def __call__(self, item: Any) -> Clip:
        """The clip of an item."""
        path = self.folder / f"{self.name(item)}.pickle"
        if path.exists():
            return pickle.loads(path.read_bytes())
        clip = self.maker(item)
        with contextlib.suppress(UserError):  # a full disk: what counts is the dataset itself
            write_atomically(path, lambda file: pickle.dump(clip, file, pickle.HIGHEST_PROTOCOL))
        return clip

    def name(self, item: Any) -> str:
        """Of the file of an item's clip, without suffix."""
        recipe = self.maker, item
        # What came from another process shares no objects, and has another pickle for that reason.
        recipe = pickle.loads(pickle.dumps(recipe))
        return hashlib.sha256(pickle.dumps(recipe)).hexdigest()


def folder_of_this_code(kept: Path) -> Path:
    """The folder for the clips that this code makes; those of other code are removed.

    Code are the sources and tables of this package, and the versions of the libraries that compute.

    Args:
      kept: the folder of the dataset's kept clips.
    """
    folder = kept / _code()
    if kept.exists():
        for other in kept.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    return folder


@functools.cache
def _code() -> str:
    digest = hashlib.sha256()
    for library in _LIBRARIES:
        digest.update(f"{library} {importlib.metadata.version(library)}".encode())
    for path in sorted(_PACKAGE.rglob("*")):
        if path.suffix in _SOURCES:
            digest.update(str(path.relative_to(_PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]
