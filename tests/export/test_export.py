"""The exported program equals the model, and the files describe the run."""

import dataclasses
import json

import jax
import jax.export
import numpy as np
import pytest
from safetensors.numpy import load_file

from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.export import onnx, stablehlo
from video2emg.export.model_card import model_card
from video2emg.inference.run import open_run

MUSCLES = ("left_biceps_brachii", "right_soleus", "left_vastus_lateralis")


@pytest.fixture(scope="module")
def run(run_dir):
    return open_run(run_dir)


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory):
    """Folder of an export."""
    folder = tmp_path_factory.mktemp("export") / "out"
    assert stablehlo.run(run_dir, folder) == 0
    return folder


@pytest.fixture(scope="module")
def program(exported):
    return jax.export.deserialize((exported / "model.jax_export").read_bytes())


def random_inputs(run, muscles):
    inputs = onnx.example_inputs(run, 5, muscles)
    rng = np.random.default_rng(1)
    inputs["video"] = rng.integers(0, 256, inputs["video"].shape, dtype=np.uint8)
    return inputs


def model_outputs(run, inputs):
    @jax.jit
    def forward(params, inputs):
        return run.model.apply({"params": params}, inputs, train=False)[0]

    return forward(run.params, inputs)


def test_the_exported_program_is_the_model(run, exported, program):
    weights = load_file(exported / "weights.safetensors")
    flat = {
        "/".join(k.key for k in path): x
        for path, x in jax.tree_util.tree_leaves_with_path(run.params)
    }
    assert set(weights) == set(flat)
    for name, value in flat.items():
        np.testing.assert_array_equal(weights[name], value)
    inputs = random_inputs(run, MUSCLES)
    inputs["video_mask"][:] = True
    outputs, expected = program.call(weights, inputs), model_outputs(run, inputs)
    assert outputs["emg"].shape == (5, len(run.window.emg_time), 3)
    np.testing.assert_allclose(outputs["emg"], expected.emg, atol=1e-5)
    np.testing.assert_allclose(outputs["pose"], expected.pose, atol=1e-4)
    assert (exported / "model.stablehlo").read_bytes()[:4] == b"ML\xefR"
    signature = json.loads((exported / "signature.json").read_text())
    assert {"cpu", "cuda", "tpu"} == set(signature["platforms"]) and len(signature["outputs"]) >= 2


def test_a_program_that_differs_is_refused(run, program):
    weights = stablehlo.flat_weights(run.params)
    name = next(name for name in weights if name.endswith("output_scale"))
    wrong = weights | {name: weights[name] * 1.5}
    with pytest.raises(UserError, match="differs from the model"):
        stablehlo.check(lambda inputs: program.call(wrong, inputs)["emg"], run)


def test_the_model_card_describes_the_run(run_dir, exported):
    card = (exported / "README.md").read_text()
    scores = json.loads((run_dir / "results.json").read_text())["test"]["model"]
    for text in ("Not a medical device", "gymsim/tiny", "simulated", f"{scores['rmse']:.3f}"):
        assert text in card


@pytest.mark.parametrize("simulated, name", [(True, "flex/cross_subject"), (False, "gymsim/tiny")])
def test_the_card_calls_a_run_simulated_by_its_provenance(run, tmp_path, simulated, name):
    """A simulated dataset may be stored in the layout of another one."""
    results = json.loads((run.workdir / "results.json").read_text())
    results["provenance"] |= {"simulated": simulated, "dataset": name}
    write_json(tmp_path / "results.json", results)
    about = dict(run.ood_detector.about) | {"dataset": name}
    detector = dataclasses.replace(run.ood_detector, about=about)
    card = model_card(dataclasses.replace(run, workdir=tmp_path, ood_detector=detector), 1e-7)
    assert name in card
    assert simulated is ("Trained on simulated people" in card)
    assert simulated is ("No real person" in card)


@pytest.mark.skipif(not onnx.available(), reason="no ONNX converter here; see docs/predict.md")
@pytest.mark.parametrize("workdir", ["run_dir", "late_dir"])
def test_the_onnx_file_is_the_model_in_another_runtime(workdir, tmp_path, request):
    workdir = request.getfixturevalue(workdir)
    assert stablehlo.run(workdir, tmp_path) == 0
    run = open_run(workdir)
    inputs = random_inputs(run, MUSCLES[:2])
    inputs["video_mask"][:, :, 2:] = True
    emg = onnx.session((tmp_path / "model.onnx").read_bytes())(inputs)
    assert emg.shape == (5, len(run.window.emg_time), 2)
    np.testing.assert_allclose(emg, model_outputs(run, inputs).emg, atol=1e-4)
    assert "model.onnx" in (tmp_path / "README.md").read_text()
