import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from video2emg.core.errors import UserError
from video2emg.eval.regressors import Described, Retrieval, Ridge, SupportVector
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
    truth = np.sin(time + start)
    target = np.stack([0.5 + 0.3 * truth, 0.4 - 0.2 * truth], 1) + offset
    return Described(
        ClipSeries(
            clip_id=f"c{index}", dataset="d", subject=subject, action="curl", muscles=MUSCLES,
            time=time, phase=time / seconds, target=target, mask=np.ones(target.shape, bool),
        ),
        features,
        instants,
    )  # fmt: skip


TRAIN = [clip(i) for i in range(8)]
TEST = clip(99)


@pytest.mark.parametrize("model", [Ridge(context=0), Ridge(), SupportVector(context=0),
                                   Retrieval(seconds=1.0)])  # fmt: skip
def test_learns_what_the_features_tell(model):
    out = model.fit(TRAIN).predict(TEST)
    truth = TEST.series.target
    assert out.shape == truth.shape and out.dtype == np.float32
    error = np.sqrt(((out - truth) ** 2).mean())
    assert error < 0.35 * truth.std()


def test_ridge_is_ridge():
    ours = Ridge(penalty=0.1, context=0, rate=1000).fit(TRAIN)
    x = np.concatenate([c.at(c.series.time) for c in TRAIN])
    y = np.concatenate([c.series.target[:, 0] for c in TRAIN])
    centre, scale = x.mean(0), x.std(0)
    theirs = SklearnRidge(alpha=0.1 * len(x)).fit((x - centre) / scale, y)
    expected = theirs.predict((TEST.at(TEST.series.time) - centre) / scale)
    np.testing.assert_allclose(ours.predict(TEST)[:, 0], expected, atol=1e-5)


def test_test_emg_is_never_looked_at():
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
    silent = [
        dataclasses.replace(
            c, series=dataclasses.replace(c.series, mask=c.series.mask & np.array([True, False]))
        )
        for c in TRAIN
    ]
    for model in (Ridge(), Retrieval()):
        out = model.fit(silent).predict(TEST)
        level = np.mean([c.series.target[:, 0].mean() for c in TRAIN])
        np.testing.assert_allclose(out[:, 1], level, atol=1e-4)


def test_bad_input_is_named():
    with pytest.raises(UserError, match="times must increase"):
        Described(TEST.series, TEST.features[::-1], TEST.time[::-1])
    with pytest.raises(UserError, match="not finite"):
        Described(TEST.series, TEST.features * np.nan, TEST.time)
    with pytest.raises(UserError, match="no sample"):
        Retrieval(seconds=0)
    with pytest.raises(UserError, match="ridge: context"):
        Ridge(context=-1)
