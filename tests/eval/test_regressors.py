import dataclasses

import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.eval.regressors import ClipFeatures, Retrieval, Ridge, SupportVector
from video2emg.eval.series import ClipSeries

MUSCLES = ("left_biceps_brachii", "right_biceps_brachii")


def clip(index, seconds=6.0, subject="s0", offset=0.0):
    """EMG is a known function of the features, which are a phase and a square of it."""
    rng = np.random.default_rng(index)
    time = np.arange(0, seconds, 0.02)
    instants = np.arange(0, seconds, 0.1)
    start = rng.uniform(0, 6)
    wave = np.sin(instants + start)
    features = np.stack([wave, wave**2, 0.1 * rng.normal(size=len(wave))], 1)
    course = np.sin(time + start)
    target = np.stack([0.5 + 0.3 * course, 0.4 - 0.2 * course], 1) + offset
    return ClipFeatures(
        ClipSeries(
            clip_id=f"c{index}",
            dataset="d",
            subject=subject,
            action="curl",
            muscles=MUSCLES,
            time=time,
            phase=time / seconds,
            target=target,
            mask=np.ones(target.shape, bool),
        ),
        features,
        instants,
    )


TRAIN = [clip(i) for i in range(8)]
TEST = clip(99)


@pytest.mark.parametrize(
    "model",
    [Ridge(context=0), Ridge(), SupportVector(context=0), Retrieval(seconds=1.0)],
    ids=["ridge", "ridge with context", "support vector", "retrieval"],
)
def test_emg_that_follows_from_the_features_is_learned(model):
    predicted, measured = model.fit(TRAIN).predict(TEST), TEST.series.target
    assert predicted.shape == measured.shape and predicted.dtype == np.float32
    error = np.sqrt(((predicted - measured) ** 2).mean())
    assert error < 0.35 * measured.std()


def test_ridge_is_the_closed_form_on_standardised_features():
    ours = Ridge(penalty=0.1, context=0, rate=1000).fit(TRAIN)
    x = np.concatenate([c.resample(c.series.time) for c in TRAIN])
    y = np.concatenate([c.series.target[:, 0] for c in TRAIN])
    centre, scale = x.mean(0), x.std(0)
    x = (x - centre) / scale
    weights = np.linalg.solve(x.T @ x + 0.1 * len(x) * np.eye(3), x.T @ (y - y.mean()))
    expected = (TEST.resample(TEST.series.time) - centre) / scale @ weights + y.mean()
    np.testing.assert_allclose(ours.predict(TEST)[:, 0], expected, atol=1e-6)


def test_the_emg_of_test_clips_is_never_used():
    blind = dataclasses.replace(
        TEST, series=dataclasses.replace(TEST.series, target=np.zeros_like(TEST.series.target))
    )
    for model in (Ridge(), Retrieval()):
        fitted = model.fit(TRAIN)
        np.testing.assert_array_equal(fitted.predict(TEST), fitted.predict(blind))


def test_retrieval_of_a_training_clip_is_itself():
    out = Retrieval(seconds=2.0).fit(TRAIN).predict(TRAIN[3])
    np.testing.assert_allclose(out, TRAIN[3].series.target, atol=1e-6)


def test_a_clip_that_is_no_whole_number_of_windows():
    odd = clip(3, seconds=5.0)
    out = Retrieval(seconds=2.0).fit([odd]).predict(odd)
    np.testing.assert_allclose(out, odd.series.target, atol=1e-6)
    short = clip(3, seconds=1.0)
    assert np.isfinite(Retrieval(seconds=2.0).fit(TRAIN).predict(short)).all()


def test_retrieval_within_subjects():
    others = [clip(i, subject="s1", offset=5.0) for i in range(8)]
    model = Retrieval(seconds=1.0, same_subject=True).fit([*others, clip(20)])
    assert model.predict(TEST).max() < 2
    nobody = dataclasses.replace(TEST, series=dataclasses.replace(TEST.series, subject="s7"))
    with pytest.raises(UserError, match="'s7' has no training clip"):
        model.predict(nobody)


def test_unmeasured_channels_get_a_mean():
    partly_measured = [
        dataclasses.replace(
            c, series=dataclasses.replace(c.series, mask=c.series.mask & np.array([True, False]))
        )
        for c in TRAIN
    ]
    for model in (Ridge(), Retrieval()):
        out = model.fit(partly_measured).predict(TEST)
        level = np.mean([c.series.target[:, 0].mean() for c in TRAIN])
        np.testing.assert_allclose(out[:, 1], level, atol=1e-4)


def test_bad_input_is_named():
    with pytest.raises(UserError, match="times must increase"):
        ClipFeatures(TEST.series, TEST.features[::-1], TEST.time[::-1])
    with pytest.raises(UserError, match="not finite"):
        ClipFeatures(TEST.series, TEST.features * np.nan, TEST.time)
    with pytest.raises(UserError, match="no sample"):
        Retrieval(seconds=0)
    with pytest.raises(UserError, match="ridge: context"):
        Ridge(context=-1)
