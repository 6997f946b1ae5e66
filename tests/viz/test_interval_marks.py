import math

import pytest

from video2emg.viz import interval_marks, style


@pytest.mark.parametrize("upright", [False, True])
def test_a_value_its_interval_and_what_lies_below_the_axis(upright):
    axes = style.new_figure(3, 3).subplots()
    of = interval_marks.look(1)
    ends = [-3.0, 0.5]
    interval_marks.mark(axes, 2.0, -2.0, ends, of, lowest=-1.0, upright=upright)
    way = 1 if upright else -1
    [line], [points] = axes.lines, axes.collections
    assert [list(part) for part in line.get_data()][::way] == [[2.0, 2.0], [-1.0, 0.5]]
    assert points.get_offsets()[0].tolist()[::way] == [2.0, -1.0]
    interval_marks.mark(axes, 3.0, None, [None, None], of)
    interval_marks.mark(axes, 3.0, math.nan, ends, of)
    assert len(axes.lines) == 1


def test_kinds_are_told_apart_without_colour():
    looks = [interval_marks.look(kind) for kind in range(8)]
    assert len({marker for _, marker in looks}) == len({colour for colour, _ in looks}) == 8
    assert interval_marks.handle(looks[2]).get_marker() == looks[2][1]
