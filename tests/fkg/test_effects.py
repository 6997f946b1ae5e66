import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fkg.test_load import SMALL, write
from video2emg.core.errors import UserError
from video2emg.fkg import effects
from video2emg.fkg.effects import Effect
from video2emg.fkg.load import load

KNEE = Effect("moment", "knee", "peak", 100.0, 18.0, 12.0, 24.0, 1.5, 0.18, 0.12, 0.24, 0.8, 10)
GLUTEUS = Effect(
    "activation",
    "gluteus_maximus",
    "mean",
    40.0,
    -3.6,
    -5.0,
    -2.0,
    -3.6,
    -0.09,
    -0.125,
    -0.05,
    0.8,
    10,
)
ARMS = Effect(
    "activation", "biceps_brachii", "asymmetry", 0.5, 7.0, 5.0, 9.0, 7.0, None, None, None, 0.8, 10
)


def test_text_for_people():
    assert effects.to_text([KNEE, GLUTEUS]) == (
        "In simulated people, this raises the knee moment by 18 % (12 to 24), and lowers "
        "gluteus maximus by 9 % (5 to 12)."
    )
    assert effects.to_text([ARMS]) == (
        "In simulated people, this raises the left-right difference of biceps brachii by 7 % MVC "
        "(5 to 9)."
    )
    assert effects.to_text([]).endswith("in simulated people: a matter of style.")
    assert effects.to_text(None) == ""


def test_an_effect_is_proportional_to_the_severity():
    half = KNEE.at(0.4)
    assert (half.change, half.low, half.relative, half.severity) == (9.0, 6.0, 0.09, 0.4)
    assert half.without == KNEE.without and ARMS.at(0.4).relative is None


def test_the_largest_effects_are_of_different_parts():
    peak = dataclasses.replace(GLUTEUS, statistic="peak", change=-2.0, high=-1.0, normalised=-2.0)
    assert effects.largest([peak, GLUTEUS, KNEE, ARMS]) == (KNEE, ARMS, GLUTEUS)
    assert effects.largest([peak, KNEE], 1) == (KNEE,)


ROWS = effects.to_csv({("squat", "down", "tilt"): (KNEE, GLUTEUS), ("squat", "down", "haste"): ()})
# Mistake: text to replace, replacement, line number and words of the message.
MISTAKES = {
    "header": ("action,", "deed,", 1, "expected the columns"),
    "kind": ("moment", "force", 2, "kind: 'force' is not one of moment"),
    "statistic": ("peak", "least", 2, "statistic: 'least' is not one of"),
    "muscle": ("gluteus_maximus", "gluteus", 3, "part: 'gluteus' is not one of"),
    "number": ("-3.6", "less", 3, "change: expected a number, found 'less'"),
    "nan": (",18,", ",nan,", 2, "change: expected a number, found 'nan'"),
    "missing number": (",18,", ",,", 2, "change: expected a number, found ''"),
    "outside": (",18,", ",25,", 2, "change: 25 is not between low and high"),
    "severity": ("0.8,10", "1.8,10", 2, "severity: expected a number above 0"),
    "people": ("0.8,10", "0.8,0", 2, "people: expected a positive whole number"),
    "columns": ("0.8,10", "0.8", 2, "15 columns; expected 16"),
    "twice": ("activation,gluteus_maximus,mean", "moment,knee,peak", 3, "twice the same"),
    "none and some": (",none,", ",none,knee", 4, "has no more values"),
    "none twice": ("squat,down,haste", "squat,down,tilt", 4, "twice the same"),
    "no edge": ("squat,down,haste", "squat,up,haste", 4, "'up' is not a key step of 'squat'"),
    "no error": ("squat,down,haste", "squat,down,wobble", 4, "'wobble' is not an error of 'down'"),
    "no action": ("squat,down,haste", "jump,down,haste", 4, "'jump' is not an action"),
    "shared": ("squat,down,haste", "row,lift,haste", 4, "key step 'lift' is shared"),
    "quotes": ("squat,down,haste", '"squat,down,haste', 4, "not CSV"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_with_file_and_line(tmp_path, mistake):
    old, new, line, words = MISTAKES[mistake]
    assert old in ROWS
    write(tmp_path, ROWS.replace(old, new, 1), "table.csv")
    with pytest.raises(UserError) as caught:
        load(write(tmp_path, SMALL + "effects: table.csv\n"))
    message = str(caught.value)
    assert f"table.csv, line {line}" in message and words in message, message


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone.csv: cannot be read"):
        load(write(tmp_path, SMALL + "effects: gone.csv\n"))


def test_edges_carry_their_effects(tmp_path):
    write(tmp_path, ROWS, "table.csv")
    graph = load(write(tmp_path, SMALL + "effects: table.csv\n"))
    squat = graph.action("squat")
    assert squat.occurrence("down", "tilt").effects == (KNEE, GLUTEUS)
    assert squat.occurrence("down", "haste").effects == ()
    assert graph.action("row").occurrence("lift", "haste").effects is None
    assert graph.key_steps["squat/down"].errors == squat.step("down").errors


def test_a_graph_that_extends_another_keeps_its_effects_unless_it_has_its_own(tmp_path):
    (tmp_path / "base").mkdir()
    write(tmp_path / "base", ROWS, "table.csv")
    write(tmp_path / "base", SMALL + "effects: table.csv\n", "base.yaml")
    top = 'format: 1\nname: top\nversion: "1"\nextends: base/base.yaml\n'
    kept = load(write(tmp_path, top)).action("squat")
    assert kept.occurrence("down", "tilt").effects == (KNEE, GLUTEUS)
    write(tmp_path, effects.to_csv({("squat", "down", "haste"): (ARMS,)}), "own.csv")
    both = load(write(tmp_path, top + "effects: own.csv\n")).action("squat")
    assert both.occurrence("down", "haste").effects == (ARMS,)
    assert both.occurrence("down", "tilt").effects == (KNEE, GLUTEUS)
    # The base may know an edge that this graph does not have any more.
    other = SMALL.replace("  squat:", "  press:")
    write(tmp_path / "base", other + "effects: table.csv\n", "base.yaml")
    with pytest.raises(UserError, match="'squat' is not an action"):
        load(tmp_path / "base/base.yaml")
    assert "squat" not in load(write(tmp_path, top)).actions


numbers = st.floats(-500, 500, width=16)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [("moment", "hip"), ("activation", "soleus"), ("compression", "lumbar")]
            ),
            st.sampled_from(effects.STATISTICS),
            numbers,
            st.tuples(numbers, numbers, numbers).map(sorted),
            st.none() | st.tuples(numbers, numbers, numbers),
            st.integers(1, 99),
        ),
        unique_by=lambda row: (row[0], row[1]),
        max_size=5,
    )
)
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    table = tuple(
        Effect(
            *part, statistic, 1.0, change, low, high, other, *(shares or [None] * 3), 0.8, people
        )
        for part, statistic, other, (low, change, high), shares, people in rows
    )
    edge = ("squat", "down", "tilt")
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(effects.to_csv({edge: table}), encoding="utf-8")
    line, back = effects.read(path)[edge]
    assert line == 2 and len(back) == len(table)
    for one, other in zip(table, back, strict=True):
        for name, value in dataclasses.asdict(one).items():
            read = getattr(other, name)
            assert read == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value)
