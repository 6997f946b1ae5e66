"""How large the effects of every error are, and how it moves the body; simulated people.

    python -m analyses.error_effects --write            # the files beside the graph `gymsim`
    python -m analyses.error_effects --seed 1           # compares them with another draw of people

`--write` writes `gymsim_effects.csv` (docs/fkg.md) and `gymsim_signatures.npz` (the rotation of
each segment that an error makes, for `inference.counterfactual`). Another seed draws other people;
it writes nothing.
"""

import argparse
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from video2emg.core.files import write_text
from video2emg.eval.bootstrap import subject_weights
from video2emg.fkg import effects as tables
from video2emg.fkg import signatures as signature_files
from video2emg.fkg.effects import Edge, Effect
from video2emg.fkg.signatures import Signature
from video2emg.sim import effect_sizes
from video2emg.sim import subject as subjects
from video2emg.sim.effect_sizes import Pair, Quantity
from video2emg.sim.exercises import EXERCISES, GRAPH

FOLDER = Path(tables.__file__).parent / "graphs"
TABLE = FOLDER / "gymsim_effects.csv"
PEOPLE_SEED = 501  # of no dataset
LEAST_RELATIVE = 0.05
FEWEST_PEOPLE = 5
Task = tuple[str, int, float, int]  # action, person, share of the loads, seed
G = 9.81  # m/s²


def measure(task: Task) -> list[Pair]:
    action, person, share, seed = task
    subject = subjects.sample(person, PEOPLE_SEED + seed)
    return list(effect_sizes.pairs(EXERCISES[action], subject, share, person))


def measured(tasks: list[Task], processes: int) -> Iterator[tuple[Task, list[Pair]]]:
    """All tasks in their order, with progress."""
    start = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for n, (task, pairs) in enumerate(zip(tasks, pool.imap(measure, tasks), strict=True), 1):
            yield task, pairs
            if n % 20 == 0 or n == len(tasks):
                left = (time.monotonic() - start) * (len(tasks) - n) / n
                print(f"{n} of {len(tasks)} sets of pairs, {left:.0f} s left", flush=True)


def plan(people: int, seed: int, actions: Iterable[str]) -> list[Task]:
    return [
        (action, person, share, seed)
        for action in actions
        for person in range(people)
        for share in effect_sizes.LOADS
    ]


class Draw:
    """Everything measured on one draw of people."""

    def __init__(self) -> None:
        # By edge and person, the pairs of the loads that the person can lift.
        self.pairs: dict[Edge, dict[int, list[Pair]]] = defaultdict(lambda: defaultdict(list))
        self.all: dict[Edge, list[Pair]] = defaultdict(list)

    def add(self, task: Task, pairs: list[Pair]) -> None:
        for pair in pairs:
            edge = task[0], pair.step, pair.error
            self.all[edge].append(pair)
            if pair.without:
                self.pairs[edge][task[1]].append(pair)


def effects(by_person: dict[int, list[Pair]], seed: int) -> dict[Quantity, Effect]:
    """All effects of an edge, also the small ones."""
    weights = subject_weights(len(by_person), 2000, 0) / len(by_person)
    bodies = [subjects.sample(person, PEOPLE_SEED + seed) for person in by_person]
    weight = np.array([body.mass * G for body in bodies])
    height = np.array([body.height for body in bodies])
    scale = {"moment": weight * height, "compression": weight}
    found = {}
    for quantity in next(iter(by_person.values()))[0].without:
        without, within = (
            np.array([np.mean([getattr(p, name)[quantity] for p in x]) for x in by_person.values()])
            for name in ("without", "within")
        )
        change, kind = within - without, quantity[0]
        normalised = 100 * change / scale[kind] if kind in scale else change
        low, high = _interval(weights @ change)
        usual = 100 * without / scale[kind] if kind in scale else without
        shares = (None, None, None)
        if usual.mean() > 2 * tables.FLOORS[kind]:  # else a share of hardly anything
            shares = (
                float(change.sum() / without.sum()),
                *_interval((weights @ change) / (weights @ without)),
            )
        found[quantity] = Effect(
            *quantity,
            float(without.mean()),
            float(change.mean()),
            low,
            high,
            float(normalised.mean()),
            *shares,
            severity=effect_sizes.SEVERITY,
            people=len(by_person),
        )
    return found


def _interval(draws: Float[np.ndarray, " R"]) -> tuple[float, float]:
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def is_stored(effect: Effect) -> bool:
    """Whether zero is outside the interval and the change is above the floors."""
    certain = effect.low * effect.high > 0
    large = effect.size >= 1 and (effect.relative is None or abs(effect.relative) >= LEAST_RELATIVE)
    return certain and large


def table(draw: Draw, seed: int) -> dict[Edge, dict[Quantity, Effect]]:
    """The effects of every edge, in the order of the graph."""
    edges = [(a.id, s.id, e.error) for a in GRAPH.actions.values() for s, e in a.pairs]
    found = {}
    for edge in edges:
        people = draw.pairs.get(edge, {})
        if len(people) >= FEWEST_PEOPLE:
            found[edge] = effects(people, seed)
        elif edge in draw.all:
            print(f"{' '.join(edge)}: only {len(people)} people can do it; left out")
    return found


def agreement(
    stored: dict[Edge, tuple[Effect, ...]], other: dict[Edge, dict[Quantity, Effect]]
) -> None:
    """Prints which share of the stored means lies in the intervals of other people, and back."""
    there, back = [], []
    for edge, some in stored.items():
        for effect in some:
            quantity = effect.kind, effect.part, effect.statistic
            if (twin := other.get(edge, {}).get(quantity)) is not None:
                there.append(twin.low <= effect.change <= twin.high)
                back.append(effect.low <= twin.change <= effect.high)
    kept = [is_stored(e) for edge in stored for e in other.get(edge, {}).values()]
    print(
        f"{np.mean(there):.0%} of {len(there)} stored means lie in the intervals of the other "
        f"people, {np.mean(back):.0%} of their means in the stored intervals; of them "
        f"{sum(kept)} effects would be stored"
    )


def signatures(draw: Draw) -> dict[tuple[str, str], Signature]:
    """Means of the rotations and of the durations, by action and error."""
    return {
        (action, error): Signature(
            np.mean([pair.rotation for pair in pairs], 0),
            tuple(np.mean([pair.duration for pair in pairs], 0)),
            effect_sizes.SEVERITY,
        )
        for (action, _, error), pairs in draw.all.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the people")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="the files beside the graph")
    args = parser.parse_args()
    draw = Draw()
    for task, pairs in measured(plan(args.people, args.seed, GRAPH.actions), args.processes):
        draw.add(task, pairs)
    found = table(draw, args.seed)
    kept = {edge: tuple(filter(is_stored, some.values())) for edge, some in found.items()}
    style = [" ".join(edge) for edge, some in kept.items() if not some]
    print(f"{sum(map(len, kept.values()))} effects of {len(kept)} errors; without any: {style}")
    if args.write and args.seed == 0:
        write_text(TABLE, tables.to_csv(kept))
        signature_files.write(signature_files.SHIPPED, signatures(draw))
    elif TABLE.exists():
        agreement({edge: some for edge, (_, some) in tables.read(TABLE).items()}, found)


if __name__ == "__main__":
    main()
