"""Finds problems of a dataset before anybody trains on it.

`check_clip` checks one clip. `check_dataset` checks all clips, and what only shows between them; it
keeps a few hundred bytes per clip. Limits are named constants with their reason beside them.
"""

import collections
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core import units
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.data import check_between, check_lag, check_pose
from video2emg.data import video as video_lib
from video2emg.data.findings import Finding, Report

LOWEST_RATE = 100.0  # Hz; below, nothing of the 20-450 Hz band is left after Nyquist
HIGHEST_RATE = 50e3  # Hz; no amplifier for surface EMG samples faster: was it given in mHz?
FRAME_RATES = (0.5, 1000.0)  # Hz; beyond, the times are in the wrong unit
PER_MINUTE = {"heart": (25.0, 240.0), "breath": (2.0, 90.0)}  # 1/min, of living people
OUTSIDE = 0.05  # share of keypoints outside the picture that a body at its edge may have
FLAT = 1e-6  # deviation below this share of the largest channel's: not connected
RAIL = 0.005  # share of samples at the largest or smallest value: the amplifier was clipping
HUM = 0.2  # share of the power within ± 1 Hz of the mains' harmonics up to 450 Hz
SHORT = 0.25  # s by which EMG and video may differ without a warning
VOLTS = (1e-7, 1e-2)  # V: RMS of surface EMG lies between noise (0.1 µV) and 10 mV
MVC = (0.005, 2.0)  # a trial's peak as a share of the maximal voluntary contraction


class _Notes(list[Finding]):
    """Findings about one clip."""

    def __init__(self, clip_id: str):
        super().__init__()
        self._clip_id = clip_id

    def error(self, code: str, field: str, message: str) -> None:
        self.append(Finding("error", code, self._clip_id, field, message))

    def warning(self, code: str, field: str, message: str) -> None:
        self.append(Finding("warning", code, self._clip_id, field, message))


def check_clip(clip: Clip) -> list[Finding]:
    """Problems that one clip alone shows."""
    notes = _Notes(clip.clip_id)
    try:
        validate(clip)
    except UserError as error:
        notes.error("contract", "", str(error))
        return notes
    if clip.muscles:
        _check_emg(clip, notes)
    if clip.views:
        _check_video(clip, notes)
    if clip.muscles and clip.views:
        _check_length(clip, notes)
    if len(clip.pose_time):
        check_pose.check_pose(clip, notes.error, notes.warning)
        _check_pose_length(clip, notes)
    for kind, (low, high) in PER_MINUTE.items():
        rate = getattr(clip, f"{kind}_rate")
        if len(rate) and not (low <= rate.min() and rate.max() <= high):
            message = (
                f"{rate.min():g} to {rate.max():g} per minute; people have {low:g} to {high:g}"
            )
            notes.error(f"{kind}_rate", f"{kind}_rate", message)
    for doubt in clip.provenance.get("doubts", ()):
        notes.warning("files", "", doubt)
    if clip.load < 0:
        notes.error("load", "load", f"{clip.load:g} kg is not a load; leave it out if unknown")
    _check_phases(clip, notes)
    return notes


def _check_length(clip: Clip, notes: _Notes) -> None:
    emg, frames = clip.emg_time, clip.frame_time
    for field, verb, ahead, when in (
        ("emg_start", "starts", frames.min() - emg[0], "after"),
        ("emg", "ends", emg[-1] - frames.max(), "before"),
    ):
        if abs(ahead) > SHORT:
            longer, shorter = ("EMG", "video") if ahead > 0 else ("video", "EMG")
            notes.warning(
                "length", field, f"the {shorter} {verb} {abs(ahead):.2f} s {when} the {longer}"
            )


def _check_pose_length(clip: Clip, notes: _Notes) -> None:
    times = clip.frame_time if clip.views else clip.emg_time
    if not len(times):
        return
    late, early = clip.pose_time[0] - times.min(), times.max() - clip.pose_time[-1]
    for verb, seconds, when in (("start", late, "after"), ("end", early, "before")):
        if seconds > SHORT:
            kind = "video" if clip.views else "EMG"
            notes.warning("length", "pose", f"the poses {verb} {seconds:.2f} s {when} the {kind}")


def _check_phases(clip: Clip, notes: _Notes) -> None:
    last = max([*clip.frame_time[-1:], *clip.emg_time[-1:], *clip.pose_time[-1:], 0.0])
    previous_end = 0.0
    for step, start, end in clip.phases:
        if start < -SHORT or end > last + SHORT:
            notes.error(
                "phases",
                "phases",
                f"{step}: {start:.2f} to {end:.2f} s lies outside the clip (0 to {last:.2f} s)",
            )
        elif start < previous_end - 1e-6:
            notes.error(
                "phases",
                "phases",
                f"{step} starts at {start:.2f} s, but the one before ends at {previous_end:.2f} s",
            )
        previous_end = end


def _check_emg(clip: Clip, notes: _Notes) -> None:
    values, rate = clip.emg.astype(np.float64), clip.emg_rate
    if not clip.emg_is_envelope and rate < LOWEST_RATE:
        if LOWEST_RATE <= 1e3 * rate <= HIGHEST_RATE and rate < 20:
            advice = "are its times in ms? Then call their column `time [ms]`"
        else:
            advice = "if the file was rectified and smoothed before, say emg_kind=envelope"
        notes.error(
            "emg_rate",
            "emg_rate",
            f"{rate:g} Hz is too low for raw EMG (at least {LOWEST_RATE:g} Hz); {advice}",
        )
    if rate > HIGHEST_RATE:
        message = f"{rate:g} Hz is too high (at most {HIGHEST_RATE:g} Hz)"
        notes.error("emg_rate", "emg_rate", message)
    missing = ~np.isfinite(values)
    for c in np.flatnonzero(missing.any(0)):
        notes.error(
            "missing",
            f"emg/{clip.muscles[c]}",
            f"{missing[:, c].sum()} samples are not finite, first at "
            f"{clip.emg_time[missing[:, c].argmax()]:.3f} s",
        )
    if missing.any():
        return
    deviation = values.std(0)
    flat = deviation <= FLAT * max(deviation.max(), np.finfo(np.float32).tiny)
    for c, (name, x) in enumerate(zip(clip.muscles, values.T, strict=True)):
        if flat[c]:
            notes.error("flat", f"emg/{name}", f"constant at {x[0]:g}: not connected?")
        elif not clip.emg_is_envelope:
            _check_raw_channel(f"emg/{name}", x, rate, notes)
    volts = units.volts(clip.emg_unit)
    if volts:
        rms = volts * float(np.sqrt(np.mean((values - values.mean(0)) ** 2)))
        if not VOLTS[0] <= rms <= VOLTS[1]:
            notes.warning(
                "unit",
                "emg_unit",
                f"an RMS of {rms:.2g} V is not that of surface EMG ({VOLTS[0]:g} to {VOLTS[1]:g} "
                f"V): is the unit {clip.emg_unit}?",
            )
    if np.isfinite(clip.emg_max).any() and not flat.any():
        _check_mvc(clip, notes)


def _check_mvc(clip: Clip, notes: _Notes) -> None:
    try:
        peaks = np.percentile(emg_lib.clip_envelope(clip), 99, axis=0)
    except UserError:  # another check names what is wrong with the signal
        return
    for name, peak, largest in zip(clip.muscles, peaks, clip.emg_max, strict=True):
        share = peak / largest if largest > 0 else np.nan
        if share > MVC[1]:
            message = f"the trial reaches {share:.3g} times the maximal voluntary contraction"
        elif share < MVC[0]:
            message = f"the trial reaches {share:.2%} of the maximal voluntary contraction"
        else:
            continue
        unit = clip.emg_unit
        notes.warning("mvc", f"emg_max/{name}", f"{message}: is emg_max the envelope's, in {unit}?")


def _check_raw_channel(field: str, x: np.ndarray, rate: float, notes: _Notes) -> None:
    clipped = max((x == x.max()).sum(), (x == x.min()).sum()) / len(x)
    if clipped > max(RAIL, 3 / len(x)):
        notes.warning(
            "saturated",
            field,
            f"{clipped:.1%} of the samples stand at the extreme: the amplifier was clipping",
        )
    share, mains, lines = hum(x, rate)
    if share > HUM:
        if lines[0] == mains:
            text = f"at {mains:g} Hz and harmonics; try --config.data.notch={mains:g}"
        else:
            listed = ", ".join(f"{line:g}" for line in lines[:3])
            text = (
                f"at harmonics of {mains:g} Hz, most at {listed} Hz, which a notch at {mains:g} Hz "
                "leaves: look for the source near electrodes and cables"
            )
        notes.warning("hum", field, f"{share:.0%} of the power is {text}")


def hum(x: np.ndarray, rate: float) -> tuple[float, float, list[float]]:
    """Hum of the mains in a signal.

    Returns:
      Share of the power at 50 or 60 Hz and harmonics up to 450 Hz; which of the two; the harmonics
      with most of that power, strongest first, Hz.
    """
    power = np.abs(np.fft.rfft(x - x.mean())) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / rate)
    best = (0.0, 50.0, [50.0])
    for mains in (50.0, 60.0):
        lines = np.arange(mains, min(450.0, 0.5 * rate - 1), mains)
        near = np.abs(frequency[:, None] - lines) <= 1.0
        share = float(power[near.any(1)].sum() / max(power.sum(), 1e-30))
        parts = power @ near
        order = np.argsort(-parts, kind="stable")
        strongest = [float(lines[i]) for i in order if parts[i] >= 0.1 * parts.sum()]
        best = max(best, (share, mains, strongest))
    return best


def _check_video(clip: Clip, notes: _Notes) -> None:
    spans = {}
    for v, name in enumerate(clip.views):
        frames = np.flatnonzero(clip.frame_view == v)
        times = clip.frame_time[frames]
        spans[name] = (times[0], times[-1])
        if len(times) > 2:
            _check_frame_times(f"frames/{name}", times, notes)
        cut_off = [i for i in frames if not _is_whole(clip.frames[i])]
        for frame in [*cut_off, *frames[[0, -1]]]:
            try:
                video_lib.decode(clip, int(frame), 8)
            except UserError as error:
                notes.error("picture", f"frames/{name}", str(error))
                break
        points = clip.keypoints[clip.keypoint_view == v][..., :2]
        times = clip.keypoint_time[clip.keypoint_view == v]
        jumps = check_pose.jumps(points, times)
        if len(jumps):
            notes.warning(
                "jump",
                f"keypoints/{name}",
                f"the person is elsewhere {len(jumps)} times within one step, first after "
                f"{times[jumps[0]]:.2f} s: are they another's?",
            )
        points = points[np.isfinite(points).all(-1)]
        beyond = float(((points < 0) | (points > 1)).any(-1).mean()) if len(points) else 0.0
        if beyond > OUTSIDE:
            notes.error(
                "keypoints",
                f"keypoints/{name}",
                f"{beyond:.0%} of the points lie outside the picture: are they of another video, "
                "or of another size?",
            )
    starts, ends = zip(*spans.values(), strict=True)
    if max(np.ptp(starts), np.ptp(ends)) > SHORT:
        text = ", ".join(f"{name} {start:.2f}–{end:.2f} s" for name, (start, end) in spans.items())
        notes.warning("views", "frames", f"the views differ in length: {text}")


def _is_whole(frame: bytes) -> bool:
    """Whether a JPEG file has its start and its end; decoding every picture would take hours."""
    return frame.startswith(b"\xff\xd8") and b"\xff\xd9" in frame[-1024:]


def _check_frame_times(field: str, times: np.ndarray, notes: _Notes) -> None:
    steps = np.diff(times)
    fps = 1 / float(np.median(steps))
    if not FRAME_RATES[0] <= fps <= FRAME_RATES[1]:
        notes.error(
            "frame_rate",
            field,
            f"{fps:g} Hz is not the rate of a film ({FRAME_RATES[0]:g} to {FRAME_RATES[1]:g} Hz)",
        )
    gap = steps.max()
    if gap > 5 * np.median(steps):
        notes.warning("gap", field, f"no frame for {gap:.2f} s after {times[steps.argmax()]:.2f} s")


def check_dataset(
    splits: Mapping[str, Iterable[Clip | UserError]],
    show: Callable[[Clip, list[Finding]], None] = lambda clip, findings: None,
    same_people: bool = False,
) -> Report:
    """Checks every clip, and what only shows between clips and between splits.

    Args:
      splits: clips, or the errors of those that could not be read.
      show: called with every clip that has findings.
      same_people: the dataset's protocol tests on people of the training; said once, as a warning.
    """
    findings: list[Finding] = []
    clips = dict.fromkeys(splits, 0)
    digests: dict[bytes, tuple[str, str]] = {}  # (clip_id, split) of the first clip with a digest
    subjects = collections.defaultdict(dict)  # first clip of each split, by subject
    courses = collections.defaultdict(list)
    sizes: list[check_between.Size] = []
    lengths: list[check_between.Length] = []
    movements = collections.defaultdict(list)  # by subject
    for split, source in splits.items():
        for clip in source:
            clips[split] += 1
            if isinstance(clip, UserError):
                findings.append(Finding("error", "unreadable", "", "", str(clip)))
                continue
            notes = check_clip(clip)
            findings += notes
            if notes:
                show(clip, notes)
            subjects[clip.subject].setdefault(split, clip.clip_id)
            findings += _duplicates(clip, split, digests)
            if clip.muscles and _takes_length_of_emg(clip):
                seconds = len(clip.emg) / clip.emg_rate
                lengths.append(
                    check_between.Length(clip.subject, clip.action, clip.clip_id, seconds)
                )
            if clip.muscles and not any(finding.severity == "error" for finding in notes):
                sizes.append(check_between.size_of(clip))
                own = movements[clip.subject]
                if len(own) < check_lag.MOST and (sample := check_lag.sample_of(clip)):
                    own.append(sample)
                if clip.repetitions is None:  # sets have no common time course
                    for name, course in zip(
                        clip.muscles, check_between.time_courses(clip), strict=True
                    ):
                        courses[clip.action, name].append((clip.subject, clip.clip_id, course))
    findings += check_between.in_two_splits(subjects, same_people)
    findings += check_between.odd_lengths(lengths)
    lags = check_lag.person_lags(list(itertools.chain(*movements.values())))
    findings += check_lag.late_people(lags)
    findings += check_between.other_units(sizes)
    findings += check_between.swapped_channels(courses)
    return Report(clips, findings, {name: lag.to_json() for name, lag in lags.items()})


def _takes_length_of_emg(clip: Clip) -> bool:
    """Whether pictures and poses are spread over the EMG, so that they show no wrong length."""
    return clip.provenance.get("assumed", {}).get("frame_rate_hz", 0.0) is None


def _duplicates(clip: Clip, split: str, digests: dict[bytes, tuple[str, str]]) -> Iterator[Finding]:
    """Fields that are equal to those of an earlier clip; remembers this clip's in `digests`."""
    for field, parts in (("emg", [clip.emg.tobytes()]), ("frames", clip.frames)):
        digest = hashlib.sha256(b"".join(parts)).digest()
        if not any(parts):
            continue
        clip_id, other = digests.setdefault(digest, (clip.clip_id, split))
        if clip_id != clip.clip_id:
            severity, where = ("warning", "the same split") if other == split else ("error", other)
            message = f"the same {field} as clip {clip_id}, in {where}"
            yield Finding(severity, "duplicate", clip.clip_id, field, message)
