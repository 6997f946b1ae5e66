import numpy as np
import pytest

from video2emg.aqa.frozen_features import FeatureDataset, FrozenFeatures
from video2emg.aqa.head import EXEMPLAR
from video2emg.core.errors import UserError


def fields(n=12):
    index = np.arange(n)
    return {
        "index": index,
        "action": index % 2,
        "activity": index[:, None, None] + np.zeros((n, 4, 2)),
        "activity_mask": np.ones((n, 4, 2), bool),
        "muscle": np.zeros((n, 2), int),
        "side": np.stack([index, index], 1),
        "emg": -1.0 - index[:, None, None] + np.zeros((n, 4, 2)),
        "tokens": index[:, None] + np.zeros((n, 3)),
    }


class FakeBench(FrozenFeatures):
    """A bench that need not look at clips."""

    def __init__(self):
        self._fields = {"test": fields()}
        self.subject = {"test": np.array([f"s{i // 4}" for i in range(12)])}


@pytest.mark.parametrize("source", ["shuffled", "from_other_subject"])
def test_borrowed_emg_is_somebody_elses_with_its_names_and_the_video_stays(source):
    bench = FakeBench()
    shown, own = bench.shown("test", source, seed=0), fields()
    lender = shown["activity"][:, 0, 0].astype(int)
    assert (lender // 4 != own["index"] // 4).all()
    np.testing.assert_array_equal(shown["side"][:, 0], lender)
    np.testing.assert_array_equal(shown["tokens"], own["tokens"])
    same_action = lender % 2 == own["action"]
    assert same_action.all() == (source == "from_other_subject")
    again = bench.shown("test", source, seed=0)["activity"]
    np.testing.assert_array_equal(shown["activity"], again)


def test_measured_and_own_emg():
    bench = FakeBench()
    assert (bench.shown("test", "measured", 0)["activity"] < 0).all()
    assert bench.shown("test", "predicted_frozen", 0) is bench.fields("test")


def test_nobody_to_borrow_from():
    bench = FakeBench()
    bench.subject["test"][:] = "s0"
    with pytest.raises(UserError, match="no other subject"):
        bench.shown("test", "shuffled", 0)


def test_exemplars_are_other_repetitions_of_the_same_action():
    library = fields()
    for rows in (FeatureDataset(library, library), FeatureDataset(fields(4), library)):
        rng = np.random.default_rng(0)
        seen = [rows.row(1, rng) for _ in range(60)]
        chosen = {int(row[EXEMPLAR + "index"]) for row in seen}
        expected = {1, 3, 5, 7, 9, 11} - ({1} if rows.library is rows.fields else set())
        assert chosen == expected


def test_every_row_is_judged_once():
    batches = list(FeatureDataset(fields()).eval_batches(5))
    assert [len(b["index"]) for b in batches] == [5, 5, 5]
    seen = np.concatenate([b["index"][b["_mask"]] for b in batches])
    np.testing.assert_array_equal(seen, np.arange(12))
