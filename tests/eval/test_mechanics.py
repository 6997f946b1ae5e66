import dataclasses

import numpy as np
import pytest

from tests.eval.clips import make_set
from video2emg.eval import baselines
from video2emg.eval.constant_baselines import TrainMean


@pytest.fixture
def series():
    clips = make_set(["s0", "s1"], repetitions=1)
    return [dataclasses.replace(clip, mechanics=None) for clip in clips]


def test_physics_predict_what_mechanics_computed(series):
    train, test = series[:-1], series[-1]
    values = np.full(test.target.shape, 0.25, np.float32)
    values[:, 0] = np.nan
    told = dataclasses.replace(test, mechanics={"physics": values})
    got = baselines.Physics().fit(train).predict(told)
    mean = TrainMean()
    mean.fit(train)
    np.testing.assert_allclose(got[:, 0], mean.level(test.muscles[0]), rtol=1e-5)
    np.testing.assert_allclose(got[:, 1:], 0.25)


def test_physics_stand_in_a_table_only_if_there_are_mechanics(series):
    train, test = series[:2], series[2:]
    assert "physics" not in baselines.predict_baselines(train, test)
    told = [
        dataclasses.replace(one, mechanics={"physics": np.zeros(one.target.shape, np.float32)})
        for one in test
    ]
    predicted = baselines.predict_baselines(train, told)
    assert "physics" in predicted and "physics_typical_load" not in predicted
