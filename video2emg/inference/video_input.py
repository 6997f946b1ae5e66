"""Videos of one recording: frames on disk at the model's frame rate, and windows cut from them."""

import dataclasses
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from video2emg.core.batch import Window
from video2emg.core.errors import UserError
from video2emg.data.readers import film

SHORTEST_S = 1.0  # of a video


@dataclasses.dataclass
class VideoInput:
    """Frames of all views at 0, 1/rate, 2/rate, … s, where `rate` is the model's frame rate.

    Frames of files are kept in a temporary folder, so that memory does not grow with the video.

    Attributes:
      window: input window of the model.
      sources: file of each view; empty for frames from memory.
      frames: [T, S, S, 3] uint8 of each view that is given.
      end: s at which the last source frame of any view ends. The last sampled frame stands for
        1/rate s and may end later.
    """

    window: Window
    sources: Mapping[str, Path]
    frames: Mapping[str, "np.ndarray | FramesOnDisk"]
    end: float
    _folder: tempfile.TemporaryDirectory | None = None

    @classmethod
    def read(
        cls, sources: Mapping[str, Path], window: Window, folder_rate: float = math.nan
    ) -> "VideoInput":
        """Decodes the videos once, frame by frame.

        Args:
          sources: video, or folder of pictures, by view; all begin at the same instant.
          window: input window of the model.
          folder_rate: frame rate of folders of pictures, Hz.

        Raises:
          UserError: a video cannot be read, or is too short.
        """
        folder = tempfile.TemporaryDirectory(prefix="video2emg_")
        frames, size, ends = {}, window.size, []
        try:
            for view, path in sources.items():
                raw = Path(folder.name) / f"{view}.raw"
                stream = _EndTimeRecorder(film.read_frames(path, folder_rate))
                with raw.open("wb") as file:
                    for pixels in film.sample_frames(stream, window.frame_rate, size):
                        file.write(pixels.tobytes())
                ends.append(stream.end)
                length = raw.stat().st_size / (3 * size**2 * window.frame_rate)
                if length < SHORTEST_S:
                    raise UserError(
                        f"{path}: {length:.1f} s of video; at least {SHORTEST_S:g} s are needed"
                    )
                frames[view] = FramesOnDisk(raw, size)
        except BaseException:
            frames.clear()
            folder.cleanup()
            raise
        return cls(window, dict(sources), frames, max(ends), folder)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], rate: float, window: Window
    ) -> "VideoInput":
        """Samples frames that are in memory.

        Args:
          arrays: [F, H, W, 3] uint8 by view.
          rate: frame rate of the arrays, Hz.
          window: input window of the model.

        Raises:
          UserError: an array has another shape or type, or is too short.
        """
        frames = {}
        for view, array in arrays.items():
            array = np.asarray(array)
            if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8:
                raise UserError(
                    f"view {view!r}: expected frames [F, H, W, 3] of uint8, got "
                    f"{list(array.shape)} of {array.dtype}"
                )
            if not rate > 0 or len(array) < SHORTEST_S * rate:
                raise UserError(
                    f"view {view!r}: {len(array)} frames at {rate:g} Hz; at least "
                    f"{SHORTEST_S:g} s are needed"
                )
            stream = film.frames_from_arrays(array, rate)
            sampled = film.sample_frames(stream, window.frame_rate, window.size)
            frames[view] = np.stack(list(sampled))
        return cls(window, {}, frames, max(map(len, arrays.values())) / rate)

    def close(self) -> None:
        """Deletes the frames."""
        self.frames = {}
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def seconds(self) -> float:
        """Duration of the sampled frames of the longest view, s."""
        return max(map(len, self.frames.values())) / self.window.frame_rate

    @property
    def window_starts(self) -> list[float]:
        """Starts of windows that cover all frames, s."""
        return self.window.starts(self.seconds)

    @property
    def complete(self) -> bool:
        """Whether every view of the model is there."""
        return set(self.frames) == set(self.window.views)

    def read_window(self, start: float, end: float = math.inf) -> dict[str, Any]:
        """Reads one window.

        Args:
          start: of the window, s.
          end: frames from this instant on are masked, s.

        Returns:
          `video`, `video_mask` and `view` of `core.batch.FIELDS`.
        """
        window = self.window
        first = round(start * window.frame_rate)
        count, size = len(window.frame_time), window.size
        video = np.zeros((len(window.views), count, size, size, 3), np.uint8)
        mask = np.zeros((len(window.views), count), bool)
        for v, name in enumerate(window.views):
            if name not in self.frames:
                continue
            frames = self.frames[name][first : first + count]
            within = (first + np.arange(len(frames))) / window.frame_rate < end
            video[v, : len(frames)][within] = frames[within]
            mask[v, : len(frames)] = within
        return {"video": video, "video_mask": mask, "view": window.view_index}


@dataclasses.dataclass(frozen=True)
class FramesOnDisk:
    """[T, S, S, 3] uint8 in a file; a slice is read when it is asked for.

    Attributes:
      path: of the file.
      size: S, px.
    """

    path: Path
    size: int

    def __len__(self) -> int:
        return self.path.stat().st_size // (3 * self.size**2)

    def __getitem__(self, index: slice) -> UInt8[np.ndarray, "t S S 3"]:
        # Mapped only while copying: pages that stay mapped count as memory of the process.
        frames = np.memmap(self.path, np.uint8, "r").reshape(-1, self.size, self.size, 3)
        return np.array(frames[index])


class _EndTimeRecorder:
    """Passes frames on and records when the last of them ends."""

    def __init__(self, stream: Iterable[tuple[float, film.Decode]]) -> None:
        self._stream, self._count, self._last = stream, 0, 0.0

    def __iter__(self) -> Iterator[tuple[float, film.Decode]]:
        for time, frame in self._stream:
            self._count, self._last = self._count + 1, time
            yield time, frame

    @property
    def end(self) -> float:
        """s; the last frame is taken to last as long as the average one."""
        return self._last + self._last / max(self._count - 1, 1)


def split_view(video: str | Path) -> tuple[str, Path]:
    """(view, path) of `view=path`; the view is empty if none is named."""
    view, sign, path = str(video).partition("=")
    has_view = bool(sign) and re.fullmatch(r"[a-z0-9_]+", view) is not None
    if not has_view or Path(video).expanduser().exists():
        return "", Path(video).expanduser()
    return view, Path(path).expanduser()


def assign_views(videos: Sequence[str | Path], views: Sequence[str]) -> dict[str, Path]:
    """Assigns videos to views.

    Args:
      videos: `view=path`, or paths, which get the remaining views in order.
      views: of the model.

    Returns:
      Path by view.

    Raises:
      UserError: there are more videos than views, or a view is unknown or named twice.
    """
    assigned: dict[str, Path] = {}
    unnamed = []
    for video in videos:
        view, path = split_view(video)
        if not view:
            unnamed.append(path)
            continue
        if view not in views:
            raise UserError(f"--video {video}: the views of the model are {', '.join(views)}")
        if view in assigned:
            raise UserError(f"--video {video}: view {view!r} is given twice")
        assigned[view] = path
    free = [view for view in views if view not in assigned]
    if len(unnamed) > len(free):
        raise UserError(
            f"{len(videos)} videos for the {len(views)} views of the model ({', '.join(views)})"
        )
    return assigned | dict(zip(free, unnamed, strict=False))
