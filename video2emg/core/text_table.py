"""Tables as plain text: the only place where columns are aligned and missing numbers are printed.

The library `tabulate` is not used because it strips the indent of row labels such as "  95 %".
"""

import math
from collections.abc import Sequence

MISSING = "–"


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
    """A number and its interval: `0.812 (0.783 to 0.837)`."""
    low, high = (cell(end, form) for end in ends)
    return f"{cell(value, form)} ({low} to {high})"


def descending(value: float | None) -> float:
    """Sort key: from the highest number to the lowest, undefined ones last."""
    return math.inf if math.isnan(number(value)) else -number(value)
