"""Predictions and annotations of a set of repetitions, and the scores of predictions.

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

# name -> what it is; the order of tables. Each is defined in `aqa.metrics`.
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

SCORE_METRICS = ("srcc", "skill", "relative_l2", "mae")  # of systems that predict a score only

# The outputs of a head that predictions are made of.
_HEAD_OUTPUTS = ("error_logits", "severity", "score", "phase_logits", "action", "action_logits")


@dataclasses.dataclass(frozen=True)
class AQAPredictions:
    """Predictions for K repetitions, or their annotations in the same form.

    Columns of pairs and key steps are those of the *true* action.

    Attributes:
      probability: [K, E] that an error is made; annotations are exactly 0 or 1.
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
                raise UserError(f"assessment predictions: {name} is not finite (NaN or infinite)")


@dataclasses.dataclass(frozen=True)
class AQALabels:
    """The annotations of K repetitions, and what scoring needs beside them. A actions.

    Attributes:
      annotations: in the form of predictions.
      pair_mask: [K, E] pairs that the action has; the others are padding.
      subject: [K] text.
      clip_id: [K] text.
      recording: [K] text, the set of each repetition.
      rubric: of the graph.
      score_ranges: [A] lowest and highest score of each action in training.
      mean_scores: [A] mean score of each action in training.
    """

    annotations: AQAPredictions
    pair_mask: Bool[np.ndarray, "K E"]
    subject: np.ndarray
    clip_id: np.ndarray
    recording: np.ndarray
    rubric: Rubric
    score_ranges: Sequence[tuple[float, float]]
    mean_scores: Float[np.ndarray, " A"]


def predict(
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
        field.name: [] for field in dataclasses.fields(AQAPredictions)
    }
    for host in batches:
        outputs = predict_fn(params, mesh_lib.put_batch(mesh, host))
        with jax.transfer_guard("allow"):
            values = jax.device_get({name: getattr(outputs, name) for name in _HEAD_OUTPUTS})
        rows = np.flatnonzero(host["_mask"])
        values = {name: np.asarray(value)[rows] for name, value in values.items()}
        probability = 1 / (1 + np.exp(-values["error_logits"].astype(np.float64)))
        severity = probability * values["severity"]
        used, true = values["action"], host["action"][rows]
        parts["probability"].append(_pairs_of_true_action(rubric, probability, used, true))
        parts["expected_severity"].append(_pairs_of_true_action(rubric, severity, used, true))
        parts["score"].append(values["score"].astype(np.float64))
        parts["boundary"].append(
            np.stack(
                [
                    _boundaries(rubric, logits, action, rate)
                    for logits, action in zip(values["phase_logits"], used, strict=True)
                ]
            )
        )
        parts["action"].append(values["action_logits"].argmax(-1))
    return AQAPredictions(**{name: np.concatenate(value) for name, value in parts.items()})


def average(predictions: Sequence[AQAPredictions]) -> AQAPredictions:
    """The mean of several predictions of the same repetitions; boundaries of the first."""
    means = {
        name: np.mean([getattr(member, name) for member in predictions], axis=0)
        for name in ("probability", "expected_severity", "score")
    }
    return dataclasses.replace(predictions[0], **means)


def _pairs_of_true_action(
    rubric: Rubric,
    value: Float[np.ndarray, "K E"],
    used: Int[np.ndarray, " K"],
    true: Int[np.ndarray, " K"],
) -> Float[np.ndarray, "K E"]:
    """Values of the pairs of the true action.

    Where the head used another action, pairs that both actions have keep their values. The other
    errors of the true action were not looked for, so they get 0.
    """
    moved = np.where((used == true)[:, None], value, 0.0)
    for row in np.flatnonzero(used != true):
        pairs = rubric.pairs[true[row]]
        for slot, pair in enumerate(rubric.pairs[used[row]]):
            if pair in pairs:
                moved[row, pairs.index(pair)] = value[row, slot]
    return moved


def _boundaries(
    rubric: Rubric, logits: Float[np.ndarray, "Q P"], action: np.integer, rate: float
) -> Float[np.ndarray, " P"]:
    """When each key step of one repetition begins, s."""
    count = len(rubric.steps[action])
    own = logits[:, :count].astype(np.float64)
    own = own - np.logaddexp.reduce(own, axis=1, keepdims=True)
    boundaries = np.full(logits.shape[1], np.nan)
    boundaries[:count] = metrics.segment(own) / rate
    return boundaries


def score(
    labels: AQALabels,
    predictions: AQAPredictions,
    threshold: float,
    weight: Int[np.ndarray, "R K"] | None = None,
) -> dict[str, Any]:
    """All of `METRICS`; floats, or [R] with a weight."""
    true, actions = labels.annotations, labels.annotations.action

    def of_rows(rows: np.ndarray) -> dict[str, Any]:
        return {} if weight is None else {"weight": weight[:, rows]}

    rho, l2 = [], []
    for action in range(len(labels.rubric.actions)):
        rows = np.flatnonzero(actions == action)
        if not len(rows):
            continue
        p, t, span = predictions.score[rows], true.score[rows], labels.score_ranges[action]
        rho.append(metrics.srcc(p, t, **of_rows(rows)))
        l2.append(metrics.relative_l2(p, t, span, **of_rows(rows)))
    every = of_rows(np.arange(len(actions)))
    prior_score = labels.mean_scores[actions]
    square = metrics.relative_l2(predictions.score, true.score, (0.0, 100.0), **every)
    prior = metrics.relative_l2(prior_score, true.score, (0.0, 100.0), **every)
    clip, _ = np.nonzero(labels.pair_mask)
    probability = predictions.probability[labels.pair_mask]
    made = true.probability[labels.pair_mask] > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        skill = 1 - np.divide(square, prior)
    wrong_action = (predictions.action != actions).astype(float)
    return {
        "srcc": metrics.fisher_mean(np.array(rho)),
        "skill": float(skill) if weight is None else skill,
        "relative_l2": np.mean(l2, axis=0) if weight is not None else float(np.mean(l2)),
        "mae": metrics.mae(predictions.score, true.score, **every),
        "map": metrics.nan_mean(list(pair_average_precision(labels, predictions, weight).values())),
        "f1": metrics.f1(probability >= threshold, made, **of_rows(clip)),
        "ece": metrics.expected_calibration_error(probability, made, **of_rows(clip)),
        "boundary_ms": metrics.boundary_error_ms(predictions.boundary, true.boundary, **every),
        "action_accuracy": 1 - metrics.weighted_mean(wrong_action, **every),
    }


def pair_average_precision(
    labels: AQALabels, predictions: AQAPredictions, weight: Int[np.ndarray, "R K"] | None = None
) -> dict[tuple[str, str, str], Any]:
    """Average precision of every (action, key step, error) that is made in the set."""
    precision = {}
    for action, name in enumerate(labels.rubric.actions):
        rows = np.flatnonzero(labels.annotations.action == action)
        for slot, (step, error) in enumerate(labels.rubric.pairs[action]):
            made = labels.annotations.probability[rows, slot] > 0
            if made.any():
                own = None if weight is None else weight[:, rows]
                precision[name, step, error] = metrics.average_precision(
                    predictions.probability[rows, slot], made, own
                )
    return precision


def choose_threshold(labels: AQALabels, predictions: AQAPredictions) -> float:
    """The threshold with the best F1 over all pairs; of a validation set."""
    made = labels.annotations.probability[labels.pair_mask] > 0
    return metrics.best_threshold(predictions.probability[labels.pair_mask], made)
