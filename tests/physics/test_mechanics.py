import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.physics import placed
from video2emg.core import vocabulary
from video2emg.core.errors import UserError
from video2emg.physics.mechanics import Mechanics, filled, second_derivative, smoothing
from video2emg.sim import record
from video2emg.sim.exercises import EXERCISES

LAYERS, solve = placed.LAYERS, placed.solve


@jax.jit
def gradient(pose, known, height, mass, held):
    return jax.grad(lambda pose: jnp.sum(LAYERS(pose, known, height, mass, held).excitation))(pose)


def changed(pose=None, held=None):
    window = list(placed.window("barbell_squat", 60))
    window[0] = window[0] if pose is None else pose(window[0])
    window[4] = window[4] if held is None else held(window[4])
    return window


def column(side: str, muscle: str) -> tuple[int, int]:
    return vocabulary.SIDES.index(side), vocabulary.MUSCLES.index(muscle)


@pytest.mark.parametrize(
    "exercise, muscles",
    [
        ("barbell_squat", ("vastus_lateralis", "gluteus_maximus", "erector_spinae", "soleus")),
        ("dumbbell_lateral_raise", ("medial_deltoid", "upper_trapezius")),
    ],
)
def test_excitation_follows_the_drive_of_the_simulator(exercise, muscles):
    """From joints alone, without strength and skill of the person."""
    played = placed.performance(exercise)
    solution = solve(*placed.window(exercise, 60))
    got = LAYERS.sample(solution.excitation, 120, 50.0)[0]
    for muscle in muscles:
        s, m = column("left", muscle)
        drive = played.drive[:120, played.channels.index(f"left_{muscle}")]
        assert np.corrcoef(got[:, s, m], drive)[0, 1] > 0.95
        assert float(got[:, s, m].max()) == pytest.approx(drive.max(), rel=0.35)
    assert bool(solution.known[0, :, :, column("left", muscles[0])[1]].all())


def test_rectus_femoris_follows_the_vasti_as_in_the_simulator():
    """People whose heads have a common drive; without it the layers miss the muscle."""
    low, high, step = EXERCISES["barbell_squat"].loads
    load = low + step * round((high - low) / 2 / step)
    person = dataclasses.replace(placed.PERSON, common_drive=0.6)
    played = record.perform(person, EXERCISES["barbell_squat"], load, [{}], 7, standard_tempo=True)
    together = jax.jit(Mechanics(placed.JOINTS, common_drive=0.6))
    got = [
        LAYERS.sample(layers(*placed.window("barbell_squat", 60)).excitation, 120, 50.0)[0]
        for layers in (together, solve)
    ]
    s, m = column("left", "rectus_femoris")
    drive = played.drive[:120, played.channels.index("left_rectus_femoris")]
    assert np.corrcoef(got[0][:, s, m], drive)[0, 1] > 0.95
    assert float(got[0][:, s, m].max()) == pytest.approx(drive.max(), rel=0.35)
    assert float(got[1][:, s, m].max()) < 0.7 * drive.max()


def test_left_and_right_are_one_function():
    """The mirrored body with the mirrored load gives the mirrored muscles."""
    order = np.array(vocabulary.mirror_order(placed.JOINTS))
    mirrored = changed(
        lambda pose: pose[:, :, order] * np.array([1, -1, 1], np.float32),
        lambda held: held[:, [1, 0, 2, 3, 4]],
    )
    got, expected = solve(*mirrored), solve(*changed())
    np.testing.assert_allclose(got.excitation, expected.excitation[:, :, ::-1], atol=2e-3)


@settings(max_examples=5)
@given(st.floats(-3.1, 3.1), st.floats(-2, 2), st.floats(-2, 2))
def test_heading_and_place_do_not_matter(turn, x, y):
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    got = solve(*changed(lambda pose: pose @ rotation.T + np.array([x, y, 0.3], np.float32)))
    np.testing.assert_allclose(got.excitation, solve(*changed()).excitation, atol=5e-3)


def test_a_moving_origin_does_not_matter():
    """Estimators put the origin into the hips; the feet on the floor tell how the hips move."""
    hips = [placed.JOINTS.index(f"{side}_hip") for side in vocabulary.SIDES]
    got = solve(*changed(lambda pose: pose - pose[:, :, hips].mean(2, keepdims=True)))
    np.testing.assert_allclose(got.torque, solve(*changed()).torque, atol=1.0)


def test_torque_is_linear_in_the_load():
    heavier = [solve(*changed(held=lambda held, k=k: k * held)).torque for k in (0, 1, 2)]
    np.testing.assert_allclose(heavier[2] - heavier[1], heavier[1] - heavier[0], atol=0.5)
    assert float(jnp.abs(heavier[1] - heavier[0]).max()) > 30


@settings(max_examples=6)
@given(st.integers(0, 1000), st.sampled_from(["noise", "coincident", "collinear", "far"]))
def test_any_finite_pose_gives_finite_values_and_gradients(seed, kind):
    rng = np.random.default_rng(seed)
    shape = placed.window("barbell_squat", 60)[0].shape
    pose = {
        "noise": lambda _: rng.normal(size=shape).astype(np.float32),
        "coincident": lambda _: np.zeros(shape, np.float32),
        "collinear": lambda _: (
            np.linspace(0, 2, shape[2])[:, None]
            * np.ones(shape, np.float32)
            * np.array([0, 0, 1], np.float32)
        ),
        "far": lambda pose: (100 * pose).astype(np.float32),
    }[kind]
    window = changed(pose)
    solution = solve(*window)
    assert all(bool(jnp.isfinite(x).all()) for x in solution)
    assert float(solution.excitation.min()) >= 0 and float(solution.excitation.max()) <= 1
    assert bool(jnp.isfinite(gradient(*window)).all())


def test_unknown_joints_are_masked_and_do_not_spread():
    pose, known, *rest = changed()
    wrist = placed.JOINTS.index("left_wrist")
    broken, hidden = pose.copy(), known.copy()
    broken[:, 20:, wrist], hidden[:, 20:, wrist] = np.nan, False
    got, clean = solve(broken, hidden, *rest), solve(pose, known, *rest)
    s, biceps = column("left", "biceps_brachii")
    assert not bool(got.known[:, 12:, s, biceps].any()) and bool(got.known[:, :10, s].any())
    assert bool(got.known[:, :, 1 - s, biceps].all())
    assert bool(jnp.isfinite(got.excitation).all())
    vastus = vocabulary.MUSCLES.index("vastus_lateralis")
    np.testing.assert_allclose(
        got.excitation[..., vastus], clean.excitation[..., vastus], atol=0.05
    )


def test_gradients_are_those_of_finite_differences():
    window = changed()
    rng = np.random.default_rng(0)
    slope = gradient(*window)
    smooth = np.ones((1, window[0].shape[1], 1, 1), np.float32)
    for _ in range(3):
        change = (rng.normal(size=(1, 1, *window[0].shape[2:])) * smooth).astype(np.float32)
        ends = [
            float(jnp.sum(solve(window[0] + sign * 1e-3 * change, *window[1:]).excitation))
            for sign in (-1, 1)
        ]
        numeric = (ends[1] - ends[0]) / 2e-3
        assert numeric == pytest.approx(float(jnp.sum(slope * change)), rel=0.15, abs=20)


@pytest.mark.parametrize(
    "settings_, message",
    [
        (dict(joints=("head", "neck")), "joints that make no body; missing chest, left_ankle"),
        (dict(joints=placed.JOINTS, rate=5.0), "a pose of 5 Hz; accelerations need 25 Hz"),
        (dict(joints=placed.JOINTS, muscle_rate=10.0), "does not divide"),
    ],
)
def test_settings_that_make_no_body_are_refused(settings_, message):
    with pytest.raises(UserError, match=message):
        Mechanics(**settings_)


def test_second_derivative_of_a_parabola():
    t = np.arange(30) / 25.0
    np.testing.assert_allclose(second_derivative(30, 25.0) @ (1.5 * t**2), 3.0, rtol=1e-3)


def test_smoothing_halves_its_cutoff_and_keeps_the_slow():
    t = np.arange(400) / 25.0
    for frequency, expected in ((0.3, 1.0), (2.0, 0.5), (6.0, 0.0)):
        wave = np.sin(2 * np.pi * frequency * t)
        kept = (smoothing(400, 25.0, 2.0) @ wave)[100:300]
        amplitude = np.sqrt(2) * kept.std() / (np.sqrt(2) * wave[100:300].std())
        assert amplitude == pytest.approx(expected, abs=0.02)


def test_gaps_are_filled_from_near_instants():
    pose = np.zeros((1, 30, 2, 3), np.float32)
    pose[0, :, 0, 0] = 1.0
    known = np.ones((1, 30, 2), bool)
    known[0, 10:15, 0], known[0, :, 1] = False, False
    pose[0, 10:15, 0], pose[0, :, 1] = np.nan, np.nan
    got = np.asarray(filled(pose, known, jnp.full((2, 3), 7.0)))
    np.testing.assert_allclose(got[0, :, 0, 0], 1.0, atol=1e-5)
    np.testing.assert_allclose(got[0, :, 1], 7.0)


def test_heading_does_not_matter_on_a_bench():
    """Also the pads, which push along and across the body, turn with it."""
    rotation = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    pose, *rest = placed.window("dumbbell_bench_press", 60)
    straight, turned = solve(pose, *rest), solve(pose @ rotation.T, *rest)
    np.testing.assert_allclose(turned.torque, straight.torque, atol=0.5)
    np.testing.assert_allclose(turned.excitation, straight.excitation, atol=5e-3)


def test_a_body_without_toes_is_refused_at_once():
    """Nothing replaces a toe; a heel may be the ankle."""
    joints = tuple(name for name in placed.JOINTS if "toe" not in name and "heel" not in name)
    with pytest.raises(UserError, match="missing left_toe, right_toe"):
        Mechanics(joints)
