"""How large the effects of every error are, and how it moves the body; simulated people.

    python -m analyses.error_effects --write            # the files beside the graph `gymsim`
    python -m analyses.error_effects --seed 1           # compares them with another draw of people
    python -m analyses.error_effects --validate --seed 2 --people 2    # corrections of other people

`--write` writes `gymsim_effects.csv` (docs/fkg.md) and `gymsim_signatures.npz` (the rotation of
each segment that an error makes, for `inference.counterfactual`). Another seed draws other people;
it writes nothing. `--validate` lets other people make the errors, takes each error away by its
signature, and compares the change of the peak moments with that of the same people without error.
"""

import argparse
import dataclasses
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from video2emg.core import joint_moments
from video2emg.core.files import write_text
from video2emg.core.pose_track import UPRIGHT, PoseTrack
from video2emg.core.vocabulary import FLEX_21
from video2emg.eval.bootstrap import subject_weights
from video2emg.fkg import effects as tables
from video2emg.fkg import signatures as signature_files
from video2emg.fkg.effects import Edge, Effect
from video2emg.fkg.signatures import Signature
from video2emg.inference import counterfactual
from video2emg.inference.mechanics import Settings
from video2emg.sim import effect_sizes
from video2emg.sim import subject as subjects
from video2emg.sim.effect_sizes import LOADS, Pair, Quantity
from video2emg.sim.exercises import EXERCISES, GRAPH
from video2emg.sim.record import Performance, perform, phases

FOLDER = Path(tables.__file__).parent / "graphs"
TABLE = FOLDER / "gymsim_effects.csv"
PEOPLE_SEED = 501  # of no dataset
LEAST_RELATIVE = 0.10
FEWEST_PEOPLE = 5
Task = tuple[str, int, float, int]  # action, person, share of the loads, seed
G = 9.81  # m/s²
T = TypeVar("T")


def measure(task: Task) -> list[Pair]:
    action, person, share, seed = task
    subject = subjects.sample(person, PEOPLE_SEED + seed)
    return list(effect_sizes.pairs(EXERCISES[action], subject, share, person))


def measured(
    measure: Callable[[Task], list[T]], tasks: list[Task], processes: int
) -> Iterator[tuple[Task, list[T]]]:
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
        for share in LOADS
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
    sizes = {}
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
        sizes[quantity] = Effect(
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
    return sizes


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
    sizes_of_edge = {}
    for edge in edges:
        people = draw.pairs.get(edge, {})
        if len(people) >= FEWEST_PEOPLE:
            sizes_of_edge[edge] = effects(people, seed)
        elif edge in draw.all:
            print(f"{' '.join(edge)}: only {len(people)} people can do it; left out")
    return sizes_of_edge


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


@dataclasses.dataclass(frozen=True)
class Trial:
    """A repetition with one error, and the true peak moments with and without it, N·m."""

    edge: Edge
    track: PoseTrack
    phases: tuple[tuple[str, float, float], ...]
    settings: Settings
    truth: tuple[dict[str, float], dict[str, float]]


def trials(task: Task) -> list[Trial]:
    """All errors of one person at one load that the person can lift."""
    action, person, share, seed = task
    exercise, node = EXERCISES[action], GRAPH.action(action)
    subject = subjects.sample(person, PEOPLE_SEED + seed)
    low, high, step = exercise.loads
    load = low + step * round((high - low) * share / step)

    def do(errors: dict[str, float]) -> Performance:
        return perform(subject, exercise, load, [errors], person, standard_tempo=True)

    def truth(done: Performance) -> dict[str, float]:
        return joint_moments.peaks(done.motion.named_torque[done.during(0)])

    correct, cases = do({}), []
    for key_step, edge in node.pairs:
        wrong = do({edge.error: effect_sizes.SEVERITY})
        if not (correct.feasible and wrong.feasible):
            continue
        joints = wrong.motion.joints
        seen = np.ones(joints.shape[:2])
        name = f"{action} with {edge.error}"
        cases.append(
            Trial(
                (action, key_step.id, edge.error),
                PoseTrack(FLEX_21, wrong.time, joints, seen, source=name, axes=UPRIGHT),
                phases(node, wrong.tempo.cycles[0]),
                Settings(load, wrong.equipment, subject.height, subject.mass),
                (truth(wrong), truth(correct)),
            )
        )
    return cases


def validate(cases: list[Trial]) -> None:
    """Prints how well corrections meet the truth, over errors, people and joints."""
    predicted, true, best = [], [], []
    for trial in cases:
        action, step, error = trial.edge
        severities = {(step, error): effect_sizes.SEVERITY}
        [correction] = counterfactual.corrections(
            trial.track, trial.phases, severities, GRAPH, action, trial.settings
        )
        changes = {j: trial.truth[1][j] - trial.truth[0][j] for j in joint_moments.JOINTS}
        predicted += [correction.change(j) for j in changes]
        true += changes.values()
        largest = max(changes, key=lambda j: abs(changes[j]))
        best.append((correction.change(largest), changes[largest]))
    for name, (mine, truth) in {
        "all joints": np.array([predicted, true]),
        "the joint that changes most": np.array(best).T,
    }.items():
        print(
            f"{name}: {len(truth)} changes, r {np.corrcoef(mine, truth)[0, 1]:.2f}, median error "
            f"{np.median(np.abs(mine - truth)):.1f} N·m (of changes of "
            f"{np.median(np.abs(truth)):.1f} N·m), same sign {np.mean(mine * truth > 0):.0%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the people")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="the files beside the graph")
    parser.add_argument("--validate", action="store_true", help="the corrections")
    args = parser.parse_args()
    tasks = plan(args.people, args.seed, GRAPH.actions)
    if args.validate:
        done = measured(trials, [t for t in tasks if t[2] == LOADS[0]], args.processes)
        validate([trial for _, some in done for trial in some])
        return
    draw = Draw()
    for task, pairs in measured(measure, tasks, args.processes):
        draw.add(task, pairs)
    sizes = table(draw, args.seed)
    kept = {edge: tuple(filter(is_stored, some.values())) for edge, some in sizes.items()}
    style = [" ".join(edge) for edge, some in kept.items() if not some]
    print(f"{sum(map(len, kept.values()))} effects of {len(kept)} errors; without any: {style}")
    if args.write and args.seed == 0:
        write_text(TABLE, tables.to_csv(kept))
        signature_files.write(signature_files.SHIPPED, signatures(draw))
    elif TABLE.exists():
        agreement({edge: some for edge, (_, some) in tables.read(TABLE).items()}, sizes)


if __name__ == "__main__":
    main()
