import mujoco
import numpy as np
import pytest

from tests.sim.people import PERSON
from video2emg.sim import dynamics, joint_load
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.record import perform
from video2emg.sim.tempo import POSE_RATE


@pytest.fixture(scope="module", params=["barbell_squat", "barbell_bench_press"])
def performance(request):
    exercise = EXERCISES[request.param]
    return perform(PERSON, exercise, exercise.loads[0], [{}], 0, standard_tempo=True)


def test_net_moments_are_those_of_inverse_dynamics(performance):
    """MuJoCo's recursion over bodies, and the Jacobians of `Ground`, are independent."""
    model = performance.lifter.model
    data = mujoco.MjData(model)
    dynamics.place_bench(data, performance.support, performance.heading)
    qpos = performance.qpos.copy()
    for row in qpos:
        mujoco.mj_normalizeQuat(model, row)
    qvel, qacc = dynamics.derivatives(model, qpos, POSE_RATE)
    data.qpos[:], data.qvel[:], data.qacc[:] = qpos[70], qvel[70], qacc[70]
    mujoco.mj_inverse(model, data)
    contacts = performance.support.contacts if performance.support else ()
    ground = dynamics.Ground(model, contacts, performance.heading)
    data.xfrc_applied[:] = ground.by_body(model, data)
    mujoco.mj_rnePostConstraint(model, data)
    force, moment = joint_load.net_load(data, model.body("pelvis").id)
    assert np.abs(force).max() < 1e-6 and np.abs(moment).max() < 1e-6  # nothing holds the body
    [torque], _ = ground.joint_torques([ground.stance(model, data)])
    for name in ("knee_left", "ankle_right", "elbow_left", "lumbar_flexion", "lumbar_turn"):
        joint = model.joint(name)
        _, moment = joint_load.net_load(data, int(model.jnt_bodyid[joint.id]))
        assert moment @ data.xaxis[joint.id] == pytest.approx(torque[joint.dofadr[0]], abs=1e-6)


def test_the_lower_back_carries_what_is_above_it_and_the_pull_of_the_muscles(performance):
    load = joint_load.joint_load(performance, PERSON)
    assert load.lumbar_compression.shape == load.time.shape
    assert load.knee_frontal.shape == (*load.time.shape, 2)
    if performance.support is not None:
        return
    above = 0.45 * PERSON.mass + performance.load  # kg: trunk without the pelvis, head, arms
    standing = load.lumbar_compression[0]
    assert above * 9.81 < standing < 3 * above * 9.81
    assert load.lumbar_compression.max() > 2 * standing  # bent forward at the bottom


def test_muscles_press_by_their_tension_times_their_direction():
    """The erector is nearly parallel to the spine; a leg muscle does not cross the joint."""
    exercise = EXERCISES["barbell_squat"]
    performance = perform(PERSON, exercise, 20.0, [{}], 0, standard_tempo=True)
    model = performance.lifter.model
    data = mujoco.MjData(model)

    def compression(*tense: str) -> float:
        mujoco.mj_forward(model, data)
        mujoco.mj_rnePostConstraint(model, data)
        tension = np.array([100.0 * (name in tense) for name in performance.lifter.muscles])
        return joint_load.lumbar_compression(model, data, tension)

    rest = compression()
    pressed = {
        name: compression(name) - rest
        for name in ("erector_lumbar_left", "quadratus_lumborum_right", "vastus_lateralis_left")
    }
    assert 90 < pressed["erector_lumbar_left"] <= 100.001
    assert 60 < pressed["quadratus_lumborum_right"] <= 100.001
    assert abs(pressed["vastus_lateralis_left"]) < 1e-6
