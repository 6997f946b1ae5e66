"""The repetitions of a set are judged together.

A person seldom makes an error once: errors come back in most repetitions of a set, with nearly the
same severity. So what is seen in the others says much about a repetition that is seen badly. Few
weights, fitted on validation people, say how much.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import scipy  # its parts are imported when they are used, and prediction uses none
from jaxtyping import Float

from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.fkg.scoring import compositional_score

_LEAST_PROBABILITY = 1e-4  # of an error that was not looked for, too
_PENALTY = 1e-3  # on the squared distance of the weights from those of a repetition alone
_ALIKE = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # tried for `alike`


@dataclasses.dataclass(frozen=True)
class SetPooling:
    """Weights of a repetition's own prediction and of the mean over the others of its set.

    With n others, the logit of an error becomes own · logit + s · (others · (mean logit of the
    others) + offset), where s = n / (n + alike): more repetitions say more, but what they have in
    common, such as the errors of an estimator, limits it. The severity, if the error is made,
    becomes severity_own · severity + severity_others · (mean of the others, weighted by their
    probability). Repetitions that are alone in their set stay as they are.
    """

    own: float = 1.0
    others: float = 0.0
    offset: float = 0.0
    alike: float = 0.0
    severity_own: float = 1.0
    severity_others: float = 0.0

    @classmethod
    def fit(cls, labels: AQALabels, predictions: AQAPredictions) -> "SetPooling":
        """Fits the errors by logistic regression, and severities that are made by least squares.

        Args:
          labels: of validation people, who have no part in the training of the head.
          predictions: of the same repetitions.
        """
        others = _number_of_others(labels.recording)
        rows = others > 0
        asked = labels.pair_mask & rows[:, None]
        made = labels.annotations.probability > 0
        if not (asked & made).any() or not (asked & ~made).any():
            return cls()
        logit, severity = _logit(predictions.probability), _severity(predictions)
        mean = _mean_of_others(logit, labels.recording)
        fits = []
        for alike in _ALIKE:
            share = _share(others, alike)
            x = np.stack([logit, share * mean, share * np.ones_like(logit)], -1)
            fits.append((*_logistic_regression(x[asked], made[asked]), alike))
        _, (own, weight_of_others, offset), alike = min(fits)
        s = np.stack([severity, _severity_of_others(predictions, labels.recording)], -1)
        seen = asked & made
        of_severity, *_ = np.linalg.lstsq(
            s[seen], labels.annotations.expected_severity[seen], rcond=None
        )
        return cls(own, weight_of_others, offset, alike, *(float(w) for w in of_severity))

    def __call__(
        self, predictions: AQAPredictions, recording: np.ndarray, penalty: Float[np.ndarray, "K E"]
    ) -> AQAPredictions:
        """Predictions of repetitions that know of each other, with the scores that follow.

        Args:
          predictions: of K repetitions, of a head whose score is made of the errors.
          recording: [K] names of the sets.
          penalty: of each error of the repetition's action in the knowledge graph; 0 is padding.
        """
        if self == SetPooling():
            return predictions
        logit, severity = _logit(predictions.probability), _severity(predictions)
        others = _number_of_others(recording)
        share = _share(others, self.alike)
        mean = _mean_of_others(logit, recording)
        pooled = self.own * logit + share * (self.others * mean + self.offset)
        probability = 1 / (1 + np.exp(-pooled))
        expected = self.severity_own * severity
        expected += self.severity_others * _severity_of_others(predictions, recording)
        expected = probability * np.clip(expected, 0.0, 1.0)
        score = compositional_score(jnp.asarray(expected), jnp.asarray(penalty))
        together = others > 0
        return dataclasses.replace(
            predictions,
            probability=np.where(together[:, None], probability, predictions.probability),
            expected_severity=np.where(together[:, None], expected, predictions.expected_severity),
            score=np.where(together, np.asarray(score, np.float64), predictions.score),
        )


def _logit(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(p / (1 - p))


def _logistic_regression(x: np.ndarray, y: np.ndarray) -> tuple[float, list[float]]:
    """Loss, and weights of the columns of x [K, D] for the probability that y [K] is true."""
    alone = np.zeros(x.shape[1])
    alone[0] = 1.0

    def loss(weight: np.ndarray) -> tuple[float, np.ndarray]:
        z, away = x @ weight, weight - alone
        error = scipy.special.expit(z) - y
        value = np.mean(np.logaddexp(0, z) - y * z) + _PENALTY * away @ away
        return float(value), x.T @ error / len(y) + 2 * _PENALTY * away

    minimum = scipy.optimize.minimize(loss, alone, jac=True, method="BFGS")
    return float(minimum.fun), minimum.x.tolist()


def _number_of_others(recording: np.ndarray) -> np.ndarray:
    """[K] how many other repetitions the set has."""
    _, group, count = np.unique(recording, return_inverse=True, return_counts=True)
    return count[group] - 1


def _share(others: np.ndarray, alike: float) -> np.ndarray:
    """[K, 1] weight of the other repetitions of the set by their number."""
    return (others / np.maximum(others + alike, 1e-9))[:, None]


def _severity(predictions: AQAPredictions) -> np.ndarray:
    """[K, E] severity of each error if it is made."""
    return predictions.expected_severity / np.maximum(predictions.probability, 1e-12)


def _mean_of_others(
    values: np.ndarray, recording: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """[K, E] weighted mean over the other repetitions of the set; the own value without others."""
    _, group = np.unique(recording, return_inverse=True)
    weight = np.ones_like(values) if weight is None else weight

    def of_others(x: np.ndarray) -> np.ndarray:
        total = np.zeros((group.max() + 1, x.shape[1]))
        np.add.at(total, group, x)
        return total[group] - x

    mass = of_others(weight)
    return np.where(mass > 1e-12, of_others(weight * values) / np.maximum(mass, 1e-12), values)


def _severity_of_others(predictions: AQAPredictions, recording: np.ndarray) -> np.ndarray:
    return _mean_of_others(_severity(predictions), recording, predictions.probability)
