"""Tables as plain text: the only place where columns are aligned and missing numbers are printed.

The library `tabulate` is not used because it strips the indent of row labels such as "  95 %".
"""

import math
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MISSING = "–"

# Metric, heading and format of each column.
Columns = Sequence[tuple[str, str, str]]


def align(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines with two spaces between columns and no spaces at their ends.

    Args:
      rows: cells, equally many in every row.
      left: how many columns, counted from the first, are aligned to the left; the others are
        aligned to the right.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def underline(lines: Sequence[str]) -> list[str]:
    """The same lines with a rule under the first, as long as the longest line."""
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def number(value: float | None) -> float:
    """A number of a results file, in which an undefined one is null; NaN for null."""
    return math.nan if value is None else float(value)


def cell(value: float | None, form: str) -> str:
    """A number by its format, such as `{:+.3f}`; `MISSING` if it is null, NaN or infinite."""
    return form.format(value) if math.isfinite(number(value)) else MISSING


def with_interval(value: float | None, ends: Sequence[float | None], form: str) -> str:
    """A number and its interval: `0.812 (0.783 to 0.837)`; `MISSING` if it is undefined."""
    if not math.isfinite(number(value)):
        return MISSING
    low, high = (cell(end, form) for end in ends)
    return f"{cell(value, form)} ({low} to {high})"


def cells(
    row: Mapping[str, Any],
    columns: Columns,
    intervals: Mapping[str, str] = types.MappingProxyType({}),
) -> list[str]:
    """The metrics of one row of a results file.

    Args:
      row: numbers by metric; those of `intervals` with `<metric>_ci95`.
      columns: of the table.
      intervals: metrics that are followed by their interval, with their format.
    """
    return [
        with_interval(row[metric], row[f"{metric}_ci95"], intervals[metric])
        if metric in intervals
        else cell(row.get(metric), form)
        for metric, _, form in columns
    ]


def titled(facts: Iterable[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of a table: the facts that are not empty, the headings, a rule, the other rows."""
    return [" · ".join(fact for fact in facts if fact), *underline(align(rows, left))]


def descending(value: float | None) -> float:
    """Sort key: from the highest number to the lowest, undefined ones last."""
    return math.inf if math.isnan(number(value)) else -number(value)
