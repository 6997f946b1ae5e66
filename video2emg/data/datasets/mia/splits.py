"""MIA's splits: by the authors' lists where they lie beside the tree, else derived from the tree.

Who is in a list is read from its lines and never from its name: of the lists per subject and
exercise, `valSquat_Subject.txt` holds Subject0, `valSquat_Subject0.txt` repeats Subject1, and those
of the out-of-distribution folder count from 1. Validation always comes out of the training part.
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
from video2emg.data.datasets.splits import SPLITS, deal_subjects

Parts = dict[str, list[Sample]]

_HELD_OUT = 0.15  # of the minutes of training, for validation


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is held out.

    Attributes:
      by: `people`: dealt over both trees. Else the `train` tree against the `val` tree: `minutes`
        of everybody, or what is called `held`: a `subject`, or an `exercise`.
      held: name of the subject or exercise.
      without: a subject that is not tested.
      lists: (folder, training lists, test lists) in the order in which they are looked for.
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
# The authors' default list leaves out the one person with six times the clips of the others.
OFFICIAL_WITHOUT_SUBJECT0 = Protocol(
    "minutes", without="Subject0", lists=(("datasetsplits", "train.txt", "val.txt"),)
)


def leave_subject(name: str) -> Protocol:
    """Holds out one person."""
    return Protocol(
        "subject", name, lists=(("generalizationpeople", f"train_{name}.txt", f"val_{name}.txt"),)
    )


def leave_exercise(name: str) -> Protocol:
    """Holds out one exercise of everybody."""
    return Protocol(
        "exercise",
        name,
        lists=(
            ("generalizationexercises", f"train_{name}.txt", f"val_{name}.txt"),
            ("generalization_OOD_cond_exercises_nn", f"train{name}_*.txt", f"val{name}_*.txt"),
        ),
    )


def split(root: Path, samples: list[Sample], protocol: Protocol) -> Parts:
    """Training, validation and test; says on standard error where they come from.

    Args:
      root: the user's folder, with the tree and perhaps the lists.
      samples: of `layout.scan`.
      protocol: what is held out.

    Raises:
      UserError: too few people, a part without clips, or lists that contradict the protocol.
    """
    if protocol.by == "people":
        people = sorted({s.subject for s in samples})
        if len(people) < len(SPLITS):
            raise UserError(f"{root}: {len(people)} subjects; three are needed to hold people out")
        dealt = deal_subjects(people, seed=0)
        return {part: [s for s in samples if s.subject in dealt[part]] for part in SPLITS}
    found = _listed(root, samples, protocol)
    train, test = found or _derived(samples, protocol)
    train, validation = _hold_out(train, protocol)
    parts = {"train": train, "validation": validation, "test": test}
    empty = [name for name, part in parts.items() if not part]
    if empty:
        held = protocol.held or "val"
        raise UserError(
            f"{root}: nothing for {' and '.join(empty)} when {held} is held out; the "
            f"tree has {_names(s.subject for s in samples)} doing "
            f"{_names(s.exercise for s in samples)}"
        )
    return parts


def _derived(samples: list[Sample], protocol: Protocol) -> tuple[list[Sample], list[Sample]]:
    """The same as the lists say, by what the trees are for."""
    is_held = _is_held(protocol)
    _say(f"no lists of {protocol.by} beside the tree; train and val are taken as they are")
    train = [s for s in samples if s.tree == "train" and not (protocol.held and is_held(s))]
    test = [s for s in samples if s.tree == "val" and is_held(s)]
    return train, test


def _listed(
    root: Path, samples: list[Sample], protocol: Protocol
) -> tuple[list[Sample], list[Sample]] | None:
    for folder, *patterns in protocol.lists:
        for base in (root, root / "ablation", root / "musclesinaction" / "ablation"):
            files = [
                [path for path in sorted((base / folder).glob(pattern)) if path.is_file()]
                for pattern in patterns
            ]
            if all(files):
                return _read(files, set(samples), protocol, base / folder)
    return None


def _read(
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
        _say(f"{len(part)} clips listed in {folder / names}{gaps}")
    train, test = ([s for s in part if s in present] for part in listed)
    return train, test


def _is_held(protocol: Protocol) -> Callable[[Sample], bool]:
    """Whether a clip is what is to be tested (of the `val` tree)."""
    if protocol.by == "minutes":
        return lambda s: s.tree == "val" and s.subject != protocol.without
    return lambda s: getattr(s, protocol.by) == protocol.held


def _hold_out(train: list[Sample], protocol: Protocol) -> tuple[list[Sample], list[Sample]]:
    """Validation asks what the test asks: another person, another exercise, or later minutes."""
    if protocol.by == "minutes":
        sets = collections.defaultdict(list)
        for sample in train:
            sets[sample.subject, sample.exercise].append(sample)
        # Neighbours in time are almost the same clip, so a whole block is taken, the last.
        held = set()
        for own in sets.values():
            own.sort(key=lambda s: (s.tree, int(s.number)))
            count = min(max(round(_HELD_OUT * len(own)), 1), len(own) - 1)
            held |= set(own[len(own) - count :])
    else:
        counts = collections.Counter(getattr(s, protocol.by) for s in sorted(train))
        # The one that costs training least: a person has a third of all clips.
        chosen = min(counts, key=lambda name: counts[name], default="")
        held = {s for s in train if getattr(s, protocol.by) == chosen}
    return [s for s in train if s not in held], [s for s in train if s in held]


def _names(found: Iterable[str]) -> str:
    names = sorted(set(found))
    return ", ".join(names[:16]) + (" …" if len(names) > 16 else "")


def _say(message: str) -> None:
    print(f"mia: {message}", file=sys.stderr, flush=True)
