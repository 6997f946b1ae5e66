"""Postures on a bench, which the exercises there start from."""

import numpy as np

from video2emg.sim.bench import Bench, Contact, Rest
from video2emg.sim.exercises.common import Draft
from video2emg.sim.posture import Posture

UP = np.array([0.0, 0.0, 1.0])
_CHEST, _PELVIS = 0.113, 0.098  # m from the middle of the trunk to the skin of the back, × girth
_FRONT = 0.123  # m from there to the skin of the chest, × girth
_HIGH = 0.03  # m, of the buttocks over the pelvis's origin along the spine
_APART = 0.08  # m, half the distance of two contacts side by side


def _pair(body, x: float, z: float, pad, normal) -> tuple[Contact, Contact]:
    """A contact on either side of the spine."""
    return tuple(Contact(body, np.array([x, y, z]), pad, normal) for y in (-_APART, _APART))  # pyright: ignore[reportReturnType]


def _both(forward: float) -> dict[str, float]:
    """Feet side by side."""
    return {"right": forward, "left": forward}


def on_back(draft: Draft, bench: Bench, middle: float = 0.28) -> Posture:
    """With the back against the backrest and the feet flat before the bench: lying to sitting.

    Args:
      draft: whose.
      bench: on what.
      middle: place of the bench's crease before the middle of the room, m.
    """
    length, girth = draft.length, draft.subject.girth
    posture = draft.neutral((0.10, 0.125))
    posture.pelvis_pitch = posture.pelvis_pitch - (np.pi / 2 - bench.back)
    posture.toe_out = np.deg2rad(draft.rng.uniform(10, 25))
    place, deep = np.array([middle, 0.0, 0.0]), _PELVIS * girth
    crease, back = place + bench.crease, bench.back
    # The buttocks touch both pads; on a flat bench they lie near its end.
    up = deep * np.tan(back / 2) - _HIGH if back > 0.2 else 0.1
    contacts = _pair("pelvis", -deep, _HIGH, crease, bench.normal)
    contacts += _pair("chest", -_CHEST * girth, 0.85 * length["trunk"], crease, bench.normal)
    if back > 0.2:
        seat = -deep * np.cos(back), _HIGH - deep * np.sin(back)
        contacts += _pair("pelvis", *seat, crease, UP)
    hip = middle - up * np.cos(back) + deep * np.sin(back)
    up += length["lumbar"] + length["abdomen"] + 0.5 * length["trunk"]
    posture.rest = Rest(
        bench=place,
        turned=False,
        segment="chest",
        point=np.array([-_CHEST * girth, 0.0, 0.5 * length["trunk"]]),
        place=crease + up * bench.along,
        feet=_both(hip + 0.93 * length["thigh"]),
        contacts=contacts,
    )
    return posture


def on_belly(draft: Draft, bench: Bench, up: float = 0.22) -> Posture:
    """Chest on a low backrest, astride the seat; `up` is the pelvis's height over the crease, m."""
    length, girth = draft.length, draft.subject.girth
    posture = draft.neutral((0.115, 0.135))
    posture.pelvis_pitch = posture.pelvis_pitch + (np.pi / 2 - bench.back)
    posture.neck = posture.neck - 0.3
    mirror = np.array([-1.0, 1.0, 1.0])  # the bench faces the other way
    along, normal = mirror * bench.along, mirror * bench.normal
    place = np.array([-0.22, 0.0, 0.0])
    up = up + length["lumbar"] + length["abdomen"] + 0.5 * length["trunk"]
    hip = place[0] + 0.22 * along[0] + _PELVIS * girth * normal[0]
    posture.rest = Rest(
        bench=place,
        turned=True,
        segment="chest",
        point=np.array([_FRONT * girth, 0.0, 0.5 * length["trunk"]]),
        place=place + bench.crease + up * along,
        feet=_both(hip - 0.14 * draft.subject.height),
        contacts=(
            *_pair("chest", _FRONT * girth, 0.6 * length["trunk"], place + bench.crease, normal),
            *_pair("pelvis", _PELVIS * girth, 0.05, place + bench.crease, normal),
        ),
    )
    return posture


def against_bench(draft: Draft, bench: Bench) -> Posture:
    """The shoulder blades on the long edge of a bench, the rest of the trunk free (hip thrust)."""
    length, girth = draft.length, draft.subject.girth
    posture = draft.neutral((0.09, 0.115))
    posture.toe_out = np.deg2rad(draft.rng.uniform(8, 20))
    place = np.array([-0.35, 0.0, 0.0])
    edge, height = np.array([-_CHEST * girth, 0.0, 0.62 * length["trunk"]]), 0.62 * length["trunk"]
    trunk = length["lumbar"] + length["abdomen"] + height
    posture.rest = Rest(
        bench=place,
        turned=False,
        segment="chest",
        point=edge,
        place=place + bench.crease,
        # Shanks are upright at the top, when trunk and thighs are level.
        feet=_both(place[0] + trunk + 0.97 * length["thigh"]),
        contacts=_pair("chest", edge[0], height, place + bench.crease, UP),
    )
    return posture
