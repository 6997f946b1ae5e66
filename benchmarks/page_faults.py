"""What it saves that the process keeps freed memory (`core.memory`), and what it costs.

    python -m benchmarks.page_faults

Runs steps of the default preset on made-up batches in two processes, with and without. Prints
seconds, page faults and kernel time of a step, and the peak memory of the process.
"""

import argparse
import dataclasses
import resource
import subprocess
import sys
import time

WAYS = ("usual", "kept")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    if options.way:
        return measure(options.way, options.steps)
    for way in (*WAYS, *WAYS):
        command = [sys.executable, "-m", "benchmarks.page_faults", "--way", way]
        subprocess.run([*command, "--steps", str(options.steps)], check=True)


def measure(way: str, steps: int) -> None:
    """Prints one line."""
    from video2emg.core.memory import keep_freed_memory

    if way == "kept":
        keep_freed_memory()
    import jax

    from configs import v2emg
    from video2emg.run import setup
    from video2emg.train import state as state_lib
    from video2emg.train.step import train_step

    config = v2emg.get_config()
    batch, model = _batch_and_model(config, setup)
    optimiser = state_lib.optimiser(config.train)
    state = state_lib.create(model, optimiser, batch, 0)
    step = jax.jit(train_step(model, optimiser, config.train))
    for _ in range(3):
        state, _ = step(state, batch)
    jax.block_until_ready(state)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for _ in range(steps):
        state, _ = step(state, batch)
        jax.block_until_ready(state)
    seconds = (time.perf_counter() - start) / steps
    after = resource.getrusage(resource.RUSAGE_SELF)
    faults = (after.ru_minflt - before.ru_minflt) / steps
    kernel = (after.ru_stime - before.ru_stime) / steps
    print(
        f"{way}: {seconds:.3f} s a step, {faults:.0f} page faults, {kernel:.3f} s in the kernel, "
        f"peak {after.ru_maxrss / 1024:.0f} MiB",
        flush=True,
    )


def _batch_and_model(config, setup):
    import numpy as np

    from video2emg.core import vocabulary
    from video2emg.core.batch import blank_batch

    window = dataclasses.replace(
        setup.window_from_config(config), joints=vocabulary.FLEX_21, dofs=vocabulary.DOFS
    )
    channels = tuple(vocabulary.channel(s, m) for s in vocabulary.SIDES for m in vocabulary.MUSCLES)
    size = config.train.batch_size
    batch = dict(blank_batch(window, size, channels))
    batch["emg"] = np.zeros((size, len(window.emg_time), len(channels)), np.float32)
    torque = np.zeros((size, len(window.frame_time), len(window.dofs)), np.float32)
    batch |= {"torque": torque, "torque_mask": np.ones(torque.shape, bool)}
    batch |= {"true_pose": batch["pose"], "true_pose_mask": batch["pose_mask"]}
    for name, value in batch.items():
        if value.dtype == bool:
            batch[name] = np.ones(value.shape, bool)
    noise = np.random.default_rng(0).integers(0, 255, batch["video"].shape)
    batch["video"] = noise.astype(np.uint8)
    batch["emg_mask"] = np.ones(batch["emg"].shape, bool)
    return batch, setup.build_model(config, window)


if __name__ == "__main__":
    main()
