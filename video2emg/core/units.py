"""The units that files of recordings state, in all their spellings."""

import dataclasses
from typing import Literal

from video2emg.core.errors import UserError

Kind = Literal["voltage", "length", "time", "other"]


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit of measurement.

    Attributes:
      name: one spelling for all, e.g. `uV` for µV and microvolts.
      kind: `other`: known, but never converted.
      scale: in V, m or s; 1 for other kinds.
    """

    name: str
    kind: Kind
    scale: float = 1.0


_PREFIXES = {"": ("", 1.0), "m": ("milli", 1e-3), "u": ("micro", 1e-6), "n": ("nano", 1e-9)}
# Kind → symbol, long forms.
_BASES: dict[Kind, tuple[str, tuple[str, ...]]] = {
    "voltage": ("V", ("volt",)),
    "length": ("m", ("metre", "meter")),
    "time": ("s", ("second", "sec")),
}
# What the columns beside EMG are in, and EMG that is not a voltage.
_OTHERS = (
    "% %mvc %mvic mvc fraction adc adu count counts lsb bit digit raw au a.u. arb arb.u. no_units "
    "unitless dimensionless g g's deg ° rad deg/s °/s rad/s dps hz khz bpm 1/min /min min rpm m/s "
    "m/s² m/s^2 m/s2 m/(s^2) m/(sec^2) ut µt gauss ga n kn nm n·m nmm n.mm n.m kg kgf n/kg kpa pa "
    "mmhg bar ohm kohm kohms °c degc celsius"
)


def _spellings() -> dict[str, Unit]:
    table: dict[str, Unit] = {}
    for kind, (symbol, words) in _BASES.items():
        for prefix, (long_prefix, scale) in _PREFIXES.items():
            unit = Unit(prefix + symbol, kind, scale)
            table[prefix + symbol] = unit
            for word in words:
                for name in (prefix + word, long_prefix + word):
                    table |= {name: unit, f"{name}s": unit}
    for name in ("cm", "centimetre", "centimetres", "centimeter", "centimeters"):
        table[name] = Unit("cm", "length", 1e-2)
    table |= {name: Unit(name, "other") for name in _OTHERS.split()}
    return {_normalise(name): unit for name, unit in table.items()}


def _normalise(text: str) -> str:
    # The micro sign, the Greek letter, and what is left of them in another encoding.
    for micro in ("µ", "μ", "\ufffd"):
        text = text.replace(micro, "u")
    return text.strip().rstrip("*").lower()


_TABLE = _spellings()


def find(text: str) -> Unit | None:
    """The unit that a text names, whatever its spelling; None if it names none."""
    return _TABLE.get(_normalise(text))


def canonical(text: str) -> str:
    """The one spelling of a unit; a text that names no unit as it is."""
    unit = find(text)
    return unit.name if unit else text.strip()


def factor(text: str, other: str, where: str) -> float:
    """By what values in one unit are multiplied to be in another.

    Raises:
      UserError: the two do not measure the same, or one of them is unknown and they differ.
    """
    if canonical(text) == canonical(other):
        return 1.0
    a, b = find(text), find(other)
    if a is None or b is None or a.kind != b.kind or a.kind == "other":
        raise UserError(f"{where}: {text or 'no unit'!r} cannot be converted to {other!r}")
    return a.scale / b.scale


def volts(text: str) -> float | None:
    """V per unit; None if the text is not a unit of voltage."""
    unit = find(text)
    return unit.scale if unit and unit.kind == "voltage" else None
