"""The model card of an exported run."""

import jax
import numpy as np

from video2emg.eval import results
from video2emg.export import onnx
from video2emg.inference.run import RESULTS, Run
from video2emg.viz.theme import unit

# Names of metrics in the card.
_EMG_METRICS = {
    "skill": "skill over the action template",
    "pcc": "Pearson's r",
    "rmse": "RMSE",
    "amplitude_r": "amplitude r",
}
_AQA_METRICS = {
    "srcc": "SRCC of the score",
    "mae": "mean absolute error of the score, points",
    "map": "mean average precision of errors",
    "ece": "calibration error",
}

_TEMPLATE = """\
# Video → EMG, trained on {dataset}

{intro}

## Intended use

Research on muscle activity in video, and feedback for healthy people in the exercises
{actions}. Muscles: {muscles}. **Not a medical device**: not for diagnosis, treatment or
rehabilitation decisions, nor for judging anybody's fitness for work.

## Data

`{dataset}`, split by subject into training, validation and test. EMG is divided by the
normalisation `{normalisation}`.

## Results

{results}

## Limits

{limits}

## Files

{files}
"""


def model_card(run: Run, difference: float, has_onnx: bool = False) -> str:
    """The model card in Markdown: use, data, results, limits and files.

    Args:
      run: the opened run.
      difference: largest difference between the EMG of the exported program and of the model.
      has_onnx: whether model.onnx is among the files.

    Raises:
      UserError: results.json of the run is missing or damaged.
    """
    run_results = results.read_results(run.workdir / RESULTS)
    about, data = run.ood_detector.about, run.config.data
    simulated = run_results["provenance"]["simulated"]
    parameters = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(run.params))
    muscles = sorted({m.split("_", 1)[1] for names in about["muscles"].values() for m in names})
    intro = [
        f"Predicts surface EMG envelopes ({unit(about['normalisation'])}, {data.emg_rate:g} Hz) "
        f"from video at {data.frame_rate:g} frames per second, {data.size} px, views "
        f"{', '.join(data.views)}. {parameters:,} parameters; encoder "
        f"`{run.config.model.encoder.name}`."
    ]
    limits = [
        f"Made for frames like the training clips: {about['validation_inside']:.0%} of the "
        "validation clips are in domain by `ood_detector.npz` (each view's threshold at the "
        f"{about['quantile']:.0%} quantile); the exported program does not check this.",
        "One repetition per window, from its beginning; all views from the same instant.",
        "The amplitude of EMG depends on electrodes and skin, which no camera sees.",
    ]
    if simulated:
        intro.append("**Trained on simulated people and simulated EMG.**")
        limits.append("No real person was seen in training: expect nothing on real videos.")
    files = [
        "`weights.safetensors`: parameters by path. `model.stablehlo`: portable StableHLO "
        "bytecode, a function of (weights, inputs), any batch and any number of muscles. "
        "`model.jax_export`: the same for `jax.export.deserialize`. `signature.json`: its inputs "
        f"and outputs. The program's EMG differs from the model's by at most {difference:.1e}."
    ]
    if has_onnx:
        files.append(
            "`model.onnx`: EMG only, with weights; differs by less than "
            f"{onnx.TOLERANCE:g} in ONNX Runtime."
        )
    return _TEMPLATE.format(
        dataset=about["dataset"],
        normalisation=about["normalisation"],
        intro=" ".join(intro),
        actions=", ".join(about["muscles"]),
        muscles=", ".join(muscles),
        results=_results_table(run_results, _EMG_METRICS if run.aqa_head is None else _AQA_METRICS),
        limits="\n".join(f"- {limit}" for limit in limits),
        files=" ".join(files),
    )


_PACKED_TEMPLATE = """\
# Pose → EMG, trained on {dataset}

{intro}

`video2emg predict` uses this folder by `--run`. SHA-256 of the parameters: `{fingerprint}`.

## Trained by

    {command}

Seed {seed}; configuration `{config_hash}` (config.json); `{dataset}` {version}; the step that was
best on validation subjects.

## Results

{results}

## Limits

{limits}
"""


def packed_card(run: Run, fingerprint: str, command: str) -> str:
    """The model card of a packed run, in Markdown.

    Args:
      run: the opened run.
      fingerprint: of its parameters.
      command: that trained it.
    """
    run_results = results.read_results(run.workdir / RESULTS)
    provenance, data = run_results["provenance"], run.config.data
    parameters = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(run.params))
    seen = f"views {', '.join(data.views)}" if data.views else "3-D joint positions of any skeleton"
    intro = (
        f"Predicts surface EMG envelopes ({unit(data.normalisation)}, {data.emg_rate:g} Hz) from "
        f"{seen} at {data.frame_rate:g} Hz. {parameters:,} parameters."
    )
    limits = ["The amplitude of EMG depends on electrodes and skin, which no camera sees."]
    if run.config.eval.get("pose_noise", False):
        intro += " The poses of the results below have the errors of a pose estimator."
    if provenance["simulated"]:
        intro += " **Trained on simulated people and simulated EMG.**"
        limits.append(
            "No real person was seen in training. What it is worth on real people is measured by "
            "`video2emg transfer`."
        )
    limits.append("Not a medical device: not for diagnosis, treatment or fitness for work.")
    return _PACKED_TEMPLATE.format(
        dataset=provenance["dataset"],
        intro=intro,
        fingerprint=fingerprint,
        command=command,
        seed=provenance["seed"],
        config_hash=provenance["config_hash"],
        version=provenance["dataset_version"],
        results=_results_table(run_results, _EMG_METRICS),
        limits="\n".join(f"- {limit}" for limit in limits),
    )


_PACKED_HEAD_TEMPLATE = """\
# Action quality from poses, trained on {dataset}

{intro}

`video2emg predict` uses this folder by `--run`, with the Video→EMG run in `video2emg/`
([card](video2emg/README.md)). SHA-256 of the parameters of the head: `{fingerprint}`.

## Trained by

    {command}

Seed {seed}; configuration `{config_hash}` (config.json); `{dataset}` {version}; the step that was
best on validation subjects.

## Results

{results}

## Limits

- The score is that of the knowledge graph `{graph}`: a sum of penalties that this project wrote, no
  judgement of a coach.
- Not a medical device: not for diagnosis, treatment or fitness for work.
"""


def packed_head_card(run: Run, fingerprint: str, command: str) -> str:
    """The model card of the head of a packed AQA run, in Markdown.

    Args:
      run: the opened run.
      fingerprint: of the parameters of the head.
      command: that trained it.
    """
    assert run.aqa_head is not None
    run_results = results.read_results(run.workdir / RESULTS)
    provenance = run_results["provenance"]
    parameters = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(run.aqa_head.params))
    exercises = len(run.aqa_head.rubric.actions)
    intro = (
        f"Predicts the errors, key steps and score of a repetition of {exercises} exercises from "
        f"its pose and from predicted EMG. {parameters:,} parameters."
    )
    if provenance["simulated"]:
        intro += " **Trained on simulated people.** No real person was seen in training."
    return _PACKED_HEAD_TEMPLATE.format(
        dataset=provenance["dataset"],
        intro=intro,
        fingerprint=fingerprint,
        command=command,
        seed=provenance["seed"],
        config_hash=provenance["config_hash"],
        version=provenance["dataset_version"],
        graph=provenance["graph"],
        results=_results_table(run_results, _AQA_METRICS),
    )


def _results_table(run_results: results.Results, metrics: dict[str, str]) -> str:
    """Metrics of the model on the test subjects, with their intervals."""
    scores = run_results["test"]["model"]
    rows = ["| on test subjects | value | 95 % interval (subject bootstrap) |", "|---|---|---|"]
    for name, label in metrics.items():
        if scores.get(name) is not None:
            ends = scores[f"{name}_ci95"]
            # A bootstrap over a single subject has no interval.
            interval = "unknown" if None in ends else " to ".join(f"{end:.3f}" for end in ends)
            rows.append(f"| {label} | {scores[name]:.3f} | {interval} |")
    packages = run_results["provenance"]["packages"]
    packages = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    return "\n".join([*rows, "", f"{scores.get('clips')} clips; {packages}."])
