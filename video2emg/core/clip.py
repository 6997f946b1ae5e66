"""The Clip: a synchronised recording of one repetition or of a set. All builders produce it."""

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

import numpy as np

from video2emg.core import vocabulary
from video2emg.core.errors import UserError


def _empty(*shape: int, dtype: Any = np.float32) -> Any:
    return dataclasses.field(default_factory=lambda: np.zeros(shape, dtype))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Repetition:
    """One repetition of a set.

    Attributes:
      start, end: of its movement, s on the clip's clock. A key step that is a preparation may start
        earlier.
      phases, errors, score: as in `Clip`.
      complete: false if it was broken off before the full range of motion.
    """

    start: float
    end: float
    phases: tuple[tuple[str, float, float], ...] = ()
    errors: tuple[tuple[str, str, float], ...] = ()
    score: float = float("nan")
    complete: bool = True


@dataclasses.dataclass(kw_only=True)
class Clip:
    """One recording on one clock (seconds from the start of the clip).

    A clip is a single repetition, or a set: any number of repetitions, with the pauses before,
    between and after them. Each of a set's `repetitions` has its own `phases`, `errors` and
    `score`; `data.repetitions` makes clips of single repetitions of it.

    Fields that a source lacks stay empty and are masked later. F frames over all views, N EMG
    samples, C channels, P pose samples, J joints, D degrees of freedom.

    Attributes:
      clip_id: globally unique.
      dataset: name of the builder.
      subject: subject-disjoint splits go by this key.
      action: name of the exercise.
      views: camera names.
      frames: F encoded images (JPEG); views in any order.
      frame_view: [F] int32, index into `views` of each frame.
      frame_time: [F] float64, presentation time of each frame, s.
      muscles: C channel names, `side_muscle` of `video2emg.core.vocabulary`.
      emg: [N, C] float32, as recorded (no filter, no rectification), in `emg_unit`.
      emg_unit: e.g. `mV`.
      emg_rate: Hz.
      emg_start: time of the first EMG sample, s.
      emg_max: [C] float32, envelope at maximal voluntary contraction (MVC), in `emg_unit`, NaN if
        no MVC was recorded.
      joints: J joint names of a named skeleton (e.g. `vocabulary.FLEX_21`).
      pose: [P, J, 3] float32, m; x forward, y left, z up in the subject's heading at the start.
      pose_time: [P] float64, s.
      keypoint_joints: K joint names of a named skeleton (e.g. `pose.COCO_17`).
      keypoints: [Q, K, 3] float32, of a 2-D detector: x to the right and y down as fractions of the
        stored frame's side (NaN if not found), and the confidence in [0, 1]. They have no depth and
        no metric scale, and are therefore not a `pose`.
      keypoint_view: [Q] int32, index into `views`.
      keypoint_time: [Q] float64, s.
      dofs: D names of degrees of freedom with a known net torque.
      torque: [P, D] float32, N·m, on `pose_time`.
      drive: [P, C] float32, true muscle excitation under each electrode, fraction of maximum, on
        `pose_time` (simulated data only).
      load: kg, total for a barbell including the bar, per hand for dumbbells; NaN if unknown.
      phases: (key step, start s, end s).
      errors: (key step, error type, severity in (0, 1]).
      score: 0-100, NaN if unlabelled.
      repetitions: of a set, in the order of time; none in a free movement. None if the clip is
        itself a single repetition.
      heart_rate: [K] float32, 1/min, at `heart_time` [K] s.
      heart_time: [K] float64, s.
      breath_rate: [K] float32, 1/min, at `breath_time` [K] s.
      breath_time: [K] float64, s.
      provenance: facts that can be written as JSON: source file, filters, licence.
    """

    clip_id: str
    dataset: str
    subject: str
    action: str
    views: tuple[str, ...] = ()
    frames: list[bytes] = dataclasses.field(default_factory=list)
    frame_view: np.ndarray = _empty(0, dtype=np.int32)
    frame_time: np.ndarray = _empty(0, dtype=np.float64)
    muscles: tuple[str, ...] = ()
    emg: np.ndarray = _empty(0, 0)
    emg_unit: str = ""
    emg_rate: float = float("nan")
    emg_start: float = 0.0
    emg_max: np.ndarray = _empty(0)
    joints: tuple[str, ...] = ()
    pose: np.ndarray = _empty(0, 0, 3)
    pose_time: np.ndarray = _empty(0, dtype=np.float64)
    keypoint_joints: tuple[str, ...] = ()
    keypoints: np.ndarray = _empty(0, 0, 3)
    keypoint_view: np.ndarray = _empty(0, dtype=np.int32)
    keypoint_time: np.ndarray = _empty(0, dtype=np.float64)
    dofs: tuple[str, ...] = ()
    torque: np.ndarray = _empty(0, 0)
    drive: np.ndarray = _empty(0, 0)
    load: float = float("nan")
    phases: tuple[tuple[str, float, float], ...] = ()
    errors: tuple[tuple[str, str, float], ...] = ()
    score: float = float("nan")
    repetitions: tuple[Repetition, ...] | None = None
    heart_rate: np.ndarray = _empty(0)
    heart_time: np.ndarray = _empty(0, dtype=np.float64)
    breath_rate: np.ndarray = _empty(0)
    breath_time: np.ndarray = _empty(0, dtype=np.float64)
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def emg_is_envelope(self) -> bool:
        """Whether the EMG was recorded rectified and smoothed (provenance `emg_kind`)."""
        return self.provenance.get("emg_kind") == "envelope"

    @property
    def recording(self) -> str:
        """Id of the set that a repetition was cut out of (provenance `set`), or of the clip."""
        return str(self.provenance.get("set", self.clip_id))

    @property
    def end(self) -> float:
        """Time of the last sample of any signal, s; 0 without signals."""
        times = (np.sort(self.frame_time), self.emg_time, self.pose_time)
        return float(max(np.concatenate([time[-1:] for time in times]), default=0.0))

    @property
    def emg_time(self) -> np.ndarray:
        """[N] float64, time of each EMG sample, s."""
        return self.emg_start + np.arange(len(self.emg)) / self.emg_rate


@typing.runtime_checkable
class Clips(typing.Protocol):
    """Random access to clips: a `store.ClipSource`, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Clip: ...


def validate(clip: Clip) -> Clip:
    """Returns the clip if its fields are consistent.

    Raises:
      UserError: naming the clip, the field and what was expected.
    """

    def expect(ok: Any, field: str, message: str) -> None:
        if not ok:
            raise UserError(f"clip {clip.clip_id!r}, field {field}: {message}")

    for field in ("clip_id", "dataset", "subject", "action"):
        expect(getattr(clip, field), field, "must not be empty")
    n_frames, n_views, n_channels = len(clip.frames), len(clip.views), len(clip.muscles)
    expect(clip.frame_view.shape == (n_frames,), "frame_view", f"expected {n_frames} entries")
    expect(clip.frame_time.shape == (n_frames,), "frame_time", f"expected {n_frames} entries")
    expect(np.isfinite(clip.frame_time).all(), "frame_time", "must be finite")
    for v, name in enumerate(clip.views):
        times = clip.frame_time[clip.frame_view == v]
        expect(len(times), "views", f"view {name!r} has no frame")
        expect((np.diff(times) > 0).all(), "frame_time", f"view {name!r}: times must increase")
    expect(
        n_frames == 0 or (clip.frame_view.min() >= 0 and clip.frame_view.max() < n_views),
        "frame_view",
        f"indices must lie in [0, {n_views})",
    )
    for name in clip.muscles:
        try:
            vocabulary.split_channel(name)
        except ValueError as error:
            raise UserError(f"clip {clip.clip_id!r}, field muscles: {error}") from None
    if n_channels:
        expect(clip.emg.ndim == 2 and clip.emg.shape[1] == n_channels, "emg", f"[N, {n_channels}]")
        expect(len(clip.emg) > 1, "emg", "has fewer than two samples")
        expect(clip.emg_rate > 0, "emg_rate", f"must be positive, got {clip.emg_rate} Hz")
        expect(clip.emg_max.shape == (n_channels,), "emg_max", f"expected [{n_channels}]")
    n_pose = len(clip.pose_time)
    expect((np.diff(clip.pose_time) > 0).all(), "pose_time", "times must increase")
    for field, width in (("pose", len(clip.joints)), ("torque", len(clip.dofs))):
        shape = getattr(clip, field).shape
        expect(
            not width or shape[:2] == (n_pose, width), field, f"[{n_pose}, {width}], not {shape}"
        )
    expect(not clip.drive.size or clip.drive.shape == (n_pose, n_channels), "drive", "[P, C]")
    _validate_labels(clip, expect)
    _validate_repetitions(clip, expect)
    for kind in ("heart", "breath"):
        times = getattr(clip, f"{kind}_time")
        expect((np.diff(times) > 0).all(), f"{kind}_time", "times must increase")
        n = len(times)
        expect(len(getattr(clip, f"{kind}_rate")) == n, f"{kind}_rate", f"expected {n} readings")
    _validate_keypoints(clip, expect)
    return clip


def _validate_labels(labels: Clip | Repetition, expect: Callable[[Any, str, str], None]) -> None:
    for step, start, end in labels.phases:
        expect(end > start, "phases", f"{step!r} ends at {end} s, before it starts at {start} s")
    for step, error, severity in labels.errors:
        expect(0 < severity <= 1, "errors", f"{step}/{error}: severity {severity} not in (0, 1]")
    score = labels.score
    expect(np.isnan(score) or 0 <= score <= 100, "score", f"{score} not in 0-100")


def _validate_repetitions(clip: Clip, expect: Callable[[Any, str, str], None]) -> None:
    if clip.repetitions is None:
        return
    whole = clip.phases or clip.errors or np.isfinite(clip.score)
    expect(not whole, "repetitions", "a set has its phases, errors and scores here only")
    previous = -np.inf
    for number, repetition in enumerate(clip.repetitions, 1):
        start, end = repetition.start, repetition.end
        bounds = f"repetition {number} from {start} to {end} s"
        expect(np.isfinite(start) and end > start, "repetitions", f"{bounds} has no bounds")
        expect(start >= previous, "repetitions", f"{bounds} starts before the previous one ends")
        _validate_labels(repetition, expect)
        previous = end


def _validate_keypoints(clip: Clip, expect: Callable[[Any, str, str], None]) -> None:
    n, view = len(clip.keypoint_time), clip.keypoint_view
    shape = (n, len(clip.keypoint_joints), 3)
    expect(not n or clip.keypoints.shape == shape, "keypoints", f"{shape} expected")
    expect(view.shape == (n,), "keypoint_view", f"expected {n} entries")
    expect(
        not n or (view.min() >= 0 and view.max() < len(clip.views)),
        "keypoint_view",
        f"indices must lie in [0, {len(clip.views)})",
    )
