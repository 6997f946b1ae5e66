import numpy as np
import pytest

from tests.eval.clips import make_set
from video2emg.core.errors import UserError
from video2emg.eval import comparison, results, scores

TRAIN = make_set(["a", "b", "c"], seed=1)
TEST = make_set(["x", "y", "z"], seed=2)


def tables(factor):
    return results.tables(TRAIN, TEST, [factor * clip.target for clip in TEST])


def test_tables_of_a_run_read_back_as_written(tmp_path):
    wrote = tables(0.9)
    comparison.save(tmp_path / "scores.npz", wrote)
    read = comparison.load(tmp_path / "scores.npz")
    assert list(read) == list(wrote)
    for name in wrote:
        np.testing.assert_equal(scores.score(read[name]), scores.score(wrote[name]))
        assert read[name].channels == wrote[name].channels
    (tmp_path / "scores.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="not the scores of a run"):
        comparison.load(tmp_path / "scores.npz")


def test_a_system_is_the_mean_of_its_seeds_and_differences_are_paired():
    good = [tables(factor)["model"] for factor in (0.9, 0.8)]
    bad = tables(0.5)["model"]
    found = comparison.compare({"good": good, "bad": [bad]}, "good", samples=200)
    single = [scores.score(table) for table in good]
    row = found["rows"]["good"]
    assert row["rmse"] == pytest.approx(np.mean([one["rmse"] for one in single]))
    assert row["rmse_sd"] == pytest.approx(np.std([one["rmse"] for one in single], ddof=1))
    assert np.isnan(found["rows"]["bad"]["skill_sd"])
    # One seed is what `scores` says of one table, interval and all.
    alone = scores.bootstrap_scores(bad, samples=200)
    assert found["rows"]["bad"]["skill_ci95"] == alone.with_intervals()["skill_ci95"]
    minus = found["minus_baseline"]
    assert list(minus) == ["bad"]
    assert minus["bad"]["rmse"] == pytest.approx(found["rows"]["bad"]["rmse"] - row["rmse"])
    pair = comparison.compare({"a": [good[0]], "b": [bad]}, "a", samples=200)
    paired = alone.minus(scores.bootstrap_scores(good[0], samples=200))
    assert pair["minus_baseline"]["b"]["skill_ci95"] == pytest.approx(paired["skill_ci95"])


def test_systems_tested_on_other_clips_are_refused():
    some = tables(0.9)["model"]
    fewer = some.select(clips=some.subject != "x")
    with pytest.raises(UserError, match="b and a were not tested on the same clips"):
        comparison.compare({"a": [some], "b": [fewer]}, "a")


def test_tables_of_parts_join_to_the_table_of_the_whole():
    whole = tables(0.9)["model"]
    parts = [whole.select(clips=whole.action == action) for action in ("squat", "curl")]
    parts = [p.select(channels=p.moments.count.sum(0) > 0) for p in parts]  # each its own channels
    joined = scores.join(parts)
    assert joined.clip_id.tolist() == sorted(whole.clip_id.tolist())
    assert joined.channels == whole.channels
    for name, value in scores.score(whole).items():
        assert scores.score(joined)[name] == pytest.approx(value, nan_ok=True), name
    with pytest.raises(UserError, match="is in two of them"):
        scores.join([parts[0], parts[0]])
