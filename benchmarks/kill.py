"""The long form of tests/train/test_faults.py: one run that is killed again and again.

    python -m benchmarks.kill --steps 300 --kills 25

runs a tiny model once undisturbed, then once more with SIGKILL at random moments, every second one
aimed into a save, and every fifth time SIGTERM instead; and compares what is left: parameters,
optimiser, metrics.jsonl with the order of the data, best parameters, TensorBoard.
"""

import argparse
import multiprocessing
import pathlib
import random
import signal
import sys
import tempfile
import time

from tests.train import test_faults, tiny


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    changes = dict(steps=args.steps, save_every=7, eval_every=10, log_every=4)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.train.tiny"])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kill"))
    straight, run = folder / "straight", folder / "run"

    def start(workdir: pathlib.Path):
        process = context.Process(
            target=tiny.child, args=(str(workdir), changes, str(folder / "stderr"))
        )
        process.start()
        return process

    def steps() -> list[pathlib.Path]:
        return [p for p in (run / "checkpoints").glob("*") if p.name.isdigit()]

    started = time.perf_counter()
    process = start(straight)
    process.join()
    assert process.exitcode == 0, (folder / "stderr").read_text()
    print(f"undisturbed: {args.steps} steps in {time.perf_counter() - started:.0f} s")
    ends = {"killed": 0, "inside a save": 0, "stopped": 0}
    while True:
        process = start(run)
        disturbed = sum(ends[name] for name in ("killed", "stopped"))
        if disturbed < args.kills:
            before = max((int(p.name) for p in steps()), default=0)
            # The run has to move on a little, or it would never end.
            while process.is_alive() and max((int(p.name) for p in steps()), default=0) <= before:
                time.sleep(0.001)
            if disturbed % 2:
                while process.is_alive() and not list(run.glob("*/*tmp*")):
                    time.sleep(0.0002)
            else:
                time.sleep(rng.uniform(0, 0.2))
            inside = bool(list(run.glob("*/*tmp*")))
            if disturbed % 5 == 4:
                process.terminate()
            else:
                process.kill()
        process.join()
        if process.exitcode == 0:
            break
        if process.exitcode == 75:
            ends["stopped"] += 1
        elif process.exitcode == -signal.SIGKILL:
            ends["killed"] += 1
            ends["inside a save"] += inside
        else:
            sys.exit((folder / "stderr").read_text())
    test_faults.assert_same(straight, run, args.steps)
    print(
        f"{ends['killed']} × SIGKILL ({ends['inside a save']} of them inside a save), "
        f"{ends['stopped']} × SIGTERM, each time resumed: bit for bit the undisturbed run "
        f"({len(tiny.lines(run))} lines of metrics.jsonl, {len(tiny.arrays(run, args.steps))} "
        "arrays)"
    )


if __name__ == "__main__":
    main()
