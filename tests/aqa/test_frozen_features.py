import numpy as np
import pytest

from video2emg.aqa import frozen_features
from video2emg.aqa.frozen_features import FeatureDataset, FrozenFeatures
from video2emg.aqa.head import EXEMPLAR
from video2emg.core.errors import UserError
from video2emg.parallel import mesh as mesh_lib


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


class FakeFeatures(FrozenFeatures):
    """Features without a model."""

    def __init__(self):
        self._fields, self.has_emg = {"test": fields()}, True
        self.subject = {"test": np.array([f"s{i // 4}" for i in range(12)])}


@pytest.mark.parametrize("source", ["shuffled", "from_other_subject"])
def test_lent_emg_is_of_another_subject_with_its_channels_and_the_video_stays(source):
    features = FakeFeatures()
    lent, own = features.with_emg_source("test", source, seed=0), fields()
    lender = lent["activity"][:, 0, 0].astype(int)
    assert (lender // 4 != own["index"] // 4).all()
    np.testing.assert_array_equal(lent["side"][:, 0], lender)
    np.testing.assert_array_equal(lent["tokens"], own["tokens"])
    same_action = lender % 2 == own["action"]
    assert same_action.all() == (source == "from_other_subject")
    again = features.with_emg_source("test", source, seed=0)["activity"]
    np.testing.assert_array_equal(lent["activity"], again)


def test_measured_and_own_emg():
    features = FakeFeatures()
    assert (features.with_emg_source("test", "measured", 0)["activity"] < 0).all()
    assert features.with_emg_source("test", "predicted_frozen", 0) is features.fields("test")


def test_a_single_subject_has_nobody_to_lend_emg():
    features = FakeFeatures()
    features.subject["test"][:] = "s0"
    with pytest.raises(UserError, match="no other subject"):
        features.with_emg_source("test", "shuffled", 0)


def test_exemplars_are_other_repetitions_of_the_same_action():
    exemplars = fields()
    for rows in (FeatureDataset(exemplars, exemplars), FeatureDataset(fields(4), exemplars)):
        rng = np.random.default_rng(0)
        chosen = {int(rows.row(1, rng)[EXEMPLAR + "index"]) for _ in range(60)}
        expected = {1, 3, 5, 7, 9, 11} - ({1} if rows.exemplars is rows.fields else set())
        assert chosen == expected


def test_the_exemplars_of_a_repetition_are_distinct():
    """Also where each training repetition has several augmented copies."""
    once = fields()
    copies = {name: np.repeat(value, 3, axis=0) for name, value in once.items()}
    for rows, others in ((FeatureDataset(fields(4), copies), 6), (FeatureDataset(once, once), 5)):
        votes = [list(rows.eval_batches(4, vote)) for vote in range(others)]
        for i, row in enumerate(rows.fields["index"]):
            chosen = {int(v[i // 4][EXEMPLAR + "index"][i % 4]) for v in votes}
            assert len(chosen) == others
            assert {c % 2 for c in chosen} == {row % 2}
        again = next(rows.eval_batches(4, others))  # all were taken: in turn
        np.testing.assert_array_equal(again[EXEMPLAR + "index"], votes[0][0][EXEMPLAR + "index"])


def test_every_row_occurs_once():
    batches = list(FeatureDataset(fields()).eval_batches(5))
    assert [len(b["index"]) for b in batches] == [5, 5, 5]
    index = np.concatenate([b["index"][b["_mask"]] for b in batches])
    np.testing.assert_array_equal(index, np.arange(12))


def test_copies_are_stored_in_place_and_come_back_in_single_precision():
    class Frozen(FakeFeatures):
        def __init__(self):
            super().__init__()
            self._muscles, self.has_emg, self._mesh, self.params = (
                (),
                False,
                mesh_lib.make_mesh(),
                {},
            )
            self._forward = lambda params, batch: {
                "tokens": batch["view"] / 3.0,
                "token_mask": batch["view"] > 0,
            }

    def batches():
        for first in (0, 8):
            rows = np.arange(first, first + 8)
            batch = {name: rows for name in frozen_features._BATCH_FIELDS}
            yield batch | {"view": rows.astype(np.float32), "_mask": rows < 13}

    stored = Frozen()._compute(batches(), 13)
    assert stored["tokens"].dtype == np.float16 and stored["token_mask"].dtype == bool
    np.testing.assert_array_equal(stored["index"], np.arange(13))
    row = FeatureDataset(stored).row(11, np.random.default_rng(0))
    assert row["tokens"].dtype == np.float32
    assert row["tokens"] == pytest.approx(11 / 3, rel=1e-3)
