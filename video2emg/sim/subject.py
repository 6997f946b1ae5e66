"""Simulated people: size, strength, skill and appearance."""

import dataclasses
import functools

import numpy as np

from video2emg.physics import anatomy as anatomies
from video2emg.physics.anatomy import Anatomy, Variation

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class ElectrodeRanges:
    """Between which limits the properties of the electrodes are drawn; see `semg.Electrode`.

    Attributes:
      gain: standard deviation of its logarithm.
      exponent, crosstalk, noise, hum, artefact, mvc_effort: lower and upper limit.
    """

    gain: float = 0.25
    exponent: Range = (0.95, 1.12)
    crosstalk: Range = (0.5, 1.4)
    noise: Range = (0.002, 0.006)
    hum: Range = (0.0, 0.003)
    artefact: Range = (0.0005, 0.003)
    mvc_effort: Range = (0.92, 1.0)


@dataclasses.dataclass(frozen=True)
class Population:
    """What people have in common; the default are the people of most configurations.

    Attributes:
      anatomy: name of a table of `physics.anatomy`.
      strength: factor on the strength of everybody.
      proportions: largest deviation of a segment's length from that of the table, as a fraction.
        Each deviation is between half of it and all of it, in either direction; 0 for none.
      pace: limits of a factor on the durations of a person's repetitions.
      emg_lag: largest lag of the EMG's clock behind that of the video, s; each person has one.
      electrodes: their properties.
      variation: how much the muscles of the people differ; None if they do not.
      common_drive: limits of `Subject.common_drive`.
    """

    anatomy: str = "simulated"
    strength: float = 1.0
    proportions: float = 0.0
    pace: Range = (1.0, 1.0)
    emg_lag: float = 0.0
    electrodes: ElectrodeRanges = ElectrodeRanges()
    variation: Variation | None = None
    common_drive: Range = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Subject:
    """One simulated person.

    Attributes:
      id: `s000`, `s001`, …
      female: sex.
      height: m.
      mass: kg.
      strength: factor on the maximal force of every muscle; 1 is an average trained man of 75 kg.
      skill: 0 novice to 1 expert; novices sway, co-contract and make errors more.
      girth: factor on the thickness of trunk and limbs.
      asymmetry: relative strength of the right side over the left, minus one.
      skin, shirt, shorts, hair, wall: RGB in 0-1.
      heading: direction that the subject faces in the room, rad.
      seed: of the properties of the electrodes, and of the variation of the muscles.
      table: name of the anatomy.
      proportions: segments whose length is not that of the table, with a factor.
      pace: factor on the durations of repetitions.
      emg_lag: lag of the EMG's clock behind that of the video, s.
      electrodes: ranges of their properties.
      variation: how the muscles differ from those of the table; None if they do not.
      common_drive: share of the drive of heads of one muscle that they have in common, see
        `physics.anatomy.common_drive`.
    """

    id: str
    female: bool
    height: float
    mass: float
    strength: float
    skill: float
    girth: float
    asymmetry: float
    skin: tuple[float, float, float]
    shirt: tuple[float, float, float]
    shorts: tuple[float, float, float]
    hair: tuple[float, float, float]
    wall: tuple[float, float, float]
    heading: float
    seed: int
    table: str = "simulated"
    proportions: tuple[tuple[str, float], ...] = ()
    pace: float = 1.0
    emg_lag: float = 0.0
    electrodes: ElectrodeRanges = ElectrodeRanges()
    variation: Variation | None = None
    common_drive: float = 0.0

    @property
    def anatomy(self) -> Anatomy:
        """Segments, muscles and electrodes of this person's body."""
        return _anatomy(self.table, self.proportions, self.variation)


@functools.cache
def _anatomy(
    table: str, proportions: tuple[tuple[str, float], ...], variation: Variation | None
) -> Anatomy:
    anatomy = anatomies.load(table)
    if variation is not None:
        anatomy = anatomies.varied(anatomy, variation)
    return anatomies.proportioned(anatomy, dict(proportions)) if proportions else anatomy


_SKINS = (
    (0.95, 0.80, 0.69),
    (0.87, 0.68, 0.53),
    (0.76, 0.57, 0.42),
    (0.55, 0.38, 0.27),
    (0.38, 0.26, 0.19),
)
_SHIRTS = (
    (0.75, 0.15, 0.15),
    (0.15, 0.30, 0.65),
    (0.12, 0.12, 0.14),
    (0.85, 0.85, 0.85),
    (0.20, 0.50, 0.25),
    (0.55, 0.25, 0.60),
    (0.90, 0.55, 0.10),
    (0.35, 0.35, 0.40),
)
_SHORTS = (
    (0.10, 0.10, 0.12),
    (0.20, 0.20, 0.35),
    (0.35, 0.35, 0.37),
    (0.50, 0.10, 0.15),
    (0.12, 0.30, 0.20),
    (0.25, 0.22, 0.20),
)
_HAIRS = ((0.10, 0.08, 0.07), (0.30, 0.20, 0.12), (0.55, 0.42, 0.25), (0.25, 0.25, 0.25))


_SEGMENTS = ("thigh", "shank", "upper_arm", "forearm", "trunk", "shoulder")


def sample(number: int, seed: int, population: Population | None = None) -> Subject:
    """Draws the `number`-th subject; a pure function of its arguments.

    Height and body-mass index follow young adults (means 1.77 m, 24.5 kg/m² for men, 1.64 m,
    22.5 kg/m² for women). At equal size, women have 0.85 of the strength of men. Cross-sections
    grow with mass^(2/3), forces also with the square of height (see `body`).
    """
    rng = np.random.default_rng([seed, number, 7])
    female = bool(rng.random() < 0.4)
    height = float(np.clip(rng.normal(1.64 if female else 1.77, 0.06), 1.48, 1.98))
    bmi = float(np.clip(rng.normal(22.5 if female else 24.5, 2.2), 18.5, 31))
    mass, skill = bmi * height**2, float(rng.random())
    strength = (0.85 if female else 1.0) * (mass / 75) ** 0.67
    strength *= rng.lognormal(0.15 * (skill - 0.5), 0.12)

    def pick(choices: tuple) -> tuple[float, float, float]:
        return choices[rng.integers(len(choices))]

    person = Subject(
        id=f"s{number:03d}",
        female=female,
        height=height,
        mass=mass,
        strength=float(np.clip(strength, 0.68, 1.5)),
        skill=skill,
        girth=float(np.clip((bmi / 23.5) ** 0.5 * rng.normal(1, 0.04), 0.85, 1.25)),
        asymmetry=float(np.clip(rng.normal(0.02, 0.06), -0.15, 0.15)),
        skin=pick(_SKINS),
        shirt=pick(_SHIRTS),
        shorts=pick(_SHORTS),
        hair=pick(_HAIRS),
        wall=tuple(np.clip(np.array([0.60, 0.60, 0.57]) + rng.normal(0, 0.06, 3), 0.3, 0.85)),
        heading=float(rng.normal(0, 0.06)),
        seed=int(rng.integers(2**31)),
    )
    return (
        _of(population, person, np.random.default_rng([seed, number, 8])) if population else person
    )


def _of(population: Population, person: Subject, rng: np.random.Generator) -> Subject:
    """The person as one of a population."""
    sign, size = rng.choice([-1.0, 1.0], len(_SEGMENTS)), rng.uniform(0.5, 1.0, len(_SEGMENTS))
    factors = 1 + population.proportions * sign * size
    return dataclasses.replace(
        person,
        strength=person.strength * population.strength,
        table=population.anatomy,
        proportions=tuple(zip(_SEGMENTS, map(float, factors), strict=True)),
        pace=float(rng.uniform(*population.pace)),
        emg_lag=float(rng.uniform(0, population.emg_lag)),
        electrodes=population.electrodes,
        variation=population.variation
        and dataclasses.replace(population.variation, seed=person.seed),
        common_drive=float(rng.uniform(*population.common_drive)),
    )
