"""Joints by the names that other programs give them."""

import re
from collections.abc import Sequence

from video2emg.core.skeleton import BLAZEPOSE_33
from video2emg.core.vocabulary import SIDES

# Words for a joint of a side, as they are left by `squash`; the first letter of a side, or the side
# itself, comes before or after.
_OF_SIDE = {
    "shoulder": ("shoulder", "shoulderstudy", "sjc", "uarm4x4"),
    "elbow": ("elbow", "lelbowstudy", "melbowstudy", "ejc", "larm4x4"),
    "wrist": ("wrist", "lwriststudy", "mwriststudy", "wjc", "hand4x4"),
    "hand": ("hand",),
    "hip": ("hip", "hjcstudy", "hjc", "thigh4x4", "upleg"),
    "knee": ("knee", "kneestudy", "mkneestudy", "kjc", "shank4x4"),
    "ankle": ("ankle", "anklestudy", "mankestudy", "manklestudy", "ajc", "foot4x4"),
    "heel": ("heel", "calcstudy", "calc"),
    "toe": ("toe", "bigtoe", "toestudy", "footindex", "toes4x4", "hallux"),
    "small_toe": ("smalltoe", "5metastudy"),
    "eye": ("eye",),
    "ear": ("ear",),
    "inner_eye": ("eyeinner", "innereye"),
    "outer_eye": ("eyeouter", "outereye"),
    "mouth": ("mouth",),
    "pinky": ("pinky", "pinky1"),
    "index": ("index", "index1"),
    "thumb": ("thumb", "thumb2"),
}
_MIDDLE = {
    "nose": ("nose",),
    "head": ("head", "head4x4", "headcenter"),
    "neck": ("neck", "neckcenter", "c7study"),
    "pelvis": ("hip", "midhip", "hipcenter", "hipscenter", "pelvis", "pelvis4x4", "chip"),
}


def _table() -> dict[str, str]:
    table = {word: joint for joint, words in _MIDDLE.items() for word in words}
    for joint, words in _OF_SIDE.items():
        for side in SIDES:
            for word in words:
                for mark in (side, side[0]):
                    table[mark + word] = table[word + mark] = f"{side}_{joint}"
                # MediaPipe puts the side between the words, e.g. LEFT_EYE_INNER.
    return table


_TABLE = _table()
_NUMBERED = re.compile(r"(?:landmark|point|joint|kp|lm)?0*(\d{1,2})$")


def squash(name: str) -> str:
    """Lower-case letters and digits of a name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def joint_of(name: str) -> str:
    """Our name of a joint; empty if the name is none."""
    return _TABLE.get(squash(name), "")


def joints_of(names: Sequence[str]) -> list[str]:
    """Our name of each point of a file; empty for points that are no joint.

    If no shoulder or hip has a name, numbers are those of MediaPipe's 33 landmarks, from 0 or from
    1. Numbers with a star are markers that nobody has labelled.
    """
    joints = [joint_of(name) for name in names]
    if any(joint.endswith(("_shoulder", "_hip")) for joint in joints):
        return joints
    matches = [None if name.startswith("*") else _NUMBERED.match(squash(name)) for name in names]
    numbers = [int(match[1]) if match else -1 for match in matches]
    first = 1 if 0 not in numbers and len(BLAZEPOSE_33) in numbers else 0
    within = range(first, first + len(BLAZEPOSE_33))
    return [
        joint or (BLAZEPOSE_33[n - first] if n in within else "")
        for joint, n in zip(joints, numbers, strict=True)
    ]
