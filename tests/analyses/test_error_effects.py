import numpy as np
import pytest

from analyses import error_effects
from video2emg.sim import subject as subjects
from video2emg.sim.effect_sizes import SEVERITY, Pair

KNEE, CALF = ("moment", "knee", "peak"), ("activation", "soleus", "mean")
EDGE = ("barbell_squat", "rise", "knees_caving")


def pair(knee: float, calf: float, rise: float) -> Pair:
    without = {KNEE: knee, CALF: calf}
    within = {KNEE: knee * (1 + rise), CALF: calf}
    return Pair("rise", "knees_caving", without, within, np.zeros((13, 21, 3)), (1.0, 1.0))


@pytest.fixture
def draw():
    """Six people; the error raises the knee moment by 20 % and does nothing to the calf."""
    draw = error_effects.Draw()
    for person in range(6):
        for load, rise in ((0.25, 0.1), (0.5, 0.3)):
            measured = pair(100.0 + person, 0.5, rise)
            draw.add(("barbell_squat", person, load, 0), [measured])
    return draw


def test_loads_are_averaged_within_people_and_people_are_the_unit(draw):
    found = error_effects.table(draw, 0)[EDGE]
    knee = found[KNEE]
    assert knee.change == pytest.approx(0.2 * 102.5) and knee.relative == pytest.approx(0.2)
    assert knee.people == 6 and knee.severity == SEVERITY
    people = [subjects.sample(p, error_effects.PEOPLE_SEED) for p in range(6)]
    sizes = [9.81 * p.mass * p.height for p in people]
    expected = np.mean([100 * 0.2 * (100 + n) / size for n, size in enumerate(sizes)])
    assert knee.normalised == pytest.approx(expected)
    assert knee.low < knee.change < knee.high and knee.high - knee.low < 1.0
    assert error_effects.is_stored(knee)
    calf = found[CALF]
    assert calf.change == 0 and calf.relative is None and not error_effects.is_stored(calf)


def test_too_few_people_are_left_out(capsys):
    draw = error_effects.Draw()
    for person in range(4):
        draw.add(("barbell_squat", person, 0.25, 0), [pair(100.0, 1.0, 0.2)])
    assert error_effects.table(draw, 0) == {}
    assert "only 4 people can do it" in capsys.readouterr().out


def test_agreement_of_two_draws(draw, capsys):
    found = error_effects.table(draw, 0)
    error_effects.agreement({EDGE: (found[EDGE][KNEE],)}, found)
    assert "100% of 1 stored means" in capsys.readouterr().out


def test_signatures_are_means(draw):
    signature = error_effects.signatures(draw)["barbell_squat", "knees_caving"]
    assert signature.severity == SEVERITY and signature.duration == (1.0, 1.0)
