"""`launch.py export`: a run's model as StableHLO and ONNX, its weights, and a model card."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from video2emg.core.errors import UserError
from video2emg.core.files import write_atomically, write_json, write_text
from video2emg.export import onnx
from video2emg.export.model_card import model_card
from video2emg.inference.run import Run, open_run
from video2emg.parallel.hosts import log

PLATFORMS = ("cpu", "cuda", "tpu")
_TOLERANCE = 1e-5  # between the exported program and the model, in units of the normalisation


def run(run: str | Path, out: str | Path) -> int:
    """Exports the Video→EMG model of a run and compares the exported program with the model.

    Args:
      run: workdir of a finished run; of an AQA run, its Video→EMG model is exported.
      out: folder; receives model.jax_export, model.stablehlo, weights.safetensors, signature.json
        and README.md, and model.onnx if the extra `onnx` is installed.

    Returns:
      The exit status.

    Raises:
      UserError: the run is not finished, a package is missing, or the program differs from the
        model.
    """
    folder = Path(out).expanduser()
    for package in ("safetensors", "flatbuffers"):
        if not importlib.util.find_spec(package):
            raise UserError(f'export needs the package {package}: pip install ".[export]"')
    import safetensors.numpy as safetensors

    opened = open_run(run)
    if opened.reads_pose:
        raise UserError(f"{run}: its model reads poses; only models of pictures are exported yet")
    weights = flat_weights(opened.params)
    log("compiling for any batch and any number of muscles")
    exported = export_program(opened, weights)
    serialized = exported.serialize()
    program = jax.export.deserialize(serialized)
    difference = check(lambda inputs: program.call(weights, inputs)["emg"], opened)
    graph = onnx.convert(opened) if onnx.available() else None
    if graph is None:
        log("no ONNX (docs/predict.md lists the packages that it needs)")
    else:
        check(onnx.session(graph), opened, onnx.TOLERANCE)
    files = {
        "model.jax_export": serialized,
        "model.stablehlo": exported.mlir_module_serialized,
        "weights.safetensors": safetensors.save(
            weights, {"format": "jax", "run": str(opened.workdir)}
        ),
    }
    if graph is not None:
        files["model.onnx"] = graph
    for name, content in files.items():
        write_atomically(folder / name, lambda file, content=content: file.write(content))
    write_json(folder / "signature.json", signature(exported, opened))
    write_text(folder / "README.md", model_card(opened, difference, has_onnx=graph is not None))
    print(folder)
    return 0


def export_program(run: Run, weights: Mapping[str, np.ndarray]) -> jax.export.Exported:
    """The function (weights, inputs) → EMG and more, for any batch `b` and any muscles `m`."""

    def predict(weights: Mapping[str, jax.Array], inputs: Mapping[str, jax.Array]):
        params = flax.traverse_util.unflatten_dict(dict(weights), sep="/")
        outputs, _ = run.model.apply({"params": params}, inputs, train=False)  # pyright: ignore
        named = {
            "emg": outputs.emg,
            "predicted_mae": outputs.predicted_mae,
            "pose": outputs.pose,
            "torque": outputs.torque,
            "load_kg": None if outputs.load is None else jnp.expm1(outputs.load),
        }
        return {name: value for name, value in named.items() if value is not None}

    input_shapes = onnx.input_shapes(run, *jax.export.symbolic_shape("b, m"))
    weight_shapes = {name: jax.ShapeDtypeStruct(w.shape, w.dtype) for name, w in weights.items()}
    return jax.export.export(jax.jit(predict), platforms=PLATFORMS)(weight_shapes, input_shapes)


def check(
    program: Callable[[dict[str, np.ndarray]], Any], run: Run, tolerance: float = _TOLERANCE
) -> float:
    """Compares a program with the model on random batches of 1 and 3.

    Args:
      program: inputs to EMG.
      run: the opened run.
      tolerance: largest accepted difference, in units of the normalisation.

    Returns:
      The largest difference of the EMG.

    Raises:
      UserError: it is larger than the tolerance.
    """

    @jax.jit
    def model_emg(params: Any, inputs: Mapping[str, jax.Array]) -> jax.Array:
        return run.model.apply({"params": params}, inputs, train=False)[0].emg  # pyright: ignore

    largest, rng = 0.0, np.random.default_rng(0)
    for batch in (1, 3):
        inputs = onnx.example_inputs(run, batch)
        inputs["video"] = rng.integers(0, 256, inputs["video"].shape, dtype=np.uint8)
        inputs["video_mask"][:] = True
        inputs["video_mask"][:, :, -1] = False
        emg = np.asarray(program(inputs))
        expected = np.asarray(model_emg(run.params, inputs))
        largest = max(largest, float(np.abs(emg - expected).max()))
    if not largest <= tolerance:
        raise UserError(
            f"{run.workdir}: the exported program differs from the model by {largest:g}; nothing "
            "was written"
        )
    return largest


def signature(exported: jax.export.Exported, run: Run) -> dict[str, Any]:
    """Names, shapes and meaning of inputs and outputs, in the order of the program."""
    return {
        "format": 1,
        "platforms": list(exported.platforms),
        "inputs": _describe(exported.in_tree, exported.in_avals),
        "outputs": _describe(exported.out_tree, exported.out_avals),
        "views": list(run.window.views),
        "frame_rate_hz": run.window.frame_rate,
        "emg_rate_hz": run.window.emg_rate,
        "seconds": run.window.seconds,
        "muscles": {name: list(own) for name, own in run.ood_detector.about["muscles"].items()},
    }


def _describe(tree: Any, avals: Any) -> list[dict[str, str]]:
    leaves = jax.tree_util.tree_leaves_with_path(jax.tree_util.tree_unflatten(tree, avals))
    return [
        {"name": jax.tree_util.keystr(path), "shape": str(x.shape), "dtype": str(x.dtype)}
        for path, x in leaves
    ]


def flat_weights(params: Any) -> dict[str, np.ndarray]:
    """Parameters by path, with `/` between names."""
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    return {str(name): np.asarray(value, order="C") for name, value in flat.items()}
