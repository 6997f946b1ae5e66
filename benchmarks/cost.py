"""Cost of one training step per chip, as XLA counts it in the compiled program.

    JAX_NUM_CPU_DEVICES=8 python -m benchmarks.cost --config configs/v2emg.py:base --fsdp 8

compiles the step of a config for the devices of this machine (fake ones suffice; nothing is run and
no data is needed). Prints FLOPs, bytes moved, memory and the volume of collectives per device and
step, and the compile time. `--layers n` sets the depth of the encoder: every number is linear in
it, so two small depths give the cost of a large one in less time.
"""

import argparse
import collections
import dataclasses
import functools
import importlib.util
import json
import re
import time

import jax
import numpy as np

from video2emg.core import vocabulary
from video2emg.core.batch import blank_batch
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.train import state as state_lib
from video2emg.train.step import train_step

BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8}
COLLECTIVE = re.compile(
    r" = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(-start)?\("
)
SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")


def collectives(text: str) -> dict[str, int]:
    """Bytes that each kind of collective gives out per device, summed over a compiled program."""
    found: dict[str, int] = collections.Counter()
    for shapes, kind, _ in COLLECTIVE.findall(text):
        for dtype, dims in SHAPE.findall(shapes):
            size = int(np.prod([int(d) for d in dims.split(",") if d], dtype=np.int64))
            found[kind] += size * BYTES.get(dtype, 4)
    return dict(found)


def batch_of(window, size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a training batch with every target, but without further windows of poses."""
    kinds = ("emg", "pose", "true_pose", "load", "held")
    targets = (name for kind in kinds for name in (kind, f"{kind}_mask"))
    fields = ("video", "video_mask", "view", "muscle", "side", *targets)
    batch = blank_batch(window, size, fields=fields)
    return {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in batch.items()}


def cost(config, fsdp: int, tensor: int, optimised: bool = True) -> dict:
    """Of one step; per device and step unless said otherwise."""
    mesh = mesh_lib.make_mesh(fsdp, tensor)
    window = dataclasses.replace(setup.window_from_config(config), joints=vocabulary.FLEX_21)
    model = setup.build_model(config, window)
    tx = state_lib.optimiser(config.train)
    batch = batch_of(window, config.train.batch_size)
    one = {name: jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype) for name, x in batch.items()}
    shapes = jax.eval_shape(functools.partial(state_lib.create, model, tx, one, 0))
    sharding = mesh_lib.state_sharding(mesh, shapes)
    step = jax.jit(
        train_step(model, tx, config.train),
        in_shardings=(sharding, mesh_lib.batch_sharding(mesh)),
        out_shardings=(sharding, mesh_lib.replicated(mesh)),
        donate_argnums=0,
    )
    start = time.perf_counter()
    lowered = step.lower(shapes, batch)
    found = {
        "devices": mesh.size,
        "batch": config.train.batch_size,
        "parameters": sum(x.size for x in jax.tree.leaves(shapes.params)),
        "trace_s": time.perf_counter() - start,
        "flops_all_devices_before_xla": lowered.cost_analysis().get("flops"),
    }
    if not optimised:
        return found
    start = time.perf_counter()
    compiled = lowered.compile()
    analysis, memory = compiled.cost_analysis(), compiled.memory_analysis()
    return found | {
        "compile_s": time.perf_counter() - start,
        "flops": analysis.get("flops"),
        "bytes_accessed": analysis.get("bytes accessed"),
        "collective_bytes": collectives(compiled.as_text()),
        "state_bytes": memory.argument_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="configs/v2emg.py:base")
    parser.add_argument("--fsdp", type=int, default=1)
    parser.add_argument("--tensor", type=int, default=1)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--layers", type=int, default=0, help="of the encoder")
    parser.add_argument("--views", type=int, default=0, help="the first few only")
    parser.add_argument("--remat", default="", help="of the encoder")
    parser.add_argument("--scan", action=argparse.BooleanOptionalAction, help="encoder's layers")
    parser.add_argument("--traced", action="store_true", help="do not compile")
    args = parser.parse_args()
    path, _, preset = args.config.partition(":")
    spec = importlib.util.spec_from_file_location("config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(preset)
    config.train.batch_size = args.batch or config.train.batch_size
    config.model.encoder.layers = args.layers or config.model.encoder.layers
    config.model.encoder.remat = args.remat or config.model.encoder.remat
    if args.scan is not None:
        config.model.encoder.scan = args.scan
    config.data.views = config.data.views[: args.views or None]
    print(json.dumps(cost(config, args.fsdp, args.tensor, not args.traced), indent=1))


if __name__ == "__main__":
    main()
