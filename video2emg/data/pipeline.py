"""Clips → windows → augmented batches, deterministic and resumable.

One example is a window of fixed length on the clip clock; what lies outside the clip is masked.
B batch, V views, T frames, S pixels, N EMG samples, M channels, J joints, D degrees of freedom.
"""

import copy
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grain
import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import emg as emg_lib
from video2emg.core import vocabulary
from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError
from video2emg.data import statics
from video2emg.data import video as video_lib
from video2emg.data.augment import Augmentation, Example, Mirror
from video2emg.data.inputs import hide, person
from video2emg.data.labels import Labels
from video2emg.data.same_action import SameActionBatches


@dataclasses.dataclass(frozen=True)
class Window:
    """What one example looks like.

    Attributes:
      seconds: length.
      frame_rate: video frames given to the model, Hz.
      emg_rate: rate of the target envelope, Hz.
      size: frames are `size` × `size` pixels.
      views: which cameras, in the order of the V axis; none for models that read the pose.
      channels: M, the most EMG channels that a clip may have.
      joints: names of the J joints, as in the clips.
      dofs: names of the D joint torques, as in the clips.
      statics: torques are those that hold the posture (`data.statics`), whatever the clips have.
    """

    seconds: float
    frame_rate: float
    emg_rate: float
    size: int
    views: tuple[str, ...]
    channels: int
    joints: tuple[str, ...] = ()
    dofs: tuple[str, ...] = ()
    statics: bool = False

    def __post_init__(self):
        if not all(isinstance(view, str) for view in self.views):
            raise UserError(f"config.data.views: {self.views} is not a tuple of camera names")
        for name in ("seconds", "frame_rate", "emg_rate", "size", "channels"):
            if not getattr(self, name) > 0:
                raise UserError(f"config.data.{name}: must be positive, not {getattr(self, name)}")

    @property
    def frame_time(self) -> Float[np.ndarray, " T"]:
        """[T] s from the start of the window."""
        return np.arange(round(self.seconds * self.frame_rate)) / self.frame_rate

    @property
    def emg_time(self) -> Float[np.ndarray, " N"]:
        """[N] s from the start of the window."""
        return np.arange(round(self.seconds * self.emg_rate)) / self.emg_rate


class Examples:
    """Cuts windows out of the clips of one split; thread-safe.

    Decoded frames and envelopes are kept in memory up to a budget: small datasets are then decoded
    once, large ones as needed, and only the frames that a window shows.
    """

    def __init__(
        self,
        source: Clips,
        window: Window,
        chain: emg_lib.Chain,
        reference: emg_lib.Normalisation,
        cache_bytes: int = 0,
        labels: Labels | None = None,
    ):
        """Opens the clips.

        Args:
          source: the clips.
          window: what an example looks like.
          chain: settings of the envelope.
          reference: what one unit of EMG means.
          cache_bytes: the memory budget.
          labels: adds what annotators say of a clip to every cut.
        """
        self.source, self.window, self.chain, self.reference = source, window, chain, reference
        self.labels = labels
        self.hidden: tuple[str, ...] = ()
        self.mirror = Mirror(window.joints, window.dofs, labels and labels.mirror)
        self._cache: dict[tuple[int, int], np.ndarray] = {}
        self._clips: dict[int, Clip] = {}
        self._room = cache_bytes
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.source)

    def clip(self, index: int) -> Clip:
        """Clip `index` of the source."""
        if index not in self._clips:
            clip = self.source[index]
            weight = clip.emg.nbytes + sum(map(len, clip.frames))
            self._keep(self._clips, index, clip, weight)
            return clip
        return self._clips[index]

    def target(self, index: int) -> tuple[Float[np.ndarray, "K M"], Float[np.ndarray, " K"]]:
        """The whole clip's normalised envelope [K, M] at the window's EMG rate, and times [K] s."""
        clip = self.clip(index)
        start, end = clip.emg_time[[0, -1]]
        time = start + np.arange(int((end - start) * self.window.emg_rate) + 1) / (
            self.window.emg_rate
        )
        if (index, -1) not in self._cache:
            env = emg_lib.clip_envelope(clip, self.chain)
            value, _ = emg_lib.resample(env, clip.emg_time, time)
            value = value / self.reference.scale(clip)
            self._keep(self._cache, (index, -1), value, value.nbytes)
            return value, time
        return self._cache[index, -1], time

    def read_window(self, index: int, start: float) -> Example:
        """One window, starting at `start` s on the clip clock.

        Returns:
          video [V, T, S, S, 3] uint8 and video_mask [V, T]; view [V], place of each camera in
          `vocabulary.VIEWS`; emg [N, M] normalised envelope and emg_mask; muscle, side [M]; pose
          [T, J, 3] m relative to the hips and pose_mask [T, J]; torque [T, D] N·m and torque_mask;
          load [] kg, vitals [2] and traits [3], see `data.inputs`, and their masks; index [],
          start [] s; what `labels` adds, if given.

        Raises:
          UserError: the clip has none of the views in this window, or, without views, no pose.
        """
        window, clip = self.window, self.clip(index)
        frame_time, emg_time = start + window.frame_time, start + window.emg_time
        video, video_mask, view = self._video(index, clip, frame_time)
        emg, emg_mask, muscle, side = self._emg(index, clip, emg_time)
        pose, pose_mask = self.pose(clip, frame_time)
        if window.statics:
            torque, torque_mask = statics.of_clip(clip, window.joints, pose, pose_mask)
        else:
            torque, torque_mask = self._torque(clip, frame_time)
        seen = video_mask if window.views else pose_mask
        if not seen.any():
            wanted = f"none of the views {window.views}" if window.views else "no pose"
            raise UserError(
                f"clip {clip.clip_id!r} has {wanted} in the window {frame_time[0]:.2f}–"
                f"{frame_time[-1]:.2f} s; it has {clip.views}: set config.data.views"
            )
        labels = {} if self.labels is None else self.labels(clip, start)
        example = labels | {
            "video": video,
            "video_mask": video_mask,
            "view": view,
            "emg": emg,
            "emg_mask": emg_mask,
            "muscle": muscle,
            "side": side,
            "pose": pose,
            "pose_mask": pose_mask,
            "torque": torque,
            "torque_mask": torque_mask,
            "load": np.float32(np.nan_to_num(clip.load)),
            "load_mask": np.bool_(np.isfinite(clip.load)),
            "index": np.int32(index),
            "start": np.float32(start),
        }
        example |= person(clip, start, start + window.seconds)
        return hide(example, window.views, self.hidden) if self.hidden else example

    def drop_inputs(self, hidden: Sequence[str]) -> "Examples":
        """The same, sharing what is decoded, without some views or `vocabulary.INPUTS`."""
        other = copy.copy(self)
        other.hidden = tuple(hidden)
        return other

    def _video(self, index: int, clip: Clip, times: np.ndarray):
        size, n_views = self.window.size, len(self.window.views)
        video = np.zeros((n_views, len(times), size, size, 3), np.uint8)
        mask = np.zeros((n_views, len(times)), bool)
        place = np.array([_view_index(name) for name in self.window.views], np.int32)
        for v, name in enumerate(self.window.views):
            if name not in clip.views:
                continue
            frames, mask[v] = video_lib.nearest_frames(clip, clip.views.index(name), times)
            for t in np.flatnonzero(mask[v]):
                video[v, t] = self._frame(index, clip, int(frames[t]))
        return video, mask, place

    def _frame(self, index: int, clip: Clip, frame: int) -> np.ndarray:
        if (index, frame) not in self._cache:
            pixels = video_lib.decode(clip, frame, self.window.size)
            self._keep(self._cache, (index, frame), pixels, pixels.nbytes)
            return pixels
        return self._cache[index, frame]

    def _emg(self, index: int, clip: Clip, times: np.ndarray):
        slots, n = self.window.channels, len(clip.muscles)
        if n > slots:
            raise UserError(f"clip {clip.clip_id!r} has {n} EMG channels, more than "
                            f"config.data.channels={slots}")  # fmt: skip
        emg, mask = np.zeros((len(times), slots), np.float32), np.zeros((len(times), slots), bool)
        muscle, side = np.zeros(slots, np.int32), np.zeros(slots, np.int32)
        if n:
            values, clock = self.target(index)
            emg[:, :n], inside = emg_lib.resample(values, clock, times)
            mask[:, :n] = inside[:, None] & np.isfinite(emg[:, :n])
        for c, name in enumerate(clip.muscles):
            left_right, base = vocabulary.split_channel(name)
            muscle[c] = vocabulary.MUSCLES.index(base)
            side[c] = vocabulary.SIDES.index(left_right)
        return np.where(mask, emg, 0), mask, muscle, side

    def pose(
        self, clip: Clip, times: Float[np.ndarray, " T"]
    ) -> tuple[Float[np.ndarray, "T J 3"], Bool[np.ndarray, "T J"]]:
        """Joints relative to the middle of the hips, m, at given instants (s), and which are known.

        Joints that the source lacks, and instants outside its recording, are zero and masked.
        """
        joints = self.window.joints
        if not clip.joints or not len(clip.pose_time):
            nothing = np.zeros((len(times), len(joints), 3), np.float32)
            return nothing, np.zeros(nothing.shape[:2], bool)
        if clip.joints != joints:
            raise UserError(f"clip {clip.clip_id!r}, field joints: differs from the dataset's")
        flat = clip.pose.reshape(len(clip.pose), -1)
        flat, inside = emg_lib.resample(flat, clip.pose_time, times)
        pose = flat.reshape(len(times), len(joints), 3)
        hips = [joints.index(f"{side}_hip") for side in vocabulary.SIDES]
        pose = pose - pose[:, hips].mean(1, keepdims=True)
        mask = inside[:, None] & np.isfinite(pose).all(2)
        return np.where(mask[..., None], pose, 0), mask

    def _torque(self, clip: Clip, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not clip.dofs or not len(clip.pose_time):
            nothing = np.zeros((len(times), len(self.window.dofs)), np.float32)
            return nothing, nothing > 0
        if clip.dofs != self.window.dofs:
            raise UserError(f"clip {clip.clip_id!r}, field dofs: differs from the dataset's")
        torque, inside = emg_lib.resample(clip.torque, clip.pose_time, times)
        mask = inside[:, None] & np.isfinite(torque)
        return np.where(mask, torque, 0), mask

    def _keep(self, cache: dict, key, value, weight: int) -> None:
        with self._lock:
            if weight <= self._room and key not in cache:
                cache[key] = value
                self._room -= weight

    def tile_starts(self, index: int) -> list[float]:
        """Starts of the windows that lie side by side over what both input and EMG recorded, s."""
        clip = self.clip(index)
        seen = clip.frame_time if self.window.views else clip.pose_time
        end = min(times[-1] for times in (seen, clip.emg_time) if len(times))
        # A rest shorter than one frame is not worth a window of its own.
        count = np.ceil((end - 1 / self.window.frame_rate) / self.window.seconds)
        return [k * self.window.seconds for k in range(max(int(count), 1))]


def _view_index(name: str) -> int:
    return vocabulary.VIEWS.index(name if name in vocabulary.VIEWS else "other")


class _Rows(grain.MapDataset):
    """What one process reads of an endless stream that is cut into batches of all processes."""

    def __init__(self, stream: grain.MapDataset, batch: int, rows: Sequence[int], start: int):
        """Element k is row `rows[k % len(rows)]` of batch `start + k // len(rows)`."""
        super().__init__(stream)
        self._batch, self._mine, self._start = batch, list(rows), start

    def __len__(self) -> int:
        return len(self._parent)

    def __getitem__(self, index):
        step, row = divmod(index, len(self._mine))
        return self._parent[(self._start + step) * self._batch + self._mine[row]]


def stream(
    shuffled: grain.MapDataset,
    change: Callable[[Any, np.random.Generator], Any],
    batch: int,
    rows: Sequence[int] | None = None,
    start: int = 0,
    threads: int = 4,
) -> grain.IterDataset:
    """Endless shuffled batches of `change(element, random generator)`.

    The order of examples is a function of the seed: batch s holds the places s·B … s·B+B−1 of the
    stream, however many processes share it and wherever it is started.

    Args:
      shuffled: one epoch, seeded; the next ones are shuffled anew.
      change: makes an example of an element; its randomness depends on seed and place.
      batch: B of all processes.
      rows: of each batch, those that this process reads, ascending; all by default.
      start: the first batch.
      threads: that make examples.
    """
    rows = range(batch) if rows is None else rows
    endless = shuffled.repeat().random_map(change)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4 * len(rows))
    return (
        _Rows(endless, batch, rows, start)
        .to_iter_dataset(options)
        .batch(len(rows), drop_remainder=True)
    )


def train_batches(
    examples: Examples,
    augmentation: Augmentation,
    batch: int,
    seed: int,
    rows: Sequence[int] | None = None,
    start: int = 0,
    threads: int = 4,
    alike: int = 1,
) -> grain.IterDataset:
    """Endless shuffled batches of augmented windows, see `stream`.

    Args:
      examples: the training split.
      augmentation: what to change, and by how much.
      batch: B of all processes.
      seed: of shuffling and augmentation.
      rows: of each batch, those of this process.
      start: the first batch.
      threads: that decode.
      alike: clips of one action that stand side by side in a batch, which they divide.
    """
    if len(examples) < batch:
        raise UserError(
            f"config.train.batch_size {batch} is larger than the training split "
            f"({len(examples)} clips)"
        )

    def random_window(index: int, rng: np.random.Generator) -> Example:
        clip = examples.clip(int(index))
        slack = max(float(clip.emg_time[-1]) - examples.window.seconds, 0.0)
        first = rng.uniform(-augmentation.time, slack + augmentation.time)
        first = video_lib.on_frame(clip, first)
        return augmentation(examples.read_window(int(index), first), rng, examples.mirror)

    # The slice takes everything; but grain's randomness depends on the chain of operations, and
    # published runs had one here.
    clips = grain.MapDataset.range(len(examples)).seed(seed).shuffle()[::1]
    if alike > 1:
        clips = SameActionBatches(
            clips, [examples.clip(i).action for i in range(len(examples))], alike, seed
        )
    return stream(clips, random_window, batch, rows, start, threads)


def eval_batches(
    examples: Examples,
    batch: int,
    rows: Sequence[int] | None = None,
    clips: Sequence[int] | None = None,
) -> Iterator[Example]:
    """Every clip (of `clips`) once, in order, as windows side by side; the last batch is padded.

    Args:
      examples: the split.
      batch: B of all processes.
      rows: of each batch, those of this process; all by default.
      clips: places of the clips; all by default.

    Yields:
      Examples of these rows stacked, with `_mask` false on padding. `_index`, `_start` and `_mask`
      [B] tell of the whole batch.
    """
    chosen_clips = range(len(examples)) if clips is None else clips
    cuts = [(i, start) for i in chosen_clips for start in examples.tile_starts(i)]
    mine = range(batch) if rows is None else rows
    for first in range(0, len(cuts), batch):
        chosen = cuts[first : first + batch]
        real = len(chosen)
        chosen += [chosen[-1]] * (batch - real)
        made = {cut: examples.read_window(*cut) for cut in {chosen[row] for row in mine}}
        items = [made[chosen[row]] for row in mine]
        yield {name: np.stack([item[name] for item in items]) for name in items[0]} | {
            "_mask": np.arange(batch) < real,
            "_index": np.array([index for index, _ in chosen], np.int32),
            "_start": np.array([start for _, start in chosen], np.float32),
        }
