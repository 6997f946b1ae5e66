"""A run leaves the house: the exported program is the model, the weights are all there."""

import json

import jax
import jax.export
import numpy as np
import pytest
from safetensors.numpy import load_file

from video2emg.core.batch import blank_batch
from video2emg.core.errors import UserError
from video2emg.export import onnx, stablehlo
from video2emg.inference.run import open_run


def test_the_exported_program_is_the_model(run_dir, tmp_path, capsys):
    assert stablehlo.run(str(run_dir), str(tmp_path / "out")) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    opened = open_run(run_dir)
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    flat = {
        "/".join(k.key for k in path): x
        for path, x in jax.tree_util.tree_leaves_with_path(opened.params)
    }
    assert set(weights) == set(flat)
    for name, value in flat.items():
        np.testing.assert_array_equal(weights[name], value)
    program = jax.export.deserialize((tmp_path / "out" / "model.jax_export").read_bytes())
    muscles = ("left_biceps_brachii", "right_soleus", "left_vastus_lateralis")
    empty = blank_batch(opened.window, 5, muscles)
    inputs = {name: empty[name] for name in onnx.inputs(opened)}
    rng = np.random.default_rng(1)
    inputs["video"] = rng.integers(0, 256, inputs["video"].shape, dtype=np.uint8)
    inputs["video_mask"][:] = True
    got = program.call(weights, inputs)
    outputs, _ = opened.model.apply({"params": opened.params}, inputs, train=False)
    assert got["emg"].shape == (5, len(opened.window.emg_time), 3)
    np.testing.assert_allclose(got["emg"], outputs.emg, atol=1e-5)
    np.testing.assert_allclose(got["pose"], outputs.pose, atol=1e-4)
    assert (tmp_path / "out" / "model.stablehlo").read_bytes()[:4] == b"ML\xefR"
    said = json.loads((tmp_path / "out" / "signature.json").read_text())
    assert {"cpu", "cuda", "tpu"} == set(said["platforms"]) and len(said["outputs"]) >= 2
    card = (tmp_path / "out" / "README.md").read_text()
    results = json.loads((run_dir / "results.json").read_text())["test"]["model"]
    for words in ("Not a medical device", "gymsim/tiny", "simulated", f"{results['rmse']:.3f}"):
        assert words in card


def test_a_program_that_differs_is_refused(run_dir):
    opened = open_run(run_dir)
    weights = stablehlo._flat(opened.params)
    program = stablehlo.program(opened, weights)
    name = next(name for name in weights if name.endswith("output_scale"))
    with pytest.raises(UserError, match="differs from the model"):
        wrong = weights | {name: weights[name] * 1.5}
        stablehlo.check(lambda inputs: program.call(wrong, inputs)["emg"], opened)


@pytest.mark.skipif(not onnx.available(), reason="no ONNX converter here; see docs/predict.md")
@pytest.mark.parametrize("workdir", ["run_dir", "late_dir"])
def test_the_onnx_file_is_the_model_in_another_runtime(workdir, tmp_path, request):
    workdir = request.getfixturevalue(workdir)
    assert stablehlo.run(str(workdir), str(tmp_path)) == 0
    opened = open_run(workdir)
    empty = blank_batch(opened.window, 5, ("left_biceps_brachii", "right_soleus"))
    inputs = {name: empty[name] for name in onnx.inputs(opened)}
    rng = np.random.default_rng(1)
    inputs["video"] = rng.integers(0, 256, inputs["video"].shape, dtype=np.uint8)
    inputs["video_mask"][:, :, 2:] = True
    got = onnx.session((tmp_path / "model.onnx").read_bytes())(inputs)
    outputs, _ = opened.model.apply({"params": opened.params}, inputs, train=False)
    assert got.shape == (5, len(opened.window.emg_time), 2)
    np.testing.assert_allclose(got, outputs.emg, atol=1e-4)
    assert "model.onnx" in (tmp_path / "README.md").read_text()
