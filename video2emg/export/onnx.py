"""A run's model as ONNX, by jax2onnx; for runtimes that know nothing of JAX."""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import numpy as np

from video2emg.core.batch import blank_batch
from video2emg.inference.run import Run

# In the order of the graph's inputs; its output is `emg`.
_ALWAYS = ("video", "video_mask", "view", "muscle", "side")


def available() -> bool:
    """Whether the converter, and a runtime to check what it makes, are installed."""
    return all(importlib.util.find_spec(name) for name in ("jax2onnx", "onnxruntime"))


def inputs(opened: Run) -> tuple[str, ...]:
    """Names of the fields that the model reads, in the order of the program's inputs."""
    extra = opened.config.model.get("extra_inputs", ())
    return _ALWAYS + tuple(field for name in extra for field in (name, f"{name}_mask"))


def convert(opened: Run) -> bytes:
    """The EMG of a run's model as an ONNX file, for any batch B and any number of muscles M.

    Weights are constants of the graph. Inputs are named and shaped as `signature.json` says.

    Args:
      opened: the run.
    """
    import jax2onnx  # pyright: ignore

    names = inputs(opened)
    batch, muscles = jax.export.symbolic_shape("B, M")
    empty = blank_batch(opened.window, 1)
    shapes = [
        jax.ShapeDtypeStruct(
            (batch, muscles) if name in ("muscle", "side") else (batch, *empty[name].shape[1:]),
            empty[name].dtype,
        )
        for name in names
    ]

    def emg(*values: jax.Array) -> jax.Array:
        inputs = dict(zip(names, values, strict=True))
        return opened.model.apply({"params": opened.params}, inputs, train=False)[0].emg  # pyright: ignore

    made = jax2onnx.to_onnx(
        emg, inputs=shapes, model_name="video2emg", input_names=list(names), output_names=["emg"]
    )
    return made.SerializeToString()


def session(graph: bytes) -> Callable[[dict[str, np.ndarray]], Any]:
    """The graph as a function of its inputs by name, run by ONNX Runtime on the CPU."""
    import onnxruntime  # pyright: ignore

    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    running = onnxruntime.InferenceSession(graph, quiet, providers=["CPUExecutionProvider"])
    return functools.partial(_run, running)


def _run(running: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return running.run(["emg"], inputs)[0]
