"""Snippets of MJCF, MuJoCo's model format. Lengths in m, masses in kg, colours RGB in 0-1."""

from collections.abc import Sequence

Number = float | int


def numbers(*values: Number) -> str:
    """Values as an attribute."""
    return " ".join(f"{value:.5f}" for value in values)


def inertial(mass: Number, centre: Sequence[Number], length: Number, radius: Number) -> str:
    """Mass and inertia of a cylinder that stands on z."""
    across = mass * (length**2 / 12 + radius**2 / 4)
    along = mass * radius**2 / 2
    return (
        f'<inertial mass="{mass:.5f}" pos="{numbers(*centre)}" '
        f'diaginertia="{numbers(across, across, along)}"/>'
    )


def capsule(
    start: Sequence[Number], end: Sequence[Number], radius: Number, colour: Sequence[Number]
) -> str:
    """A weightless capsule between two points."""
    return (
        f'<geom type="capsule" fromto="{numbers(*start, *end)}" size="{radius:.5f}" mass="0" '
        f'rgba="{numbers(*colour)} 1"/>'
    )


def ellipsoid(centre: Sequence[Number], size: Sequence[Number], colour: Sequence[Number]) -> str:
    """A weightless ellipsoid; `size` holds half axes."""
    return (
        f'<geom type="ellipsoid" pos="{numbers(*centre)}" size="{numbers(*size)}" mass="0" '
        f'rgba="{numbers(*colour)} 1"/>'
    )


def cylinder(
    start: Sequence[Number],
    end: Sequence[Number],
    radius: Number,
    colour: Sequence[Number],
    mass: Number = 0.0,
) -> str:
    """A cylinder between two points."""
    return (
        f'<geom type="cylinder" fromto="{numbers(*start, *end)}" size="{radius:.5f}" '
        f'mass="{mass:.5f}" rgba="{numbers(*colour)} 1"/>'
    )


def box(
    centre: Sequence[Number], half: Sequence[Number], pitch: Number, colour: Sequence[Number]
) -> str:
    """A weightless box; `half` holds half edges, `pitch` turns it about y, rad."""
    return (
        f'<geom type="box" pos="{numbers(*centre)}" size="{numbers(*half)}" mass="0" '
        f'euler="{numbers(0, pitch, 0)}" rgba="{numbers(*colour)} 1"/>'
    )
