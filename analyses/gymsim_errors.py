"""Writes the table of errors in docs/gymsim.md: the effect of each on its muscle at equal load.

python -m analyses.gymsim_errors [--people 6]
"""

import argparse
import pathlib

from video2emg.sim import error_effects

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "gymsim.md"
START, END = "<!-- errors: start -->", "<!-- errors: end -->"
WORDS = {
    ("mean", 1): "mean rises",
    ("mean", -1): "mean falls",
    ("peak", 1): "peak rises",
    ("peak", -1): "peak falls",
    ("asymmetry", 1): "left/right difference rises",
}


def table(changes: list[error_effects.MeasuredEffect]) -> str:
    rows = [
        "| exercise | error | muscle | expected | without → with | change |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in changes:
        unit = "" if c.statistic == "asymmetry" else " %"
        number = c.change if c.statistic == "asymmetry" else 100 * c.change
        shown = f"{number:+.2f}" if c.statistic == "asymmetry" else f"{number:+.0f}"
        rows.append(
            f"| {c.exercise} | {c.error} | {c.muscle} | {WORDS[c.statistic, c.direction]} "
            f"| {c.correct:.2f} → {c.with_error:.2f} | {shown}{unit} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=6)
    people = parser.parse_args().people
    changes = error_effects.measure_all(severity=0.8, people=people)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    note = f"\nSeverity 0.8, a third of the range of loads, mean of {people} people.\n\n"
    PAGE.write_text(before + START + note + table(changes) + "\n" + END + after, encoding="utf-8")
    weak = [c for c in changes if c.expected_change < 0.10]
    print(f"{len(changes)} errors measured, {len(weak)} with less than 0.10 of the expected change")
    for change in weak:
        print(f"  {change.exercise}/{change.error}: {change.expected_change:+.2f}")


if __name__ == "__main__":
    main()
