"""Simulated people: size, strength, skill and appearance."""

import dataclasses

import numpy as np


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
      seed: of the properties of the electrodes.
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


def sample(number: int, seed: int) -> Subject:
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

    return Subject(
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
