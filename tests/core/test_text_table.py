import math

from video2emg.core.text_table import (
    align,
    cell,
    cells,
    descending,
    titled,
    underline,
    with_interval,
)


def test_columns_are_aligned_and_lines_end_without_spaces():
    lines = align([["", "sees", "skill"], ["ours", "video", "+0.5"], ["  95 %", "", ""]], left=2)
    assert lines == ["        sees   skill", "ours    video   +0.5", "  95 %"]
    assert underline(lines)[1] == "-" * 20


def test_numbers_that_are_undefined_are_a_dash():
    assert cell(0.5, "{:+.2f}") == "+0.50"
    assert {cell(value, "{:.1f}") for value in (None, math.nan, math.inf)} == {"–"}
    assert with_interval(0.5, [None, 1.0], "{:.1f}") == "0.5 (– to 1.0)"
    assert sorted([0.1, None, 0.9, math.nan], key=descending)[:2] == [0.9, 0.1]


def test_rows_of_results_have_intervals_where_asked():
    columns = (("skill", "skill", "{:+.3f}"), ("r", "r", "{:.2f}"), ("mae", "MAE", "{:.1f}"))
    row = {"skill": 0.5, "skill_ci95": [0.4, 0.6], "r": None, "r_ci95": [None, None]}
    assert cells(row, columns) == ["+0.500", "–", "–"]
    wide = cells(row, columns, {"skill": "{:+.1f}", "r": "{:.1f}"})
    assert wide == ["+0.5 (+0.4 to +0.6)", "–", "–"]
    rows = [["", *(heading for _, heading, _ in columns)], ["model", *wide]]
    lines = titled(["data", "", "test"], rows)
    assert lines[0] == "data · test" and set(lines[2]) == {"-"} and lines[3].startswith("model")
