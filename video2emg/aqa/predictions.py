"""Judgements of a set of repetitions, by annotators or by a model, and their scores.

Letters: K repetitions, E pairs and P key steps of an action (padded), R bootstrap draws.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from video2emg.aqa import metrics
from video2emg.aqa.head import AQAOutputs
from video2emg.core.errors import UserError
from video2emg.fkg.rubric import Rubric
from video2emg.parallel import mesh as mesh_lib

# name -> what it is; the order of tables. Each is defined in `quality`.
METRICS = {
    "srcc": "Spearman's r of the score within each action, Fisher-z mean over actions",
    "skill": "1 - SSE / SSE(mean score of the action in training)",
    "relative_l2": "R-ℓ2 × 100, mean over actions; range of the action's training scores",
    "mae": "mean absolute error of the score, points of 100",
    "map": "mean over (key step, error) pairs made in the set of the average precision",
    "f1": "F1 over all pairs, one threshold chosen on validation",
    "ece": "expected calibration error over all pairs, 10 bins",
    "boundary_ms": "mean |error| of the beginnings of key steps but the first, ms",
    "action_accuracy": "share of actions recognised; 1 for baselines, which are told",
}

OF_SCORE = ("srcc", "skill", "relative_l2", "mae")  # those of a judge that gives a score only

# What is read of a head's outputs.
_READ = ("error_logits", "severity", "score", "phase_logits", "action", "action_logits")


@dataclasses.dataclass(frozen=True)
class AQAPredictions:
    """What is said of K repetitions. Rows of pairs and key steps are those of the *true* action.

    Attributes:
      probability: [K, E] that an error is made; exactly 0 or 1 if annotated.
      expected_severity: [K, E] expected severity, probability included; 0 where not made.
      score: [K] 0-100.
      boundary: [K, P] s, beginning of each key step, NaN where there is none.
      action: [K] place in the rubric.
    """

    probability: Float[np.ndarray, "K E"]
    expected_severity: Float[np.ndarray, "K E"]
    score: Float[np.ndarray, " K"]
    boundary: Float[np.ndarray, "K P"]
    action: Int[np.ndarray, " K"]

    def __post_init__(self) -> None:
        for name in ("probability", "expected_severity", "score"):
            if not np.isfinite(getattr(self, name)).all():
                raise UserError(f"a judgement's {name} is not finite (NaN or infinite)")


@dataclasses.dataclass(frozen=True)
class AQALabels:
    """What annotators say of K repetitions, and whose they are.

    Attributes:
      label: their judgement.
      known: [K, E] pairs of the action.
      subject: [K] text.
      clip_id: [K] text.
      rubric: of the graph.
      spans, means: lowest and highest, and mean score of each action in training.
    """

    label: AQAPredictions
    known: Bool[np.ndarray, "K E"]
    subject: np.ndarray
    clip_id: np.ndarray
    rubric: Rubric
    spans: Sequence[tuple[float, float]]
    means: Float[np.ndarray, " A"]


def judge(
    predict_fn: Callable[[Any, dict[str, jax.Array]], AQAOutputs],
    params: Any,
    batches: Iterator[dict[str, np.ndarray]],
    rubric: Rubric,
    rate: float,
    mesh: jax.sharding.Mesh,
) -> AQAPredictions:
    """Runs a head over batches that end in padding (`_mask`).

    Args:
      predict_fn: jitted `train.step.predict_step`.
      params: of the model.
      batches: with the true `action`; `start` of the window on the clip clock is taken to be 0.
      rubric: of the graph.
      rate: instants of the phase logits per second, Hz.
      mesh: the devices.
    """
    parts: dict[str, list[np.ndarray]] = {
        name: [] for name in (f.name for f in dataclasses.fields(AQAPredictions))
    }
    for host in batches:
        outputs = predict_fn(params, mesh_lib.put_batch(mesh, host))
        with jax.transfer_guard("allow"):
            got = jax.device_get({name: getattr(outputs, name) for name in _READ})
        rows = np.flatnonzero(host["_mask"])
        got = {name: np.asarray(value)[rows] for name, value in got.items()}
        probability = 1 / (1 + np.exp(-got["error_logits"].astype(np.float64)))
        extent = probability * got["severity"]
        asked, true = got["action"], host["action"][rows]
        parts["probability"].append(_rename(rubric, probability, asked, true))
        parts["expected_severity"].append(_rename(rubric, extent, asked, true))
        parts["score"].append(got["score"].astype(np.float64))
        phases = zip(got["phase_logits"], asked, strict=True)
        parts["boundary"].append(np.stack([_boundaries(rubric, *of, rate) for of in phases]))
        parts["action"].append(got["action_logits"].argmax(-1))
    return AQAPredictions(**{name: np.concatenate(value) for name, value in parts.items()})


def average(votes: Sequence[AQAPredictions]) -> AQAPredictions:
    """The mean of several judgements of the same repetitions; boundaries of the first."""
    means = {
        name: np.mean([getattr(vote, name) for vote in votes], axis=0)
        for name in ("probability", "expected_severity", "score")
    }
    return dataclasses.replace(votes[0], **means)


def _rename(rubric: Rubric, value: np.ndarray, asked: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Moves answers about the pairs of another action to the same pairs of the true one, or to 0.

    Errors of an action that was not recognised were not asked about, and so not found.
    """
    moved = np.where((asked == true)[:, None], value, 0.0)
    for row in np.flatnonzero(asked != true):
        pairs = rubric.pairs[true[row]]
        for slot, pair in enumerate(rubric.pairs[asked[row]]):
            if pair in pairs:
                moved[row, pairs.index(pair)] = value[row, slot]
    return moved


def _boundaries(rubric: Rubric, logits: np.ndarray, action: np.integer, rate: float) -> np.ndarray:
    """[P] s at which each key step of one repetition begins."""
    count = len(rubric.steps[action])
    own = logits[:, :count].astype(np.float64)
    own = own - np.logaddexp.reduce(own, axis=1, keepdims=True)
    found = np.full(logits.shape[1], np.nan)
    found[:count] = metrics.segment(own) / rate
    return found


def score(
    truth: AQALabels, said: AQAPredictions, threshold: float, weight: np.ndarray | None = None
) -> dict[str, Any]:
    """All of `METRICS`; floats, or [R] with a weight [R, K]."""
    label, actions = truth.label, truth.label.action

    def part(rows: np.ndarray) -> dict[str, Any]:
        return {} if weight is None else {"weight": weight[:, rows]}

    present = [a for a in range(len(truth.rubric.actions)) if (actions == a).any()]
    rho, l2 = [], []
    for action in present:
        rows = np.flatnonzero(actions == action)
        p, t = said.score[rows], label.score[rows]
        rho.append(metrics.srcc(p, t, **part(rows)))
        l2.append(metrics.relative_l2(p, t, truth.spans[action], **part(rows)))
    everyone = np.arange(len(actions))
    square = metrics.relative_l2(said.score, label.score, (0.0, 100.0), **part(everyone))
    prior = metrics.relative_l2(truth.means[actions], label.score, (0.0, 100.0), **part(everyone))
    pairs = pair_scores(truth, said, weight)
    clip, _ = np.nonzero(truth.known)
    flat, made = said.probability[truth.known], label.probability[truth.known] > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        skill = 1 - np.divide(square, prior)
    return {
        "srcc": metrics.fisher_mean(np.array(rho)),
        "skill": float(skill) if weight is None else skill,
        "relative_l2": np.mean(l2, axis=0) if weight is not None else float(np.mean(l2)),
        "mae": metrics.mae(said.score, label.score, **part(everyone)),
        "map": _nanmean([value for value in pairs.values()]),
        "f1": metrics.f1(flat >= threshold, made, **part(clip)),
        "ece": metrics.expected_calibration_error(flat, made, **part(clip)),
        "boundary_ms": metrics.boundary_error_ms(said.boundary, label.boundary, **part(everyone)),
        "action_accuracy": 1 - metrics.mae(
            (said.action != actions).astype(float), np.zeros(len(actions)), **part(everyone)
        ),
    }  # fmt: skip


def pair_scores(
    truth: AQALabels, said: AQAPredictions, weight: np.ndarray | None = None
) -> dict[tuple[str, str, str], Any]:
    """Average precision of every (action, key step, error) that is made in the set."""
    found = {}
    for action, name in enumerate(truth.rubric.actions):
        rows = np.flatnonzero(truth.label.action == action)
        for slot, (step, error) in enumerate(truth.rubric.pairs[action]):
            made = truth.label.probability[rows, slot] > 0
            if made.any():
                own = None if weight is None else weight[:, rows]
                found[name, step, error] = metrics.average_precision(
                    said.probability[rows, slot], made, own
                )
    return found


def threshold_of(truth: AQALabels, said: AQAPredictions) -> float:
    """The threshold with the best F1 over all pairs; of a validation set."""
    made = truth.label.probability[truth.known] > 0
    return metrics.best_threshold(said.probability[truth.known], made)


def _nanmean(values: list) -> Any:
    """Mean over the first axis without NaN; NaN where there is nothing else."""
    stacked = np.array(values, np.float64)
    if not len(stacked):
        return float("nan")
    known = np.isfinite(stacked)
    total, count = np.where(known, stacked, 0).sum(0), known.sum(0)
    mean = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return float(mean) if mean.ndim == 0 else mean
