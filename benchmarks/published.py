"""Published systems against PyTorch: time and memory of a step, and ways to compute conv3d.

    python -m benchmarks.published [--steps 5] [--only conv3d i3d stgcn mia videomae core tds]

The PyTorch side is the implementation with which `tests/models/published` compares ours
(`transformers` for VideoMAE). Each measurement runs in a separate process, ours and PyTorch's in
turn. A step is the forward and backward pass of a mean of squares, in float32, on all cores. Memory
is the peak of resident memory during the steps, above that of the process before the model was
made.
"""

import argparse
import functools
import gc
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

SYSTEMS = ("i3d", "stgcn", "mia", "videomae", "core", "tds")
# Input, window, strides and output channels of convolutions in I3D (half the resolution).
CONVOLUTIONS = {
    "7x7x7 stride 2, 3 → 64": ((1, 16, 112, 112, 3), (7, 7, 7), (2, 2, 2), 64),
    "3x3x3, 64 → 192": ((1, 8, 28, 28, 64), (3, 3, 3), (1, 1, 1), 192),
    "3x3x3, 112 → 224": ((1, 4, 14, 14, 112), (3, 3, 3), (1, 1, 1), 224),
}
TDS_STAGES = (dict(channels=16, width=8, blocks=2, window=9, embed=5),) * 2
MIB = 2**20


def seconds(step: Callable[[], object], steps: int) -> float:
    """Median time of a step without the first one."""
    step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def resident(peak: bool = False) -> int:
    """Resident memory of this process, or its peak since `reset_peak`, bytes."""
    field = "VmHWM:" if peak else "VmRSS:"
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def reset_peak() -> None:
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def inputs(system: str) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    shapes = {
        "i3d": [(1, 16, 112, 112, 3)],
        "stgcn": [(4, 103, 25, 3)],
        "mia": [(64, 30, 75)],
        "videomae": [(1, 16, 224, 224, 3)],
        "core": [(16, 4613)],
        "tds": [(16, 100, 63)],
    }[system]
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)


def torch_step(system: str) -> Callable[[], object]:
    import torch
    import transformers

    from tests.models.published import torch_models
    from video2emg.models.published import stgcn

    arrays = tuple(torch.tensor(x) for x in inputs(system))
    (x,) = arrays
    if system == "i3d":
        model = torch_models.TorchI3D()
        run = functools.partial(model.features, x.permute(0, 4, 1, 2, 3).contiguous())
    elif system == "stgcn":
        widths, strides = zip(*stgcn.LAYERS, strict=True)
        model = torch_models.TorchSTGCN(stgcn.adjacency(), widths, strides)
        run = functools.partial(model.features, x)
    elif system == "mia":
        model = torch_models.TorchMIA(75, 8, layers=8, heads=16, hidden=2048)
        run = functools.partial(model, x, torch.full((len(x),), 0.1))
    elif system == "videomae":
        model = transformers.VideoMAEModel(transformers.VideoMAEConfig(num_hidden_layers=4))
        video = x.permute(0, 1, 4, 2, 3).contiguous()

        def run():
            return model(video).last_hidden_state

    elif system == "core":
        model = torch_models.TorchTree(4613, 256, 5)

        def run():
            return torch.cat(model(x), 1)

    else:
        model = torch_models.TorchTDS(63, TDS_STAGES, 10, 128, 54)
        run = functools.partial(model, x)
    model.eval()  # fixed batch norm and no dropout, as in ours

    def step() -> None:
        model.zero_grad(set_to_none=True)
        run().square().mean().backward()

    return step


def jax_step(system: str) -> Callable[[], object]:
    import jax
    import jax.numpy as jnp

    from video2emg.models.published import core, i3d, mia, stgcn, tds, vit

    model, method = {
        "i3d": (i3d.I3D(), "features"),
        "stgcn": (stgcn.STGCN(), "__call__"),
        "mia": (mia.MIATransformer(), "__call__"),
        "videomae": (vit.VideoMAE(layers=4), "tokens"),
        "core": (core.RegressionTree(), "__call__"),
        "tds": (tds.TDS(54, 10, TDS_STAGES), "__call__"),
    }[system]
    arrays = tuple(jnp.asarray(x) for x in inputs(system))
    params = jax.jit(functools.partial(model.init, method=method))(jax.random.key(0), *arrays)

    def loss(params):
        out = model.apply(params, *arrays, method=method)
        return sum(jnp.square(leaf).mean() for leaf in jax.tree.leaves(out))

    compiled = jax.jit(jax.grad(loss)).lower(params).compile()
    return lambda: jax.block_until_ready(compiled(params))


def measure(system: str, side: str, steps: int) -> dict[str, float]:
    """Time and memory of one side (`torch` or `jax`), in this process."""
    if side == "torch":
        import torch  # noqa: F401
        import transformers  # noqa: F401
    else:
        import jax

        jax.devices()
    before = resident()
    step = {"torch": torch_step, "jax": jax_step}[side](system)
    step()
    gc.collect()
    reset_peak()
    return {"seconds": seconds(step, steps), "bytes": resident(peak=True) - before}


def measure_in_new_process(system: str, side: str, steps: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.published", "--system", system, "--side", side]
    result = subprocess.run(
        [*command, "--steps", str(steps)], check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout.splitlines()[-1])


def im2col(x, kernel, strides):
    """Convolution as one matrix product over all pixels under the kernel; slower than others."""
    import jax
    import jax.numpy as jnp

    window = kernel.shape[:3]
    pads = jax.lax.padtype_to_pads(x.shape[1:4], window, strides, "SAME")
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    sizes = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:4], window, strides, strict=True)]
    columns = []
    for offset in np.ndindex(*window):
        slices = [
            slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offset, sizes, strides, strict=True)
        ]
        columns.append(x[:, *slices])
    return jnp.concatenate(columns, -1) @ kernel.reshape(-1, kernel.shape[-1])


def convolutions(steps: int) -> None:
    """Prints the time of each formulation as a multiple of PyTorch's."""
    import jax
    import jax.numpy as jnp
    import torch

    from tests.models.published.torch_models import same
    from video2emg.models.published import layers

    print("conv3d: formulation, forward / PyTorch, forward and backward / PyTorch")
    for name, (shape, window, strides, outputs) in CONVOLUTIONS.items():
        rng = np.random.default_rng(0)
        x = rng.normal(size=shape).astype(np.float32)
        kernel = (0.05 * rng.normal(size=(*window, shape[-1], outputs))).astype(np.float32)
        tx = torch.tensor(x).permute(0, 4, 1, 2, 3).contiguous().requires_grad_()
        weight = torch.tensor(kernel).permute(4, 3, 0, 1, 2).contiguous().requires_grad_()

        def run(tx=tx, weight=weight, window=window, strides=strides):
            return torch.nn.functional.conv3d(same(tx, window, strides), weight, stride=strides)

        def both(tx=tx, weight=weight, run=run):
            tx.grad = weight.grad = None
            run().square().sum().backward()

        with torch.no_grad():
            forward = seconds(run, steps)
        backward = seconds(both, steps)
        print(f"  {name}: PyTorch {1e3 * forward:.0f} ms, {1e3 * backward:.0f} ms")
        formulations = {
            name: functools.partial(layers.conv3d, formulation=name)
            for name in layers.FORMULATIONS[1:]
        }
        if np.prod(window) < 100:  # 343 slices take minutes to compile
            formulations["im2col"] = im2col
        arrays = jnp.asarray(x), jnp.asarray(kernel)
        for formulation, conv in formulations.items():
            f = jax.jit(functools.partial(conv, strides=strides))
            g = jax.jit(jax.grad(lambda x, k, f=f: jnp.square(f(x, k)).sum(), argnums=(0, 1)))
            ours = seconds(lambda f=f, arrays=arrays: jax.block_until_ready(f(*arrays)), steps)
            # Few steps, because the backward pass of `direct` may take a minute.
            slow = seconds(
                lambda g=g, arrays=arrays: jax.block_until_ready(g(*arrays)), min(steps, 2)
            )
            print(f"    {formulation:8} {ours / forward:6.2f} {slow / backward:8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=["conv3d", *SYSTEMS])
    parser.add_argument("--system", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        print(json.dumps(measure(args.system, args.side, args.steps)))
        return
    for system in SYSTEMS:
        if system not in args.only:
            continue
        theirs, ours = (
            measure_in_new_process(system, side, args.steps) for side in ("torch", "jax")
        )
        print(
            f"{system:9} step ours / PyTorch = {ours['seconds'] / theirs['seconds']:.2f} "
            f"({1e3 * ours['seconds']:.0f} / {1e3 * theirs['seconds']:.0f} ms), memory "
            f"{ours['bytes'] / theirs['bytes']:.2f} "
            f"({ours['bytes'] / MIB:.0f} / {theirs['bytes'] / MIB:.0f} MiB)",
            flush=True,
        )
    if "conv3d" in args.only:
        convolutions(args.steps)


if __name__ == "__main__":
    main()
