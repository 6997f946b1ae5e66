import dataclasses

import numpy as np
import pytest

from tests.eval.people import parts
from video2emg.eval.person_calibration import CANDIDATES, PersonCalibration, with_context

GAINS = np.array([[1.7, 0], [0, 0.4], [0, 0], [0, 0]])
MIXED = np.array([[1.0, 0.1], [0.1, 0.9], [0.9, 0], [0, 0.8]])


def error(fit: PersonCalibration, test) -> float:
    """Share of the variance that is not explained."""
    off = np.concatenate([fit.predict(part) - part.target for part in test])
    target = np.concatenate([part.target for part in test])
    return float((off**2).sum() / ((target - target.mean(0)) ** 2).sum())


def weight(fit: PersonCalibration, name: str) -> float:
    """The mean weight of a candidate."""
    return float(fit.weights[fit.candidates.index(name)].mean())


@pytest.mark.parametrize("k", [1, 2, 5])
def test_gains_are_found(k):
    fit = PersonCalibration().fit(parts(GAINS, k))
    assert weight(fit, "none") == 0 and weight(fit, "ridge") < 0.1
    assert error(fit, parts(GAINS, 10, seed=1)) < 0.01


def test_what_needs_no_change_gets_none():
    same = np.eye(4)[:, :2]
    fit = PersonCalibration().fit(parts(same, 3))
    assert weight(fit, "none") > 1 / len(CANDIDATES)
    assert error(fit, parts(same, 5, seed=1)) < 0.006


def test_another_shape_is_learned_by_mixing_curves():
    train, test = parts(MIXED, 5), parts(MIXED, 10, seed=1)
    fit = PersonCalibration().fit(train)
    assert weight(fit, "mix") + weight(fit, "all") > 0.9
    gain = PersonCalibration(["offset"]).fit(train)
    assert error(fit, test) < 0.02 < 0.2 < error(gain, test)


@pytest.mark.parametrize("k", [1, 3])
def test_a_joint_angle_stands_in_for_a_model_that_knows_nothing(k):
    def spoiled(seed):
        rng = np.random.default_rng(seed)
        for part in parts(GAINS, k, seed):
            noise = rng.uniform(0, 1, part.curves.shape)
            target = np.maximum(0.5 - 0.01 * part.angles[:, [2, 3]], 0).astype(np.float32)
            yield dataclasses.replace(part, own=noise[:, :2], curves=noise, target=target)

    fit = PersonCalibration().fit(list(spoiled(0)))
    assert weight(fit, "angle") > 0.5
    assert error(fit, list(spoiled(1))) < 0.1


@pytest.mark.parametrize("k", [1, 2, 5, 10])
@pytest.mark.parametrize("mix", [GAINS, MIXED], ids=["gains", "mixed"])
def test_it_is_no_worse_than_ridge_or_gains_alone(mix, k):
    errors = {"best": [], "ridge": [], "offset": []}
    for seed in range(4):
        train, test = parts(mix, k, seed, noise=0.1), parts(mix, 10, seed + 100, noise=0.1)
        for name, of in errors.items():
            fit = PersonCalibration() if name == "best" else PersonCalibration([name])
            of.append(error(fit.fit(train), test))
    best, *others = (np.mean(of) for of in errors.values())
    assert best < 1.03 * min(others)


@pytest.mark.parametrize("k, low, high", [(1, 0.6, 0.97), (2, 0.7, 0.9), (10, 0.75, 0.85)])
def test_bands_cover_repetitions_like_the_measured_ones(k, low, high):
    shares = []
    for seed in range(5):
        fit = PersonCalibration().fit(parts(MIXED, k, seed, noise=0.1))
        for part in parts(MIXED, 5, seed + 50, noise=0.1):
            shares.append((np.abs(fit.predict(part) - part.target) <= fit.band(0.8)).mean())
    assert low < np.mean(shares) < high


def test_samples_that_were_not_measured_do_not_count():
    whole = parts(GAINS, 3)
    spoiled = parts(GAINS, 3)
    for part in spoiled:
        part.mask[::3, 0] = False
        part.target[::3, 0] = 99.0
    one, other = (PersonCalibration().fit(some) for some in (whole, spoiled))
    np.testing.assert_allclose(one.predict(whole[0]), other.predict(whole[0]), atol=0.02)
    nothing = parts(GAINS, 2)
    for part in nothing:
        part.mask[:, 1] = False
    fit = PersonCalibration().fit(nothing)
    assert np.isfinite(fit.predict(nothing[0])).all() and np.isnan(fit.band()[1])


def test_without_a_pose_nothing_of_it_is_tried():
    blind = [
        type(part)(part.time, part.own, part.curves, part.angles[:, :0], part.target, part.mask)
        for part in parts(GAINS, 2)
    ]
    assert not {"angle", "ridge", "all"} & set(PersonCalibration().fit(blind).candidates)


def test_context_is_the_values_at_other_times():
    time = np.arange(10) / 10
    values = np.stack([time, np.full(10, np.nan)], 1)
    values[3, 0] = np.nan
    found = with_context(values, time, (-0.2, 0.0, 0.2))
    np.testing.assert_allclose(found[:, 2], time, atol=1e-12)
    np.testing.assert_allclose(found[:, 0], np.maximum(time - 0.2, 0), atol=1e-12)
    np.testing.assert_allclose(found[:, 4], np.minimum(time + 0.2, 0.9), atol=1e-12)
    assert not found[:, 1::2].any()
