"""What a frozen representation knows: linear probes, and retrieval between video and EMG.

Pure functions of arrays. K clips, D features, E (key step, error) pairs of an action (padded), Q
windows, R bootstrap draws.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from video2emg.aqa import metrics
from video2emg.core.errors import UserError
from video2emg.representation import retrieval

# A pair is asked about if it is made so often in training and in the set it is asked about in.
_TRAIN_POSITIVES, _POSITIVES = 5, 3
_PENALTIES = tuple(10.0**p for p in range(-1, 6))  # of features with unit variance
_INVERSE_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
_MOST_ITERATIONS = 200
_KS = (1, 5, 10)
_WAYS = ("video_to_emg", "emg_to_video")


@dataclasses.dataclass(frozen=True)
class Clips:
    """What is to be read from the features of K clips.

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
class Windows:
    """Embeddings of Q windows in both modalities.

    Attributes:
      clip: [Q] place of each in its `Clips`.
      video, emg: [Q, X]; the larger their product, the more alike.
    """

    clip: Int[np.ndarray, " Q"]
    video: Float[np.ndarray, "Q X"]
    emg: Float[np.ndarray, "Q X"]


def action_accuracy(said: np.ndarray, clips: Clips, _: Clips, weight: metrics.Weight = None) -> Any:
    """Share of actions named. `said` [K] text."""
    return 1 - metrics.mae((said != clips.action).astype(float), np.zeros(len(said)), weight)


def load_skill(said: np.ndarray, clips: Clips, train: Clips, weight: metrics.Weight = None) -> Any:
    """1 - SSE / SSE(mean of the action's training clips) of log kg. `said` [K, 1]."""
    known = np.isfinite(clips.load)
    truth = np.log(clips.load[known])
    prior = _action_mean(np.log(train.load)[:, None], train.action, clips.action[known])[:, 0]
    w = np.ones((1, len(truth))) if weight is None else weight[:, known].astype(np.float64)
    total = w @ (prior - truth) ** 2
    value = np.divide(
        w @ (said[known, 0] - truth) ** 2, total, out=np.full(len(w), np.nan), where=total > 0
    )
    return 1 - (value if weight is not None else float(value[0]))


def error_map(said: np.ndarray, clips: Clips, train: Clips, weight: metrics.Weight = None) -> Any:
    """Mean over the pairs asked about of the average precision within the action. `said` [K, E]."""
    found = []
    for action in np.unique(clips.action):
        rows, seen = clips.action == action, train.made[train.action == action].sum(0)
        enough = (seen >= _TRAIN_POSITIVES) & (clips.made[rows].sum(0) >= _POSITIVES)
        for pair in np.flatnonzero(enough):
            own = None if weight is None else weight[:, rows]
            found.append(metrics.average_precision(said[rows, pair], clips.made[rows, pair], own))
    if not found:
        return float("nan") if weight is None else np.full(len(weight), np.nan)
    stacked = np.array(found, np.float64)
    known = np.isfinite(stacked)  # a draw of people may have nobody who makes an error
    mean = np.where(known, stacked, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    return mean if weight is not None else float(mean)


def score_srcc(said: np.ndarray, clips: Clips, _: Clips, weight: metrics.Weight = None) -> Any:
    """Spearman's r of the score within each action, Fisher-z mean. `said` [K, 1]."""
    rho = []
    for action in np.unique(clips.action):
        rows = (clips.action == action) & np.isfinite(clips.score)
        own = None if weight is None else weight[:, rows]
        rho.append(metrics.srcc(said[rows, 0], clips.score[rows], own))
    return metrics.fisher_mean(np.array(rho))


# Metric -> its function, and what its ridge is to say of clips, [K, T].
Target = Callable[[Clips], Shaped[np.ndarray, "K T"]]
_RIDGE: dict[str, tuple[Callable[..., Any], Target]] = {
    "load_skill": (load_skill, lambda clips: np.log(clips.load)[:, None]),
    "error_map": (error_map, lambda clips: clips.made.astype(np.float64)),
    "score_srcc": (score_srcc, lambda clips: clips.score[:, None]),
}
_PROBES = {"action_accuracy": action_accuracy} | {name: of[0] for name, of in _RIDGE.items()}
RETRIEVAL = {
    f"{way}_r{k}{among}": f"recall@{k} {way.replace('_', ' ')} among windows of {words}"
    for among, words in (("", "all actions"), ("_same", "the same action"))
    for way in _WAYS
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
class Answers:
    """What the probes of one representation say of K test clips, and what was retrieved.

    Attributes:
      said: probe metric → [K] or [K, T], as its function takes it.
      query: [Q] place of each query in the clips.
      hits: retrieval metric → [Q] in [0, 1].
    """

    said: dict[str, np.ndarray]
    query: Int[np.ndarray, " Q"]
    hits: dict[str, Float[np.ndarray, " Q"]]


def probe(
    features: Mapping[str, Float[np.ndarray, "_ D"]],
    clips: Mapping[str, Clips],
    windows: Windows | None = None,
) -> Answers:
    """Fits probes to training people, chooses their strength on validation, asks about test.

    Args:
      features: `train`, `validation` and `test`, [K, D] of each.
      clips: the same.
      windows: of the test clips, for retrieval.
    """
    centre, spread = features["train"].mean(0), features["train"].std(0)
    x = {name: (of - centre) / np.maximum(spread, 1e-6) for name, of in features.items()}
    train = clips["train"]
    said = {"action_accuracy": _named(x, clips)}
    for name, (metric, target) in _RIDGE.items():
        wanted = target(train)

        def guess(split: str, penalty: float, wanted: np.ndarray = wanted) -> np.ndarray:
            known = (x["train"], train.action, wanted)
            return ridge_by_action(*known, x[split], clips[split].action, penalty)

        def worth(penalty: float, metric: Any = metric, guess: Any = guess) -> float:
            of = metric(guess("validation", penalty), clips["validation"], train)
            return of if np.isfinite(of) else -np.inf

        said[name] = guess("test", max(_PENALTIES, key=worth))
    query, hits = retrieved(windows, clips["test"]) if windows else (np.zeros(0, int), {})
    return Answers(said, query, hits)


def prior(train: Clips, test: Clips) -> Answers:
    """What is said without looking: the commonest action, and the action's means."""
    names, count = np.unique(train.action, return_counts=True)
    said = {"action_accuracy": np.full(len(test.action), names[count.argmax()])}
    for name, (_, target) in _RIDGE.items():
        said[name] = _action_mean(target(train), train.action, test.action)
    return Answers(said, np.zeros(0, int), {})


def _named(x: Mapping[str, np.ndarray], clips: Mapping[str, Clips]) -> np.ndarray:
    """The actions of the test clips by multinomial logistic regression."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise UserError("probes need scikit-learn: pip install scikit-learn") from None
    names = np.unique(clips["train"].action)
    if len(names) < 2:
        return np.full(len(x["test"]), names[0])

    def fitted(strength: float) -> Any:
        model = LogisticRegression(C=strength, max_iter=_MOST_ITERATIONS, tol=1e-3)
        return model.fit(x["train"], clips["train"].action)

    models = [fitted(strength) for strength in _INVERSE_STRENGTHS]
    best = max(models, key=lambda m: m.score(x["validation"], clips["validation"].action))
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

    The larger the penalty, the nearer it comes to the action's mean.

    Args:
      x: features of the training clips.
      action: of each, text.
      y: targets; clips where any is NaN are left out.
      new: features of the clips to be told of.
      new_action: of each, text.
      penalty: on squared coefficients.
    """
    try:
        from sklearn.linear_model import Ridge
    except ImportError:
        raise UserError("probes need scikit-learn: pip install scikit-learn") from None
    said = np.full((len(new), y.shape[1]), np.nan)
    known = np.isfinite(y).all(1)
    for name in np.unique(new_action):
        rows, asked = known & (action == name), new_action == name
        if rows.any():
            fitted = Ridge(penalty).fit(x[rows], y[rows])
            said[asked] = fitted.predict(new[asked]).reshape(int(asked.sum()), -1)
    return said


def _action_mean(y: np.ndarray, action: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """[L, T] mean of [K, T] over the known clips of each asked clip's action."""
    known = np.isfinite(y).all(1)
    means = {
        name: y[known & (action == name)].mean(0) if (known & (action == name)).any() else np.nan
        for name in np.unique(asked)
    }
    return np.stack([np.broadcast_to(means[name], y.shape[1:]) for name in asked])


def retrieved(windows: Windows, clips: Clips) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Which clip each query is of, and each of `RETRIEVAL` for every query."""
    similarity = windows.video.astype(np.float64) @ windows.emg.T.astype(np.float64)
    hits = {}
    for among, candidates in _candidates(windows.clip, clips).items():
        for way, values in zip(_WAYS, (similarity, similarity.T), strict=True):
            for k in _KS:
                hits[f"{way}_r{k}{among}"] = retrieval.recall(values, k, candidates)
    return windows.clip, hits


def chance(place: Int[np.ndarray, " Q"], clips: Clips) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The same of guessing."""
    hits = {}
    for among, candidates in _candidates(place, clips).items():
        for way in _WAYS:
            for k in _KS:
                hits[f"{way}_r{k}{among}"] = retrieval.chance(k, candidates)
    return place, hits


def _candidates(place: np.ndarray, clips: Clips) -> dict[str, Bool[np.ndarray, "Q Q"]]:
    action = clips.action[place]
    same = action[:, None] == action[None, :]
    return {"": np.ones_like(same), "_same": same}


def score(
    answers: Answers, clips: Clips, train: Clips, weight: metrics.Weight = None
) -> dict[str, Any]:
    """All of `METRICS`; floats, or [R] with a weight [R, K]; NaN where nothing was said."""
    nothing = float("nan") if weight is None else np.full(len(weight), np.nan)
    found: dict[str, Any] = dict.fromkeys(METRICS, nothing)
    for name, said in answers.said.items():
        if said.dtype.kind != "f" or np.isfinite(said).all():
            found[name] = _PROBES[name](said, clips, train, weight)
    own = None if weight is None else weight[:, answers.query]
    for name, hits in answers.hits.items():
        found[name] = metrics.mae(hits, np.zeros(len(hits)), own)
    return found
