import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aqa.test_baselines import TRAIN, annotations, rubric, with_scoring_facts
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.aqa.set_pooling import SetPooling
from video2emg.fkg.scoring import compositional_score

SETS = 400
PRIOR = float(np.log(0.3 / 0.7))
WEIGHTS = SetPooling(0.8, 0.5, 0.1, 1.0, 0.6, 0.3)


def sets(seed: int, sizes: Sequence[int] = (2, 3, 4, 5)) -> tuple[AQALabels, AQAPredictions]:
    """Errors that a set has or lacks as a whole, and calibrated but weak predictions of each."""
    rng = np.random.default_rng(seed)
    size = np.resize(sizes, SETS)
    labels = with_scoring_facts(annotations(int(size.sum()), seed), TRAIN)
    action = np.repeat(rng.integers(0, 2, SETS), size)
    pair_mask = rubric().weight[action] > 0
    made = np.repeat(rng.random((SETS, pair_mask.shape[1])) < 0.3, size, 0) & pair_mask
    severity = np.where(made, np.repeat(rng.uniform(0.3, 1, (SETS, 1)), size, 0), 0.0)
    seen_as = np.where(made, 1.0, -1.0) + rng.normal(size=made.shape)  # logit: 2 x
    probability = 1 / (1 + np.exp(-(2 * seen_as + PRIOR)))
    seen = np.clip(severity + rng.normal(0, 0.3, severity.shape), 0, 1)
    score = 100 * rng.random(len(action))
    boundary = labels.annotations.boundary
    labels = dataclasses.replace(
        labels,
        annotations=AQAPredictions(made.astype(float), severity, score, boundary, action),
        pair_mask=pair_mask,
        recording=np.repeat(np.arange(SETS), size).astype(str),
    )
    return labels, AQAPredictions(probability, probability * seen, score, boundary, action)


def log_loss(labels: AQALabels, predictions: AQAPredictions) -> float:
    p = np.clip(predictions.probability, 1e-9, 1 - 1e-9)
    made = labels.annotations.probability
    return float(-np.mean((made * np.log(p) + (1 - made) * np.log(1 - p))[labels.pair_mask]))


def penalty(labels: AQALabels) -> np.ndarray:
    return rubric().weight[labels.annotations.action]


@pytest.mark.parametrize("size", [2, 4, 6])
def test_other_repetitions_of_a_set_help_nearly_as_bayes_says(size):
    """Log likelihood ratios of independent repetitions add up."""
    pooling = SetPooling.fit(*sets(0))
    labels, alone = sets(1, (size,))
    together = pooling(alone, labels.recording, penalty(labels))
    ratio = np.log(alone.probability / (1 - alone.probability)) - PRIOR
    total = PRIOR + ratio.reshape(SETS, size, -1).sum(1).repeat(size, 0)
    best = dataclasses.replace(alone, probability=1 / (1 + np.exp(-total)))
    assert log_loss(labels, together) < 0.7 * log_loss(labels, alone)
    assert log_loss(labels, together) < log_loss(labels, best) + 0.02
    made = (labels.annotations.probability > 0) & labels.pair_mask

    def severity_error(predictions):
        given_made = predictions.expected_severity / predictions.probability
        return np.abs(given_made - labels.annotations.expected_severity)[made].mean()

    assert severity_error(together) < 0.95 * severity_error(alone)


def test_what_lasts_in_a_set_is_not_counted_again():
    """Repetitions that are seen with the same errors say no more than one of them."""
    labels, alone = sets(2)
    first = np.unique(labels.recording, return_index=True)[1][
        np.unique(labels.recording, return_inverse=True)[1]
    ]
    same = dataclasses.replace(alone, probability=alone.probability[first])
    pooling = SetPooling.fit(labels, same)
    together = pooling(same, labels.recording, penalty(labels))
    np.testing.assert_allclose(together.probability, same.probability, atol=0.06)


def test_the_score_is_that_of_the_errors():
    labels, alone = sets(2)
    together = WEIGHTS(alone, labels.recording, penalty(labels))
    severity = jnp.asarray(together.expected_severity, jnp.float32)
    expected = compositional_score(severity, jnp.asarray(penalty(labels)))
    np.testing.assert_allclose(together.score, expected, rtol=1e-4)
    assert (together.expected_severity <= together.probability).all()
    np.testing.assert_array_equal(together.boundary, alone.boundary)


@given(st.permutations(range(12)))
def test_the_order_of_repetitions_does_not_matter(order):
    labels, alone = sets(3)
    order = np.array(order)

    def rows(predictions, chosen):
        return AQAPredictions(*(value[chosen] for value in vars(predictions).values()))

    pooling = WEIGHTS
    first = np.arange(12)
    together = pooling(rows(alone, first), labels.recording[first], penalty(labels)[first])
    mixed = pooling(rows(alone, order), labels.recording[order], penalty(labels)[order])
    np.testing.assert_allclose(mixed.score, together.score[order])


def test_who_is_alone_stays_as_it_is():
    labels, alone = sets(4)
    single = labels.clip_id
    together = WEIGHTS(alone, single, penalty(labels))
    for value, before in zip(vars(together).values(), vars(alone).values(), strict=True):
        np.testing.assert_array_equal(value, before)
    assert SetPooling.fit(dataclasses.replace(labels, recording=single), alone) == SetPooling()
