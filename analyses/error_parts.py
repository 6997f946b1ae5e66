"""Divides the error of a run into loudness, course in time, and noise of the EMG.

    python -m analyses.error_parts --run runs/seeds/0

Predictions are multiplied, in hindsight, by the factor that fits the measured EMG best: one per
person, per person and muscle, and so on, down to one per channel of each clip. The gain in skill is
the error of the loudness. The rest is the course in time and noise. The noise is measured on
simulated repetitions that are recorded twice: same movement, same electrodes, other noise. Half of
their squared difference cannot be predicted. `--row physics` divides the error of a baseline of the
run. `--write` writes results/error_parts.json and the table in docs/results.md, or those of
`--name`.
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float

from video2emg.core.emg import envelope
from video2emg.data.datasets.gymsim.gymsim_dataset_builder import Builder
from video2emg.eval import comparison, results, scores
from video2emg.eval.bootstrap import subject_weights
from video2emg.run.pages import ROOT, put
from video2emg.run.workdir import SCORES
from video2emg.sim import record, semg

# Groups that share a factor; the groups of each row divide those of the row before.
OF = {
    "person": ("subject",),
    "person and muscle": ("subject", "muscle"),
    "person, muscle and exercise": ("subject", "muscle", "action"),
    "clip and channel": ("clip_id", "channel"),
}
EMG_RATE = 50.0  # Hz, of the envelopes that were scored


def corrected(table: scores.Table, of: tuple[str, ...]) -> Float[np.ndarray, " S"]:
    """Σe² by subject after each group's predictions were multiplied by their best factor."""
    shape = table.moments.count.shape
    names = {
        "subject": table.subject[:, None],
        "action": table.action[:, None],
        "clip_id": table.clip_id[:, None],
        "muscle": table.muscles[None],
        "channel": np.array(table.channels)[None],
    }
    key = np.zeros(shape, int)
    for name in of:
        number = np.unique(names[name], return_inverse=True)[1].reshape(names[name].shape)
        key = key * (number.max() + 1) + number
    _, group = np.unique(key, return_inverse=True)
    m = table.moments
    yy = m.m2_target + m.count * m.mean_target**2
    pp = m.m2_prediction + m.count * m.mean_prediction**2
    yp = m.co + m.count * m.mean_target * m.mean_prediction
    yy, pp, yp = (np.bincount(group.ravel(), part.ravel()) for part in (yy, pp, yp))
    left = yy - yp**2 / np.maximum(pp, np.finfo(float).tiny)
    # Every group is one person's.
    number = np.unique(table.subject, return_inverse=True)[1]
    owner = np.zeros(len(left), int)
    owner[group.ravel()] = np.broadcast_to(number[:, None], shape).ravel()
    return np.bincount(owner, left)


def noise(table: scores.Table, version: str, trials: int) -> tuple[Float[np.ndarray, " S"], ...]:
    """Σe² of the noise and of the template, by subject, over some test clips."""
    studio = Builder.builder_configs[version].studio
    row = {int(clip.rsplit("_")[-1]): k for k, clip in enumerate(table.clip_id)}
    people = np.unique(table.subject)
    unavoidable, reference = np.zeros(len(people)), np.zeros(len(people))
    plan = Builder.plan(None, version)["test"]
    for index in np.random.default_rng(0).permutation(len(plan))[:trials]:
        trial = plan[index]
        tries = (record.attempt_trial(trial, i, studio.montage) for i in range(record.MAX_ATTEMPTS))
        done = next(found for found in tries if found.feasible)
        first, second = (
            record.surface_emg(done, trial.subject, studio, np.random.default_rng([trial.seed, n]))
            for n in range(2)
        )
        full = [semg.mvc_envelope(trial.subject, c, studio.emg_rate) for c in done.channels]
        apart = (envelope(first, studio.emg_rate) - envelope(second, studio.emg_rate)) / full
        k = row[trial.index]
        who = np.searchsorted(people, trial.subject.id)
        unavoidable[who] += (apart**2).sum() / 2 * EMG_RATE / studio.emg_rate
        reference[who] += np.nansum(table.template_sq_error[k])
    return unavoidable, reference


def skill(left: np.ndarray, reference: np.ndarray) -> dict:
    """Skill of all, and its 95 % interval over draws of subjects."""
    weights = subject_weights(len(left), 1000, seed=0)
    ends = np.percentile(1 - weights @ left / (weights @ reference), [2.5, 97.5])
    return {"skill": 1 - left.sum() / reference.sum(), "skill_ci95": ends.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a finished Video→EMG run")
    parser.add_argument("--row", default="model", help="the model, or one of its baselines")
    parser.add_argument("--name", default="error_parts", help="of the results and the table")
    parser.add_argument("--trials", type=int, default=300, help="recorded a second time")
    parser.add_argument("--write", action="store_true", help="into the published results")
    args = parser.parse_args()
    if args.write and args.row != "model" and args.name == parser.get_default("name"):
        parser.error(f"--row {args.row}: --name is that of the model's table; choose another")
    facts = results.read_results(args.run / "results.json")["provenance"]
    tables = comparison.load(args.run / SCORES)
    if args.row not in tables:
        parser.error(f"--row {args.row}: the run has {', '.join(tables)}")
    table = tables[args.row]
    number = np.unique(table.subject, return_inverse=True)[1]
    reference = np.bincount(number, np.nansum(table.template_sq_error, 1))
    rows = {"as predicted": skill(np.bincount(number, table.moments.sq_error.sum(1)), reference)}
    for name, of in OF.items():
        rows[f"right loudness of each {name}"] = skill(corrected(table, of), reference)
    family, _, version = facts["dataset"].partition("/")
    if family == "gymsim":
        rows["all but noise"] = skill(*noise(table, version, args.trials))
    found = {"provenance": facts, "row": args.row, "trials": args.trials, "rows": rows}
    lines = ["| | skill | 95 % |", "|---|---|---|"]
    for name, row in rows.items():
        low, high = row["skill_ci95"]
        lines.append(f"| {name} | {row['skill']:.3f} | {low:.3f} to {high:.3f} |")
    print("\n".join(lines))
    if args.write:
        put(ROOT / "docs/results.md", "\n".join(lines), args.name)
        results.write_results(ROOT / f"results/{args.name}.json", found)


if __name__ == "__main__":
    main()
