"""MIA's splits: from the authors' lists if they are beside the tree, else from the tree itself.

What a list contains is read from its lines and never from its name, because names are wrong: of the
lists per subject and exercise, `valSquat_Subject.txt` holds Subject0, `valSquat_Subject0.txt`
repeats Subject1, and those of the out-of-distribution folder count from 1. Validation is always a
part of the training list.
"""

import collections
import dataclasses
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from video2emg.core.errors import UserError
from video2emg.data.datasets.mia import layout
from video2emg.data.datasets.mia.layout import Sample
from video2emg.data.datasets.splits import SPLITS, VALIDATION_SHARE, deal_subjects

Parts = dict[str, list[Sample]]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is held out for the test.

    Attributes:
      by: `people`: subjects, from both trees. Otherwise the training clips are in the `train` tree
        and the test clips in the `val` tree: `minutes` of all subjects, or only those of a
        `subject` or an `exercise`.
      held: name of the subject or exercise.
      without: a subject that is not tested.
      lists: (folder, training lists, test lists), in the order in which they are tried.
    """

    by: Literal["people", "minutes", "subject", "exercise"]
    held: str = ""
    without: str = ""
    lists: tuple[tuple[str, str, str], ...] = ()


CROSS_SUBJECT = Protocol("people")
OFFICIAL = Protocol(
    "minutes",
    lists=(
        ("datasetsplits", "train.txt", "valold.txt"),
        ("generalization_ID_nocond_people", "train.txt", "val*.txt"),
        ("generalization_ID_nocond_exercises", "train.txt", "val*.txt"),
        ("generalization_ID_cond_exercises_nn", "train*.txt", "val*.txt"),
    ),
)
# The authors' default list omits the subject with six times as many clips as the others.
OFFICIAL_WITHOUT_SUBJECT0 = Protocol(
    "minutes", without="Subject0", lists=(("datasetsplits", "train.txt", "val.txt"),)
)


def leave_subject(name: str) -> Protocol:
    """Holds out one person."""
    return Protocol(
        "subject", name, lists=(("generalizationpeople", f"train_{name}.txt", f"val_{name}.txt"),)
    )


def leave_exercise(name: str) -> Protocol:
    """Holds out one exercise of all subjects."""
    return Protocol(
        "exercise",
        name,
        lists=(
            ("generalizationexercises", f"train_{name}.txt", f"val_{name}.txt"),
            ("generalization_OOD_cond_exercises_nn", f"train{name}_*.txt", f"val{name}_*.txt"),
        ),
    )


def split(root: Path, samples: list[Sample], protocol: Protocol) -> Parts:
    """Training, validation and test clips; prints on standard error which lists were used.

    Args:
      root: the user's folder, with the tree and perhaps the lists.
      samples: from `layout.scan`.
      protocol: what is held out.

    Raises:
      UserError: a split without clips, unless too few people are to be held out, or lists that
        contradict the protocol.
    """
    if protocol.by == "people":
        members = deal_subjects(sorted({s.subject for s in samples}))
        return {part: [s for s in samples if s.subject in members[part]] for part in SPLITS}
    train, test = _from_lists(root, samples, protocol) or _from_trees(samples, protocol)
    train, validation = _hold_out(train, protocol)
    parts = {"train": train, "validation": validation, "test": test}
    empty = [name for name, part in parts.items() if not part]
    if empty:
        raise UserError(
            f"{root}: nothing for {' and '.join(empty)} when {protocol.held or 'val'} is held out; "
            f"{_why_empty(empty, train, samples, protocol)}"
        )
    return parts


def _why_empty(
    empty: list[str], train: list[Sample], samples: list[Sample], protocol: Protocol
) -> str:
    if empty == ["validation"] and protocol.by == "minutes":
        return (
            f"it is the last {VALIDATION_SHARE:.0%} of the clips of each person and exercise, of "
            f"which train has one each ({len(train)} in all); mia/cross_subject holds people out"
        )
    if empty == ["test"] and not any(s.tree == "val" for s in samples):
        return "the tree has no val; mia/cross_subject does without"
    return (
        f"the tree has {_names(s.subject for s in samples)} doing "
        f"{_names(s.exercise for s in samples)}"
    )


def _from_trees(samples: list[Sample], protocol: Protocol) -> tuple[list[Sample], list[Sample]]:
    """Training and test clips: the same as in the authors' lists, which follow the two trees."""
    is_held = _is_held(protocol)
    _log(f"no lists of {protocol.by} beside the tree; train and val are taken as they are")
    train = [s for s in samples if s.tree == "train" and not (protocol.held and is_held(s))]
    test = [s for s in samples if s.tree == "val" and is_held(s)]
    return train, test


def _from_lists(
    root: Path, samples: list[Sample], protocol: Protocol
) -> tuple[list[Sample], list[Sample]] | None:
    """Training and test clips of the first complete set of lists; None if there is none."""
    for folder, *patterns in protocol.lists:
        for base in (root, root / "ablation", root / "musclesinaction" / "ablation"):
            files = [
                [path for path in sorted((base / folder).glob(pattern)) if path.is_file()]
                for pattern in patterns
            ]
            if all(files):
                return _read_lists(files, set(samples), protocol, base / folder)
    return None


def _read_lists(
    files: list[list[Path]], present: set[Sample], protocol: Protocol, folder: Path
) -> tuple[list[Sample], list[Sample]]:
    listed = [
        list(dict.fromkeys(s for path in paths for s in layout.read_list(path))) for paths in files
    ]
    is_held = _is_held(protocol)
    wrong = [s for s in listed[0] if protocol.held and is_held(s)]
    wrong += [s for s in listed[1] if not is_held(s)]
    wrong += sorted(set(listed[0]) & set(listed[1]))
    if wrong:
        raise UserError(
            f"{folder}: {len(wrong)} clips are on the wrong side of the split, first "
            f"{wrong[0].key}, when {protocol.held or 'val'} is held out"
        )
    for paths, part in zip(files, listed, strict=True):
        missing = [s for s in part if s not in present]
        names = paths[0].name if len(paths) == 1 else f"{len(paths)} lists"
        gaps = f"; {len(missing)} are not in the tree, first {missing[0].key}" if missing else ""
        _log(f"{len(part)} clips listed in {folder / names}{gaps}")
    train, test = ([s for s in part if s in present] for part in listed)
    return train, test


def _is_held(protocol: Protocol) -> Callable[[Sample], bool]:
    """A function: whether a clip belongs to what is held out."""
    if protocol.by == "minutes":
        return lambda s: s.tree == "val" and s.subject != protocol.without
    return lambda s: getattr(s, protocol.by) == protocol.held


def _hold_out(train: list[Sample], protocol: Protocol) -> tuple[list[Sample], list[Sample]]:
    """Divides into training and validation, which holds out the same kind of thing as the test."""
    if protocol.by == "minutes":
        groups = collections.defaultdict(list)
        for sample in train:
            groups[sample.subject, sample.exercise].append(sample)
        # Clips that follow one another are almost the same, so the last ones are taken as a block.
        held = set()
        for group in groups.values():
            group.sort(key=lambda s: (s.tree, int(s.number)))
            count = min(max(round(VALIDATION_SHARE * len(group)), 1), len(group) - 1)
            held |= set(group[len(group) - count :])
    else:
        counts = collections.Counter(getattr(s, protocol.by) for s in sorted(train))
        # The smallest one: one subject has a third of all clips.
        chosen = min(counts, key=lambda name: counts[name], default="")
        held = {s for s in train if getattr(s, protocol.by) == chosen}
    return [s for s in train if s not in held], [s for s in train if s in held]


def _names(names: Iterable[str]) -> str:
    names = sorted(set(names))
    return ", ".join(names[:16]) + (" …" if len(names) > 16 else "")


def _log(message: str) -> None:
    print(f"mia: {message}", file=sys.stderr, flush=True)
