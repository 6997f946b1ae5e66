"""Videos of one performance → the frames that a model looks at, on disk, and windows of them."""

import dataclasses
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.data.pipeline import Window
from video2emg.data.readers import film

SHORTEST_S = 1.0  # of a video


@dataclasses.dataclass
class VideoInput:
    """Frames of all views on the model's own clock, 0, 1/rate, … s.

    Only what lies on disk grows with the video; windows are read from there.

    Attributes:
      window: what the model wants.
      sources: video of each view that there is.
      frames: [T, S, S, 3] uint8 of each view that there is.
      end: when the last frame of any view ceases to be shown, s; the model's own last frame may
        stand for a little longer.
    """

    window: Window
    sources: Mapping[str, Path]
    frames: Mapping[str, "np.ndarray | OnDisk"]
    end: float
    _folder: tempfile.TemporaryDirectory | None = None

    @classmethod
    def read(
        cls, sources: Mapping[str, Path], window: Window, folder_rate: float = math.nan
    ) -> "VideoInput":
        """Decodes the videos once, a few frames at a time.

        Args:
          sources: video, or folder of pictures, by view; all begin at the same instant.
          window: of the model.
          folder_rate: of folders of pictures, Hz.

        Raises:
          UserError: a video that cannot be read, or is too short.
        """
        folder = tempfile.TemporaryDirectory(prefix="video2emg_")
        frames, size, ends = {}, window.size, []
        try:
            for view, path in sources.items():
                raw = Path(folder.name) / f"{view}.raw"
                shown = _Timed(film.shown(path, folder_rate))
                with raw.open("wb") as file:
                    for pixels in film.sample_shown(shown, window.frame_rate, size):
                        file.write(pixels.tobytes())
                ends.append(shown.end)
                length = raw.stat().st_size / (3 * size**2 * window.frame_rate)
                if length < SHORTEST_S:
                    raise UserError(f"{path}: {length:.1f} s of video; at least {SHORTEST_S:g} s "
                                    "are needed")  # fmt: skip
                frames[view] = OnDisk(raw, size)
        except BaseException:
            frames.clear()
            folder.cleanup()
            raise
        return cls(window, dict(sources), frames, max(ends), folder)

    @classmethod
    def of_arrays(
        cls, frames: Mapping[str, np.ndarray], rate: float, window: Window
    ) -> "VideoInput":
        """Frames that are in memory already.

        Args:
          frames: [F, H, W, 3] uint8 by view.
          rate: of them, Hz.
          window: of the model.
        """
        found = {}
        for view, pictures in frames.items():
            pictures = np.asarray(pictures)
            if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
                raise UserError(f"view {view!r}: expected frames [F, H, W, 3] of uint8, got "
                                f"{list(pictures.shape)} of {pictures.dtype}")  # fmt: skip
            if not rate > 0 or len(pictures) < SHORTEST_S * rate:
                raise UserError(f"view {view!r}: {len(pictures)} frames at {rate:g} Hz; at least "
                                f"{SHORTEST_S:g} s are needed")  # fmt: skip
            found[view] = np.stack(
                list(
                    film.sample_shown(
                        film.of_arrays(pictures, rate), window.frame_rate, window.size
                    )
                )
            )
        return cls(window, {}, found, max(map(len, frames.values())) / rate)

    def close(self) -> None:
        """Deletes the frames."""
        self.frames = {}
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def seconds(self) -> float:
        """Of the longest view."""
        return max(map(len, self.frames.values())) / self.window.frame_rate

    @property
    def sliding(self) -> list[float]:
        """Starts of windows that overlap by half and show everything, s."""
        length, hop = self.window.seconds, self.window.seconds / 2
        count = 1 + max(math.ceil((self.seconds - length) / hop - 1e-9), 0)
        beat = 1 / self.window.frame_rate
        return [round(k * hop / beat) * beat for k in range(count)]

    def read_window(self, start: float, end: float = math.inf) -> dict[str, Any]:
        """A window from `start` s on, masked from `end` s on; see `data.pipeline.Examples.cut`."""
        window = self.window
        first = round(start * window.frame_rate)
        count, size = len(window.frame_time), window.size
        video = np.zeros((len(window.views), count, size, size, 3), np.uint8)
        mask = np.zeros((len(window.views), count), bool)
        for v, name in enumerate(window.views):
            if name not in self.frames:
                continue
            own = self.frames[name][first : first + count]
            shown = (first + np.arange(len(own))) / window.frame_rate < end
            video[v, : len(own)][shown] = own[shown]
            mask[v, : len(own)] = shown
        return {"video": video, "video_mask": mask, "view": places(window)}


@dataclasses.dataclass(frozen=True)
class OnDisk:
    """[T, S, S, 3] uint8 in a file; in memory is only what was asked for.

    Attributes:
      path: of the file.
      size: S, px.
    """

    path: Path
    size: int

    def __len__(self) -> int:
        return self.path.stat().st_size // (3 * self.size**2)

    def __getitem__(self, which: slice) -> UInt8[np.ndarray, "t S S 3"]:
        # Mapped for the moment of copying: pages that stay mapped count as the process's own.
        every = np.memmap(self.path, np.uint8, "r").reshape(-1, self.size, self.size, 3)
        return np.array(every[which])


class _Timed:
    """Frames passed on, and when the last of them ends, if it lasts as long as the average one."""

    def __init__(self, stream: Iterable[tuple[float, film.Look]]) -> None:
        self._stream, self._count, self._last = stream, 0, 0.0

    def __iter__(self) -> Iterator[tuple[float, film.Look]]:
        for time, look in self._stream:
            self._count, self._last = self._count + 1, time
            yield time, look

    @property
    def end(self) -> float:
        return self._last + self._last / max(self._count - 1, 1)


def places(window: Window) -> np.ndarray:
    """[V] place of each camera in the vocabulary."""
    known = vocabulary.VIEWS
    names = (name if name in known else "other" for name in window.views)
    return np.array([known.index(name) for name in names], np.int32)


def named(video: str | Path) -> tuple[str, Path]:
    """(view, path) of `view=path`; the view is empty if there is none in front."""
    view, sign, path = str(video).partition("=")
    known = bool(sign) and re.fullmatch(r"[a-z0-9_]+", view) is not None
    if not known or Path(video).expanduser().exists():
        return "", Path(video).expanduser()
    return view, Path(path).expanduser()


def assign(videos: Sequence[str | Path], views: Sequence[str]) -> dict[str, Path]:
    """Which video shows which view: `view=path`, or in the order of the model's views.

    Raises:
      UserError: more videos than views, an unknown view, or one named twice.
    """
    found: dict[str, Path] = {}
    unnamed = []
    for video in videos:
        view, path = named(video)
        if not view:
            unnamed.append(path)
            continue
        if view not in views:
            raise UserError(f"--video {video}: the model knows the views {', '.join(views)}")
        if view in found:
            raise UserError(f"--video {video}: view {view!r} is given twice")
        found[view] = path
    free = [view for view in views if view not in found]
    if len(unnamed) > len(free):
        raise UserError(f"{len(videos)} videos for the {len(views)} views of the model "
                        f"({', '.join(views)})")  # fmt: skip
    return found | dict(zip(free, unnamed, strict=False))
