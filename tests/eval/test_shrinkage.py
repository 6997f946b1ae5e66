import dataclasses

import numpy as np
import pytest

from tests.eval.people import parts
from video2emg.core.errors import UserError
from video2emg.eval import shrinkage
from video2emg.eval.person_calibration import Part, PersonCalibration, samples_of
from video2emg.eval.shrinkage import PersonPrior, Samples, Shrunk, learn

NAMES = tuple("abcd")
USUAL = np.eye(4)[:, :2]


def person(seed: int, count: int, draw: int = 0, noise: float = 0.02) -> list[Part]:
    """Repetitions of somebody who differs from others by how the log of one curve counts."""
    rng = np.random.default_rng(seed)
    gain, share = rng.uniform(0.6, 1.4), rng.normal(0.15, 0.1, 2)
    rng, repetitions = np.random.default_rng([seed, draw]), []
    for part in parts(USUAL, count, 1000 * seed + draw, 0.0):
        curves = part.curves / part.curves.max()  # all repetitions are of the same size
        part = dataclasses.replace(part, own=curves[:, :2], curves=curves)
        target = gain * part.own + 0.6 + share * np.log(curves[:, 2:] + 0.02)
        target += noise * rng.normal(size=target.shape)
        repetitions.append(dataclasses.replace(part, target=np.maximum(target, 0)))
    return repetitions


@pytest.fixture(scope="module")
def prior() -> PersonPrior:
    return learn([samples_of(person(seed, 8)) for seed in range(60)], NAMES, "gymsim/people")


def samples(seed: int, count: int = 40, channels: int = 2) -> Samples:
    rng = np.random.default_rng(seed)
    curves = rng.gamma(2.0, 0.2, (count, len(NAMES)))
    target = curves[:, :channels] + 0.1 * rng.random((count, channels))
    return Samples(curves[:, :channels], curves, target, rng.random((count, channels)) > 0.2)


def test_the_weights_are_the_conditional_mean_of_a_normal_distribution(prior, monkeypatch):
    monkeypatch.setattr(shrinkage, "_NOISE_STEPS", 1)
    given = samples(0)
    fitted = Shrunk(prior, given)
    scaled = shrinkage._Scaled(given, prior.components)
    inputs = scaled.inputs(given.own, given.curves)
    for c in range(2):
        x, y = inputs[given.mask[:, c], c], given.target[given.mask[:, c], c] / scaled.of_target[c]
        covariance = x @ prior.covariance @ x.T + 2.0 * prior.noise * np.eye(len(x))
        gain = prior.covariance @ x.T @ np.linalg.inv(covariance)
        weights = prior.mean + gain @ (y - x @ prior.mean)
        expected = inputs[:, c] @ weights * scaled.of_target[c]
        np.testing.assert_allclose(fitted.predict(given.own, given.curves)[:, c], expected, 1e-6)


def test_mean_and_covariance_of_the_weights_are_found(monkeypatch):
    monkeypatch.setattr(shrinkage, "percentile_99", lambda values, mask: np.ones(values.shape[1]))
    monkeypatch.setattr(shrinkage, "_ALIKE", 1.0)
    rng = np.random.default_rng(0)
    people = []
    for seed in range(400):
        one = samples(seed, 60)
        gain, offset = rng.normal(0.7, 0.3, 2), rng.normal(0.2, 0.1, 2)
        target = one.own * gain + offset + 0.05 * rng.normal(size=one.target.shape)
        people.append(one._replace(target=target))
    prior = learn(people, NAMES, "")
    assert prior.mean[:2] == pytest.approx([0.7, 0.2], abs=0.03)
    assert np.sqrt(np.diag(prior.covariance))[:2] == pytest.approx([0.3, 0.1], abs=0.04)
    assert abs(prior.mean[2:]).max() < 0.02
    assert np.sqrt(prior.noise) == pytest.approx(0.05, abs=0.01)


def test_with_one_repetition_it_is_better_than_what_knows_no_other_people(prior):
    def error(fit: PersonCalibration, seed: int) -> float:
        fit.fit(person(seed, 1, 1, noise=0.15))
        test = person(seed, 6, 2, noise=0.0)
        return sum(((fit.predict(part) - part.target) ** 2).sum() for part in test)

    errors: dict[str, float] = {name: 0.0 for name in ("learned", "offset", "mix")}
    for seed in range(100, 110):
        for name in errors:
            errors[name] += error(PersonCalibration([name], prior), seed)
    assert errors["learned"] < 0.9 * min(errors["offset"], errors["mix"])


def test_a_calibration_without_a_prior_has_nothing_learned(prior):
    train = parts(USUAL, 2)
    assert "learned" not in PersonCalibration().fit(train).candidates
    assert "learned" in PersonCalibration(prior=prior).fit(train).candidates


def test_channels_that_were_not_measured_get_the_usual_weights(prior):
    given = samples(1)
    nothing = given._replace(mask=np.zeros_like(given.mask), target=given.target * np.nan)
    weights = Shrunk(prior, nothing)._weights
    np.testing.assert_allclose(weights, np.broadcast_to(prior.mean, weights.shape), atol=1e-9)
    with pytest.raises(UserError, match="enough measured samples"):
        learn([nothing], NAMES, "")


def test_what_was_not_measured_does_not_count(prior):
    given = samples(2)
    filled = given._replace(target=np.where(given.mask, given.target, 100.0))
    one, other = (Shrunk(prior, some).predict(given.own, given.curves) for some in (given, filled))
    np.testing.assert_array_equal(one, other)


def test_a_prior_is_kept_in_a_file(prior, tmp_path):
    prior.save(tmp_path / "prior.npz")
    again = PersonPrior.load(tmp_path / "prior.npz", NAMES)
    for field in dataclasses.fields(prior):
        assert np.all(getattr(again, field.name) == getattr(prior, field.name))
    with pytest.raises(UserError, match="other muscles"):
        PersonPrior.load(tmp_path / "prior.npz", ("a",))
    whole = (tmp_path / "prior.npz").read_bytes()
    for damaged in (b"", b"PK?", whole[: len(whole) // 2]):
        (tmp_path / "prior.npz").write_bytes(damaged)
        with pytest.raises(UserError, match="not a prior"):
            PersonPrior.load(tmp_path / "prior.npz", NAMES)
    with pytest.raises(UserError, match="not a prior"):
        PersonPrior.load(tmp_path / "none.npz", NAMES)
