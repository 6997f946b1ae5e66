"""Accuracy of EMG predicted frame by frame from one camera, compared with that of whole clips.

    python -m benchmarks.live --workdir runs/live --write

Trains (or resumes) a non-causal model, and causal models with several lookaheads, on the same
subjects. Each is evaluated on whole test clips. The causal models are also evaluated on a stream:
all repetitions of an exercise by one subject follow one another, and each frame is shown once. All
data are simulated. `--write` updates results/live.json and the table in docs/predict.md.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import tqdm

from configs import v2emg
from video2emg.core import emg as emg_lib
from video2emg.core.config import Config
from video2emg.data.examples import Examples
from video2emg.data.store import open_dataset
from video2emg.eval import comparison, evaluate, results, scores
from video2emg.eval.baselines import predict_baselines
from video2emg.inference.run import Run, open_run
from video2emg.inference.video_stream import VideoStream
from video2emg.jobs import video2emg
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.pages import ROOT, put
from video2emg.train.step import predict_step

NAME = "live"
NON_CAUSAL = "non-causal"
# Lookahead of each causal model, s.
LOOKAHEAD_S = {"no lookahead": 0.0, "lookahead 0.2 s": 0.2, "lookahead 0.4 s": 0.4}


def models(preset: str) -> dict[str, Config]:
    """Configurations of the models; they differ in nothing but what they see of the future."""
    configs = {}
    for name, lookahead in {NON_CAUSAL: None, **LOOKAHEAD_S}.items():
        config = v2emg.get_config("causal" if lookahead is not None else "")
        small = v2emg.get_config(preset)
        config.data, config.train = small.data, small.train
        if preset == "debug":
            config.model.update(small.model.copy_and_resolve_references())
        config.augment.hide.views = v2emg.get_config("causal").augment.hide.views
        if lookahead is not None:
            config.model.update(causal=True, lookahead_s=lookahead)
        configs[name] = config
    return configs


def sets(examples: Examples) -> list[list[int]]:
    """Indices of the clips of each set: one subject and one action."""

    def key(index: int) -> tuple[str, str]:
        clip = examples.clip(index)
        return clip.subject, clip.action

    order = sorted(range(len(examples)), key=key)  # stable: repetitions stay in order
    return [list(group) for _, group in itertools.groupby(order, key)]


def predict_live(run: Run, examples: Examples, view: str) -> list[np.ndarray]:
    """[N, C] streamed EMG of each clip, at the clip's own times."""
    predictions: dict[int, np.ndarray] = {}
    bar = tqdm.tqdm(total=len(examples), desc="live", unit="clip")
    view_index = examples.window.views.index(view)
    samples = round(examples.window.emg_rate / examples.window.frame_rate)
    streams: dict[str, VideoStream] = {}
    with bar:
        for clips in sets(examples):
            action = examples.clip(clips[0]).action
            stream = streams.setdefault(action, VideoStream(run, action, view))
            parts, ends, reset = [], [], True
            for index in clips:
                last = examples.end(index) - 1 / examples.window.frame_rate
                starts = np.arange(0, last, examples.window.seconds)
                windows = [examples.read_window(index, float(start)) for start in starts]
                frames = [
                    frame
                    for window in windows
                    for frame in window["video"][view_index][window["video_mask"][view_index]]
                ]
                for frame in frames:
                    parts.append(stream.push(frame, reset)[0])
                    reset = False
                ends.append(samples * len(frames))
                bar.update()
            whole = np.concatenate([*parts, stream.flush()])
            for index, emg in zip(clips, np.split(whole, np.cumsum(ends)[:-1]), strict=True):
                clip, (_, time) = examples.clip(index), examples.target(index)
                emg = emg[:, [stream.muscles.index(name) for name in clip.muscles]]
                clock = np.arange(len(emg)) / examples.window.emg_rate
                predictions[index] = emg_lib.resample(emg, clock, time)[0]
    return [predictions[index] for index in range(len(examples))]


def evaluate_model(name: str, config: Config, workdir: Path) -> dict[str, scores.Table]:
    """Scores of one trained model by row of the table; kept in the workdir."""
    path = workdir / "live_scores.npz"
    if path.exists():
        return comparison.load(path)
    splits, _ = setup.load_splits(config, open_dataset(config.data.name, config.data.dir))
    test, run = splits["test"], open_run(workdir)
    series = evaluate.series_of(test)
    template = predict_baselines(evaluate.series_of(splits["train"]), series, ["template"])
    mesh = mesh_lib.make_mesh()
    predict = jax.jit(predict_step(run.model), out_shardings=mesh_lib.replicated(mesh))
    view, *others = config.data.views

    def whole_clips(hidden: Sequence[str]) -> list[np.ndarray]:
        size = config.eval.batch_size
        return evaluate.predict(predict, run.params, test.drop_inputs(hidden), size, mesh)

    predictions = {
        "both cameras, whole clips": whole_clips(()),
        f"{view}, whole clips": whole_clips(others),
    }
    if config.model.causal:
        predictions[f"{view}, live"] = predict_live(run, test, view)
    tables = {
        f"{name}: {row}": scores.tabulate(series, emg, template["template"])
        for row, emg in predictions.items()
    }
    comparison.save(path, tables)
    return tables


def table(comparison_results: results.Results) -> str:
    """The results as a Markdown table."""
    lines = ["| model: input | skill | 95 % | PCC | RMSE |", "|---|---|---|---|---|"]
    for name, row in comparison_results["test"]["rows"].items():
        low, high = row["skill_ci95"]
        lines.append(
            f"| {name} | {row['skill']:.3f} | {low:.3f} to {high:.3f} | {row['pcc']:.3f} "
            f"| {row['rmse']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--preset", default="six", help="of configs/v2emg.py: data and training")
    parser.add_argument("--write", action="store_true", help="put the results into the repository")
    args = parser.parse_args()
    systems, facts = {}, {}
    differs = ("config_hash", "parameters")  # between the models
    for number, (name, config) in enumerate(models(args.preset).items()):
        workdir = args.workdir / str(number)
        log(f"{name}: {workdir}")
        facts = video2emg.run(config, workdir)["provenance"]
        systems |= {row: [score] for row, score in evaluate_model(name, config, workdir).items()}
    test = comparison.compare(systems, f"{NON_CAUSAL}: both cameras, whole clips")
    common = {name: fact for name, fact in facts.items() if name not in differs}
    combined = {"provenance": common, "test": test}
    results.write_results(args.workdir / "results.json", combined)
    text = table(combined)
    print(text)
    if args.write:
        results.write_results(ROOT / f"results/{NAME}.json", combined)
        put(ROOT / "docs/predict.md", text, NAME)


if __name__ == "__main__":
    main()
