import dataclasses

import numpy as np
import pytest
from scipy import optimize

from tests.sim.people import PERSON
from video2emg.sim import record
from video2emg.sim import static_optimisation as so
from video2emg.sim.exercises import EXERCISES


def test_equals_an_independent_solver():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(6, 5, 12)) * 8
    target = rng.normal(size=(6, 5)) * 12
    lower = rng.uniform(0, 0.1, (6, 12))
    activation = so.bounded_least_squares(matrix, target, lower)
    for t in range(6):
        expected = optimize.lsq_linear(
            np.vstack([np.eye(12), np.sqrt(so.RESIDUAL_COST) * matrix[t]]),
            np.concatenate([np.zeros(12), np.sqrt(so.RESIDUAL_COST) * target[t]]),
            (lower[t], np.ones(12)),
        ).x
        # The tolerance is far below what an electrode can resolve.
        np.testing.assert_allclose(activation[t], expected, atol=0.01)


def test_parts_that_share_no_muscle_do_not_change_each_other():
    rng = np.random.default_rng(2)
    parts = [
        (rng.normal(size=(4, r, n)) * 8, rng.normal(size=(4, r)) * 12) for r, n in ((3, 7), (2, 5))
    ]
    rows, columns = rng.permutation(6), rng.permutation(13)  # one row and one muscle of no part
    matrix, target = np.zeros((4, 6, 13)), np.zeros((4, 6))
    matrix[:, :3, :7], matrix[:, 3:5, 7:12] = parts[0][0], parts[1][0]
    target[:, :5] = np.concatenate([parts[0][1], parts[1][1]], 1)
    lower = rng.uniform(0, 0.1, (4, 13))
    together = so.bounded_least_squares(
        matrix[:, rows][:, :, columns], target[:, rows], lower[:, columns]
    )
    together = together[:, np.argsort(columns)]
    alone = [
        so.bounded_least_squares(*part, lower[:, at])
        for part, at in zip(parts, (slice(7), slice(7, 12)), strict=True)
    ]
    np.testing.assert_allclose(together[:, :12], np.concatenate(alone, 1), atol=1e-9)
    np.testing.assert_allclose(together[:, 12], lower[:, 12], atol=1e-9)  # it has no lever


def test_limbs_and_trunk_are_solved_by_themselves():
    done = record.perform(PERSON, EXERCISES["dumbbell_curl"], 6.0, [{}], 0, standard_tempo=True)
    parts = so._independent(done.motion.moment_arm)
    names = np.array(done.lifter.muscles)
    assert len(parts) == 5
    limbs = [set(names[columns]) for _, columns in parts]
    assert not any({"biceps_long_left", "vastus_lateralis_left"} <= limb for limb in limbs)
    broken = done.motion.moment_arm.copy()
    broken[3, 0, 0] = np.nan
    assert np.isnan(
        so.bounded_least_squares(broken, done.motion.torque, np.zeros(done.motion.length.shape))
    ).any()


def test_heads_of_the_quadriceps_can_share_their_drive():
    """Rectus femoris then works with the vasti, the torques are met, and arms stay as they are."""
    squat = EXERCISES["barbell_squat"]
    sharing = dataclasses.replace(PERSON, common_drive=0.6)
    alone, together = (
        record.perform(person, squat, 30.0, [{}], 0, standard_tempo=True)
        for person in (PERSON, sharing)
    )
    names = alone.lifter.muscles
    rectus, arm = names.index("rectus_femoris_left"), names.index("biceps_long_left")
    vasti = [names.index(f"vastus_{side}_left") for side in ("lateralis", "medialis")]
    for done, least in ((alone, 0.0), (together, 0.6)):
        activation = done.solution.activation
        assert (activation[:, rectus] >= least * activation[:, vasti].mean(1) - 1e-9).all()
        assert done.solution.relative_residual < record.MAX_RESIDUAL
    np.testing.assert_array_equal(alone.solution.own, alone.solution.activation)
    followed = 0.6 * together.solution.activation[:, vasti].mean(1)
    total = np.minimum(together.solution.own[:, rectus] + followed, 1)
    np.testing.assert_allclose(together.solution.activation[:, rectus], total)
    ratios = [
        done.solution.activation[:, rectus].sum() / done.solution.activation[:, vasti].mean(1).sum()
        for done in (alone, together)
    ]
    assert ratios[1] > ratios[0] + 0.3
    np.testing.assert_allclose(
        together.solution.activation[:, arm], alone.solution.activation[:, arm], atol=1e-3
    )


def test_neural_drive_leads_and_reproduces_the_activation():
    """First-order activation dynamics turn the neural drive back into the activation."""
    time = np.arange(0, 3, 0.02)
    activation = 0.3 + 0.2 * np.sin(2 * np.pi * 0.7 * time)[:, None]
    drive = so.neural_drive(activation, 50.0)[:, 0]
    level, rebuilt = activation[0, 0], []
    fine = np.arange(0, 3, 0.001)
    for u in np.interp(fine - so.DELAY, time, drive):
        level += 0.001 * (u - level) / (so.RISE if u > level else so.FALL)
        rebuilt.append(level)
    error = np.interp(time, fine, rebuilt) - activation[:, 0]
    assert np.abs(error[10:-10]).max() < 0.012
    assert np.argmax(drive[:60]) < np.argmax(activation[:60, 0])


def test_force_falls_with_shortening_and_rises_with_lengthening():
    speeds = np.array([-0.5, -0.1, 0.0, 0.1, 0.5])
    factors = so.force_velocity(speeds)
    assert (np.diff(factors) > 0).all()
    assert factors[2] == pytest.approx(1.0)
    assert 1.0 < factors[-1] <= 1.4
