"""What is wrong with a dataset, before anybody trains on it.

`check_clip` looks at one recording, `check_dataset` at all of them, clip by clip: what is kept per
clip is a few hundred bytes. Limits are named constants with their reason beside them.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.data import video as video_lib

Severity = Literal["error", "warning"]

LOWEST_RATE = 100.0  # Hz; below, nothing of the 20-450 Hz band is left after Nyquist
HIGHEST_RATE = 50e3  # Hz; no amplifier for surface EMG samples faster: was it given in mHz?
FRAME_RATES = (0.5, 1000.0)  # Hz; beyond, a clock was read in the wrong unit
PER_MINUTE = {"heart": (25.0, 240.0), "breath": (2.0, 90.0)}  # 1/min, of living people
OUTSIDE = 0.05  # share of keypoints outside the picture that a body at its edge may have
FLAT = 1e-6  # spread below this share of the largest channel's: not connected
RAIL = 0.005  # share of samples at the very extreme: the amplifier was clipping
HUM = 0.2  # share of the power within ± 1 Hz of the mains' harmonics up to 450 Hz
SHORT = 0.25  # s that EMG and video may differ in length without a word
VOLTS = (1e-7, 1e-2)  # V: RMS of surface EMG lies between noise (0.1 µV) and 10 mV
SWAPPED = 0.2  # by how much a channel must look more like another's template than like its own
_PHASES = 20  # points of a channel's typical time course


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
      severity: `error`: would train on nonsense or not at all; `warning`: look at it.
      code: short name of the check.
      clip_id: empty if it concerns the dataset as a whole.
      field: of the Clip, with the channel or view where it applies.
      message: what was measured and what was expected.
    """

    severity: Severity
    code: str
    clip_id: str
    field: str
    message: str


@dataclasses.dataclass(frozen=True)
class Report:
    """All findings, and how many clips were looked at.

    Attributes:
      clips: number per split.
      findings: in the order of the clips.
    """

    clips: dict[str, int]
    findings: list[Finding]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able copy; `schema` names this form."""
        return {
            "schema": "video2emg.check/1",
            "clips": self.clips,
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }

    def table(self) -> str:
        """One line per kind of finding, errors first, with an example."""
        groups = collections.defaultdict(list)
        for finding in self.findings:
            groups[finding.severity, finding.code].append(finding)
        looked = ", ".join(f"{count} in {split}" for split, count in self.clips.items())
        lines = [f"clips: {looked}"]
        for (severity, code), found in sorted(groups.items()):
            first = found[0]
            lines.append(
                f"{severity:8s}{code:22s}{len(found):5d}   e.g. {first.clip_id} "
                f"{first.field}: {first.message}"
            )
        return "\n".join(
            [*lines, f"{self.errors} errors, {len(self.findings) - self.errors} warnings"]
        )


def check_clip(clip: Clip) -> list[Finding]:
    """Everything that can be seen in one clip alone."""
    found: list[Finding] = []

    def note(severity: Severity, code: str, field: str, message: str) -> None:
        found.append(Finding(severity, code, clip.clip_id, field, message))

    try:
        validate(clip)
    except UserError as error:
        note("error", "contract", "", str(error))
        return found
    if clip.muscles:
        _check_emg(clip, note)
    if clip.views:
        _check_video(clip, note)
    if clip.muscles and clip.views:
        emg, film = clip.emg_time, clip.frame_time
        for name, ahead in (("starts", film.min() - emg[0]), ("ends", emg[-1] - film.max())):
            if abs(ahead) > SHORT:
                longer, shorter = ("EMG", "video") if ahead > 0 else ("video", "EMG")
                when = "after" if name == "starts" else "before"
                note(
                    "warning",
                    "length",
                    "emg_start" if name == "starts" else "emg",
                    f"the {shorter} {name} {abs(ahead):.2f} s {when} the {longer}",
                )
    for kind, (low, high) in PER_MINUTE.items():
        rate = getattr(clip, f"{kind}_rate")
        if len(rate) and not (low <= rate.min() and rate.max() <= high):
            note(
                "error",
                f"{kind}_rate",
                f"{kind}_rate",
                f"{rate.min():g} to {rate.max():g} per minute; people have {low:g} to {high:g}",
            )
    if clip.load <= 0:
        note("error", "load", "load", f"{clip.load:g} kg is not a load; leave it out if unknown")
    last = max([*clip.frame_time[-1:], *clip.emg_time[-1:], *clip.pose_time[-1:], 0.0])
    before = 0.0
    for step, start, end in clip.phases:
        if start < -SHORT or end > last + SHORT:
            where = f"{start:.2f} to {end:.2f} s lies outside the clip (0 to {last:.2f} s)"
            note("error", "phases", "phases", f"{step}: {where}")
        elif start < before - 1e-6:
            note(
                "error",
                "phases",
                "phases",
                f"{step} starts at {start:.2f} s, but the one before ends at {before:.2f} s",
            )
        before = end
    return found


def _check_emg(clip: Clip, note) -> None:
    values, rate = clip.emg.astype(np.float64), clip.emg_rate
    if not clip.emg_is_envelope and rate < LOWEST_RATE:
        note(
            "error",
            "emg_rate",
            "emg_rate",
            f"{rate:g} Hz is too low for raw EMG (at least {LOWEST_RATE:g} Hz); if the file was "
            "rectified and smoothed before, say emg_kind=envelope",
        )
    if rate > HIGHEST_RATE:
        note(
            "error",
            "emg_rate",
            "emg_rate",
            f"{rate:g} Hz is too high (at most {HIGHEST_RATE:g} Hz)",
        )
    finite = np.isfinite(values)
    for c, name in enumerate(clip.muscles):
        if not finite[:, c].all():
            note(
                "error",
                "missing",
                f"emg/{name}",
                f"{(~finite[:, c]).sum()} samples are not "
                f"finite, first at {clip.emg_time[(~finite[:, c]).argmax()]:.3f} s",
            )
    if not finite.all():
        return
    spread = values.std(0)
    for c, name in enumerate(clip.muscles):
        x = values[:, c]
        if spread[c] <= FLAT * max(spread.max(), np.finfo(np.float32).tiny):
            note("error", "flat", f"emg/{name}", f"constant at {x[0]:g}: not connected?")
            continue
        rails = max((x == x.max()).sum(), (x == x.min()).sum()) / len(x)
        # Envelopes rest at zero, which is no rail.
        if rails > max(RAIL, 3 / len(x)) and not clip.emg_is_envelope:
            note(
                "warning",
                "saturated",
                f"emg/{name}",
                f"{rails:.1%} of the samples stand at the extreme: the amplifier was clipping",
            )
        share, mains = hum(x, rate)
        if share > HUM and not clip.emg_is_envelope:
            note(
                "warning",
                "hum",
                f"emg/{name}",
                f"{share:.0%} of the power is at {mains:g} Hz "
                f"and harmonics; try --config.data.notch={mains:g}",
            )
    scale = emg_lib.VOLTS_PER_UNIT.get(clip.emg_unit.lower())
    if scale:
        rms = scale * float(np.sqrt(np.mean((values - values.mean(0)) ** 2)))
        if not VOLTS[0] <= rms <= VOLTS[1]:
            note(
                "warning",
                "unit",
                "emg_unit",
                f"an RMS of {rms:.2g} V is not that of surface EMG "
                f"({VOLTS[0]:g} to {VOLTS[1]:g} V): is the unit {clip.emg_unit}?",
            )


def hum(x: np.ndarray, rate: float) -> tuple[float, float]:
    """Share of the power at 50 or 60 Hz and harmonics up to 450 Hz, and which of the two."""
    power = np.abs(np.fft.rfft(x - x.mean())) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / rate)
    best = (0.0, 50.0)
    for mains in (50.0, 60.0):
        lines = np.arange(mains, min(450.0, 0.5 * rate - 1), mains)
        near = np.abs(frequency[:, None] - lines).min(1, initial=np.inf) <= 1.0
        best = max(best, (float(power[near].sum() / max(power.sum(), 1e-30)), mains))
    return best


def _check_video(clip: Clip, note) -> None:
    spans = {}
    for v, name in enumerate(clip.views):
        own = np.flatnonzero(clip.frame_view == v)
        times = clip.frame_time[own]
        spans[name] = (times[0], times[-1])
        if len(times) > 2:
            steps = np.diff(times)
            fps = 1 / float(np.median(steps))
            if not FRAME_RATES[0] <= fps <= FRAME_RATES[1]:
                note(
                    "error",
                    "frame_rate",
                    f"frames/{name}",
                    f"{fps:g} Hz is not the rate of "
                    f"a film ({FRAME_RATES[0]:g} to {FRAME_RATES[1]:g} Hz)",
                )
            gap = steps.max()
            if gap > 5 * np.median(steps):
                note(
                    "warning",
                    "gap",
                    f"frames/{name}",
                    f"no frame for {gap:.2f} s after {times[steps.argmax()]:.2f} s",
                )
        for frame in own[[0, -1]]:
            try:
                video_lib.decode(clip, int(frame), 8)
            except UserError as error:
                note("error", "picture", f"frames/{name}", str(error))
                break
        seen = clip.keypoints[clip.keypoint_view == v][..., :2]
        seen = seen[np.isfinite(seen).all(-1)]
        beyond = float(((seen < 0) | (seen > 1)).any(-1).mean()) if len(seen) else 0.0
        if beyond > OUTSIDE:
            note(
                "error",
                "keypoints",
                f"keypoints/{name}",
                f"{beyond:.0%} of the points lie "
                "outside the picture: are they of another video, or of another size?",
            )
    if len(spans) > 1:
        starts, ends = zip(*spans.values(), strict=True)
        if max(np.ptp(starts), np.ptp(ends)) > SHORT:
            text = ", ".join(f"{n} {a:.2f}–{b:.2f} s" for n, (a, b) in spans.items())
            note("warning", "views", "frames", f"the views differ in length: {text}")


def check_dataset(
    splits: Mapping[str, Iterable[Clip | UserError]],
    show: Callable[[Clip, list[Finding]], None] = lambda clip, findings: None,
) -> Report:
    """Checks every clip, and what only shows between clips and between splits.

    Args:
      splits: clips, or the errors of those that could not be read.
      show: called with every clip in which something was found.
    """
    findings: list[Finding] = []
    clips: dict[str, int] = {}
    seen: dict[bytes, tuple[str, str]] = {}
    people: dict[str, str] = {}
    courses: dict[tuple[str, str], list[tuple[str, str, np.ndarray]]] = collections.defaultdict(
        list
    )
    for split, source in splits.items():
        clips[split] = 0
        for clip in source:
            clips[split] += 1
            if isinstance(clip, UserError):
                findings.append(Finding("error", "unreadable", "", "", str(clip)))
                continue
            own = check_clip(clip)
            findings += own
            if own:
                show(clip, own)
            other = people.setdefault(clip.subject, split)
            if other != split:
                findings.append(
                    Finding(
                        "error",
                        "subject_in_two_splits",
                        clip.clip_id,
                        "subject",
                        f"{clip.subject} is also in {other}",
                    )
                )
                people[clip.subject] = split
            for field, digest in _digests(clip):
                twin = seen.setdefault(digest, (clip.clip_id, split))
                if twin[0] != clip.clip_id:
                    where = "in the same split" if twin[1] == split else f"in {twin[1]}"
                    findings.append(
                        Finding(
                            "warning" if twin[1] == split else "error",
                            "duplicate",
                            clip.clip_id,
                            field,
                            f"the same {field} as clip {twin[0]}, {where}",
                        )
                    )
            if clip.muscles and not any(f.severity == "error" for f in own):
                for name, course in zip(clip.muscles, _courses(clip), strict=True):
                    courses[clip.action, name].append((clip.subject, clip.clip_id, course))
    return Report(clips, findings + _swapped(courses))


def _digests(clip: Clip) -> list[tuple[str, bytes]]:
    found = []
    if clip.emg.size:
        found.append(("emg", hashlib.sha256(clip.emg.tobytes()).digest()))
    if clip.frames:
        digest = hashlib.sha256()
        for frame in clip.frames:
            digest.update(frame)
        found.append(("frames", digest.digest()))
    return found


def _courses(clip: Clip) -> np.ndarray:
    """[C, _PHASES] envelope over the clip, zero mean and unit length; zero if flat or too short."""
    try:
        envelope = emg_lib.clip_envelope(clip)
    except UserError:
        return np.zeros((len(clip.muscles), _PHASES), np.float32)
    points = np.linspace(0, len(envelope) - 1, _PHASES)
    course = np.stack([np.interp(points, np.arange(len(envelope)), x) for x in envelope.T])
    course = course - course.mean(1, keepdims=True)
    size = np.linalg.norm(course, axis=1, keepdims=True)
    return (course / np.where(size > 0, size, 1)).astype(np.float32)


def _swapped(courses: Mapping[tuple[str, str], list[tuple[str, str, np.ndarray]]]) -> list[Finding]:
    """Subjects whose channel moves like another channel does in everybody else.

    A channel's typical time course is the mean over the other subjects' clips of the same action.
    Where two muscles work alike (left and right of a symmetric lift) a swap cannot be seen, and
    nothing is said.
    """
    found = []
    for action in {action for action, _ in courses}:
        names = [name for a, name in courses if a == action]
        subjects = {s for name in names for s, _, _ in courses[action, name]}
        if len(subjects) < 3 or len(names) < 2:
            continue
        for subject in sorted(subjects):
            typical, own = {}, {}
            for name in names:
                others = [c for s, _, c in courses[action, name] if s != subject]
                mine = [c for s, _, c in courses[action, name] if s == subject]
                if others and mine:
                    typical[name], own[name] = np.mean(others, 0), np.mean(mine, 0)
            for a in own:
                for b in own:
                    if a < b:
                        kept = _like(own[a], typical[a]) + _like(own[b], typical[b])
                        exchanged = _like(own[a], typical[b]) + _like(own[b], typical[a])
                        if exchanged - kept > 2 * SWAPPED:
                            clip_id = next(i for s, i, _ in courses[action, a] if s == subject)
                            found.append(
                                Finding(
                                    "warning",
                                    "swapped",
                                    clip_id,
                                    f"emg/{a}",
                                    f"{subject}, {action}: {a} and {b} look exchanged (r with "
                                    f"others {kept / 2:.2f}, exchanged {exchanged / 2:.2f})",
                                )
                            )
    return found


def _like(a: np.ndarray, b: np.ndarray) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0
