"""One model, shown every subset of its inputs."""

import json

import numpy as np
import pytest

from configs.tables import inputs, views
from tests.conftest import small
from video2emg.core.errors import UserError
from video2emg.jobs import modality_ablation


def tiny_config(data_dir):
    config = inputs.get_config("debug")
    small(config.main, data_dir, frame_rate=2.5)
    wanted = ("both cameras", "pose", "all")
    config.rows = tuple(row for row in config.rows if row[0] in wanted)
    config.bootstrap = 10
    return config


@pytest.mark.slow
def test_a_table_of_subsets_resumes_and_its_last_row_is_the_models_own(
    tiny_dir, tmp_path, monkeypatch
):
    config = tiny_config(tiny_dir)
    found = modality_ablation.run(config, tmp_path / "table")
    rows = found["test"]["rows"]
    assert set(rows) == {"both cameras", "pose", "all"}
    own = json.loads((tmp_path / "table/model/0/results.json").read_text())["test"]["model"]
    assert rows["all"]["rmse"] == pytest.approx(own["rmse"], rel=1e-6)
    assert rows["all"]["skill"] == pytest.approx(own["skill"], rel=1e-6)
    assert len({round(row["rmse"], 7) for row in rows.values()}) == 3
    assert np.isfinite(rows["pose"]["skill"])
    (tmp_path / "table/rows/1-0.npz").unlink()  # interrupted there
    asked, predict = [], modality_ablation.evaluate.predict
    monkeypatch.setattr(
        modality_ablation.evaluate,
        "predict",
        lambda fn, params, examples, *rest: (
            asked.append(examples.dropped) or predict(fn, params, examples, *rest)
        ),
    )
    again = modality_ablation.run(config, tmp_path / "table")
    assert len(asked) == 1 and set(asked[0]) == {"front", "front_left", "load", "vitals", "traits"}
    assert again["test"]["rows"] == rows


@pytest.mark.parametrize(
    ("rows", "reference", "message"),
    [
        ((("x", ("front", "smell")),), "x", "smell"),
        ((("x", ("load",)),), "x", "neither a view nor the pose"),
        ((("x", ("front",)),), "y", "no row"),
    ],
)
def test_rows_that_make_no_sense_are_refused(rows, reference, message, tmp_path):
    config = inputs.get_config("debug")
    config.rows, config.baseline = rows, reference
    with pytest.raises(UserError, match=message):
        modality_ablation.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("module", "preset"),
    [(inputs, ""), (inputs, "large"), (inputs, "debug"), (views, ""), (views, "debug")],
)
def test_the_rows_of_the_configs_make_sense(module, preset):
    config = module.get_config(preset)
    assert config.baseline in modality_ablation._rows(config)
    with pytest.raises(ValueError, match="preset"):
        module.get_config("odd")
