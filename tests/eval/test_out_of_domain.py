import numpy as np

from video2emg.eval.intervals import Samples, tabulate
from video2emg.eval.out_of_domain import LEVEL, EncoderFeatures, OODDetector


def test_only_actions_that_are_asked_about_are_recognised():
    """Three actions side by side; the middle one is left out."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(3, dtype=np.int32), 20)
    feature = (label[:, None, None] + rng.normal(0, 0.1, (60, 1, 4))).astype(np.float32)
    features = EncoderFeatures(feature, np.ones((60, 1), np.float32), np.ones((60, 1), bool))
    column = rng.random(200).astype(np.float32)
    samples = Samples(column, column, np.zeros(200, np.int32), rng.integers(0, 5, 200))
    about = {"muscles": {name: ["left_soleus"] for name in ("curl", "lunge", "squat")}}
    detector = OODDetector.fit(
        features, label, features, label, tabulate(samples, LEVEL), about, margin=1.0
    )
    index, share = detector.recognise(features)
    np.testing.assert_array_equal(index, label)
    np.testing.assert_array_equal(share, 1)
    index, share = detector.recognise(features, {"curl", "squat"})
    np.testing.assert_array_equal(index[label != 1], label[label != 1])
    assert set(index[label == 1]) == {0, 2}
    np.testing.assert_array_equal(share[label != 1], 1)
