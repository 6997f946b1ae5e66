"""Evaluation of a frozen representation: linear probes, and retrieval between video and EMG.

Pure functions of arrays. K clips, D features, E (key step, error) pairs of an action (padded), T
targets, Q windows, R bootstrap draws.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from sklearn.linear_model import LogisticRegression, Ridge

from video2emg.aqa import metrics
from video2emg.representation import retrieval

# A pair counts if it was made so often in training and in the set that is scored.
_TRAIN_POSITIVES, _POSITIVES = 5, 3
_PENALTIES = tuple(10.0**p for p in range(-1, 6))  # of features with unit variance
_INVERSE_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
_MAX_ITERATIONS = 200
_KS = (1, 5, 10)
_DIRECTIONS = ("video_to_emg", "emg_to_video")


@dataclasses.dataclass(frozen=True)
class ProbeTargets:
    """What probes predict of K clips.

    Attributes:
      clip_id, subject, action: [K] text.
      load: [K] kg, positive; NaN where unknown.
      score: [K] 0-100; NaN where unknown.
      made: [K, E] whether an error was made; false beyond the pairs of the action.
    """

    clip_id: np.ndarray
    subject: np.ndarray
    action: np.ndarray
    load: Shaped[np.ndarray, " K"]
    score: Shaped[np.ndarray, " K"]
    made: Bool[np.ndarray, "K E"]


@dataclasses.dataclass(frozen=True)
class WindowEmbeddings:
    """Embeddings of Q windows in both modalities.

    Attributes:
      clip: [Q] index of each window's clip in its `ProbeTargets`.
      video, emg: [Q, X]; the larger their inner product, the more similar.
    """

    clip: Int[np.ndarray, " Q"]
    video: Float[np.ndarray, "Q X"]
    emg: Float[np.ndarray, "Q X"]


def action_accuracy(
    predictions: Shaped[np.ndarray, " K"],
    targets: ProbeTargets,
    _: ProbeTargets,
    weight: metrics.Weight = None,
) -> Any:
    """Share of actions that are named correctly."""
    wrong = (predictions != targets.action).astype(float)
    return 1 - metrics.weighted_mean(wrong, weight)


def load_skill(
    predictions: Float[np.ndarray, "K 1"],
    targets: ProbeTargets,
    train: ProbeTargets,
    weight: metrics.Weight = None,
) -> Any:
    """1 - SSE / SSE(mean of the action's training clips) of log kg."""
    known = np.isfinite(targets.load)
    load = np.log(targets.load[known])
    prior = _action_mean(np.log(train.load)[:, None], train.action, targets.action[known])[:, 0]
    w = np.ones((1, len(load))) if weight is None else weight[:, known].astype(np.float64)
    skill = 1 - metrics.ratio(w @ (predictions[known, 0] - load) ** 2, w @ (prior - load) ** 2)
    return skill if weight is not None else float(skill[0])


def error_map(
    predictions: Float[np.ndarray, "K E"],
    targets: ProbeTargets,
    train: ProbeTargets,
    weight: metrics.Weight = None,
) -> Any:
    """Mean over pairs of the average precision within the action.

    Rare pairs are left out, see `_TRAIN_POSITIVES`.
    """
    precisions = []
    for action in np.unique(targets.action):
        rows, in_train = targets.action == action, train.made[train.action == action].sum(0)
        enough = (in_train >= _TRAIN_POSITIVES) & (targets.made[rows].sum(0) >= _POSITIVES)
        for pair in np.flatnonzero(enough):
            own = None if weight is None else weight[:, rows]
            precisions.append(
                metrics.average_precision(predictions[rows, pair], targets.made[rows, pair], own)
            )
    if not precisions:
        return metrics.undefined(weight)
    return metrics.nan_mean(precisions)  # in a draw there may be nobody who makes an error


def score_srcc(
    predictions: Float[np.ndarray, "K 1"],
    targets: ProbeTargets,
    _: ProbeTargets,
    weight: metrics.Weight = None,
) -> Any:
    """Spearman's r of the score within each action, Fisher-z mean."""
    rho = []
    for action in np.unique(targets.action):
        rows = (targets.action == action) & np.isfinite(targets.score)
        own = None if weight is None else weight[:, rows]
        rho.append(metrics.srcc(predictions[rows, 0], targets.score[rows], own))
    return metrics.fisher_mean(np.array(rho))


# Metric -> its function, and the targets of its ridge regression.
TargetsOf = Callable[[ProbeTargets], Shaped[np.ndarray, "K T"]]
_RIDGE: dict[str, tuple[Callable[..., Any], TargetsOf]] = {
    "load_skill": (load_skill, lambda clips: np.log(clips.load)[:, None]),
    "error_map": (error_map, lambda clips: clips.made.astype(np.float64)),
    "score_srcc": (score_srcc, lambda clips: clips.score[:, None]),
}
_PROBES = {"action_accuracy": action_accuracy} | {name: probe[0] for name, probe in _RIDGE.items()}
RETRIEVAL = {
    f"{direction}_r{k}{among}": f"recall@{k} {direction.replace('_', ' ')} among windows of {words}"
    for among, words in (("", "all actions"), ("_same", "the same action"))
    for direction in _DIRECTIONS
    for k in _KS
}
# name -> what it is; the order of tables.
METRICS = {
    "action_accuracy": "share of actions that a logistic probe names",
    "load_skill": "1 - SSE / SSE(mean of the action in training) of log kg, ridge per action",
    "error_map": "mean average precision of (action, key step, error), ridge per action",
    "score_srcc": "Spearman's r of the score within actions, Fisher-z mean, ridge per action",
} | RETRIEVAL


@dataclasses.dataclass(frozen=True)
class ProbePredictions:
    """The predictions of the probes of one representation for K test clips, and its retrieval.

    Attributes:
      predictions: probe metric → [K] or [K, T], as its function takes it.
      query: [Q] index of each query's clip.
      hits: retrieval metric → [Q] in [0, 1].
    """

    predictions: dict[str, np.ndarray]
    query: Int[np.ndarray, " Q"]
    hits: dict[str, Float[np.ndarray, " Q"]]


def fit_probes(
    features: Mapping[str, Float[np.ndarray, "_ D"]],
    targets: Mapping[str, ProbeTargets],
    windows: WindowEmbeddings | None = None,
) -> ProbePredictions:
    """Fits probes to training people, chooses their penalty on validation, predicts test.

    Args:
      features: `train`, `validation` and `test`, [K, D] of each.
      targets: the same.
      windows: of the test clips, for retrieval.
    """
    centre, scale = features["train"].mean(0), features["train"].std(0)
    x = {name: (part - centre) / np.maximum(scale, 1e-6) for name, part in features.items()}
    train = targets["train"]
    predictions = {"action_accuracy": _predict_action(x, targets)}
    for name, (metric, targets_of) in _RIDGE.items():
        y = targets_of(train)

        def predict(split: str, penalty: float, y: np.ndarray = y) -> np.ndarray:
            known = (x["train"], train.action, y)
            return ridge_by_action(*known, x[split], targets[split].action, penalty)

        def validate(penalty: float, metric: Any = metric, predict: Any = predict) -> float:
            value = metric(predict("validation", penalty), targets["validation"], train)
            return value if np.isfinite(value) else -np.inf

        predictions[name] = predict("test", max(_PENALTIES, key=validate))
    query, hits = (
        retrieval_hits(windows, targets["test"]) if windows is not None else (np.zeros(0, int), {})
    )
    return ProbePredictions(predictions, query, hits)


def prior(train: ProbeTargets, test: ProbeTargets) -> ProbePredictions:
    """Predictions without features: the most common action, and the means of the action."""
    names, count = np.unique(train.action, return_counts=True)
    predictions = {"action_accuracy": np.full(len(test.action), names[count.argmax()])}
    for name, (_, targets_of) in _RIDGE.items():
        predictions[name] = _action_mean(targets_of(train), train.action, test.action)
    return ProbePredictions(predictions, np.zeros(0, int), {})


def _predict_action(
    x: Mapping[str, np.ndarray], targets: Mapping[str, ProbeTargets]
) -> Shaped[np.ndarray, " K"]:
    """The actions of the test clips by multinomial logistic regression."""
    names = np.unique(targets["train"].action)
    if len(names) < 2:
        return np.full(len(x["test"]), names[0])
    models = [
        LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS, tol=1e-3).fit(
            x["train"], targets["train"].action
        )
        for strength in _INVERSE_STRENGTHS
    ]
    best = max(models, key=lambda m: m.score(x["validation"], targets["validation"].action))
    return best.predict(x["test"])


def ridge_by_action(
    x: Float[np.ndarray, "K D"],
    action: np.ndarray,
    y: Shaped[np.ndarray, "K T"],
    new: Float[np.ndarray, "L D"],
    new_action: np.ndarray,
    penalty: float,
) -> Float[np.ndarray, "L T"]:
    """Ridge regression within each action, with an intercept; NaN where an action has no target.

    The larger the penalty, the nearer the predictions are to the action's mean.

    Args:
      x: features of the training clips.
      action: of each, text.
      y: targets; clips where any is NaN are left out.
      new: features of the clips that are predicted.
      new_action: of each, text.
      penalty: on squared coefficients.
    """
    predictions = np.full((len(new), y.shape[1]), np.nan)
    known = np.isfinite(y).all(1)
    for name in np.unique(new_action):
        rows, new_rows = known & (action == name), new_action == name
        if rows.any():
            model = Ridge(penalty).fit(x[rows], y[rows])
            predictions[new_rows] = model.predict(new[new_rows]).reshape(int(new_rows.sum()), -1)
    return predictions


def _action_mean(
    y: Shaped[np.ndarray, "K T"], action: np.ndarray, new_action: np.ndarray
) -> Float[np.ndarray, "L T"]:
    """Mean over the known clips of each new clip's action."""
    known = np.isfinite(y).all(1)
    means = {
        name: y[known & (action == name)].mean(0) if (known & (action == name)).any() else np.nan
        for name in np.unique(new_action)
    }
    return np.stack([np.broadcast_to(means[name], y.shape[1:]) for name in new_action])


def retrieval_hits(
    windows: WindowEmbeddings, targets: ProbeTargets
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The clip of each query, and each of `RETRIEVAL` for every query."""
    similarity = windows.video.astype(np.float64) @ windows.emg.T.astype(np.float64)
    hits = {}
    for among, candidates in _candidates(windows.clip, targets).items():
        for direction, values in zip(_DIRECTIONS, (similarity, similarity.T), strict=True):
            for k in _KS:
                hits[f"{direction}_r{k}{among}"] = retrieval.recall(values, k, candidates)
    return windows.clip, hits


def chance_hits(
    clip: Int[np.ndarray, " Q"], targets: ProbeTargets
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """As `retrieval_hits`, of a random order of the candidates."""
    hits = {}
    for among, candidates in _candidates(clip, targets).items():
        for direction in _DIRECTIONS:
            for k in _KS:
                hits[f"{direction}_r{k}{among}"] = retrieval.chance(k, candidates)
    return clip, hits


def _candidates(clip: np.ndarray, targets: ProbeTargets) -> dict[str, Bool[np.ndarray, "Q Q"]]:
    """Which windows each query is compared with, by the suffix of the metric."""
    action = targets.action[clip]
    same_action = action[:, None] == action[None, :]
    return {"": np.ones_like(same_action), "_same": same_action}


def score(
    probes: ProbePredictions,
    targets: ProbeTargets,
    train: ProbeTargets,
    weight: metrics.Weight = None,
) -> dict[str, Any]:
    """All of `METRICS`; floats, or [R] with a weight [R, K]; NaN where nothing was predicted."""
    values: dict[str, Any] = dict.fromkeys(METRICS, metrics.undefined(weight))
    for name, predictions in probes.predictions.items():
        if predictions.dtype.kind != "f" or np.isfinite(predictions).all():
            values[name] = _PROBES[name](predictions, targets, train, weight)
    own = None if weight is None else weight[:, probes.query]
    for name, hits in probes.hits.items():
        values[name] = metrics.weighted_mean(hits, own)
    return values
