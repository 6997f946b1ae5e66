"""What live video costs: EMG said frame by frame of one camera, against that of whole clips.

    python -m benchmarks.live --workdir runs/live --write

trains (or resumes) models that see a whole repetition, that speak at once and that are late by some
frames, on the same people; shows each the test clips, whole, and the causal ones also as a camera
would: a person's repetitions of an exercise one after the other, each frame once. Everything is
simulated. `--write` puts results/live.json and the table of docs/predict.md in their places.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import tqdm

from video2emg.cli.publish import ROOT, put
from configs import v2emg
from video2emg.core import emg as emg_lib
from video2emg.core.config import Config
from video2emg.data.pipeline import Examples
from video2emg.data.store import open_dataset
from video2emg.eval import comparison, evaluate, results, scores
from video2emg.eval.baselines import predict_baselines
from video2emg.inference.run import Run, open_run
from video2emg.inference.stream import EMGStream
from video2emg.jobs import video2emg
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.train.step import predict_step

NAME = "live"
# How late each causal model is, s.
LATE = {"at once": 0.0, "0.2 s late": 0.2, "0.4 s late": 0.4}
WHOLE = "sees the whole repetition"


def models(preset: str) -> dict[str, Config]:
    """What is trained: the model that looks ahead, and the causal ones, alike in all else."""
    found = {}
    for name, late in {WHOLE: None, **LATE}.items():
        config = v2emg.get_config("causal" if late is not None else "")
        small = v2emg.get_config(preset)
        config.data, config.train = small.data, small.train
        if preset == "debug":
            config.model.update(small.model.copy_and_resolve_references())
        config.augment.hide.views = v2emg.get_config("causal").augment.hide.views
        if late is not None:
            config.model.update(causal=True, lookahead_s=late)
        found[name] = config
    return found


def sets(examples: Examples) -> list[list[int]]:
    """Places of the clips that a camera would see one after the other."""

    def key(index: int) -> tuple[str, str]:
        clip = examples.clip(index)
        return clip.subject, clip.action

    order = sorted(range(len(examples)), key=key)  # stable: repetitions stay in order
    return [list(group) for _, group in itertools.groupby(order, key)]


def said_live(run: Run, examples: Examples, view: str) -> list[np.ndarray]:
    """[N, C] per clip on its own clock, said while its frames came."""
    found: dict[int, np.ndarray] = {}
    bar = tqdm.tqdm(total=len(examples), desc="live", unit="clip")
    at = examples.window.views.index(view)
    samples = round(examples.window.emg_rate / examples.window.frame_rate)
    streams: dict[str, EMGStream] = {}
    with bar:
        for places in sets(examples):
            action = examples.clip(places[0]).action
            stream = streams.setdefault(action, EMGStream(run, action, view))
            spoken, ends, anew = [], [], True
            for index in places:
                cuts = [examples.read_window(index, start) for start in examples.tile_starts(index)]
                frames = [f for cut in cuts for f in cut["video"][at][cut["video_mask"][at]]]
                for frame in frames:
                    spoken.append(stream.push(frame, anew)[0])
                    anew = False
                ends.append(samples * len(frames))
                bar.update()
            whole = np.concatenate([*spoken, stream.owed()])
            for index, emg in zip(places, np.split(whole, np.cumsum(ends)[:-1]), strict=True):
                clip, (_, time) = examples.clip(index), examples.target(index)
                emg = emg[:, [stream.muscles.index(name) for name in clip.muscles]]
                clock = np.arange(len(emg)) / examples.window.emg_rate
                found[index] = emg_lib.resample(emg, clock, time)[0]
    return [found[index] for index in range(len(examples))]


def rows(name: str, config: Config, workdir: Path) -> dict[str, scores.Table]:
    """The scores of one trained model, made once."""
    kept = workdir / "shown.npz"
    if kept.exists():
        return comparison.load(kept)
    splits, _ = setup.load_splits(config, open_dataset(config.data.name, config.data.dir))
    test, run = splits["test"], open_run(workdir)
    series = evaluate.series_of(test)
    template = predict_baselines(evaluate.series_of(splits["train"]), series, ["template"])
    mesh = mesh_lib.make_mesh()
    predict = jax.jit(predict_step(run.model), out_shardings=mesh_lib.replicated(mesh))
    view, *others = config.data.views

    def whole(hidden: Sequence[str]) -> list[np.ndarray]:
        size = config.eval.batch_size
        return evaluate.predict(predict, run.params, test.drop_inputs(hidden), size, mesh)

    guesses = {"both cameras, whole clips": whole(()), f"{view}, whole clips": whole(others)}
    if config.model.causal:
        guesses[f"{view}, live"] = said_live(run, test, view)
    found = {
        f"{name}: {row}": scores.tabulate(series, guess, template["template"])
        for row, guess in guesses.items()
    }
    comparison.save(kept, found)
    return found


def table(found: results.Results) -> str:
    """For readers, in the order of the rows."""
    lines = ["| model: is shown | skill | 95 % | PCC | RMSE |", "|---|---|---|---|---|"]
    for name, row in found["test"]["rows"].items():
        low, high = row["skill_ci95"]
        lines.append(f"| {name} | {row['skill']:.3f} | {low:.3f} to {high:.3f} | {row['pcc']:.3f} "
                     f"| {row['rmse']:.4f} |")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--preset", default="six", help="of configs/v2emg.py: data and training")
    parser.add_argument("--write", action="store_true", help="put the results into the repository")
    given = parser.parse_args()
    systems, facts = {}, {}
    differs = ("config_hash", "parameters")  # from model to model
    for number, (name, config) in enumerate(models(given.preset).items()):
        log(f"{name}: {given.workdir / str(number)}")
        facts = video2emg.run(config, given.workdir / str(number))["provenance"]
        systems |= {
            row: [scored] for row, scored in rows(name, config, given.workdir / str(number)).items()
        }
    test = comparison.compare(systems, f"{WHOLE}: both cameras, whole clips")
    common = {name: fact for name, fact in facts.items() if name not in differs}
    found = {"provenance": common, "test": test}
    results.write_results(given.workdir / "results.json", found)
    text = table(found)
    print(text)
    if given.write:
        results.write_results(ROOT / f"results/{NAME}.json", found)
        put(ROOT / "docs/predict.md", text, NAME)


if __name__ == "__main__":
    main()
