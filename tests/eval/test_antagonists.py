import dataclasses

import numpy as np
import pytest

from tests.eval.test_ladder import recordings
from video2emg.eval import antagonists

MUSCLES = ("left_biceps_femoris", "right_biceps_femoris", "left_vastus_lateralis")


def people(seed: int = 0):
    """Repetitions of two people, of noise that is the same for nobody and no channel."""
    rng = np.random.default_rng(seed)
    base = recordings()[0].series
    shape = (len(base.time), 3)
    return [
        dataclasses.replace(
            base,
            subject=subject,
            muscles=MUSCLES,
            target=rng.random(shape).astype(np.float32),
            mask=np.ones(shape, bool),
        )
        for subject in "aabb"
    ]


def test_r_with_both_curves_is_that_of_numpy():
    series = people()
    predictions = [
        one.target + np.random.default_rng(i).random(one.target.shape)
        for i, one in enumerate(series)
    ]
    found = antagonists.compare(series, predictions, samples=200)
    assert set(found) == {"biceps_femoris"}  # the right side has no quadriceps
    own, others = (
        np.mean(
            [
                np.corrcoef(s.target[:, 0], p[:, c])[0, 1]
                for s, p in zip(series, predictions, strict=True)
            ]
        )
        for c in (0, 2)
    )
    result = found["biceps_femoris"]
    assert result["own"] == pytest.approx(own, abs=1e-5)
    assert result["others"] == pytest.approx(others, abs=1e-5)
    low, high = result["difference_ci95"]
    assert result["difference"] == pytest.approx(own - others, abs=1e-5)
    assert low <= result["difference"] <= high
    assert result["antagonist"] == "vastus_lateralis"


def test_a_model_with_one_curve_for_all_has_no_difference():
    series = people()
    predictions = [one.target[:, :1].repeat(3, 1) for one in series]
    result = antagonists.compare(series, predictions, samples=20)["biceps_femoris"]
    assert result["own"] == pytest.approx(1) and result["difference"] == pytest.approx(0)


def test_one_person_has_no_interval():
    series = people()[:2]
    result = antagonists.compare(series, [one.target for one in series])["biceps_femoris"]
    assert np.isnan(result["difference_ci95"]).all()
