import numpy as np
import pytest

from analyses import effort_errors
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.eval.bootstrap import recording_weights
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric

GRAPH = load("gymsim_effort")
RUBRIC = Rubric.from_graph(GRAPH).only(["barbell_squat"])
[PAIRS] = RUBRIC.pairs
HIDDEN = np.array([GRAPH.errors[error].shown_by == "muscles" for _, error in PAIRS])
COUNT = 80


def labels_and_predictions(known: np.ndarray) -> tuple[AQALabels, AQAPredictions]:
    """Repetitions, and predictions that are right about the pairs `known` and guess the others."""
    rng = np.random.default_rng(0)
    made = (rng.random((COUNT, len(PAIRS))) < 0.25).astype(float)
    guessed = np.where(known, made, rng.random(made.shape))
    action, score = np.zeros(COUNT, int), np.full(COUNT, 50.0)
    boundary = np.zeros((COUNT, 1))
    labels = AQALabels(
        annotations=AQAPredictions(made, made, score, boundary, action),
        pair_mask=np.ones(made.shape, bool),
        subject=np.array([f"s{i % 8}" for i in range(COUNT)]),
        clip_id=np.arange(COUNT).astype(str),
        recording=np.arange(COUNT).astype(str),
        rubric=RUBRIC,
        score_ranges=[(0.0, 100.0)],
        mean_scores=np.array([50.0]),
    )
    return labels, AQAPredictions(guessed, guessed, score, boundary, action)


@pytest.mark.parametrize("kind", ["movement", "muscles"])
def test_kinds_of_errors_are_scored_apart(kind):
    other = {"movement": "muscles", "muscles": "movement"}[kind]
    labels, predictions = labels_and_predictions((kind == "muscles") == HIDDEN)
    weight = recording_weights(labels.subject, 50, 0)
    assert weight is not None
    scored = effort_errors.score(GRAPH, labels, predictions, weight).with_intervals()
    chance = effort_errors.prevalence(GRAPH, labels)
    assert set(scored) >= set(chance) >= {"movement", "muscles", "co_contraction", "uneven_effort"}
    assert scored[kind] == 1 and scored[f"{kind}_ci95"] == [1, 1]
    assert scored[other] == pytest.approx(chance[other], abs=0.15)


def test_the_table_has_every_row_its_chance_and_its_gain():
    part = {"movement": 0.5, "movement_ci95": [0.4, 0.6], "muscles": 0.25, "muscles_ci95": [0, 1]}
    results = {
        "chance": {"movement": 0.1, "muscles": 0.2},
        "rows": {"pose": part, "EMG": part},
        "differences": {"EMG − pose": part},
    }
    lines = effort_errors.markdown(results).splitlines()
    assert lines[0] == "| | movement | muscles |"
    assert lines[2] == "| pose | 0.500 (0.400 to 0.600) | 0.250 (0.000 to 1.000) |"
    assert lines[-1].startswith("| EMG − pose | +0.500 (+0.400 to +0.600)")
