"""Starting postures on a bench."""

import numpy as np

from video2emg.sim.bench import Bench, Contact, Support
from video2emg.sim.exercises.common import Draft
from video2emg.sim.posture import Posture

UP = np.array([0.0, 0.0, 1.0])
# Distance from the centre of the trunk to the skin of the back and of the chest, m, × girth.
_CHEST_BACK, _PELVIS_BACK, _CHEST_FRONT = 0.113, 0.098, 0.123
_BUTTOCKS = 0.03  # m, height over the origin of the pelvis, along the spine
_HALF_DISTANCE = 0.08  # m, half the distance between the contacts of both sides


def _pair(body, x: float, z: float, pad, normal) -> tuple[Contact, Contact]:
    """One contact on each side of the spine."""
    right, left = (
        Contact(body, np.array([x, y, z]), pad, normal) for y in (-_HALF_DISTANCE, _HALF_DISTANCE)
    )
    return right, left


def _parallel(forward: float) -> dict[str, float]:
    """Both feet at the same distance."""
    return {"right": forward, "left": forward}


def on_back(draft: Draft, bench: Bench, middle: float = 0.28) -> Posture:
    """Back against the backrest, feet flat in front of the bench; from lying to sitting.

    Args:
      draft: the repetition.
      bench: the bench.
      middle: distance of the bench's crease in front of the room's centre, m.
    """
    length, girth = draft.length, draft.subject.girth
    posture = draft.neutral((0.10, 0.125))
    posture.pelvis_pitch = posture.pelvis_pitch - (np.pi / 2 - bench.angle)
    posture.toe_out = np.deg2rad(draft.rng.uniform(10, 25))
    position, depth = np.array([middle, 0.0, 0.0]), _PELVIS_BACK * girth
    crease, angle = position + bench.crease, bench.angle
    # The buttocks touch both pads; on a flat bench they lie near its end.
    up = depth * np.tan(angle / 2) - _BUTTOCKS if angle > 0.2 else 0.1
    contacts = _pair("pelvis", -depth, _BUTTOCKS, crease, bench.normal)
    contacts += _pair("chest", -_CHEST_BACK * girth, 0.85 * length["trunk"], crease, bench.normal)
    if angle > 0.2:
        seat = -depth * np.cos(angle), _BUTTOCKS - depth * np.sin(angle)
        contacts += _pair("pelvis", *seat, crease, UP)
    hip = middle - up * np.cos(angle) + depth * np.sin(angle)
    up += length["lumbar"] + length["abdomen"] + 0.5 * length["trunk"]
    posture.support = Support(
        bench=position,
        faces_subject=False,
        segment="chest",
        point=np.array([-_CHEST_BACK * girth, 0.0, 0.5 * length["trunk"]]),
        position=crease + up * bench.along,
        feet=_parallel(hip + 0.93 * length["thigh"]),
        contacts=contacts,
    )
    return posture


def on_belly(draft: Draft, bench: Bench, up: float = 0.22) -> Posture:
    """Chest on a low backrest, astride the seat; `up` is from the crease to the pelvis, m."""
    length, girth = draft.length, draft.subject.girth
    posture = draft.neutral((0.115, 0.135))
    posture.pelvis_pitch = posture.pelvis_pitch + (np.pi / 2 - bench.angle)
    posture.neck = posture.neck - 0.3
    mirror = np.array([-1.0, 1.0, 1.0])  # the bench faces the other way
    along, normal = mirror * bench.along, mirror * bench.normal
    position = np.array([-0.22, 0.0, 0.0])
    crease = position + bench.crease
    up = up + length["lumbar"] + length["abdomen"] + 0.5 * length["trunk"]
    hip = position[0] + 0.22 * along[0] + _PELVIS_BACK * girth * normal[0]
    posture.support = Support(
        bench=position,
        faces_subject=True,
        segment="chest",
        point=np.array([_CHEST_FRONT * girth, 0.0, 0.5 * length["trunk"]]),
        position=crease + up * along,
        feet=_parallel(hip - 0.14 * draft.subject.height),
        contacts=(
            *_pair("chest", _CHEST_FRONT * girth, 0.6 * length["trunk"], crease, normal),
            *_pair("pelvis", _PELVIS_BACK * girth, 0.05, crease, normal),
        ),
    )
    return posture


def against_bench(draft: Draft, bench: Bench) -> Posture:
    """Shoulder blades on the long edge of a bench, the rest of the trunk free (hip thrust)."""
    length, girth = draft.length, draft.subject.girth
    posture = draft.neutral((0.09, 0.115))
    posture.toe_out = np.deg2rad(draft.rng.uniform(8, 20))
    position = np.array([-0.35, 0.0, 0.0])
    height = 0.62 * length["trunk"]
    edge = np.array([-_CHEST_BACK * girth, 0.0, height])
    trunk = length["lumbar"] + length["abdomen"] + height
    posture.support = Support(
        bench=position,
        faces_subject=False,
        segment="chest",
        point=edge,
        position=position + bench.crease,
        # Shanks are vertical at the top, when trunk and thighs are horizontal.
        feet=_parallel(position[0] + trunk + 0.97 * length["thigh"]),
        contacts=_pair("chest", edge[0], height, position + bench.crease, UP),
    )
    return posture
