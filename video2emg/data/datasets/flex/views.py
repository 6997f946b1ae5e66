"""The pictures of a repetition of FLEX: which files they are, and which place each has."""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

_FOLDER = re.compile(r"View-[A-Za-z0-9]+")
_PICTURE = re.compile(r"img_(\d+)\.(?:jpe?g)", re.IGNORECASE)
_PUBLISHED = re.compile(r"img_\d{5}\.JPG")


@dataclasses.dataclass(frozen=True)
class View:
    """The pictures of one camera.

    Attributes:
      folder: its name, e.g. `View-1`.
      numbers: of the pictures, from 1, in order.
      files: the pictures.
    """

    folder: str
    numbers: list[int]
    files: list[Path]


def find_views(folder: Path) -> tuple[list[View], list[str]]:
    """The views of a repetition that have pictures, and doubts about their files.

    A picture's place is the number in its name. Files and folders with other names are left out.
    """
    views, doubts = [], []
    for path in sorted(p for p in folder.glob("View*") if p.is_dir()):
        if not _FOLDER.fullmatch(path.name):
            doubts.append(f"{path.name}: left out; views are called View-1, View-2 …")
            continue
        found: dict[int, list[Path]] = {}
        others = []
        for file in sorted(path.iterdir()):
            if file.name.startswith("."):
                continue
            match = _PICTURE.fullmatch(file.name)
            if match and int(match[1]) > 0:
                found.setdefault(int(match[1]), []).append(file)
            else:
                others.append(file.name)
        numbers = sorted(found)
        doubts += _doubts(path.name, found, others)
        if numbers:
            views.append(View(path.name, numbers, [found[n][0] for n in numbers]))
    return views, doubts


def _doubts(view: str, found: dict[int, list[Path]], others: list[str]) -> Iterable[str]:
    if others:
        yield (
            f"{view}: {len(others)} files are not called img_<number>.JPG and left out, first "
            f"{others[0]}"
        )
    if not found:
        yield f"{view}: no picture called img_<number>.JPG"
        return
    copies = next((files for files in found.values() if len(files) > 1), None)
    if copies:
        yield f"{view}: {copies[1].name} has the number of {copies[0].name}, and is left out"
    missing = [n for n in range(1, max(found)) if n not in found]
    if missing:
        yield f"{view}: {len(missing)} pictures are missing, first number {missing[0]}"
    first = found[min(found)][0].name
    if not _PUBLISHED.fullmatch(first):
        yield f"{view}: {first} is not called as FLEX's pictures, img_00001.JPG"
