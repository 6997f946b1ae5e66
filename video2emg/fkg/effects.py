"""How large the effects of an error are, measured in simulated people; docs/fkg.md tells how.

The table is a CSV file beside the graph. One row is one effect at one edge; a row of kind `none`
says that an error was measured and has no effect that is worth naming.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from video2emg.core import vocabulary
from video2emg.core.errors import UserError

# Unit of each kind, and the smallest change that is stored: of moments in % of body weight × height
# (`normalised`), of compression in % of body weight, of activation in % MVC.
UNITS = {"moment": "N·m", "activation": "% MVC", "compression": "N"}
FLOORS = {"moment": 0.3, "activation": 2.0, "compression": 10.0}
_PARTS = {  # of the body, by kind
    "moment": ("knee", "hip", "ankle", "shoulder", "elbow", "lumbar", "knee_frontal"),
    "activation": vocabulary.MUSCLES,
    "compression": ("lumbar",),
}
STATISTICS = ("peak", "mean", "asymmetry")
NONE = "none"
Edge = tuple[str, str, str]  # action, key step, error


@dataclasses.dataclass(frozen=True)
class Effect:
    """How much an error changes one quantity in the window of its key step.

    Means over simulated people, with 95 % bootstrap intervals over people.

    Attributes:
      kind: of `UNITS`: the moment of a joint, activation of a muscle, compression of a joint.
      part: joint (the side with the larger moment) or muscle (the mean of both sides).
      statistic: `peak` or `mean` over the window; `asymmetry`, the mean of the side that the error
        affects minus that of the other side.
      without: the quantity without the error.
      change, low, high: of the quantity, in the unit of its kind.
      normalised: the change in % of body weight × height for moments, in % of body weight for
        compression, in % MVC for activation.
      relative, relative_low, relative_high: change over `without`; None where there is hardly
        anything without the error.
      severity: of the error, 0-1.
      people: how many.
    """

    kind: str
    part: str
    statistic: str
    without: float
    change: float
    low: float
    high: float
    normalised: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    severity: float
    people: int

    @property
    def size(self) -> float:
        """The change over the smallest one that is stored, to compare different kinds."""
        return abs(self.normalised) / FLOORS[self.kind]

    @property
    def rises(self) -> bool:
        """Whether people see more of it: sides differ more, whichever does more."""
        return self.change > 0 or self.statistic == "asymmetry"

    @property
    def name(self) -> str:
        """What changes, for people."""
        part = self.part.replace("_", " ")
        if self.kind == "activation":
            if self.statistic == "asymmetry":
                return f"the left-right difference of {part}"
            return part if self.statistic == "mean" else f"the peak of {part}"
        if self.kind == "compression":
            return "the compression of the lower back"
        return joint_name(self.part)

    def at(self, severity: float) -> "Effect":
        """The effect at another severity, if it is proportional to it."""
        factor = severity / self.severity

        def scaled(value: float | None) -> float | None:
            return None if value is None else factor * value

        changes = ("change", "low", "high", "normalised")
        shares = ("relative", "relative_low", "relative_high")
        fields = {name: scaled(getattr(self, name)) for name in (*changes, *shares)}
        return dataclasses.replace(self, severity=severity, **fields)


_NUMBERS = tuple(f.name for f in dataclasses.fields(Effect) if f.name not in ("kind", "part"))[1:]
_OPTIONAL = ("relative", "relative_low", "relative_high")
COLUMNS = ("action", "step", "error", "kind", "part", "statistic", *_NUMBERS)


def largest(effects: Iterable[Effect], count: int = 3) -> tuple[Effect, ...]:
    """The largest effects by `Effect.size`, one of each part, the largest first."""
    by_part: dict[tuple[str, str], Effect] = {}
    for effect in sorted(effects, key=lambda effect: -effect.size):
        by_part.setdefault((effect.kind, effect.part), effect)
    return tuple(by_part.values())[:count]


def to_text(effects: Sequence[Effect] | None) -> str:
    """One sentence for people; empty if the error was not measured."""
    if effects is None:
        return ""
    if not effects:
        return (
            "No joint moment or muscle changes measurably in simulated people: a matter of style."
        )
    parts = []
    for verb, group in (
        ("raises", [e for e in effects if e.rises]),
        ("lowers", [e for e in effects if not e.rises]),
    ):
        if group:
            *first, last = [_amount(effect) for effect in group]
            parts.append(f"{verb} " + (f"{', '.join(first)} and {last}" if first else last))
    return f"In simulated people, this {', and '.join(parts)}."


def _amount(effect: Effect) -> str:
    """What changes and by how much, without the sign."""
    shares = (effect.relative, effect.relative_low, effect.relative_high)
    if None in shares:
        values, unit = (effect.change, effect.low, effect.high), UNITS[effect.kind]
    else:
        values, unit = tuple(100 * x for x in shares if x is not None), "%"
    middle, *ends = (math.copysign(1.0, effect.change) * x for x in values)
    low, high = sorted(ends)
    return f"{effect.name} by {middle:.0f} {unit} ({low:.0f} to {high:.0f})"


def joint_name(joint: str) -> str:
    """The moment of a joint, for people."""
    names = {"lumbar": "the moment of the lower back", "knee_frontal": "the sideways knee moment"}
    return names.get(joint, f"the {joint} moment")


def read(path: Path) -> dict[Edge, tuple[int, tuple[Effect, ...]]]:
    """Reads a table of effects.

    Returns:
      By edge, the line of its first row and its effects, which may be none.

    Raises:
      UserError: with file, line and column of the first mistake.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text") from None
    rows = csv.reader(io.StringIO(text), strict=True)
    rows_of_edge: dict[Edge, tuple[int, tuple[Effect, ...]]] = {}
    try:
        if next(rows, None) != list(COLUMNS):
            raise UserError(f"{path}, line 1: expected the columns {','.join(COLUMNS)}")
        for row in rows:
            edge, effect = _row(row, f"{path}, line {rows.line_num}")
            line, effects = rows_of_edge.get(edge, (rows.line_num, ()))
            known = [_key(e) for e in effects]
            if edge in rows_of_edge and (effect is None or not effects or _key(effect) in known):
                raise UserError(f"{path}, line {rows.line_num}: twice the same of {' '.join(edge)}")
            rows_of_edge[edge] = line, effects + (() if effect is None else (effect,))
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: not CSV: {error}") from None
    return rows_of_edge


def to_csv(edges: Mapping[Edge, Sequence[Effect]]) -> str:
    """The text of a table; numbers have four digits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for edge, effects in edges.items():
        for effect in effects:
            writer.writerow([*edge, *(_cell(getattr(effect, name)) for name in COLUMNS[3:])])
        if not effects:
            writer.writerow([*edge, NONE, *[""] * (len(COLUMNS) - 4)])
    return file.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _key(effect: Effect) -> tuple[str, str, str]:
    return effect.kind, effect.part, effect.statistic


def _row(row: list[str], where: str) -> tuple[Edge, Effect | None]:
    """The edge and the effect of a row; no effect in a row of kind `none`."""
    if len(row) != len(COLUMNS):
        raise UserError(f"{where}: {len(row)} columns; expected {len(COLUMNS)}")
    action, step, error, kind, *rest = row
    if kind == NONE:
        if any(rest):
            raise UserError(f"{where}: a row of kind {NONE!r} has no more values")
        return (action, step, error), None
    if kind not in UNITS:
        raise UserError(f"{where}, kind: {kind!r} is not one of {', '.join((*UNITS, NONE))}")
    part, statistic, *numbers = rest
    if part not in _PARTS[kind]:
        raise UserError(f"{where}, part: {part!r} is not one of {', '.join(_PARTS[kind])}")
    if statistic not in STATISTICS:
        raise UserError(f"{where}, statistic: {statistic!r} is not one of {', '.join(STATISTICS)}")
    values: dict[str, Any] = dict(_parsed(numbers, where))
    if not values["low"] <= values["change"] <= values["high"]:
        raise UserError(f"{where}, change: {values['change']:g} is not between low and high")
    if not 0 < values["severity"] <= 1:
        raise UserError(f"{where}, severity: expected a number above 0, up to 1")
    if not (values["people"] >= 1 and values["people"] % 1 == 0):
        raise UserError(f"{where}, people: expected a positive whole number")
    people = int(values.pop("people"))
    return (action, step, error), Effect(kind, part, statistic, people=people, **values)


def _parsed(cells: list[str], where: str) -> Iterator[tuple[str, float | None]]:
    for name, cell in zip(_NUMBERS, cells, strict=True):
        if cell == "" and name in _OPTIONAL:
            yield name, None
            continue
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{where}, {name}: expected a number, found {cell!r}")
        yield name, value
