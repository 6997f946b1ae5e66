"""Judges that a model must beat. All learn from training repetitions only.

None of them sees the key steps: they say the mean beginnings of the action's.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.aqa.predictions import AQAPredictions
from video2emg.core import vocabulary
from video2emg.eval.series import ClipSeries
from video2emg.fkg.rubric import Rubric

_RIDGE = 10.0 ** np.arange(-1, 5)
_FOLDS = 5


def train_mean(train: AQAPredictions, rubric: Rubric, test: AQAPredictions) -> AQAPredictions:
    """One score, and one probability for every error, of everybody."""
    count = len(test.score)
    known = rubric.weight[train.action] > 0
    rate = float((train.probability[known] > 0).mean())
    extent = float(train.expected_severity[known].mean())
    asked = rubric.weight[test.action] > 0
    return AQAPredictions(
        probability=np.where(asked, rate, 0.0),
        expected_severity=np.where(asked, extent, 0.0),
        score=np.full(count, train.score.mean()),
        boundary=_mean_boundary(train, test),
        action=test.action,
    )


def action_prior(train: AQAPredictions, rubric: Rubric, test: AQAPredictions) -> AQAPredictions:
    """The mean score and the prevalence of each error of the action, blind to how it is done."""
    # Of an action that is not learned from nobody knows more than of all.
    of = [_rows(train, a, np.arange(len(train.score))) for a in range(len(rubric.actions))]
    of = [rows if len(rows) else np.arange(len(train.score)) for rows in of]
    means = np.array([train.score[rows].mean() for rows in of])
    rates = np.stack([(train.probability[rows] > 0).mean(0) for rows in of])
    extents = np.stack([train.expected_severity[rows].mean(0) for rows in of])
    return AQAPredictions(
        probability=rates[test.action],
        expected_severity=extents[test.action],
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
    """The labels of the training repetition of the same action whose video looks most alike."""
    chosen = np.empty(len(test.score), int)
    for row, (action, picture) in enumerate(zip(test.action, test_pictures, strict=True)):
        same = np.flatnonzero(train.action == action)
        distance = ((train_pictures[same] - picture) ** 2).sum(1)
        chosen[row] = same[int(distance.argmin())]
    return AQAPredictions(
        probability=(train.probability[chosen] > 0).astype(np.float64),
        expected_severity=train.expected_severity[chosen],
        score=train.score[chosen],
        boundary=train.boundary[chosen],
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
    extent = prior.expected_severity.copy()
    for action in range(len(rubric.actions)):
        rows, mine = (np.flatnonzero(of.action == action) for of in (train, test))
        if not len(mine):
            continue
        made = (train.probability[rows] > 0).astype(np.float64)
        wanted = np.concatenate(
            [train.score[rows, None] / 100, made, train.expected_severity[rows]], 1
        )
        x = np.stack([train_features[int(i)] for i in rows])
        new = np.stack([test_features[int(i)] for i in mine])
        centre, scale = x.mean(0), x.std(0) + 1e-6
        x, new = (x - centre) / scale, (new - centre) / scale
        folds = np.unique(train_subject[rows], return_inverse=True)[1] % _FOLDS
        said = ridge(x, wanted, new, _best_penalty(x, wanted[:, 0], folds))
        width = made.shape[1]
        score[mine] = np.clip(100 * said[:, 0], 0, 100)
        probability[mine] = np.clip(said[:, 1 : 1 + width], 0, 1)
        extent[mine] = np.clip(said[:, 1 + width :], 0, 1)
    return AQAPredictions(probability, extent, score, prior.boundary, test.action)


def ridge(
    x: Float[np.ndarray, "K D"], y: Float[np.ndarray, "K T"], new: Float[np.ndarray, "L D"], penalty
) -> Float[np.ndarray, "L T"]:
    """Predictions of ridge regression with an intercept that is not penalised; x is centred."""
    mean = y.mean(0)
    gram = x @ x.T + penalty * np.eye(len(x))
    return mean + new @ x.T @ np.linalg.solve(gram, y - mean)


def _best_penalty(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> float:
    def error(penalty: float) -> float:
        total = 0.0
        for fold in np.unique(folds):
            out = folds == fold
            if out.all():
                return 0.0
            centre = x[~out].mean(0)
            said = ridge(x[~out] - centre, y[~out, None], x[out] - centre, penalty)
            total += float(((said[:, 0] - y[out]) ** 2).sum())
        return total

    return float(_RIDGE[int(np.argmin([error(p) for p in _RIDGE]))])


def emg_features(series: Sequence[ClipSeries], bins: int = 10) -> list[Float[np.ndarray, " D"]]:
    """What the envelopes of each repetition say: course, level, and asymmetry.

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


def of_true_errors(test: AQAPredictions, rubric: Rubric) -> AQAPredictions:
    """The graph's score of the annotated errors and severities: the ceiling under noisy scores."""
    weight = rubric.weight[test.action].astype(np.float64)
    lost = (weight * test.expected_severity).sum(1) / weight.sum(1)
    return AQAPredictions(
        test.probability, test.expected_severity, 100 * (1 - lost), test.boundary, test.action
    )


def _rows(of: AQAPredictions, action: int, value: np.ndarray) -> np.ndarray:
    return value[of.action == action]


def _mean_boundary(train: AQAPredictions, test: AQAPredictions) -> np.ndarray:
    """[L, P] mean beginnings of the key steps of each repetition's action."""
    found = np.full(test.boundary.shape, np.nan)
    for action in range(int(test.action.max()) + 1):
        own = _rows(train, action, train.boundary)
        known = np.isfinite(own)
        total, count = np.where(known, own, 0.0).sum(0), known.sum(0)
        mean = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        found[test.action == action] = mean
    return found
