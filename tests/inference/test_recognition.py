"""Which exercise is shown, and that one that is not sure gets no score."""

import numpy as np
import pytest

import video2emg
from tests.inference.test_pose_input import squats
from video2emg.data.film_pose import track_to_pose
from video2emg.eval.out_of_domain import EncoderFeatures, OODDetector
from video2emg.inference.predictor import Predictor
from video2emg.inference.recognition import SURE, Recognition, recognise


class Detector(OODDetector):
    """Stands in for the detector; the motion of a window is its answer, (action, share)."""

    actions = ("curl", "press", "squat")

    def __init__(self):
        pass

    def recognise(self, features, among=()):
        index, share = features.motion[0]
        return np.array([int(index)]), np.array([share])


def windows(*answers):
    empty = np.zeros((1, 1))
    return [EncoderFeatures(empty, np.array([answer]), empty) for answer in answers]


def test_votes_of_other_exercises_are_not_lost():
    found = recognise(Detector(), windows((2, 0.6), (2, 1.0), (0, 0.4)), ())
    assert found.action == "squat" and found.share == pytest.approx(1.6 / 3)
    assert list(found.votes) == ["squat", "curl"]
    assert not found.is_sure and str(found) == "squat 53%, curl 13%"
    assert recognise(Detector(), windows((2, 0.6), (2, 0.8)), ()).is_sure


@pytest.fixture(scope="module")
def predictor():
    return video2emg.load()


def test_an_exercise_that_is_not_sure_gets_no_score_and_a_sentence(predictor, monkeypatch):
    votes = {"barbell_squat": SURE - 0.06, "dumbbell_curl": 0.2, "barbell_deadlift": 0.1}
    monkeypatch.setattr(Predictor, "_recognise", lambda *args: Recognition(votes))
    told = {"equipment": "barbell_back", "load": 60.0, "height": 1.75}
    prediction = predictor.predict_pose(track_to_pose(squats(2)), **told)
    assert prediction.action == "barbell_squat" and prediction.score is None
    assert all("--action" in r.no_score_reason for r in prediction.repetitions)
    (warning,) = [w for w in prediction.warnings if "not sure" in w]
    assert "barbell squat 60%, dumbbell curl 20%, barbell deadlift 10%" in warning
    written = prediction.to_json()
    assert not written["action_is_sure"] and written["votes"] == votes
    given = predictor.predict_pose(track_to_pose(squats(2)), action="barbell_squat", **told)
    assert given.score is not None and given.to_json()["action_is_sure"]
    assert not any("not sure" in w for w in given.warnings)
