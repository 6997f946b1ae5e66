"""Controlled names: muscles, sides and skeletons. Every dataset maps its own labels to these."""

import functools
from collections.abc import Sequence


def names(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


SIDES = ("left", "right")

# Superficial muscles that surface electrodes reach in strength training, named as by ISEK/SENIAM.
# Append only: the index is the row of the learned muscle embedding in saved models. Up to
# `ROOM_MUSCLES` names, appending does not change the shape of the embedding, so that saved models
# can still be loaded.
MUSCLES = (
    "biceps_brachii",
    "triceps_brachii",
    "brachioradialis",
    "anterior_deltoid",
    "medial_deltoid",
    "posterior_deltoid",
    "upper_trapezius",
    "middle_trapezius",
    "latissimus_dorsi",
    "pectoralis_major",
    "serratus_anterior",
    "rectus_abdominis",
    "external_oblique",
    "erector_spinae",
    "gluteus_maximus",
    "gluteus_medius",
    "rectus_femoris",
    "vastus_lateralis",
    "vastus_medialis",
    "biceps_femoris",
    "semitendinosus",
    "adductor_magnus",
    "tibialis_anterior",
    "gastrocnemius",
    "soleus",
    "first_muscle",
    "second_muscle",
    # Groups of muscles, for sources that do not name single ones.
    "quadriceps",
    "hamstrings",
)
ROOM_MUSCLES = 64

# The single muscles of a group whose activity stands for that of the group.
MEMBERS = {
    "quadriceps": ("rectus_femoris", "vastus_lateralis", "vastus_medialis"),
    "hamstrings": ("biceps_femoris", "semitendinosus"),
}

# Channels of a source that numbers its electrodes but does not name the muscles.
UNNAMED = ("first_muscle", "second_muscle")

# The 21 joints of FLEX's skeleton files, in file order.
FLEX_21 = names(
    """
    head neck chest
    right_shoulder right_elbow right_wrist right_hand
    left_shoulder left_elbow left_wrist left_hand
    right_hip right_knee right_ankle right_heel right_toe
    left_hip left_knee left_ankle left_heel left_toe
    """
)

# Joint torques, positive in the named direction on both sides.
DOFS = (
    *(
        f"{side}_{name}"
        for side in SIDES
        for name in (
            "shoulder_flexion",
            "shoulder_abduction",
            "elbow_flexion",
            "hip_extension",
            "hip_abduction",
            "knee_extension",
            "ankle_plantarflexion",
        )
    ),
    "lumbar_extension",
)


def channel(side: str, muscle: str) -> str:
    """Returns the name of an EMG channel, e.g. `left_vastus_lateralis`."""
    if side not in SIDES or muscle not in MUSCLES:
        raise ValueError(f"unknown channel {side!r} {muscle!r}; sides {SIDES}, muscles {MUSCLES}")
    return f"{side}_{muscle}"


@functools.cache
def split_channel(name: str) -> tuple[str, str]:
    """Splits `left_vastus_lateralis` into (`left`, `vastus_lateralis`); ValueError if unknown."""
    side, _, muscle = name.partition("_")
    channel(side, muscle)
    return side, muscle


def mirror(name: str) -> str:
    """Swaps the prefix `left_` or `right_` of a name; returns other names unchanged."""
    side, sep, rest = name.partition("_")
    swap = {"left": "right", "right": "left"}
    return swap[side] + sep + rest if side in swap and sep else name


def mirror_order(names: Sequence[str], strict: bool = True) -> list[int]:
    """Returns the index of each name's mirror image: `names[order[i]] == mirror(names[i])`.

    Args:
      names: all different.
      strict: refuse names without a counterpart on the other side; else these keep their own index.

    Raises:
      ValueError: `strict`, and a name has no counterpart on the other side.
    """
    place = {name: i for i, name in enumerate(names)}
    missing = [mirror(name) for name in names if mirror(name) not in place]
    if strict and missing:
        raise ValueError(f"no mirror image of a channel: {missing[0]!r} is not in {names}")
    return [place.get(mirror(name), i) for i, name in enumerate(names)]


def mirror_signs(dofs: Sequence[str]) -> list[float]:
    """Returns -1 for the joint torques that change their sign in a mirror, 1 for the others.

    Torques of left and right joints are anatomical: flexion is flexion on both sides. Of the
    others, those about the vertical or the forward axis change their sign.
    """
    changes = [name.endswith(("_lateral", "_rotation")) and mirror(name) == name for name in dofs]
    return [-1.0 if change else 1.0 for change in changes]


# What a model may be given besides video: joint positions over time; the lifted weight; heart and
# breath rate; height, mass and sex. Each is a field of an example (`core.batch`) and has a mask.
INPUTS = ("pose", "load", "vitals", "traits")

# Camera placements as seen from the subject. A left-right flip turns one into its mirror image.
# Append only, up to `ROOM_VIEWS` names, as for muscles.
VIEWS = names("front front_left front_right left right back back_left back_right phone other")
ROOM_VIEWS = 16


def mirror_view(name: str) -> str:
    """The placement from which the mirrored subject looks the same."""
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(part, part) for part in name.split("_"))
