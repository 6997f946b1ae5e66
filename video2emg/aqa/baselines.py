"""Baselines that an assessment model must beat. They learn from training repetitions only.

None of them sees the key steps: each predicts the mean beginnings of the steps of the action.
K training repetitions, L repetitions to predict, D features, T targets, P key steps.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from video2emg.aqa.frozen_features import CLEAN, FOUND, FrozenFeatures
from video2emg.aqa.labels import annotations
from video2emg.aqa.metrics import ratio
from video2emg.aqa.predictions import AQAPredictions
from video2emg.core import vocabulary
from video2emg.eval import evaluate
from video2emg.eval.series import ClipSeries
from video2emg.fkg.rubric import Rubric

_PENALTIES = 10.0 ** np.arange(-1, 5)  # of features with unit variance
_FOLDS = 5  # of training subjects


def predict_baselines(features: FrozenFeatures) -> dict[str, dict[str, AQAPredictions]]:
    """Every baseline on validation and test: name → split → predictions.

    `true_errors` is the ceiling, no baseline.
    """
    rubric, train = features.rubric, annotations(features, "train")
    series = {
        split: evaluate.series_of(examples, descriptors=True)
        for split, examples in features.splits.items()
        if split not in (FOUND, CLEAN)
    }
    pictures = {
        split: np.concatenate([np.asarray(clip.descriptor) for clip in clips])
        for split, clips in series.items()
    }
    emg = {split: emg_features(clips) for split, clips in series.items()}
    predictions: dict[str, dict[str, AQAPredictions]] = {}
    for split in ("validation", "test"):
        labels = annotations(features, split)
        of_split = {
            "train_mean": train_mean(train, rubric, labels),
            "action_prior": action_prior(train, rubric, labels),
            "nearest_neighbour": nearest_neighbour(
                train, labels, pictures["train"], pictures[split]
            ),
            "true_errors": true_errors(labels, rubric),
        }
        if features.has_emg:
            of_split["emg_only"] = emg_only(
                train, rubric, labels, emg["train"], emg[split], features.subject["train"]
            )
        for name, value in of_split.items():
            predictions.setdefault(name, {})[split] = value
    return predictions


def train_mean(train: AQAPredictions, rubric: Rubric, test: AQAPredictions) -> AQAPredictions:
    """The same score and the same probability of every error for all repetitions."""
    count = len(test.score)
    in_train = rubric.weight[train.action] > 0
    rate = float((train.probability[in_train] > 0).mean())
    severity = float(train.expected_severity[in_train].mean())
    in_test = rubric.weight[test.action] > 0
    return AQAPredictions(
        probability=np.where(in_test, rate, 0.0),
        expected_severity=np.where(in_test, severity, 0.0),
        score=np.full(count, train.score.mean()),
        boundary=_mean_boundary(train, test),
        action=test.action,
    )


def action_prior(train: AQAPredictions, rubric: Rubric, test: AQAPredictions) -> AQAPredictions:
    """The action's mean score and the prevalence of its errors.

    Actions absent from training fall back to the mean over all actions.
    """
    everyone = np.arange(len(train.score))
    members = [np.flatnonzero(train.action == action) for action in range(len(rubric.actions))]
    members = [rows if len(rows) else everyone for rows in members]
    means = np.array([train.score[rows].mean() for rows in members])
    rates = np.stack([(train.probability[rows] > 0).mean(0) for rows in members])
    severities = np.stack([train.expected_severity[rows].mean(0) for rows in members])
    return AQAPredictions(
        probability=rates[test.action],
        expected_severity=severities[test.action],
        score=means[test.action],
        boundary=_mean_boundary(train, test),
        action=test.action,
    )


def nearest_neighbour(
    train: AQAPredictions,
    test: AQAPredictions,
    train_pictures: Float[np.ndarray, "K D"],
    test_pictures: Float[np.ndarray, "L D"],
) -> AQAPredictions:
    """The labels of the training repetition of the same action whose video is most similar."""
    nearest = np.empty(len(test.score), int)
    for row, (action, picture) in enumerate(zip(test.action, test_pictures, strict=True)):
        same_action = np.flatnonzero(train.action == action)
        distance = ((train_pictures[same_action] - picture) ** 2).sum(1)
        nearest[row] = same_action[int(distance.argmin())]
    return AQAPredictions(
        probability=(train.probability[nearest] > 0).astype(np.float64),
        expected_severity=train.expected_severity[nearest],
        score=train.score[nearest],
        boundary=train.boundary[nearest],
        action=test.action,
    )


def emg_only(
    train: AQAPredictions,
    rubric: Rubric,
    test: AQAPredictions,
    train_features: Sequence[np.ndarray],
    test_features: Sequence[np.ndarray],
    train_subject: np.ndarray,
) -> AQAPredictions:
    """Ridge regression per action on features of the measured EMG; it sees no video.

    The penalty is chosen per action by cross-validation over training subjects. Errors are
    regressed like the score and clipped to probabilities.
    """
    prior = action_prior(train, rubric, test)
    score, probability = prior.score.copy(), prior.probability.copy()
    severity = prior.expected_severity.copy()
    for action in range(len(rubric.actions)):
        rows, test_rows = (np.flatnonzero(part.action == action) for part in (train, test))
        if not len(test_rows):
            continue
        made = (train.probability[rows] > 0).astype(np.float64)
        targets = np.concatenate(
            [train.score[rows, None] / 100, made, train.expected_severity[rows]], 1
        )
        x = np.stack([train_features[int(i)] for i in rows])
        new = np.stack([test_features[int(i)] for i in test_rows])
        centre, scale = x.mean(0), x.std(0) + 1e-6
        x, new = (x - centre) / scale, (new - centre) / scale
        penalty = _best_penalty(x, targets[:, 0], train_subject[rows])
        predicted = Ridge(penalty).fit(x, targets).predict(new)
        pairs = made.shape[1]
        score[test_rows] = np.clip(100 * predicted[:, 0], 0, 100)
        probability[test_rows] = np.clip(predicted[:, 1 : 1 + pairs], 0, 1)
        severity[test_rows] = np.clip(predicted[:, 1 + pairs :], 0, 1)
    return AQAPredictions(probability, severity, score, prior.boundary, test.action)


def _best_penalty(
    x: Float[np.ndarray, "K D"], y: Float[np.ndarray, " K"], subject: np.ndarray
) -> float:
    """The penalty with the least squared error over all folds of subjects."""
    folds = np.unique(subject, return_inverse=True)[1] % _FOLDS
    if not folds.any():  # a single fold leaves nobody to learn from
        return float(_PENALTIES[0])
    split = PredefinedSplit(folds)
    errors = [
        ((cross_val_predict(Ridge(penalty), x, y, cv=split) - y) ** 2).sum()
        for penalty in _PENALTIES
    ]
    return float(_PENALTIES[int(np.argmin(errors))])


def emg_features(series: Sequence[ClipSeries], bins: int = 10) -> list[Float[np.ndarray, " D"]]:
    """Course, level and left-right asymmetry of the envelopes of each repetition.

    The same features for all repetitions with the same electrodes; D differs between montages.
    """
    features = []
    for clip in series:
        names = sorted(clip.muscles, key=lambda name: vocabulary.split_channel(name)[::-1])
        value = clip.target[:, [clip.muscles.index(name) for name in names]]
        parts = np.array_split(np.where(np.isfinite(value), value, 0.0), bins)
        course = np.sqrt(np.maximum([part.mean(0) for part in parts], 0.0))
        level = np.log(course.mean(0) + 0.01)
        muscle = np.array([vocabulary.split_channel(name)[1] for name in names])
        asymmetry = np.abs(np.diff(level))[muscle[1:] == muscle[:-1]]
        features.append(np.concatenate([course.ravel(), level, asymmetry]))
    return features


def true_errors(labels: AQAPredictions, rubric: Rubric) -> AQAPredictions:
    """The graph's score of the annotated errors and severities: the ceiling under noisy scores."""
    weight = rubric.weight[labels.action].astype(np.float64)
    lost = (weight * labels.expected_severity).sum(1) / weight.sum(1)
    return AQAPredictions(
        labels.probability,
        labels.expected_severity,
        100 * (1 - lost),
        labels.boundary,
        labels.action,
    )


def _mean_boundary(train: AQAPredictions, test: AQAPredictions) -> Float[np.ndarray, "L P"]:
    """Mean beginnings of the key steps of each repetition's action."""
    boundary = np.full(test.boundary.shape, np.nan)
    for action in range(int(test.action.max()) + 1):
        own = train.boundary[train.action == action]
        known = np.isfinite(own)
        mean = ratio(np.where(known, own, 0.0).sum(0), known.sum(0))
        boundary[test.action == action] = mean
    return boundary
