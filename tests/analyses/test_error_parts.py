import itertools

import numpy as np
import pytest

from analyses import error_parts
from video2emg.eval.metrics import Moments
from video2emg.eval.scores import Table

SUBJECTS = np.array(["a", "a", "a", "b", "b", "c"])
ACTIONS = np.array(["squat", "squat", "curl", "squat", "curl", "curl"])
CHANNELS = ("left_vastus_lateralis", "right_vastus_lateralis", "left_biceps_brachii")
SAMPLES = 40


def signals() -> tuple[np.ndarray, np.ndarray]:
    """[N, K, M] measured and predicted; predictions that are too loud, by clip and channel."""
    rng = np.random.default_rng(0)
    measured = rng.gamma(2.0, 0.1, (SAMPLES, len(SUBJECTS), len(CHANNELS)))
    loudness = rng.uniform(0.5, 2.0, measured.shape[1:])
    return measured, loudness * (measured + rng.normal(0, 0.05, measured.shape))


def table(measured: np.ndarray, predicted: np.ndarray) -> Table:
    shape = measured.shape[1:]
    unused = [np.full(shape, np.nan)] * 8
    clips = np.arange(len(SUBJECTS)).astype(str)
    template = np.ones(shape)
    moments = Moments.of(measured, predicted)
    return Table(clips, SUBJECTS, ACTIONS, CHANNELS, moments, template, *unused)


def groups(of: tuple[str, ...]) -> np.ndarray:
    """[K, M] text, the group of each clip and channel."""
    muscles = [name.split("_", 1)[1] for name in CHANNELS]
    parts = {
        "subject": lambda k, m: SUBJECTS[k],
        "action": lambda k, m: ACTIONS[k],
        "muscle": lambda k, m: muscles[m],
        "clip_id": lambda k, m: str(k),
        "channel": lambda k, m: CHANNELS[m],
    }
    return np.array(
        [
            ["/".join(parts[name](k, m) for name in of) for m in range(len(CHANNELS))]
            for k in range(len(SUBJECTS))
        ]
    )


@pytest.mark.parametrize("of", error_parts.OF.values(), ids=error_parts.OF)
def test_each_group_gets_the_factor_that_least_squares_gives(of):
    measured, predicted = signals()
    expected = dict.fromkeys(np.unique(SUBJECTS), 0.0)
    group = groups(of)
    for name in np.unique(group):
        y, p = measured[:, group == name].ravel(), predicted[:, group == name].ravel()
        (factor,), *_ = np.linalg.lstsq(p[:, None], y, rcond=None)
        owner = SUBJECTS[np.argwhere(group == name)[0, 0]]
        expected[owner] += float(((y - factor * p) ** 2).sum())
    left = error_parts.corrected(table(measured, predicted), of)
    np.testing.assert_allclose(left, list(expected.values()))


def test_finer_groups_leave_less_and_the_right_loudness_alone_leaves_nothing():
    measured, predicted = signals()
    left = [error_parts.corrected(table(measured, predicted), of) for of in error_parts.OF.values()]
    for coarse, fine in itertools.pairwise(left):
        assert (fine <= coarse + 1e-9).all()
    loud = measured * np.linspace(0.5, 2.0, measured[0].size).reshape(measured.shape[1:])
    finest = list(error_parts.OF.values())[-1]
    np.testing.assert_allclose(error_parts.corrected(table(measured, loud), finest), 0, atol=1e-9)


def test_what_a_channel_lacks_counts_for_nothing():
    measured, predicted = signals()
    whole = table(measured, predicted)
    part = error_parts.corrected(whole.select(SUBJECTS != "c"), ("subject",))
    np.testing.assert_allclose(part, error_parts.corrected(whole, ("subject",))[:2])


def test_a_perfect_prediction_has_the_skill_of_one():
    row = error_parts.skill(np.zeros(3), np.array([1.0, 2.0, 3.0]))
    assert row == {"skill": 1.0, "skill_ci95": [1.0, 1.0]}
