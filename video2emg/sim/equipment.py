"""Dumbbells and barbells, whose appearance shows the load."""

import colorsys
import typing

from video2emg.sim import mjcf

Equipment = typing.Literal[
    "dumbbell",
    "dumbbell_right",
    "dumbbell_left",
    "barbell_back",
    "barbell_hips",
    "barbell_overhead",
    "barbell_hanging",
    "barbell_wide",
    "barbell_narrow",
    "none",
]

HALF_BAR = 0.9  # m
# Distance of each hand on the bar outside its shoulder, m. Wide enough to press with vertical
# forearms, narrow enough to hang vertically.
GRIP_WIDTH = {
    "barbell_overhead": 0.11,
    "barbell_hanging": 0.05,
    "barbell_wide": 0.20,
    "barbell_narrow": 0.0,
}
_SLEEVE = 0.62  # m from the middle of the bar to the first plate
_STEEL = (0.72, 0.72, 0.75)
# Plates by mass, kg: radius, m, and colour (of the IWF from 10 kg; 20 and 25 kg are full size).
_PLATES = {
    25: (0.225, (0.75, 0.10, 0.10)),
    20: (0.225, (0.10, 0.20, 0.65)),
    15: (0.17, (0.85, 0.70, 0.10)),
    10: (0.14, (0.10, 0.45, 0.20)),
    5: (0.115, (0.85, 0.85, 0.85)),
    2.5: (0.095, (0.75, 0.30, 0.50)),
    1.25: (0.08, (0.50, 0.50, 0.50)),
}
_HEAVIEST_HUE = 12.0  # kg


def on_side(equipment: Equipment, side: str) -> Equipment:
    """The same equipment in the hand of one side."""
    names: dict[str, Equipment] = {"right": "dumbbell_right", "left": "dumbbell_left"}
    if equipment not in names.values():
        raise ValueError(f"{equipment!r} is not held in one hand")
    return names[side]


def bar_mass(load: float) -> float:
    """Mass of the bare bar, kg, for a total load: 20, 10 below 30 kg, and all of it below 10."""
    return min(load, 10.0) if load < 30 else 20.0


def dumbbell(load: float) -> str:
    """Geoms of a dumbbell of `load` kg along x.

    Heads grow with the load. Their colour goes from red over green and blue to violet, as of
    colour-coded rubber dumbbells.
    """
    radius, width = 0.032 + 0.0125 * load**0.5, 0.035 + 0.006 * load**0.5
    colour = colorsys.hsv_to_rgb(0.75 * min(load, _HEAVIEST_HUE) / _HEAVIEST_HUE, 0.85, 0.8)
    head = max(load - 0.3, 0.1) / 2
    handle = mjcf.cylinder((-0.09, 0, 0), (0.09, 0, 0), 0.014, (0.7, 0.7, 0.72), 0.3)
    return handle + "".join(
        mjcf.cylinder((s * 0.07, 0, 0), (s * (0.07 + width), 0, 0), radius, colour, head)
        for s in (-1, 1)
    )


def half_bar(
    load: float,
    axis: tuple[mjcf.Number, mjcf.Number, mjcf.Number],
    inner: float = 0.0,
    weightless: bool = False,
) -> str:
    """Geoms of the half of a barbell that lies along `axis`.

    Args:
      load: of the whole barbell, kg.
      axis: unit vector from the middle of the bar outwards.
      inner: distance of the frame's origin from the middle of the bar, m.
      weightless: whether the geoms are only visual.
    """

    def point(distance: mjcf.Number) -> tuple[mjcf.Number, ...]:
        return tuple((distance - inner) * a for a in axis)

    factor = 0.0 if weightless else 1.0
    bar = bar_mass(load)
    parts = [mjcf.cylinder(point(0), point(HALF_BAR), 0.014, _STEEL, factor * bar / 2)]
    position, remaining = _SLEEVE, (load - bar) / 2
    for mass, (radius, colour) in _PLATES.items():
        while remaining >= mass - 1e-6:
            end = position + (0.012 + 0.0012 * mass)
            parts.append(mjcf.cylinder(point(position), point(end), radius, colour, factor * mass))
            position, remaining = end + 0.004, remaining - mass
    return "".join(parts)
