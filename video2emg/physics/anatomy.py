"""Anatomies: segments, muscles and electrodes as a table, shared by the layers and the simulator.

A table is a YAML file of `anatomies/`, or a file of the user in the same form. Points are forward,
to the side (away from the midline), and up, in m for a body of 1.75 m.
"""

import dataclasses
import functools
import itertools
import math
import pathlib
import typing
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from video2emg.core import strict_yaml, vocabulary
from video2emg.core.errors import UserError

HEIGHT = 1.75  # m, of the body to which the points of a table belong
FOLDER = pathlib.Path(__file__).parent / "anatomies"

Point = tuple[float, float, float]
Group = typing.Literal["arm", "leg", "trunk"]
# Length → the segment whose points move when it changes, and the coordinate along which they move.
_ALONG = {
    "thigh": ("thigh", 2),
    "shank": ("shank", 2),
    "upper_arm": ("upper_arm", 2),
    "forearm": ("forearm", 2),
    "trunk": ("chest", 2),
    "shoulder": ("clavicle", 1),
}
# Segments whose muscles are solved together. A muscle that crosses two groups would couple them.
GROUPS: dict[Group, tuple[str, ...]] = {
    "trunk": ("pelvis", "abdomen", "chest"),
    "arm": ("chest", "clavicle", "scapula", "upper_arm", "forearm"),
    "leg": ("pelvis", "thigh", "shank", "foot"),
}


@dataclasses.dataclass(frozen=True)
class Surface:
    """A surface that muscles wrap around. Cylinders lie along the lateral axis of the segment.

    Attributes:
      segment: in whose frame the surface is.
      shape: of the surface.
      centre: m.
      radius: m.
    """

    segment: str
    shape: typing.Literal["sphere", "cylinder"]
    centre: Point
    radius: float


@dataclasses.dataclass(frozen=True)
class Waypoint:
    """A point of a muscle's path, or a surface that the path wraps around.

    Attributes:
      segment: in whose frame the point is.
      at: the point, m; for a surface, a point on the side on which the path passes.
      around: name of the surface, or None.
    """

    segment: str
    at: Point
    around: str | None = None


@dataclasses.dataclass(frozen=True)
class Muscle:
    """One muscle of a side of the body.

    Attributes:
      force: maximal isometric force, N.
      path: from origin to insertion.
    """

    force: float
    path: tuple[Waypoint, ...]

    @property
    def group(self) -> Group:
        """The smallest group of segments that the path belongs to."""
        segments = {waypoint.segment for waypoint in self.path}
        return next(name for name, group in GROUPS.items() if segments <= set(group))


@dataclasses.dataclass(frozen=True, eq=False)  # hashed by identity, as a key of caches
class Anatomy:
    """A body of which everything scales with height and mass.

    Attributes:
      name: of the table.
      lengths: of segments and distances, fractions of body height.
      masses: of segments, fractions of body mass.
      girdle_mass: of one side of the shoulder girdle, taken from the chest, kg.
      clavicle: distance of its inner joint from the midline, m.
      young_adult: force of a young adult over that of the table.
      surfaces: by name.
      muscles: of one side, by name.
      electrodes: by muscle of `core.vocabulary`, the share of each muscle in the signal.
      common_drive: heads that are driven together with others, see `common_drive`.
    """

    name: str
    lengths: Mapping[str, float]
    masses: Mapping[str, float]
    girdle_mass: float
    clavicle: float
    young_adult: float
    surfaces: Mapping[str, Surface]
    muscles: Mapping[str, Muscle]
    electrodes: Mapping[str, Mapping[str, float]]
    common_drive: Mapping[str, tuple[str, ...]]

    def group(self, name: Group) -> tuple[str, ...]:
        """Names of the muscles of a group, in the order of the table."""
        return tuple(muscle for muscle, is_in in self.muscles.items() if is_in.group == name)


@dataclasses.dataclass(frozen=True)
class Variation:
    """How much the people of one anatomy differ. Each person draws once; both sides are alike.

    Draws beyond 1.5 standard deviations are set to this limit, since nobody lacks a muscle. The
    standard deviations are those before.

    Attributes:
      force: standard deviation of the logarithm of each muscle's maximal force.
      group_force: the same of a factor on all muscles of a group (`GROUPS`).
      attachment: standard deviation of each point of a path, along each axis, m.
      radius: standard deviation of the logarithm of a surface's radius.
      seed: of the person.
    """

    force: float = 0.0
    group_force: float = 0.0
    attachment: float = 0.0
    radius: float = 0.0
    seed: int = 0


def names() -> list[str]:
    """The anatomies that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@functools.cache
def load(name: str = "simulated") -> Anatomy:
    """Reads an anatomy.

    Args:
      name: one of `names()`, or the path of a YAML file.

    Raises:
      UserError: there is no such table, or one of its entries cannot be used.
    """
    path = pathlib.Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"anatomy {name!r}: not a YAML file, nor one of {', '.join(names())}")
    table = strict_yaml.load(path.read_text(encoding="utf-8"), str(path))
    try:
        anatomy = _anatomy(table)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: {type(error).__name__} {error}; expected the fields of anatomies/"
            "simulated.yaml"
        ) from None
    _check(anatomy, str(path))
    return anatomy


def proportioned(anatomy: Anatomy, factors: Mapping[str, float]) -> Anatomy:
    """The anatomy of a body with other proportions: muscles keep their places on the segments.

    Args:
      anatomy: of the usual body.
      factors: on the lengths of thigh, shank, upper_arm, forearm, trunk and shoulder.
    """
    stretch = {_ALONG[name]: factor for name, factor in factors.items()}

    def moved(segment: str, at: Point) -> Point:
        x, y, z = (value * stretch.get((segment, axis), 1.0) for axis, value in enumerate(at))
        return x, y, z

    def muscle(old: Muscle) -> Muscle:
        path = (dataclasses.replace(w, at=moved(w.segment, w.at)) for w in old.path)
        return dataclasses.replace(old, path=tuple(path))

    return dataclasses.replace(
        anatomy,
        lengths={name: v * factors.get(name, 1.0) for name, v in anatomy.lengths.items()},
        surfaces={
            name: dataclasses.replace(s, centre=moved(s.segment, s.centre))
            for name, s in anatomy.surfaces.items()
        },
        muscles={name: muscle(old) for name, old in anatomy.muscles.items()},
    )


def varied(anatomy: Anatomy, variation: Variation) -> Anatomy:
    """The anatomy of one person: other forces, attachments and surfaces; the same segments."""
    rng = np.random.default_rng([variation.seed, 9])

    def normal(scale: float, size: int | None = None) -> typing.Any:
        return scale * np.clip(rng.normal(size=size), -1.5, 1.5)

    groups = {name: normal(variation.group_force) for name in GROUPS}

    def waypoint(old: Waypoint) -> Waypoint:
        if old.around is not None:  # only says on which side the path passes
            return old
        x, y, z = (float(v) for v in old.at + normal(variation.attachment, 3))
        return dataclasses.replace(old, at=(x, y, z))

    def muscle(old: Muscle) -> Muscle:
        factor = math.exp(groups[old.group] + normal(variation.force))
        return Muscle(old.force * factor, tuple(waypoint(point) for point in old.path))

    def surface(old: Surface) -> Surface:
        factor = math.exp(normal(variation.radius))
        return dataclasses.replace(old, radius=old.radius * factor)

    return dataclasses.replace(
        anatomy,
        surfaces={name: surface(old) for name, old in anatomy.surfaces.items()},
        muscles={name: muscle(old) for name, old in anatomy.muscles.items()},
    )


def common_drive(
    anatomy: Anatomy, muscles: Sequence[str], share: float
) -> Float[np.ndarray, "n n"]:
    """Activation of each muscle (rows) for one unit of each muscle's own drive (columns).

    Static optimisation alone spares rectus femoris whenever the hip extends, since it also bends
    the hip; surface EMG shows it working with the vasti. Here a head has `share` of the mean
    activation of the others, and its own drive on top. It is an assumption, see docs/gymsim.md.

    Args:
      anatomy: its `common_drive` names the heads.
      muscles: names, with or without a side at the end.
      share: 0 for none, at most 1.

    Raises:
      UserError: another share.
    """
    if not 0 <= share <= 1:
        raise UserError(f"common_drive {share:g}: expected a share from 0 to 1")
    matrix, place = np.eye(len(muscles)), {name: i for i, name in enumerate(muscles)}
    for suffix in ("", *(f"_{side}" for side in vocabulary.SIDES)):
        for head, others in anatomy.common_drive.items():
            if head + suffix in place:
                columns = [place[other + suffix] for other in others]
                matrix[place[head + suffix], columns] = share / len(columns)
    return matrix


def _anatomy(table: Mapping) -> Anatomy:
    surfaces = {
        name: Surface(s["segment"], s["shape"], _point(s["centre"]), float(s["radius"]))
        for name, s in table["surfaces"].items()
    }
    muscles = {
        name: Muscle(
            float(muscle["force"]),
            tuple(Waypoint(w["segment"], _point(w["at"]), w.get("around")) for w in muscle["path"]),
        )
        for name, muscle in table["muscles"].items()
    }
    electrodes = {
        name: {muscle: float(share) for muscle, share in shares.items()}
        for name, shares in table["electrodes"].items()
    }
    return Anatomy(
        name=str(table["name"]),
        lengths={name: float(value) for name, value in table["lengths"].items()},
        masses={name: float(value) for name, value in table["masses"].items()},
        girdle_mass=float(table["girdle_mass"]),
        clavicle=float(table["clavicle"]),
        young_adult=float(table["young_adult"]),
        surfaces=surfaces,
        muscles=muscles,
        electrodes=electrodes,
        common_drive={
            head: _names(others) for head, others in table.get("common_drive", {}).items()
        },
    )


def _names(values) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError(f"{values!r} is no list")
    return tuple(map(str, values))


def _point(values) -> Point:
    x, y, z = map(float, values)
    return x, y, z


def _check(anatomy: Anatomy, where: str) -> None:
    """Refuses paths that no layer can follow, and electrodes over muscles that are not there."""
    for name, muscle in anatomy.muscles.items():
        segments = {waypoint.segment for waypoint in muscle.path}
        if not any(segments <= set(group) for group in GROUPS.values()):
            raise UserError(
                f"{where}, muscles.{name}: {sorted(segments)} are not within one of the groups "
                f"{'; '.join(', '.join(group) for group in GROUPS.values())}"
            )
        if not muscle.force > 0:
            raise UserError(f"{where}, muscles.{name}.force: must be positive, not {muscle.force}")
        around = [i for i, waypoint in enumerate(muscle.path) if waypoint.around is not None]
        surfaces = [str(muscle.path[i].around) for i in around]
        unknown = [surface for surface in surfaces if surface not in anatomy.surfaces]
        if unknown:
            raise UserError(f"{where}, muscles.{name}: unknown surface {', '.join(unknown)}")
        ends = {0, len(muscle.path) - 1} & set(around)
        if len(muscle.path) < 2 or ends or any(b - a == 1 for a, b in itertools.pairwise(around)):
            raise UserError(
                f"{where}, muscles.{name}.path: needs a point before and after each surface"
            )
    for name, shares in anatomy.electrodes.items():
        missing = [muscle for muscle in shares if muscle not in anatomy.muscles]
        if missing:
            raise UserError(f"{where}, electrodes.{name}: no muscle {', '.join(missing)}")
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise UserError(f"{where}, electrodes.{name}: the shares do not add up to 1")
    for head, others in anatomy.common_drive.items():
        missing = [muscle for muscle in (head, *others) if muscle not in anatomy.muscles]
        if missing or not others or len(set(others)) < len(others):
            named = f"no muscle {', '.join(missing)}" if missing else "expected other heads, once"
            raise UserError(f"{where}, common_drive.{head}: {named}")
        if {head, *anatomy.common_drive} & set(others) or len(
            {anatomy.muscles[muscle].group for muscle in (head, *others)}
        ) > 1:
            raise UserError(
                f"{where}, common_drive.{head}: expected other muscles of its group of segments, "
                "which follow none themselves"
            )
