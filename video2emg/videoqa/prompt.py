"""What a vision-language model is shown and asked: text and pictures, whoever the model is."""

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
from video2emg.videoqa.wording import plain

CONTEXTS = ("emg", "pose")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SYSTEM = (
    "You judge how exercises with weights are performed. You are shown frames of a video in order, "
    "each after its time in seconds. Keep to the form of answer that is asked for."
)
_FORMS = {
    "choice": "Answer with the letter of one option and nothing else.",
    "text": "Answer in plain text, without lists or markup.",
    "number": "Answer with one number from 0 to 100 and nothing else.",
}

# Angles that describe a posture: name, and the joints of FLEX's skeleton that span it.
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

Part = str | bytes  # text, or a JPEG


@dataclasses.dataclass(frozen=True)
class Sight:
    """How much of a clip is shown.

    Attributes:
      frames: of each view, evenly spread.
      views: cameras; empty for the first of each clip.
      context: of `CONTEXTS`: measured EMG and pose told in words.
      reference: that EMG is divided by; needed for the context `emg`.
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


def turns(
    questions: Sequence[Question], clip_of: Callable[[str], Clip], sight: Sight
) -> list[list[Part]]:
    """What is said to a model in each turn of a dialogue; clips are shown in the first."""
    found: list[list[Part]] = []
    for question in questions:
        parts: list[Part] = []
        if not found:
            several = len(question.clips) > 1
            for place, clip_id in enumerate(question.clips):
                parts += [f"Repetition {place + 1}:"] if several else []
                parts += show(clip_of(clip_id), sight)
        parts.append(ask(question))
        found.append(parts)
    return found


def ask(question: Question) -> str:
    """The question with its options and the form of the answer."""
    lines = [question.text]
    lines += [f"{LETTERS[i]}. {option}" for i, option in enumerate(question.options)]
    return "\n".join([*lines, _FORMS[question.form]])


def show(clip: Clip, sight: Sight) -> list[Part]:
    """Frames with their times, and what else is told of the clip.

    Raises:
      UserError: the clip has no such view or no frames at all.
    """
    if not clip.views:
        raise UserError(f"clip {clip.clip_id!r} has no video to show")
    parts: list[Part] = []
    times = np.zeros(0)
    for view in sight.views or clip.views[:1]:
        if view not in clip.views:
            raise UserError(f"clip {clip.clip_id!r} has no view {view!r}; it has {clip.views}")
        frames = video_lib.spread_frames(clip, clip.views.index(view), sight.frames)
        times = clip.frame_time[frames]
        for frame, time in zip(frames, times, strict=True):
            parts += [f"{time:.1f} s, {plain(view)}:", clip.frames[frame]]
    if "emg" in sight.context:
        parts.append(_emg(clip, times, sight.reference))
    if "pose" in sight.context:
        parts.append(_pose(clip, times))
    return parts


def _emg(
    clip: Clip, times: Float[np.ndarray, " T"], reference: emg_lib.Normalisation | None
) -> str:
    """Envelopes at the frames' times, in words."""
    if reference is None or not clip.muscles:
        raise UserError(f"clip {clip.clip_id!r} has no EMG for --context emg")
    envelope = emg_lib.clip_envelope(clip) / reference.scale(clip)
    at, _ = emg_lib.resample(envelope, clip.emg_time, times)
    unit = {"mvc": "a maximal voluntary contraction"}.get(reference.kind, "the reference level")
    lines = [f"Measured muscle activity at these times, in % of {unit}:"]
    return "\n".join(
        [*lines, *(f"{plain(m)}: {_row(100 * at[:, c])}" for c, m in enumerate(clip.muscles))]
    )


def _pose(clip: Clip, times: Float[np.ndarray, " T"]) -> str:
    """Angles of the joints at the frames' times, in words."""
    known = {
        name: [clip.joints.index(joint) for joint in joints]
        for name, joints in _ANGLES.items()
        if all(joint in clip.joints for joint in joints)
    }
    if not known or not len(clip.pose_time):
        raise UserError(f"clip {clip.clip_id!r} has no pose for --context pose")
    flat = clip.pose.reshape(len(clip.pose), -1)
    at = emg_lib.resample(flat, clip.pose_time, times)[0].reshape(len(times), -1, 3)
    lines = ["Angles of the joints at these times, in degrees (180 is straight):"]
    for name, (first, middle, last) in known.items():
        a, b = at[:, first] - at[:, middle], at[:, last] - at[:, middle]
        length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosine = (a * b).sum(1) / np.maximum(length, 1e-9)
        lines.append(f"{name}: {_row(np.degrees(np.arccos(np.clip(cosine, -1, 1))))}")
    return "\n".join(lines)


def _row(values: np.ndarray) -> str:
    return ", ".join("unknown" if not np.isfinite(v) else f"{v:.0f}" for v in values)
