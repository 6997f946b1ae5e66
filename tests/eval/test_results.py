import copy
import json

import numpy as np
import pytest

from tests.eval.clips import make_set
from video2emg.core.errors import UserError
from video2emg.eval import baselines, results, scores

TRAIN = make_set(["a", "b", "c"], seed=1)
TEST = make_set(["x", "y", "z"], seed=2)
MODEL = [0.9 * clip.target for clip in TEST]


def evaluate(train, test, model, samples, names=None):
    tables = results.tables(train, test, model, names)
    return results.evaluate(tables, {clip.subject for clip in train}, samples)


@pytest.fixture(scope="module")
def run():
    facts = results.provenance(
        dataset="gymsim/tiny",
        dataset_version="1.0.0",
        simulated=True,
        normalisation="mvc",
        seed=0,
        config_hash="abc",
        preset="debug",
    )
    part = evaluate(TRAIN, TEST, MODEL, samples=50)
    return {"schema_version": results.SCHEMA_VERSION, "provenance": facts, "test": part}


def test_model_and_every_baseline_have_every_metric(run):
    assert set(run["test"]["baselines"]) == set(baselines.REGISTRY)
    for found in (run["test"]["model"], *run["test"]["baselines"].values()):
        for name in scores.METRICS:
            assert isinstance(found[name], float)
            assert len(found[f"{name}_ci95"]) == 2
    assert run["test"]["model"]["skill"] > 0.9
    assert run["test"]["baselines"]["template"]["skill"] == 0
    assert run["test"]["baselines"]["subject_mean"]["uses_test_emg"] is True
    assert run["test"]["model_minus"]["template"]["skill_ci95"][0] > 0
    assert run["test"]["subjects_shared_with_training"] == []


def test_groups_cover_the_set(run):
    model = run["test"]["model"]
    assert set(model["by_muscle"]) == {"biceps_brachii", "vastus_lateralis"}
    assert set(model["by_action"]) == {"curl", "squat"}
    assert set(model["by_subject"]) == {"x", "y", "z"}
    for groups in ("by_muscle", "by_action", "by_subject"):
        assert sum(part["samples"] for part in model[groups].values()) == model["samples"]
    assert "skill_ci95" not in model["by_subject"]["x"]
    assert model["samples"] == sum(clip.target.size for clip in TEST)


def test_template_is_the_reference_even_if_not_listed():
    part = evaluate(TRAIN, TEST, MODEL, samples=10, names=["zero"])
    assert list(part["baselines"]) == ["zero"]
    assert part["model"]["skill"] > 0.9


def test_training_subjects_in_the_test_set_are_named():
    part = evaluate(TRAIN + TEST[:1], TEST, MODEL, samples=10, names=["zero"])
    assert part["subjects_shared_with_training"] == ["x"]


def test_file_is_strict_sorted_json_and_reads_back(run, tmp_path):
    path = tmp_path / "new" / "results.json"
    results.write_results(path, run)
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]

    def refuse(text):
        raise AssertionError(f"{text} is not JSON")

    raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert list(raw) == sorted(raw)
    assert raw["test"]["baselines"]["zero"]["onset_ms"] is None  # NaN: zero has no onset.
    assert raw["schema_version"] == 1
    assert results.read_results(path)["test"]["model"]["skill"] == run["test"]["model"]["skill"]


def test_failed_write_leaves_the_old_file(run, tmp_path):
    path = tmp_path / "results.json"
    results.write_results(path, run)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        results.write_results(path, {"test": object()})
    assert path.read_bytes() == before
    blocked = path / "results.json"
    with pytest.raises(UserError, match="cannot write"):
        results.write_results(blocked, run)
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 99}', "[]"])
def test_files_that_are_not_results_are_refused(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"results\.json"):
        results.read_results(path)
    with pytest.raises(UserError, match="cannot read"):
        results.read_results(tmp_path / "missing.json")


def test_provenance_says_what_one_must_know(run):
    facts = run["provenance"]
    assert facts["simulated"] is True
    assert facts["preset"] == "debug"
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["metrics"].keys() == scores.METRICS.keys()


def test_table_lists_all_and_marks_oracles(run):
    text = results.format_table(run)
    lines = text.splitlines()
    assert "simulated EMG" in lines[0]
    assert "12 clips" not in lines[0] and "24 clips of 3 subjects" in lines[0]
    assert "mvc" in lines[0]
    assert lines[3].startswith("model")
    skills = [float(line.split()[-10]) for line in lines if line.startswith(tuple("ztan"))]
    assert skills == sorted(skills, reverse=True)
    assert "subject_mean *" in text
    assert "nan" not in text
    assert f"{run['test']['model']['skill']:+.3f}" in lines[3]


def test_table_is_the_same_after_a_round_trip(run, tmp_path):
    results.write_results(tmp_path / "r.json", run)
    read = results.read_results(tmp_path / "r.json")
    assert results.format_table(read) == results.format_table(run)
    with pytest.raises(UserError, match="no split 'validation'"):
        results.format_table(run, "validation")


def other_seed(run, seed, skill):
    other = copy.deepcopy(run)
    other["provenance"]["seed"] = seed
    other["test"]["model"]["skill"] = skill
    return other


def test_seeds_are_merged(run):
    runs = [other_seed(run, seed, skill) for seed, skill in enumerate([0.2, 0.4, 0.9])]
    merged = results.merge_seeds(runs)
    model = merged["test"]["model"]
    np.testing.assert_allclose(model["skill"], 0.5)
    np.testing.assert_allclose(model["skill_sd"], np.std([0.2, 0.4, 0.9], ddof=1))
    assert model["skill_per_seed"] == [0.2, 0.4, 0.9]
    assert model["clips"] == run["test"]["model"]["clips"]
    assert "skill_ci95" not in model
    assert merged["provenance"]["seeds"] == [0, 1, 2]
    assert "±" in results.format_table(merged)
    by_action = model["by_action"]["curl"]
    np.testing.assert_allclose(by_action["rmse"], run["test"]["model"]["by_action"]["curl"]["rmse"])


def test_one_seed_has_no_spread_and_keeps_its_intervals(run):
    alone = results.merge_seeds([run])
    assert alone["test"] == run["test"] and "skill_ci95" in alone["test"]["model"]
    assert alone["provenance"]["seeds"] == [0] and "sd over seeds" not in results.format_table(
        alone
    )


def test_an_undefined_score_is_not_left_out_of_the_mean(run):
    runs = [other_seed(run, 0, 0.5), other_seed(run, 1, None)]
    assert np.isnan(results.merge_seeds(runs)["test"]["model"]["skill"])
    assert np.isnan(results.merge_seeds(runs[::-1])["test"]["model"]["skill"])


def test_runs_that_do_not_belong_together_are_refused(run):
    other = other_seed(run, 1, 0.5)
    other["provenance"]["dataset"] = "gymsim/full"
    with pytest.raises(UserError, match="differ in dataset"):
        results.merge_seeds([run, other])
    with pytest.raises(UserError, match="seed occurs twice"):
        results.merge_seeds([run, run])
    with pytest.raises(UserError, match="no results"):
        results.merge_seeds([])
