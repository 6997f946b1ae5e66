"""Windows of the clips of a split, as examples for a model (fields: `core.batch.FIELDS`).

An example is a window of fixed length on the clip's clock; what lies outside the clip is masked.
"""

import copy
import dataclasses
import threading
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import body_frame, vocabulary
from video2emg.core import emg as emg_lib
from video2emg.core.batch import Example, Window, drop_inputs, muscle_queries
from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError
from video2emg.core.overlap_add import window_starts
from video2emg.data import statics
from video2emg.data import video as video_lib
from video2emg.data.augment import Mirror
from video2emg.data.labels import Labels
from video2emg.data.person import body_fields, person_fields
from video2emg.data.pose_noise import PoseNoise


class Examples:
    """Reads windows of the clips of one split; thread-safe.

    Decoded frames and envelopes stay in memory up to a budget: a small dataset is decoded once, of
    a large one only the frames that a window shows, each time.
    """

    def __init__(
        self,
        source: Clips,
        window: Window,
        chain: emg_lib.Chain,
        normalisation: emg_lib.Normalisation,
        cache_bytes: int = 0,
        labels: Labels | None = None,
    ):
        """Opens the clips.

        Args:
          source: the clips.
          window: what an example looks like.
          chain: settings of the envelope.
          normalisation: what one unit of EMG means.
          cache_bytes: the memory budget.
          labels: adds the fields of action quality to every example.
        """
        self.source, self.window, self.chain = source, window, chain
        self.normalisation, self.labels = normalisation, labels
        self.dropped: tuple[str, ...] = ()
        self.pose_noise: PoseNoise | None = None
        self.mirror = Mirror(window.joints, window.dofs, labels and labels.mirror)
        self._cache: dict[tuple[int, int], np.ndarray] = {}
        self._clips: dict[int, Clip] = {}
        self._targets: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._room = cache_bytes
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.source)

    def clip(self, index: int) -> Clip:
        """Clip `index` of the source; its raw EMG may be NaN, because `target` replaces it."""
        if index in self._clips:
            return self._clips[index]
        clip = self.source[index]
        size = sum(map(len, clip.frames)) + clip.pose.nbytes + clip.torque.nbytes
        if not clip.muscles:
            self._keep(self._clips, index, clip, size)
        elif size <= self._room:  # raw EMG would fill the memory
            target = self._target(clip)
            self._keep(self._targets, index, target, target[0].nbytes)
            if index in self._targets:
                missing = np.broadcast_to(np.float32(np.nan), clip.emg.shape)
                light = dataclasses.replace(clip, emg=missing, drive=np.zeros((0, 0)))
                self._keep(self._clips, index, light, size)
        return clip

    def target(self, index: int) -> tuple[Float[np.ndarray, "K M"], Float[np.ndarray, " K"]]:
        """The whole clip's normalised envelope [K, M] at the window's EMG rate, and times [K] s.

        Without electrodes M is 0, and the times are those of the pose.
        """
        clip = self.clip(index)
        return self._targets[index] if index in self._targets else self._target(clip)

    def _target(self, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        start, end = (clip.emg_time if clip.muscles else clip.pose_time)[[0, -1]]
        rate = self.window.emg_rate
        time = start + np.arange(int((end - start) * rate) + 1) / rate
        if not clip.muscles:
            return np.zeros((len(time), 0), np.float32), time
        envelope, _ = emg_lib.resample(emg_lib.clip_envelope(clip, self.chain), clip.emg_time, time)
        return envelope / self.normalisation.scale(clip), time

    def read_window(
        self, index: int, start: float, rng: np.random.Generator | None = None
    ) -> Example:
        """One window of clip `index`, from `start` s on the clip's clock; see `core.batch.FIELDS`.

        Args:
          index: of the clip.
          start: s.
          rng: draws the errors of `with_pose_noise`; by default they are the same at each call.

        Raises:
          UserError: the clip has none of the views in this window, or, without views, no pose.
        """
        window, clip = self.window, self.clip(index)
        frame_time, emg_time = start + window.frame_time, start + window.emg_time
        video, video_mask = self._video(index, clip, frame_time)
        pose, pose_mask, height = self._seen_pose(clip, frame_time, rng)
        true_pose, true_mask, true_height = pose, pose_mask, height
        if self.pose_noise is not None:
            true_pose, true_mask, true_height = self._canonical(clip, frame_time)
        if window.statics:
            metres = true_pose * np.float32(np.nan_to_num(true_height) / body_frame.HEIGHT)
            torque, torque_mask = statics.clip_torque(clip, window.joints, metres, true_mask)
        else:
            torque, torque_mask = self._torque(clip, frame_time)
        if not (video_mask.any() if window.views else true_mask.any() or has_pose(clip)):
            missing = f"none of the views {window.views}" if window.views else "no pose"
            raise UserError(
                f"clip {clip.clip_id!r} has {missing} in the window {frame_time[0]:.2f}–"
                f"{frame_time[-1]:.2f} s; it has {clip.views}: set config.data.views"
            )
        labels = {} if self.labels is None else self.labels(clip, start)
        example = labels | {
            "video": video,
            "video_mask": video_mask,
            "view": window.view_index,
            **self._emg(index, clip, emg_time),
            "pose": pose,
            "pose_mask": pose_mask,
            "true_pose": true_pose,
            "true_pose_mask": true_mask,
            "torque": torque,
            "torque_mask": torque_mask,
            "load": np.float32(np.nan_to_num(clip.load)),
            "load_mask": np.bool_(np.isfinite(clip.load)),
            "index": np.int32(index),
            "start": np.float32(start),
            **person_fields(clip, start, start + window.seconds),
            **body_fields(clip, height),
        }
        if not self.dropped:
            return example
        inputs = [name for name in self.dropped if name in vocabulary.INPUTS]
        return drop_inputs(example, np.isin(window.views, self.dropped), inputs)

    def drop_inputs(self, names: Sequence[str]) -> "Examples":
        """The same clips and cache, without some views or `vocabulary.INPUTS`."""
        other = copy.copy(self)
        other.dropped = tuple(names)
        return other

    def with_views(self, views: Sequence[str]) -> "Examples":
        """The same clips and cache, as other cameras show them."""
        other = copy.copy(self)
        other.window = dataclasses.replace(self.window, views=tuple(views))
        return other

    def with_pose_only(self, rate: float) -> "Examples":
        """The same clips and cache without cameras, with the pose at `rate` Hz."""
        other = copy.copy(self)
        other.window = dataclasses.replace(self.window, views=(), frame_rate=rate)
        return other

    def with_pose_noise(self, noise: PoseNoise) -> "Examples":
        """The same clips and cache, with a pose as an estimator would see it.

        Without a random generator in `read_window`, the errors depend on clip and window only; what
        lasts (camera, size, knees) is the same in all windows of a clip, and in all repetitions of
        a set.
        """
        other = copy.copy(self)
        other.pose_noise = noise if noise.share else None
        return other

    def _video(self, index: int, clip: Clip, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size, n_views = self.window.size, len(self.window.views)
        video = np.zeros((n_views, len(times), size, size, 3), np.uint8)
        mask = np.zeros((n_views, len(times)), bool)
        for v, name in enumerate(self.window.views):
            if name not in clip.views:
                continue
            frames, mask[v] = video_lib.nearest_frames(clip, clip.views.index(name), times)
            for t in np.flatnonzero(mask[v]):
                video[v, t] = self._frame(index, clip, int(frames[t]))
        return video, mask

    def _frame(self, index: int, clip: Clip, frame: int) -> np.ndarray:
        if (index, frame) not in self._cache:
            pixels = video_lib.decode(clip, frame, self.window.size)
            self._keep(self._cache, (index, frame), pixels, pixels.nbytes)
            return pixels
        return self._cache[index, frame]

    def _emg(self, index: int, clip: Clip, times: np.ndarray) -> Example:
        channels, n = self.window.channels, len(clip.muscles)
        if n > channels:
            raise UserError(
                f"clip {clip.clip_id!r} has {n} EMG channels, more than "
                f"config.data.channels={channels}"
            )
        emg = np.zeros((len(times), channels), np.float32)
        mask = np.zeros(emg.shape, bool)
        muscle, side = np.zeros(channels, np.int32), np.zeros(channels, np.int32)
        if n:
            values, clock = self.target(index)
            emg[:, :n], inside = emg_lib.resample(values, clock, times)
            mask[:, :n] = inside[:, None] & np.isfinite(emg[:, :n])
            muscle[:n], side[:n] = muscle_queries(clip.muscles)
        return {"emg": np.where(mask, emg, 0), "emg_mask": mask, "muscle": muscle, "side": side}

    def pose(
        self,
        clip: Clip,
        times: Float[np.ndarray, " T"],
        rng: np.random.Generator | None = None,
    ) -> tuple[Float[np.ndarray, "T J 3"], Bool[np.ndarray, "T J"]]:
        """Joints at given instants (s) in the canonical frame (`core.body_frame`), and their mask.

        The instants are one window: it has one heading and one scale. Joints that the source lacks,
        and instants outside its recording, are zero and masked. `rng` as in `read_window`.
        """
        return self._seen_pose(clip, times, rng)[:2]

    def _seen_pose(
        self, clip: Clip, times: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """As `pose`, with the height of the body in the unit of the clip."""
        noise = self.pose_noise
        if noise is None or len(times) < 2:
            return self._canonical(clip, times)
        rate = (len(times) - 1) / float(times[-1] - times[0])
        film = zlib.crc32(clip.recording.encode())
        lasting = rng or np.random.default_rng([film, 0])
        key = zlib.crc32(clip.clip_id.encode())
        varying = rng or np.random.default_rng([key, 1, round(1e3 * times[0]) % 2**32])
        return self._canonical(
            clip, times, lambda pose: noise(clip.joints, pose, rate, varying, lasting)
        )

    def _canonical(
        self,
        clip: Clip,
        times: np.ndarray,
        change: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """`body_frame.canonical_pose` of a clip's pose at given instants, changed before."""
        joints = self.window.joints
        if not clip.joints or not len(clip.pose_time):
            blank = np.zeros((len(times), len(joints), 3), np.float32)
            return blank, np.zeros(blank.shape[:2], bool), np.nan
        flat = clip.pose.reshape(len(clip.pose), -1)
        flat, inside = emg_lib.resample(flat, clip.pose_time, times)
        pose = flat.reshape(len(times), len(clip.joints), 3)
        mask = np.repeat(inside[:, None], len(clip.joints), 1)
        if change is not None:
            pose = change(np.where(mask[..., None], pose, np.nan))
        return body_frame.canonical_pose(clip.joints, pose, mask, joints)

    def _torque(self, clip: Clip, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not clip.dofs or not len(clip.pose_time):
            blank = np.zeros((len(times), len(self.window.dofs)), np.float32)
            return blank, np.zeros(blank.shape, bool)
        if clip.dofs != self.window.dofs:
            raise UserError(f"clip {clip.clip_id!r}, field dofs: differs from the dataset's")
        torque, inside = emg_lib.resample(clip.torque, clip.pose_time, times)
        mask = inside[:, None] & np.isfinite(torque)
        return np.where(mask, torque, 0), mask

    def _keep(self, cache: dict, key, value, size: int) -> None:
        with self._lock:
            if size <= self._room and key not in cache:
                cache[key] = value
                self._room -= size

    def window_starts(self, index: int, stride: float | None = None) -> list[float]:
        """Starts (s) of windows that cover the time of a clip in which input and EMG exist.

        The last window ends with the clip. A clip that is no longer than a window and one frame
        gets a single window, from 0 on.

        Args:
          index: of the clip.
          stride: from one window to the next, s; by default that of the window.
        """
        clip, length, end = self.clip(index), self.window.seconds, self.end(index)
        stride = stride or self.window.stride or length
        starts = window_starts(end, length, stride, tolerance=1 / self.window.frame_rate)
        return [start and video_lib.align_to_frames(clip, start) for start in starts]

    def end(self, index: int) -> float:
        """The time until which input and EMG of a clip exist, s on its clock."""
        clip = self.clip(index)
        input_time = clip.frame_time if self.window.views else clip.pose_time
        return float(min(times[-1] for times in (input_time, clip.emg_time) if len(times)))


def has_pose(clip: Clip) -> bool:
    """Whether there is a pose at some time; a window without it is masked then."""
    return bool(clip.joints) and bool(np.isfinite(clip.pose).any())
