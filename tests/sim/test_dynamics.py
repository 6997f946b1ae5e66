import mujoco
import numpy as np
import pytest

from tests.sim.people import PERSON, TEMPO
from video2emg.core import vocabulary
from video2emg.sim import body, dynamics, kinematics, posture
from video2emg.sim.exercises import EXERCISES, Draft
from video2emg.sim.tempo import POSE_RATE

G = 9.81


def still(lifter: body.Lifter, **joints: float) -> np.ndarray:
    """[9, Q] coordinates of a body that stands motionless."""
    qpos = np.tile(lifter.model.qpos0, (9, 1))
    length = lifter.length
    qpos[:, 2] = length["thigh"] + length["shank"] + length["foot_height"]
    for joint, angle in joints.items():
        qpos[:, lifter.model.joint(joint).qposadr[0]] = angle
    return qpos


@pytest.mark.parametrize("load", [4.0, 10.0])
def test_static_elbow_torque_equals_a_calculation_by_hand(load):
    lifter = body.build(PERSON, "dumbbell", load)
    motion = dynamics.inverse_dynamics(lifter, still(lifter, elbow_left=np.pi / 2), 50.0)
    fore, hand = lifter.length["forearm"], lifter.length["hand"]
    mass = PERSON.mass
    expected = G * (
        load * (fore + body.GRIP * hand)
        + 0.0162 * mass * 0.457 * fore
        + 0.0061 * mass * (fore + 0.6 * hand)
    )
    torque = motion.named_torque[4, vocabulary.DOFS.index("left_elbow_flexion")]
    assert torque == pytest.approx(expected, rel=1e-5)


def test_floor_leaves_no_force_on_the_root():
    """With the floor's reaction there is no external force on the pelvis (Newton's third law)."""
    lifter = body.build(PERSON, "barbell_back", 60.0)
    data = mujoco.MjData(lifter.model)
    data.qpos[:] = still(lifter)[0]
    mujoco.mj_inverse(lifter.model, data)
    weight = (PERSON.mass + 60) * G
    assert data.qfrc_inverse[2] == pytest.approx(weight, rel=2e-3)
    ground = dynamics.Ground(lifter.model)
    [joint_torque], _ = ground.joint_torques([ground.stance(lifter.model, data)])
    np.testing.assert_allclose(joint_torque[:6], 0, atol=1e-6 * weight)


@pytest.mark.parametrize(
    "equipment, expected",
    [("dumbbell", 16.0), ("barbell_back", 8.0), ("barbell_overhead", 8.0), ("none", 0.0)],
)
def test_mass_of_body_and_load(equipment, expected):
    model = body.build(PERSON, equipment, 8.0 if equipment == "dumbbell" else 32.5).model
    expected = 32.5 if expected == 8.0 else expected
    fractions = (0.0694 + 0.1596 + 0.1633 + 0.1117) + 2 * (
        0.0271 + 0.0162 + 0.0061 + 0.1416 + 0.0433 + 0.0137
    )
    assert model.body_mass.sum() == pytest.approx(fractions * PERSON.mass + expected, abs=1e-3)


def test_torque_of_a_swing_follows_inertia():
    """A swinging forearm needs the extra torque I·α about the elbow."""
    lifter = body.build(PERSON, "none", 0.0)
    time = np.arange(51) / 50.0
    angle = np.pi / 2 + 0.3 * np.sin(2 * np.pi * time)
    qpos = np.repeat(still(lifter)[:1], 51, axis=0)
    qpos[:, lifter.model.joint("elbow_left").qposadr[0]] = angle
    elbow = vocabulary.DOFS.index("left_elbow_flexion")
    torque = dynamics.inverse_dynamics(lifter, qpos, 50.0).named_torque[:, elbow]
    data, dense = mujoco.MjData(lifter.model), np.zeros((lifter.model.nv, lifter.model.nv))
    expected = np.zeros(51)
    dof = lifter.model.joint("elbow_left").dofadr[0]
    for i in range(51):
        data.qpos[:] = qpos[i]
        mujoco.mj_forward(lifter.model, data)
        mujoco.mj_fullM(lifter.model, data, dense)
        acceleration = -0.3 * (2 * np.pi) ** 2 * np.sin(2 * np.pi * time[i])
        expected[i] = data.qfrc_bias[dof] + dense[dof, dof] * acceleration
    np.testing.assert_allclose(torque[4:-4], expected[4:-4], atol=0.05)


def test_two_link_keeps_lengths_and_reaches():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(20, 3))
    end = root + kinematics.unit(rng.normal(size=(20, 3))) * rng.uniform(0.3, 0.55, (20, 1))
    middle, reached = kinematics.two_link(root, end, 0.33, 0.27, rng.normal(size=(20, 3)))
    np.testing.assert_allclose(reached, end, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(middle - root, axis=1), 0.33, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(end - middle, axis=1), 0.27, atol=1e-9)
    frame, bend = kinematics.limb_frames(root, middle, end, bends=1)
    np.testing.assert_allclose(np.linalg.det(frame), 1, atol=1e-9)
    low = middle - 0.27 * (frame @ kinematics.rotation("y", -bend))[..., 2]
    np.testing.assert_allclose(low, end, atol=1e-9)


BENCHES = [e for e in EXERCISES.values() if e.bench is not None]


@pytest.mark.parametrize("name", ["dumbbell_pullover", "dumbbell_seated_press"])
def test_instants_do_not_change_each_other(name):
    """Contacts are taken away at some instants only; each is as if it were solved alone."""
    exercise = EXERCISES[name]
    lifter = body.build(PERSON, exercise.equipment, exercise.loads[1], exercise.bench)
    draft = Draft(PERSON, lifter.length, {}, TEMPO, np.random.default_rng(1))
    pose = exercise.move(draft)
    assert pose.support is not None
    qpos = posture.solve(pose, lifter, PERSON)[::5]
    data = mujoco.MjData(lifter.model)
    ground = dynamics.Ground(lifter.model, pose.support.contacts, pose.heading)
    qvel, qacc = dynamics.derivatives(lifter.model, qpos, 3 * POSE_RATE / 5)  # three times as fast
    stances = []
    for data.qpos[:], data.qvel[:], data.qacc[:] in zip(qpos, qvel, qacc, strict=True):
        mujoco.mj_inverse(lifter.model, data)
        stances.append(ground.stance(lifter.model, data))
    together = ground.forces(stances)
    alone = np.concatenate([ground.forces([stance]) for stance in stances])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    touching = np.abs(together[:, 14::3]) > 1.0
    assert touching.any() and not touching.all()


@pytest.mark.parametrize("exercise", BENCHES, ids=lambda e: e.name)
def test_bench_and_floor_carry_the_body_and_only_push(exercise):
    """Newton's laws for the whole body, calculated from positions without `mj_inverse`."""
    lifter = body.build(PERSON, exercise.equipment, exercise.loads[0], exercise.bench)
    draft = Draft(PERSON, lifter.length, {}, TEMPO, np.random.default_rng(1))
    pose = exercise.move(draft)
    assert pose.support is not None
    qpos = posture.solve(pose, lifter, PERSON)[:1]
    data = mujoco.MjData(lifter.model)
    data.qpos[:] = qpos[0]
    mujoco.mj_inverse(lifter.model, data)
    ground = dynamics.Ground(lifter.model, pose.support.contacts, pose.heading)
    [force] = ground.forces([ground.stance(lifter.model, data)])
    feet, pads = force[:12].reshape(2, 6), force[12:].reshape(-1, 3)
    axes = kinematics.rotation("z", pose.heading)
    normals = [axes @ c.normal for c in pose.support.contacts]
    pushes = np.concatenate([feet[:, 2], pads[:, 2]])
    weight = lifter.model.body_mass.sum() * G
    assert pushes.min() > -0.01 * weight
    # Forces of the pads in the room's axes: two along the pad, one out of it.
    total, turn = feet[:, :3].sum(0), feet[:, 3:].sum(0)
    for site, foot in zip(("sole_right", "sole_left"), feet, strict=True):
        turn = turn + np.cross(data.site(site).xpos - data.subtree_com[0], foot[:3])
    for contact, normal, pad in zip(pose.support.contacts, normals, pads, strict=True):
        across = axes[:, 1]
        pushed = pad[0] * np.cross(across, normal) + pad[1] * across + pad[2] * normal
        frame = data.body(contact.body)
        point = frame.xpos + frame.xmat.reshape(3, 3) @ contact.point
        total = total + pushed
        turn = turn + np.cross(point - data.subtree_com[0], pushed)
    np.testing.assert_allclose(total, [0, 0, weight], atol=1e-6 * weight)
    np.testing.assert_allclose(turn, 0, atol=1e-6 * weight)


def test_raised_hips_leave_their_pad():
    """Feet and shoulder blades alone support hips that are lifted off the bench."""
    exercise = EXERCISES["barbell_bench_press"]
    loads = []
    for errors in ({}, {"hips_lifted": 1.0}):
        lifter = body.build(PERSON, exercise.equipment, 20.0, exercise.bench)
        draft = Draft(PERSON, lifter.length, errors, TEMPO, np.random.default_rng(1))
        pose = exercise.move(draft)
        qpos = posture.solve(pose, lifter, PERSON)
        data = mujoco.MjData(lifter.model)
        data.qpos[:] = qpos[np.argmax(draft.progress())]
        mujoco.mj_inverse(lifter.model, data)
        assert pose.support is not None
        ground = dynamics.Ground(lifter.model, pose.support.contacts, pose.heading)
        [force] = ground.forces([ground.stance(lifter.model, data)])
        force = force[12:].reshape(-1, 3)[:, 2]
        on_pelvis = [c.body == "pelvis" for c in pose.support.contacts]
        loads.append(force[on_pelvis].sum())
    assert loads[0] > 150 and abs(loads[1]) < 0.05 * loads[0], loads


def test_a_rack_carries_the_load():
    """Torques with nothing carried are those of the same motion with a bar of no weight."""
    exercise = EXERCISES["barbell_squat"]

    def back(load: float, carried: float) -> np.ndarray:
        lifter = body.build(PERSON, exercise.equipment, load)
        draft = Draft(PERSON, lifter.length, {}, TEMPO, np.random.default_rng(1))
        qpos = posture.solve(exercise.move(draft), light, PERSON)
        share = np.full(len(qpos), carried)
        motion = dynamics.inverse_dynamics(lifter, qpos, 50.0, carried=share)
        return motion.named_torque

    light = body.build(PERSON, exercise.equipment, 1e-3)
    np.testing.assert_allclose(back(60.0, 0.0), back(1e-3, 1.0), atol=1.0)
    half = (back(60.0, 1.0) + back(60.0, 0.0)) / 2
    np.testing.assert_allclose(back(60.0, 0.5), half, atol=0.5)
