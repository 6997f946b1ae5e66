"""How many repetitions the graph's scoring function scores per second, on one core.

    python -m benchmarks.scoring

Prints repetitions per second over FLEX's 20 actions (weights drawn, as they are not published),
with and without partial scores, against the same sums in NumPy, and how the cost grows with the
number of pairs.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from video2emg.fkg import scoring
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric

COUNT = 2**18  # repetitions at a time


def seconds(run: Callable[[], object], repeats: int = 7) -> float:
    """Median over repeats, after one that compiles."""
    jax.block_until_ready(run())
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def flex_like(rng: np.random.Generator) -> Rubric:
    """FLEX's topology with weights drawn at random."""
    graph = load("flex_topology")
    actions = graph.actions.values()
    weight = {error: float(rng.integers(2, 11)) for error in graph.errors}
    return Rubric(
        version=graph.label,
        actions=tuple(graph.actions),
        steps=tuple(tuple(s.id for s in a.steps) for a in actions),
        pairs=tuple(tuple((s.id, e.error) for s, e in a.pairs) for a in actions),
        weights=tuple(tuple(weight[e.error] for _, e in a.pairs) for a in actions),
        tiers=tuple(tuple(str(weight[e.error] // 3) for _, e in a.pairs) for a in actions),
    )


def main() -> None:
    rng = np.random.default_rng(0)
    rubric = flex_like(rng)
    action = rng.integers(0, len(rubric.actions), COUNT).astype(np.int32)
    severity = rng.random((COUNT, rubric.weight.shape[1]), np.float32)
    severity_on, action_on = jnp.asarray(severity), jnp.asarray(action)
    table = jnp.asarray(rubric.weight)

    alone = jax.jit(lambda e, a: scoring.compositional_score(e, table[a]))
    parts = jax.jit(lambda e, a: scoring.score(e, a, rubric))
    slope = jax.jit(jax.grad(lambda e, a: scoring.compositional_score(e, table[a]).sum()))

    def numpy_score() -> np.ndarray:
        weight = rubric.weight[action]
        return 100 * (1 - (weight * severity).sum(-1) / weight.sum(-1))

    reference = seconds(numpy_score)
    for name, run in (
        ("score", lambda: alone(severity_on, action_on)),
        ("score with key steps, tiers and penalties", lambda: parts(severity_on, action_on)),
        ("gradient", lambda: slope(severity_on, action_on)),
    ):
        took = seconds(run)
        print(f"{name}: {COUNT / took / 1e6:.1f} million/s, {reference / took:.1f} × NumPy's sum")
    print("pairs  ns per repetition  ns per pair")
    for pairs in (16, 64, 256, 1024):
        count = COUNT * 16 // pairs
        e = jnp.asarray(rng.random((count, pairs), np.float32))
        w = jnp.asarray(rng.integers(2, 11, (20, pairs)).astype(np.float32))
        a = jnp.asarray(rng.integers(0, 20, count))
        run = jax.jit(lambda e, a, w: scoring.compositional_score(e, w[a]))
        each = 1e9 * seconds(lambda e=e, a=a, w=w, run=run: run(e, a, w)) / count
        print(f"{pairs:5d}  {each:17.1f}  {each / pairs:11.2f}")


if __name__ == "__main__":
    main()
