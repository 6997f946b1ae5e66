"""The prompt of a vision-language model as text and pictures, independent of the model."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core import emg as emg_lib
from video2emg.core import vocabulary
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.data import video as video_lib
from video2emg.videoqa.items import Question
from video2emg.videoqa.wording import to_words

CONTEXTS = ("emg", "pose")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SYSTEM = (
    "You judge how exercises with weights are performed. You are shown frames of a video in order, "
    "each after its time in seconds. Keep to the form of answer that is asked for."
)
_FORM_INSTRUCTIONS = {
    "choice": "Answer with the letter of one option and nothing else.",
    "text": "Answer in plain text, without lists or markup.",
    "number": "Answer with one number from 0 to 100 and nothing else.",
}

# Joint angles that describe a posture: name, and the three joints of FLEX's skeleton that span it.
_ANGLES = {
    f"{side} {name}": tuple(j if j == "chest" else f"{side}_{j}" for j in joints)
    for side in vocabulary.SIDES
    for name, joints in {
        "knee": ("hip", "knee", "ankle"),
        "hip": ("chest", "hip", "knee"),
        "shoulder": ("hip", "shoulder", "elbow"),
        "elbow": ("shoulder", "elbow", "wrist"),
    }.items()
}

Part = str | bytes  # text, or a JPEG image


@dataclasses.dataclass(frozen=True)
class PromptSettings:
    """How much of a clip a model is shown.

    Attributes:
      frames: number of frames of each view, evenly spaced.
      views: camera views; empty for the first view of each clip.
      context: any of `CONTEXTS`: measured EMG and pose, described in words.
      reference: EMG is divided by it; needed for the context `emg`.
    """

    frames: int = 8
    views: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    reference: emg_lib.Normalisation | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UserError(f"--frames {self.frames}: expected one or more")
        if unknown := set(self.context) - set(CONTEXTS):
            raise UserError(f"--context {sorted(unknown)[0]!r}: not one of {', '.join(CONTEXTS)}")


def dialogue_turns(
    questions: Sequence[Question], get_clip: Callable[[str], Clip], settings: PromptSettings
) -> list[list[Part]]:
    """The user's part of each turn of a dialogue. The first turn shows the clips."""
    turns: list[list[Part]] = []
    for question in questions:
        parts: list[Part] = []
        if not turns:
            several = len(question.clips) > 1
            for number, clip_id in enumerate(question.clips, 1):
                parts += [f"Repetition {number}:"] if several else []
                parts += clip_parts(get_clip(clip_id), settings)
        parts.append(question_text(question))
        turns.append(parts)
    return turns


def question_text(question: Question) -> str:
    """The question with its options and the required form of the answer."""
    lines = [question.text]
    lines += [f"{LETTERS[i]}. {option}" for i, option in enumerate(question.options)]
    return "\n".join([*lines, _FORM_INSTRUCTIONS[question.form]])


def clip_parts(clip: Clip, settings: PromptSettings) -> list[Part]:
    """Frames of a clip with their times, and its context in words.

    Raises:
      UserError: the clip has no frames, or lacks a view, the EMG or the pose that is asked for.
    """
    if not clip.views:
        raise UserError(f"clip {clip.clip_id!r} has no video to show")
    parts: list[Part] = []
    times = np.zeros(0)
    for view in settings.views or clip.views[:1]:
        if view not in clip.views:
            raise UserError(f"clip {clip.clip_id!r} has no view {view!r}; it has {clip.views}")
        frames = video_lib.spread_frames(clip, clip.views.index(view), settings.frames)
        times = clip.frame_time[frames]
        for frame, time in zip(frames, times, strict=True):
            parts += [f"{time:.1f} s, {to_words(view)}:", clip.frames[frame]]
    if "emg" in settings.context:
        parts.append(_emg_text(clip, times, settings.reference))
    if "pose" in settings.context:
        parts.append(_pose_text(clip, times))
    return parts


def _emg_text(
    clip: Clip, times: Float[np.ndarray, " T"], reference: emg_lib.Normalisation | None
) -> str:
    """EMG envelopes at the times of the frames, in words."""
    if reference is None or not clip.muscles:
        raise UserError(f"clip {clip.clip_id!r} has no EMG for --context emg")
    envelope = emg_lib.clip_envelope(clip) / reference.scale(clip)
    at_frames, _ = emg_lib.resample(envelope, clip.emg_time, times)
    unit = {"mvc": "a maximal voluntary contraction"}.get(reference.kind, "the reference level")
    lines = [f"Measured muscle activity at these times, in % of {unit}:"]
    for c, muscle in enumerate(clip.muscles):
        lines.append(f"{to_words(muscle)}: {_row(100 * at_frames[:, c])}")
    return "\n".join(lines)


def _pose_text(clip: Clip, times: Float[np.ndarray, " T"]) -> str:
    """Joint angles at the times of the frames, in words."""
    angles = {
        name: [clip.joints.index(joint) for joint in joints]
        for name, joints in _ANGLES.items()
        if all(joint in clip.joints for joint in joints)
    }
    if not angles or not len(clip.pose_time):
        raise UserError(f"clip {clip.clip_id!r} has no pose for --context pose")
    flat = clip.pose.reshape(len(clip.pose), -1)
    pose = emg_lib.resample(flat, clip.pose_time, times)[0].reshape(len(times), -1, 3)
    lines = ["Angles of the joints at these times, in degrees (180 is straight):"]
    for name, (first, middle, last) in angles.items():
        a, b = pose[:, first] - pose[:, middle], pose[:, last] - pose[:, middle]
        length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosine = (a * b).sum(1) / np.maximum(length, 1e-9)
        lines.append(f"{name}: {_row(np.degrees(np.arccos(np.clip(cosine, -1, 1))))}")
    return "\n".join(lines)


def _row(values: np.ndarray) -> str:
    return ", ".join("unknown" if not np.isfinite(v) else f"{v:.0f}" for v in values)
