"""Corrections of simulated squats, with signatures of another simulated person."""

import dataclasses

import numpy as np
import pytest

from video2emg.core import joint_moments, segment_directions, vocabulary
from video2emg.core.errors import UserError
from video2emg.core.pose_track import UPRIGHT, PoseTrack
from video2emg.fkg.signatures import Signature
from video2emg.inference import counterfactual
from video2emg.inference.mechanics import Settings
from video2emg.sim import effect_sizes
from video2emg.sim import subject as subjects
from video2emg.sim.exercises import EXERCISES, GRAPH
from video2emg.sim.record import Performance, perform, phases

SQUAT, LOAD, SEVERITY = EXERCISES["barbell_squat"], 25.0, 0.7
PERSON = subjects.sample(1, 77)
SETTINGS = Settings(load=LOAD, equipment="barbell_back", height=PERSON.height, mass=PERSON.mass)


def do(**errors: float) -> Performance:
    return perform(PERSON, SQUAT, LOAD, [errors], 3, standard_tempo=True)


def track(done: Performance) -> PoseTrack:
    joints = done.motion.joints
    seen = np.ones(joints.shape[:2])
    return PoseTrack(vocabulary.FLEX_21, done.time, joints, seen, source="a squat", axes=UPRIGHT)


def steps(done: Performance):
    return phases(GRAPH.action("barbell_squat"), done.tempo.cycles[0])


@pytest.fixture(scope="module")
def signatures() -> dict[tuple[str, str], Signature]:
    found = effect_sizes.pairs(SQUAT, subjects.sample(0, 501), 0.25, 0)
    return {
        (SQUAT.name, p.error): Signature(p.rotation, p.duration, effect_sizes.SEVERITY)
        for p in found
    }


@pytest.fixture(scope="module")
def leaning(signatures):
    wrong = do(forward_lean=SEVERITY)
    severities = {("rise", "forward_lean"): SEVERITY, ("rise", "knees_caving"): 0.2}
    found = counterfactual.corrections(
        track(wrong), steps(wrong), severities, GRAPH, SQUAT.name, SETTINGS, signatures=signatures
    )
    return wrong, found


def test_the_moments_come_near_those_of_the_person_without_the_error(leaning):
    wrong, found = leaning
    first = found[0]
    assert (first.error, first.joint) == ("forward_lean", "lumbar") and first.score > 10
    truth = {
        name: joint_moments.peaks(done.motion.named_torque)
        for name, done in (("with", wrong), ("without", do()))
    }
    for joint in ("lumbar", "knee", "hip"):
        true = truth["without"][joint] - truth["with"][joint]
        assert first.change(joint) == pytest.approx(true, abs=max(8.0, 0.4 * abs(true))), joint


def test_corrections_are_ordered_and_told(leaning):
    _, found = leaning
    assert [c.error for c in found] == ["forward_lean", "knees_caving"]
    text = counterfactual.to_text(found)
    assert text.startswith("Without “trunk tips forward” the peak of the moment of the lower back")
    assert text.endswith("points higher.") and counterfactual.to_text([]) == ""
    assert found[0].to_json()["moments"]["lumbar"]["unit"] == "N·m"


def test_nothing_to_correct(signatures):
    done = do()
    for severities in ({}, {("rise", "forward_lean"): 0.0}):
        assert not counterfactual.corrections(
            track(done), steps(done), severities, GRAPH, SQUAT.name, SETTINGS, False, signatures
        )


def test_key_steps_must_be_known_and_in_order(signatures):
    done = do()
    wanted = {("rise", "forward_lean"): 0.5}
    (stand, descend, rise) = steps(done)
    backwards = (stand, (rise[0], *descend[1:]), (descend[0], *rise[1:]))
    for bad, words in (((stand, rise), "both phases"), (backwards[::-1], "not in order")):
        with pytest.raises(UserError, match=f"a squat: .*{words}"):
            counterfactual.corrections(
                track(done), bad, wanted, GRAPH, SQUAT.name, SETTINGS, False, signatures
            )


def test_the_affected_side_is_found():
    """A shift to the right is taken away from the right, by the signature of the left."""
    rotation = np.zeros((3, len(segment_directions.SEGMENTS), 3))
    rotation[1, [far == "left_shoulder" for _, far in segment_directions.SEGMENTS], 0] = 0.3
    signature = Signature(rotation, (1.0, 1.0), 0.8)
    bounds, time = (0.2, 1.0, 1.8), np.arange(51) / 25
    standing = counterfactual.Mechanics(vocabulary.FLEX_21)._neutral()[None].repeat(51, 0)
    for side in ("left", "right"):
        turn = signature.at(np.interp(time, bounds, range(3)), 0.8)
        turn = turn if side == "left" else segment_directions.mirrored(turn)
        body = counterfactual.Body(
            time=time,
            pose=segment_directions.turned(standing, turn),
            known=np.ones((51, 21), bool),
            layers=counterfactual.Mechanics(vocabulary.FLEX_21),
            height=1.75,
            mass=75.0,
            held=np.zeros(5),
        )
        pose, again, same = counterfactual.corrected(body, bounds, signature, 0.8)
        np.testing.assert_allclose(pose, standing, atol=0.02)
        np.testing.assert_allclose(again, time)
        assert same == pytest.approx(bounds)


def test_a_hurried_phase_gets_its_time_back(signatures):
    signature = Signature(np.zeros((3, len(segment_directions.SEGMENTS), 3)), (0.5, 1.0), 0.8)
    done = do()
    body = counterfactual.Body(
        done.time,
        done.motion.joints,
        np.ones(done.motion.joints.shape[:2], bool),
        counterfactual.Mechanics(vocabulary.FLEX_21),
        1.75,
        75.0,
        np.zeros(5),
    )
    _, time, (start, turn, end) = counterfactual.corrected(body, (0.5, 1.0, 2.0), signature, 0.8)
    assert (start, turn, end) == (0.5, 1.5, 2.5)
    assert time[-1] - done.time[-1] == pytest.approx(0.5) and (np.diff(time) > 0).all()


def test_a_clip_is_corrected_by_its_labels(monkeypatch):
    from tests.conftest import make_clip

    asked = {}
    monkeypatch.setattr(
        counterfactual, "corrections", lambda *args: asked.setdefault("args", args) and []
    )
    clip = dataclasses.replace(make_clip(action="barbell_squat"), errors=(("rise", "x", 0.4),))
    clip.provenance["subject"] = {"height_m": 1.8, "mass_kg": 80.0}
    counterfactual.for_clip(clip, GRAPH)
    told, phases_, severities, _, action, settings = asked["args"]
    assert len(told.times) == len(clip.pose_time) and phases_ == clip.phases
    assert severities == {("rise", "x"): 0.4} and action == "barbell_squat"
    assert (settings.load, settings.equipment, settings.mass) == (20.0, "barbell_back", 80.0)
    with pytest.raises(UserError, match="nothing says where the load is"):
        counterfactual.for_clip(dataclasses.replace(clip, action="lift"), GRAPH)
    with pytest.raises(UserError, match="corrections need a pose and key steps"):
        counterfactual.for_clip(dataclasses.replace(clip, phases=()), GRAPH)


def test_a_film_of_few_pictures_gives_nearly_the_same(leaning, signatures):
    wrong, _ = leaning
    whole = track(wrong)
    film = dataclasses.replace(
        whole,
        times=whole.times[::8],
        joints=whole.joints[::8],
        confidence=whole.confidence[::8],
    )
    changes = [
        counterfactual.corrections(
            seen,
            steps(wrong),
            {("rise", "forward_lean"): SEVERITY},
            GRAPH,
            SQUAT.name,
            SETTINGS,
            estimated=True,
            signatures=signatures,
        )[0].change("lumbar")
        for seen in (whole, film)
    ]
    assert film.rate < 15 and changes[1] == pytest.approx(changes[0], rel=0.1)
