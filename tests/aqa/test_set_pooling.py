import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aqa.test_baselines import TRAIN, annotations, rubric, with_scoring_facts
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.aqa.set_pooling import SetPooling
from video2emg.fkg.scoring import compositional_score

SETS, REPETITIONS = 400, 3


def sets_of_three(seed: int) -> tuple[AQALabels, AQAPredictions]:
    """Errors that a set has or lacks as a whole, and calibrated but weak evidence of each."""
    rng = np.random.default_rng(seed)
    labels = with_scoring_facts(annotations(SETS * REPETITIONS, seed), TRAIN)
    action = np.repeat(rng.integers(0, 2, SETS), REPETITIONS)
    pair_mask = rubric().weight[action] > 0
    made = np.repeat(rng.random((SETS, pair_mask.shape[1])) < 0.3, REPETITIONS, 0) & pair_mask
    severity = np.where(made, np.repeat(rng.uniform(0.3, 1, (SETS, 1)), REPETITIONS, 0), 0.0)
    evidence = np.where(made, 1.0, -1.0) + rng.normal(size=made.shape)  # logit: 2 x
    probability = 1 / (1 + np.exp(-(2 * evidence + np.log(0.3 / 0.7))))
    seen = np.clip(severity + rng.normal(0, 0.3, severity.shape), 0, 1)
    score = 100 * rng.random(len(action))
    boundary = labels.annotations.boundary
    labels = dataclasses.replace(
        labels,
        annotations=AQAPredictions(made.astype(float), severity, score, boundary, action),
        pair_mask=pair_mask,
        recording=np.repeat(np.arange(SETS), REPETITIONS).astype(str),
    )
    return labels, AQAPredictions(probability, probability * seen, score, boundary, action)


def log_loss(labels: AQALabels, predictions: AQAPredictions) -> float:
    p = np.clip(predictions.probability, 1e-9, 1 - 1e-9)
    made = labels.annotations.probability
    return float(-np.mean((made * np.log(p) + (1 - made) * np.log(1 - p))[labels.pair_mask]))


def penalty(labels: AQALabels) -> np.ndarray:
    return rubric().weight[labels.annotations.action]


def test_other_repetitions_of_a_set_help_and_their_weight_is_that_of_bayes():
    """Independent evidence adds up: the log odds of three are their sum, minus two priors."""
    pooling = SetPooling.fit(*sets_of_three(0))
    assert pooling.own == pytest.approx(1.0, abs=0.15)
    assert pooling.others == pytest.approx(2.0, abs=0.2)
    assert pooling.offset == pytest.approx(-2 * np.log(0.3 / 0.7), abs=0.3)
    labels, alone = sets_of_three(1)
    together = pooling(alone, labels.recording, penalty(labels))
    assert log_loss(labels, together) < 0.6 * log_loss(labels, alone)
    made = (labels.annotations.probability > 0) & labels.pair_mask

    def severity_error(predictions):
        given_made = predictions.expected_severity / predictions.probability
        return np.abs(given_made - labels.annotations.expected_severity)[made].mean()

    assert severity_error(together) < 0.8 * severity_error(alone)


def test_the_score_is_that_of_the_errors():
    labels, alone = sets_of_three(2)
    together = SetPooling(0.8, 0.5, 0.1, 0.6, 0.3)(alone, labels.recording, penalty(labels))
    severity = jnp.asarray(together.expected_severity, jnp.float32)
    expected = compositional_score(severity, jnp.asarray(penalty(labels)))
    np.testing.assert_allclose(together.score, expected, rtol=1e-4)
    assert (together.expected_severity <= together.probability).all()
    np.testing.assert_array_equal(together.boundary, alone.boundary)


@given(st.permutations(range(12)))
def test_the_order_of_repetitions_does_not_matter(order):
    labels, alone = sets_of_three(3)
    order = np.array(order)

    def rows(predictions, chosen):
        return AQAPredictions(*(value[chosen] for value in vars(predictions).values()))

    pooling = SetPooling(0.8, 0.5, 0.1, 0.6, 0.3)
    first = np.arange(12)
    together = pooling(rows(alone, first), labels.recording[first], penalty(labels)[first])
    mixed = pooling(rows(alone, order), labels.recording[order], penalty(labels)[order])
    np.testing.assert_allclose(mixed.score, together.score[order])


def test_who_is_alone_stays_as_it_is():
    labels, alone = sets_of_three(4)
    single = labels.clip_id
    together = SetPooling(0.8, 0.5, 0.1, 0.6, 0.3)(alone, single, penalty(labels))
    for value, before in zip(vars(together).values(), vars(alone).values(), strict=True):
        np.testing.assert_array_equal(value, before)
    assert SetPooling.fit(dataclasses.replace(labels, recording=single), alone) == SetPooling()
