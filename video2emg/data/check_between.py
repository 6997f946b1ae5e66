"""Checks of what only shows between the clips of a dataset."""

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from video2emg.core import emg as emg_lib
from video2emg.core import units
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.data.findings import Finding

SWAPPED = 0.2  # by how much two channels must correlate better with each other's time courses
MATCH = 0.3  # and how well at least
SCALE = 100.0  # times that a person's EMG may be larger or smaller than that of the others
REPETITION = (1.0, 15.0)  # s; beyond, the rate is wrong
ODD = 0.6  # of the usual length of a repetition, or its inverse: a part is missing
_FEW = 3  # repetitions that say nothing about the usual length
_PHASES = 20  # points of a channel's time course


def in_two_splits(
    subjects: Mapping[str, Mapping[str, str]], same_people: bool
) -> Iterator[Finding]:
    """People of whom several splits have clips.

    Args:
      subjects: first clip of each split, by subject.
      same_people: whether the protocol says so.
    """
    shared = {name: places for name, places in subjects.items() if len(places) > 1}
    if shared and same_people:
        message = (
            f"{len(shared)} of {len(subjects)} people are in several splits, as the protocol says: "
            "results tell little about new people"
        )
        yield Finding("warning", "same_people", "", "subject", message)
        return
    for name, places in shared.items():
        first, *others = places
        message = f"{name} is in {', '.join(others)} and also in {first}"
        yield Finding("error", "subject_in_two_splits", places[others[0]], "subject", message)


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the EMG of a clip is: its RMS in V, or in its unit if that is no voltage."""

    subject: str
    clip_id: str
    unit: str
    rms: float


def size_of(clip: Clip) -> Size:
    """The size of a clip's EMG."""
    rms = (units.volts(clip.emg_unit) or 1.0) * float(np.sqrt(np.mean(clip.emg.var(0))))
    return Size(clip.subject, clip.clip_id, clip.emg_unit, rms)


def other_units(sizes: list[Size]) -> Iterator[Finding]:
    """Clips whose EMG cannot be compared with the others', or is far larger or smaller."""
    for size in sizes:
        first = sizes[0]
        voltage = units.volts(size.unit) is not None, units.volts(first.unit) is not None
        if units.canonical(size.unit) != units.canonical(first.unit) and voltage != (True, True):
            message = (
                f"{size.unit}, but clip {first.clip_id} is in {first.unit}: use "
                "--config.data.normalisation=subject"
            )
            yield Finding("warning", "units", size.clip_id, "emg_unit", message)
            return
    by_subject = collections.defaultdict(list)
    for size in sizes:
        by_subject[size.subject].append(size)
    typical = {name: np.median([s.rms for s in own]) for name, own in by_subject.items()}
    for name, own in by_subject.items():
        others = [rms for other, rms in typical.items() if other != name]
        ratio = typical[name] / np.median(others) if len(others) > 1 else 1.0
        if ratio > SCALE or 0 < ratio < 1 / SCALE:
            others_are = f"{ratio:.2g} times that of the others"
            message = f"the EMG of {name} is {others_are}: is it in {own[0].unit}?"
            yield Finding("warning", "scale", own[0].clip_id, "emg_unit", message)


@dataclasses.dataclass(frozen=True)
class Length:
    """How long the EMG of a repetition lasts, s."""

    subject: str
    action: str
    clip_id: str
    seconds: float


def odd_lengths(lengths: list[Length]) -> Iterator[Finding]:
    """Repetitions whose EMG is too short or too long for one, or for one of this person.

    For pictures and poses that have no clock of their own and are spread over the EMG.
    """
    of_person, of_action = collections.defaultdict(list), collections.defaultdict(list)
    for i, length in enumerate(lengths):
        of_person[length.subject, length.action].append(i)
        of_action[length.action].append(i)
    for i, length in enumerate(lengths):
        own, all_people = of_person[length.subject, length.action], of_action[length.action]
        others = [lengths[j].seconds for j in (own if len(own) > _FEW else all_people) if j != i]
        usual = float(np.median(others)) if len(others) >= _FEW else length.seconds
        if not REPETITION[0] <= length.seconds <= REPETITION[1]:
            message = f"a repetition of {length.seconds:.3g} s: is the rate right?"
        elif not ODD <= length.seconds / usual <= 1 / ODD:
            message = (
                f"{length.seconds:.2f} s, but repetitions of {length.action} usually last "
                f"{usual:.2f} s: is it whole?"
            )
        else:
            continue
        yield Finding("warning", "emg_length", length.clip_id, "emg", message)


def time_courses(clip: Clip) -> np.ndarray:
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


Courses = Mapping[tuple[str, str], list[tuple[str, str, np.ndarray]]]


def swapped_channels(courses: Courses) -> Iterator[Finding]:
    """Subjects in whom two channels look exchanged.

    A channel's typical time course is the mean over the other subjects' clips of the same action.
    Two channels look exchanged if each correlates well, and better, with the typical course of the
    other.
    Where two muscles work alike (left and right of a symmetric lift) an exchange cannot be
    detected.

    Args:
      courses: (subject, clip_id, time course) by (action, channel).
    """
    for action in dict.fromkeys(action for action, _ in courses):
        names = [name for a, name in courses if a == action]
        subjects = {subject for name in names for subject, _, _ in courses[action, name]}
        if len(subjects) < 3 or len(names) < 2:
            continue
        for subject in sorted(subjects):
            typical, own = {}, {}
            for name in names:
                others = [c for s, _, c in courses[action, name] if s != subject]
                mine = [c for s, _, c in courses[action, name] if s == subject]
                if others and mine:
                    typical[name], own[name] = np.mean(others, 0), np.mean(mine, 0)
            for a, b in itertools.combinations(sorted(own), 2):
                kept = _cosine(own[a], typical[a]) + _cosine(own[b], typical[b])
                exchanged = _cosine(own[a], typical[b]) + _cosine(own[b], typical[a])
                if exchanged - kept > 2 * SWAPPED and exchanged > 2 * MATCH:
                    clip_id = next(i for s, i, _ in courses[action, a] if s == subject)
                    message = (
                        f"{subject}, {action}: {a} and {b} look exchanged (r with other subjects' "
                        f"courses {kept / 2:.2f}, exchanged {exchanged / 2:.2f})"
                    )
                    yield Finding("warning", "swapped", clip_id, f"emg/{a}", message)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0
