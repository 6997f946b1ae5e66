"""`launch.py export`: a run's model as StableHLO and ONNX, its weights, and a model card."""

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from video2emg.core.batch import blank_batch
from video2emg.core.errors import UserError
from video2emg.core.files import write_atomically, write_json, write_text
from video2emg.eval import results
from video2emg.export import onnx as onnx_lib
from video2emg.inference.run import Run, open_run
from video2emg.parallel.hosts import log
from video2emg.viz.style import unit

PLATFORMS = ("cpu", "cuda", "tpu")
# Between the exported program and the model, in units of the reference; and of another runtime.
_TOLERANCE, _ONNX_TOLERANCE = 1e-5, 1e-4
# Metric → what the card calls it.
_MAIN = {"skill": "skill over the action template", "pcc": "Pearson's r", "rmse": "RMSE",
         "amplitude_r": "amplitude r"}  # fmt: skip
_JUDGED = {"srcc": "SRCC of the score", "mae": "mean absolute error of the score, points",
           "map": "mean average precision of errors", "ece": "calibration error"}  # fmt: skip


def run(checkpoint: str, out: str, data_dir: str | None = None) -> int:
    """Exports the Video→EMG model of a run and checks the program against the model.

    Args:
      checkpoint: workdir of a finished run; of an assessment run, its Video→EMG model is exported.
      out: folder; receives model.jax_export, model.stablehlo, weights.safetensors, signature.json
        and README.md, and model.onnx if the extra `onnx` is installed.
      data_dir: see `inference.run.open_run`.

    Returns:
      The exit status.

    Raises:
      UserError: no finished run, safetensors is not installed, or the program disagrees.
    """
    folder = Path(out).expanduser()
    for package in ("safetensors", "flatbuffers"):
        if not importlib.util.find_spec(package):
            raise UserError(f'export needs the package {package}: pip install "video2emg[export]"')
    import safetensors.numpy as safetensors

    opened = open_run(checkpoint, data_dir)
    weights = _flat(opened.params)
    log("compiling for any batch and any number of muscles")
    exported = program(opened, weights)
    blob = exported.serialize()
    again = jax.export.deserialize(blob)
    largest = check(lambda inputs: again.call(weights, inputs)["emg"], opened)
    graph = onnx_lib.convert(opened) if onnx_lib.available() else None
    if graph is None:
        log("no ONNX (docs/predict.md says what that needs)")
    else:
        check(onnx_lib.session(graph), opened, _ONNX_TOLERANCE)
    write_atomically(folder / "model.jax_export", lambda file: file.write(blob))
    write_atomically(
        folder / "model.stablehlo", lambda file: file.write(exported.mlir_module_serialized)
    )
    if graph is not None:
        write_atomically(folder / "model.onnx", lambda file: file.write(graph))
    raw = safetensors.save(weights, {"format": "jax", "run": str(opened.workdir)})
    write_atomically(folder / "weights.safetensors", lambda file: file.write(raw))
    write_json(folder / "signature.json", signature(exported, opened))
    write_text(folder / "README.md", card(opened, largest, graph is not None))
    print(folder)
    return 0


def program(opened: Run, weights: Mapping[str, np.ndarray]) -> jax.export.Exported:
    """The function (weights, inputs) → EMG and more, for any batch `b` and any muscles `m`."""

    def predict(weights: Mapping[str, jax.Array], inputs: Mapping[str, jax.Array]):
        params = flax.traverse_util.unflatten_dict(dict(weights), sep="/")
        outputs, _ = opened.model.apply({"params": params}, inputs, train=False)  # pyright: ignore
        found = {"emg": outputs.emg, "predicted_mae": outputs.predicted_mae}
        found |= {"pose": outputs.pose, "torque": outputs.torque}
        if outputs.load is not None:
            found["load_kg"] = jnp.expm1(outputs.load)
        return {name: value for name, value in found.items() if value is not None}

    batch, muscles = jax.export.symbolic_shape("b, m")
    example = inputs_of(opened, 1)
    shapes = {
        name: jax.ShapeDtypeStruct(
            (batch, muscles) if name in ("muscle", "side") else (batch, *value.shape[1:]),
            value.dtype,
        )
        for name, value in example.items()
    }
    like = {name: jax.ShapeDtypeStruct(w.shape, w.dtype) for name, w in weights.items()}
    return jax.export.export(jax.jit(predict), platforms=PLATFORMS)(like, shapes)


def check(
    program: Callable[[dict[str, np.ndarray]], Any], opened: Run, tolerance: float = _TOLERANCE
) -> float:
    """Largest difference of the EMG between the program and the model, over batches of 1 and 3.

    Args:
      program: inputs to EMG.
      opened: the run.
      tolerance: in units of the reference.

    Raises:
      UserError: it is larger than rounding explains.
    """
    largest, rng = 0.0, np.random.default_rng(0)
    for batch in (1, 3):
        inputs = inputs_of(opened, batch)
        inputs["video"] = rng.integers(0, 256, inputs["video"].shape, dtype=np.uint8)
        inputs["video_mask"][:] = True
        inputs["video_mask"][:, :, -1] = False
        got = np.asarray(program(inputs))
        outputs, _ = opened.model.apply({"params": opened.params}, inputs, train=False)  # pyright: ignore
        largest = max(largest, float(np.abs(got - np.asarray(outputs.emg)).max()))
    if not largest <= tolerance:
        raise UserError(f"{opened.workdir}: the exported program differs from the model by "
                        f"{largest:g}; nothing was written")  # fmt: skip
    return largest


def signature(exported: jax.export.Exported, opened: Run) -> dict[str, Any]:
    """Names, shapes and meaning of inputs and outputs, in the program's order."""
    names = jax.tree_util.tree_flatten_with_path(
        jax.tree_util.tree_unflatten(exported.in_tree, exported.in_avals)
    )[0]
    return {
        "format": 1,
        "platforms": list(exported.platforms),
        "inputs": [
            {"name": jax.tree_util.keystr(path), "shape": str(x.shape), "dtype": str(x.dtype)}
            for path, x in names
        ],
        "outputs": [
            {"name": jax.tree_util.keystr(path), "shape": str(x.shape), "dtype": str(x.dtype)}
            for path, x in jax.tree_util.tree_flatten_with_path(
                jax.tree_util.tree_unflatten(exported.out_tree, exported.out_avals)
            )[0]
        ],
        "views": list(opened.window.views),
        "frame_rate_hz": opened.window.frame_rate,
        "emg_rate_hz": opened.window.emg_rate,
        "seconds": opened.window.seconds,
        "muscles": {name: list(own) for name, own in opened.domain.about["muscles"].items()},
    }


def card(opened: Run, largest: float, onnx: bool = False) -> str:
    """The model card: what it is for, made of, worth, and not for; `onnx` says if it is there."""
    about, config = opened.domain.about, opened.config
    simulated = str(about["dataset"]).startswith("gymsim")
    size = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(opened.params))
    muscles = sorted({m.split("_", 1)[1] for own in about["muscles"].values() for m in own})
    lines = [
        f"# Video → EMG, trained on {about['dataset']}",
        "",
        f"Predicts surface EMG envelopes ({unit(about['normalisation'])}, "
        f"{config.data.emg_rate:g} Hz) from video at {config.data.frame_rate:g} frames per second, "
        f"{config.data.size} px, views {', '.join(config.data.views)}. "
        f"{size:,} parameters; encoder `{config.model.encoder.name}`. "
        + ("**Trained on simulated people and simulated EMG.**" if simulated else ""),
        "",
        "## Intended use",
        "",
        "Research on what can be said of muscles from video, and feedback for healthy people in "
        f"the exercises {', '.join(about['muscles'])}. Muscles: {', '.join(muscles)}. "
        "**Not a medical device**: not for diagnosis, treatment or rehabilitation decisions, nor "
        "for judging anybody's fitness for work.",
        "",
        "## Data",
        "",
        f"`{about['dataset']}`, split by subject into training, validation and test. EMG is "
        f"divided by the normalisation `{about['normalisation']}`.",
        "",
        "## Results",
        "",
        *_results(opened),
        "",
        "## Limits",
        "",
        f"- Made for pictures like the training clips: {about['validation_inside']:.0%} of the "
        f"validation clips are in domain by `ood_detector.npz` (each view's threshold at the "
        f"{about['quantile']:.0%} quantile); the exported program does not check this.",
        "- One repetition per window, from its beginning; all views from the same instant.",
        "- The amplitude of EMG depends on electrodes and skin that no camera sees.",
        *(["- No real person was seen in training: expect nothing on real footage."]
          if simulated else []),
        "",
        "## Files",
        "",
        "`weights.safetensors`: parameters by path. `model.stablehlo`: portable StableHLO "
        "bytecode, a function of (weights, inputs), any batch and any number of muscles. "
        "`model.jax_export`: the same for `jax.export.deserialize`. `signature.json`: its inputs "
        f"and outputs. The program's EMG differs from the model's by at most {largest:.1e}."
        + (f" `model.onnx`: EMG only, weights within; differs by less than {_ONNX_TOLERANCE:g} "
           "in ONNX Runtime." if onnx else ""),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _results(opened: Run) -> list[str]:
    """Metrics on test subjects with their intervals, as the run wrote them."""
    path = opened.workdir / "results.json"
    if not path.exists():
        return ["The run has no results.json: it was never evaluated on test subjects."]
    found = results.read_results(path)
    own = found["test"]["model"]
    wanted = _MAIN if opened.judge is None else _JUDGED
    rows = ["| on test subjects | value | 95 % interval (subject bootstrap) |", "|---|---|---|"]
    for name, words in wanted.items():
        if own.get(name) is not None:
            ends = own[f"{name}_ci95"]
            # One subject alone cannot be resampled.
            known = None not in ends
            interval = " to ".join(f"{end:.3f}" for end in ends) if known else "unknown"
            rows.append(f"| {words} | {own[name]:.3f} | {interval} |")
    clips = own.get("clips")
    return [*rows, "", f"{clips} clips; `{json.dumps(found['provenance'].get('packages', {}))}`."]


def inputs_of(opened: Run, batch: int) -> dict[str, np.ndarray]:
    """What the program is given, by name, with no camera on."""
    empty = blank_batch(opened.window, batch)
    return {name: empty[name] for name in onnx_lib.inputs(opened)}


def _flat(params: Any) -> dict[str, np.ndarray]:
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    return {str(name): np.asarray(value, order="C") for name, value in flat.items()}
