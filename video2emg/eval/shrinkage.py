"""Shrinkage of a person's calibration, learned from simulated people.

A channel's envelope is a linear function of the model's curves:

    y / p99(y) = w1 x / p99(x) + w2 + w3 log(x / p99(x) + .05) + w4.. · (mixtures of all muscles)

p99 is the 99th percentile, and x the model's curve of the channel. The mixtures are principal
components of the logarithms of the model's curves of all muscles. The weights w of a person, an
exercise and a channel are a draw from a normal distribution. Its mean and covariance are learned by
expectation-maximisation from people with many measured repetitions (random effects: Laird & Ware,
Biometrics 38, 1982). With few repetitions of a new person, the weights are the mean of their
posterior distribution. Where the repetitions say little, they stay near those of other people.

N samples, C channels, Q curves, P mixtures, W = 3 + P weights, D draws.
"""

import dataclasses
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from video2emg.core.errors import UserError
from video2emg.core.files import write_atomically

FILE = "person_prior.npz"  # in the workdir of a run
MIXTURES = 14
# Samples that follow each other are alike: so many count as one.
_ALIKE = 2.0
_LEAST_CURVE = 0.02  # of the MVC, added to curves before the logarithm
_LEAST_OWN = 0.05  # the same of x / p99(x)
_FEWEST = 20  # samples of a channel from which is learned
_STEPS = 60  # of expectation-maximisation
_NOISE_STEPS = 5
_NOISE_SAMPLES = 30.0  # by which the noise of other people counts in the noise of a channel
_SMALLEST = 1e-6


class Samples(NamedTuple):
    """Samples of one person and exercise.

    Attributes:
      own: [N, C] the model's curve of each channel, finite.
      curves: [N, Q] its curves of all muscles, as fractions of the MVC.
      target: [N, C] measured envelope in any unit.
      mask: [N, C] true where it was measured.
    """

    own: Float[np.ndarray, "N C"]
    curves: Float[np.ndarray, "N Q"]
    target: Float[np.ndarray, "N C"]
    mask: Bool[np.ndarray, "N C"]


@dataclasses.dataclass(frozen=True)
class PersonPrior:
    """How the weights differ between people.

    Attributes:
      channels: names of the Q curves.
      components: [Q, P] of the logarithms of the curves.
      mean: [W] of the weights.
      covariance: [W, W] of the weights.
      noise: variance of what the weights do not explain.
      dataset: of the people it was learned from.
    """

    channels: tuple[str, ...]
    components: Float[np.ndarray, "Q P"]
    mean: Float[np.ndarray, " W"]
    covariance: Float[np.ndarray, "W W"]
    noise: float
    dataset: str

    def save(self, path: Path) -> None:
        """Writes a file of NumPy arrays."""
        arrays = dataclasses.asdict(self)
        write_atomically(path, lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, path: Path, channels: Sequence[str]) -> "PersonPrior":
        """Reads what `save` wrote.

        Args:
          path: of the file.
          channels: names of the curves that will be given.

        Raises:
          UserError: the file holds something else, or is of other curves.
        """
        try:
            with np.load(path) as file:
                arrays = {field.name: file[field.name] for field in dataclasses.fields(cls)}
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: not a prior of `transfer --learn_prior` ({error})") from None
        arrays["channels"] = tuple(arrays["channels"].tolist())
        arrays |= {"noise": float(arrays["noise"]), "dataset": str(arrays["dataset"])}
        if arrays["channels"] != tuple(channels):
            raise UserError(
                f"{path}: learned from other muscles than the run predicts; learn it anew"
            )
        return cls(**arrays)


def learn(people: Iterable[Samples], channels: Sequence[str], dataset: str) -> PersonPrior:
    """Learns the prior.

    Args:
      people: each exercise of each person.
      channels: names of the curves.
      dataset: name of the dataset of these people.

    Raises:
      UserError: nobody has enough samples.
    """
    people = list(people)
    components = _components([log_curves(one.curves) for one in people])
    parts = [_Moments.of(_Scaled(one, components), one) for one in people]
    moments = _Moments(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    moments = _Moments(*(values[moments.count >= _FEWEST] for values in moments))
    if not len(moments.count):
        raise UserError("no channel has enough measured samples to learn how people differ")
    size = moments.cross.shape[1]
    mean, covariance, noise = np.eye(size)[0], 0.3 * np.eye(size), np.full(len(moments.count), 0.03)
    for _ in range(_STEPS):
        weights, variance = _posterior(moments, mean, covariance, noise)
        mean = weights.mean(0)
        away = weights - mean
        covariance = (variance + away[:, :, None] * away[:, None]).mean(0)
        covariance += _SMALLEST * np.eye(size)
        noise = moments.noise(weights, float(np.median(noise)))
    usual = float(np.median(noise))
    return PersonPrior(tuple(channels), components, mean, covariance, usual, dataset)


class Shrunk:
    """The channels of one person in one exercise, by the posterior mean of their weights."""

    def __init__(self, prior: PersonPrior, samples: Samples) -> None:
        """Fits the weights to all samples."""
        self._scaled = _Scaled(samples, prior.components)
        moments = _Moments.of(self._scaled, samples)
        noise = np.full(len(moments.count), prior.noise)
        for _ in range(_NOISE_STEPS):
            self._weights, _ = _posterior(moments, prior.mean, prior.covariance, noise)
            noise = moments.noise(self._weights, prior.noise)

    def predict(
        self, own: Float[np.ndarray, "N C"], curves: Float[np.ndarray, "N Q"]
    ) -> Float[np.ndarray, "N C"]:
        """Predicts the channels, in the unit of the targets."""
        inputs = self._scaled.inputs(own, curves)
        return np.einsum("ncw,cw->nc", inputs, self._weights) * self._scaled.of_target


class _Scaled:
    """Units of a person: 99th percentiles, and the mean of the mixtures."""

    def __init__(self, samples: Samples, components: Float[np.ndarray, "Q P"]) -> None:
        self.of_target = percentile_99(samples.target, samples.mask)
        self._of_own = percentile_99(samples.own, np.ones_like(samples.mask))
        self._components = components
        self._centre = (log_curves(samples.curves) @ components).mean(0)

    def inputs(self, own: np.ndarray, curves: np.ndarray) -> Float[np.ndarray, "N C W"]:
        x = own / self._of_own
        mixtures = log_curves(curves) @ self._components - self._centre
        parts = [x, np.ones_like(x), np.log(np.maximum(x, 0.0) + _LEAST_OWN)]
        shared = np.broadcast_to(mixtures[:, None], (*x.shape, mixtures.shape[1]))
        return np.concatenate([np.stack(parts, -1), shared], -1)


class _Moments(NamedTuple):
    """Of inputs and targets of D channels, summed over samples."""

    cross: Float[np.ndarray, "D W W"]
    both: Float[np.ndarray, "D W"]
    square: Float[np.ndarray, " D"]
    count: Float[np.ndarray, " D"]

    @classmethod
    def of(cls, scaled: _Scaled, samples: Samples) -> "_Moments":
        inputs = scaled.inputs(samples.own, samples.curves) * samples.mask[..., None]
        target = np.where(samples.mask, samples.target / scaled.of_target, 0.0)
        x = inputs.swapaxes(0, 1)
        return cls(
            x.swapaxes(1, 2) @ x,
            np.einsum("ncw,nc->cw", inputs, target),
            (target**2).sum(0),
            samples.mask.sum(0).astype(float),
        )

    def noise(self, weights: Float[np.ndarray, "D W"], usual: float) -> Float[np.ndarray, " D"]:
        """Variance of what the weights leave, shrunk to the usual one."""
        explained = np.einsum("dw,dwv,dv->d", weights, self.cross, weights)
        rest = self.square - 2 * (weights * self.both).sum(1) + explained
        return (np.maximum(rest, 0.0) + _NOISE_SAMPLES * usual) / (self.count + _NOISE_SAMPLES)


def _posterior(
    moments: _Moments, mean: np.ndarray, covariance: np.ndarray, noise: np.ndarray
) -> tuple[Float[np.ndarray, "D W"], Float[np.ndarray, "D W W"]]:
    """Mean and covariance of the weights of each channel."""
    precision, scale = np.linalg.inv(covariance), (noise * _ALIKE)[:, None]
    variance = np.linalg.inv(precision + moments.cross / scale[..., None])
    toward = precision @ mean + moments.both / scale
    return np.einsum("dwv,dv->dw", variance, toward), variance


def _components(logs: Sequence[Float[np.ndarray, "_ Q"]]) -> Float[np.ndarray, "Q P"]:
    """Principal components over all people, each with a standard deviation of 1."""
    together = np.concatenate(logs)
    together = together - together.mean(0)
    # Of the products of the curves, since there are far more samples than curves.
    values, vectors = np.linalg.eigh(together.T @ together / len(together))
    order = np.argsort(values)[::-1][:MIXTURES]
    order = order[values[order] > _SMALLEST]
    return vectors[:, order] / np.sqrt(values[order])


def log_curves(curves: Float[np.ndarray, "N Q"]) -> Float[np.ndarray, "N Q"]:
    """Logarithms of the model's curves, since a measured envelope may not be linear in the effort.

    Args:
      curves: as fractions of the MVC.
    """
    return np.log(np.maximum(curves, 0.0) + _LEAST_CURVE)


def percentile_99(
    values: Float[np.ndarray, "N C"], mask: Bool[np.ndarray, "N C"]
) -> Float[np.ndarray, " C"]:
    """99th percentile of what was measured of each channel; 1 where that is nothing or zero."""
    known = (values[mask[:, c], c] for c in range(values.shape[1]))
    high = np.array([float(np.percentile(one, 99)) if len(one) else 0.0 for one in known])
    return np.where(high > 0, high, 1.0)
