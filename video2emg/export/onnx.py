"""A run's model as ONNX, converted by jax2onnx, for runtimes without JAX."""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import numpy as np

from video2emg.core.batch import blank_batch
from video2emg.inference.run import Run

TOLERANCE = 1e-4  # between ONNX Runtime and the model, in units of the normalisation
# In the order of the graph's inputs; its output is `emg`.
_INPUTS = ("video", "video_mask", "view", "muscle", "side")


def available() -> bool:
    """Whether the converter, and a runtime to check its output, are installed."""
    return all(importlib.util.find_spec(name) for name in ("jax2onnx", "onnxruntime"))


def input_names(run: Run) -> tuple[str, ...]:
    """Names of the inputs of the model, in the order of the exported program."""
    extra = run.config.model.extra_inputs
    return _INPUTS + tuple(field for name in extra for field in (name, f"{name}_mask"))


def example_inputs(run: Run, batch: int, muscles: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Inputs of the exported program by name, all masked; see `core.batch.blank_batch`."""
    fields = blank_batch(run.window, batch, muscles)
    return {name: fields[name] for name in input_names(run)}


def input_shapes(run: Run, batch: Any, muscles: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the inputs by name, for (symbolic) numbers of examples and muscles."""
    return {
        name: jax.ShapeDtypeStruct(
            (batch, muscles) if name in ("muscle", "side") else (batch, *value.shape[1:]),
            value.dtype,
        )
        for name, value in example_inputs(run, 1).items()
    }


def convert(run: Run) -> bytes:
    """The EMG of a run's model as an ONNX file, for any batch B and any number of muscles M.

    Weights are constants of the graph. Inputs have the names and shapes of `signature.json`.

    Args:
      run: the opened run.
    """
    import jax2onnx  # pyright: ignore

    shapes = input_shapes(run, *jax.export.symbolic_shape("B, M"))

    def emg(*values: jax.Array) -> jax.Array:
        inputs = dict(zip(shapes, values, strict=True))
        return run.model.apply({"params": run.params}, inputs, train=False)[0].emg  # pyright: ignore

    graph = jax2onnx.to_onnx(
        emg,
        inputs=list(shapes.values()),
        model_name="video2emg",
        input_names=list(shapes),
        output_names=["emg"],
    )
    return graph.SerializeToString()


def session(graph: bytes) -> Callable[[dict[str, np.ndarray]], Any]:
    """The graph as a function from inputs by name to EMG, run by ONNX Runtime on the CPU."""
    import onnxruntime  # pyright: ignore

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    runtime = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return functools.partial(_run, runtime)


def _run(runtime: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return runtime.run(["emg"], inputs)[0]
