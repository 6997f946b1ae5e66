"""Windows of a model become one curve per clip, whatever their stride."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import make_clip
from tests.data.windows import POSE_WINDOW, examples
from video2emg.core.batch import muscle_queries
from video2emg.core.clip import Repetition, validate
from video2emg.eval import evaluate
from video2emg.models.outputs import Outputs
from video2emg.parallel import mesh as mesh_lib

WINDOW = dataclasses.replace(POSE_WINDOW, stride=0.7)


def make_set(seconds=6.0, **fields):
    clip = make_clip(0, seconds=seconds)
    bounds = [(0.6, 2.0), (2.0, 3.4), (4.2, 5.6)]
    repetitions = tuple(Repetition(start=start, end=end) for start, end in bounds)
    blank = dict(phases=(), errors=(), score=float("nan"), repetitions=repetitions)
    return validate(dataclasses.replace(clip, **blank | fields))


CLIPS = [make_set(), make_clip(1), make_clip(2, seconds=0.8)]


def model(emg, mae=None):
    """A model whose output is a function of time on the clip's clock and of time in the window."""

    def predict(params, batch):
        place = jnp.arange(50) / 50
        time = batch["start"][:, None] + place
        shape = (*time.shape, batch["emg_mask"].shape[2])
        values = emg(time, jnp.broadcast_to(place, time.shape))
        error = None if mae is None else jnp.broadcast_to(mae(time)[..., None], shape)
        return Outputs(emg=jnp.broadcast_to(values[..., None], shape), predicted_mae=error)

    return predict


def predict(emg, mae=None, clips=CLIPS, window=WINDOW):
    mesh = mesh_lib.make_mesh()
    return evaluate.predict_with_mae(model(emg, mae), None, examples(clips, window), 8, mesh)


def test_what_does_not_depend_on_the_window_comes_back():
    found, mae = predict(lambda time, _: jnp.sin(time), lambda time: 0.1 * time)
    read = examples(CLIPS, WINDOW)
    for index, (emg, error) in enumerate(zip(found, mae, strict=True)):
        target, time = read.target(index)
        assert emg.shape == error.shape == target.shape
        # Beyond the last frame, less than one frame, the last value stays.
        covered = time <= read.end(index)
        np.testing.assert_allclose(emg[covered, 0], np.sin(time[covered]), atol=1e-3)
        np.testing.assert_allclose(error[covered, 1], 0.1 * time[covered], atol=1e-3)
    without = predict(lambda time, _: time)[1]
    assert without is None


def test_overlapping_windows_are_averaged_with_linear_weights():
    (found, *_), _ = predict(lambda _, place: place)
    starts = np.array(examples(CLIPS, WINDOW).window_starts(0))
    first = np.round(starts * 50).astype(int)
    np.testing.assert_allclose(first, starts * 50, atol=1e-6)
    place = np.arange(50)
    ramp = np.minimum(place + 1, 50 - place)
    total, weight = np.zeros(len(found)), np.zeros(len(found))
    for row in first:
        n = min(50, len(found) - row)
        total[row : row + n] += (ramp * place / 50)[:n]
        weight[row : row + n] += ramp[:n]
    known = weight > 0
    assert known.mean() > 0.98
    np.testing.assert_allclose(found[known, 0], total[known] / weight[known], atol=1e-5)


def test_phase_of_a_set_is_the_place_within_the_repetition():
    one, single, _ = evaluate.series_of(examples(CLIPS, WINDOW), descriptors=True, angles=True)
    for rows, repetition in zip(one.repetitions, CLIPS[0].repetitions, strict=True):
        start, end = repetition.start, repetition.end
        wanted = (one.time[rows] - start) / (end - start)
        np.testing.assert_allclose(one.phase[rows], wanted, atol=1e-5)
        assert one.time[rows][0] == pytest.approx(start) and len(one.time[rows]) >= 70
    outside = (one.time < 0.59) | ((one.time > 3.41) & (one.time < 4.19)) | (one.time > 5.61)
    np.testing.assert_array_equal(np.isnan(one.phase), outside)
    assert one.descriptor.shape[0] == 3 and single.descriptor.shape[0] == 1
    assert one.angles.shape == (len(one.time), 13)
    np.testing.assert_allclose(single.phase, np.linspace(0, 1, len(single.time)), atol=1e-6)
    assert one.window == 1.0 and len(one.starts) == 9
    bare = dataclasses.replace(CLIPS[1], joints=(), pose=np.zeros((0, 0, 3), np.float32))
    [series] = evaluate.series_of(
        examples([bare], dataclasses.replace(WINDOW, views=("front",))), angles=True
    )
    assert series.angles is None


def test_free_movement_has_no_phase_and_no_descriptor():
    read = examples([make_set(repetitions=())], WINDOW)
    [free] = evaluate.series_of(read, descriptors=True, angles=True)
    assert np.isnan(free.phase).all() and free.repetitions == () and len(free.descriptor) == 0


def shift_r(emg, clips=CLIPS):
    read, mesh = examples(clips, WINDOW), mesh_lib.make_mesh()
    return evaluate.shift_r(model(emg), None, read, 8, mesh)


def test_shift_r_is_the_agreement_of_windows_moved_by_half():
    assert shift_r(lambda time, _: jnp.sin(time)) == pytest.approx(1, abs=1e-4)
    assert shift_r(lambda time, _: 0 * time) == 0
    # A clock of one turn per window is in opposite phase when the window is moved by half of it.
    assert shift_r(lambda _, place: jnp.sin(2 * jnp.pi * place)) == pytest.approx(-1, abs=1e-4)
    # The two clips of two and six seconds count the same, with each of their two channels.
    mixed = lambda time, place: jnp.sin(time) + 0.5 * place  # noqa: E731
    both = [shift_r(mixed, CLIPS[:1]), shift_r(mixed, CLIPS[1:2])]
    assert shift_r(mixed) == pytest.approx(np.mean(both), abs=1e-5)
    assert 0 < shift_r(mixed) < 0.999
    assert np.isnan(shift_r(mixed, CLIPS[2:]))


def test_other_channels_than_those_of_the_clip_can_be_asked_for():
    asked = ("left_soleus", "right_soleus", "left_gastrocnemius")

    def name(params, batch):
        assert batch["emg"].shape[2] == batch["emg_mask"].shape[2] == 3
        values = batch["muscle"] + 100 * batch["side"]
        return Outputs(emg=jnp.repeat(values[:, None], 50, 1).astype(jnp.float32))

    mesh = mesh_lib.make_mesh()
    found = evaluate.predict(name, None, examples(CLIPS, WINDOW), 8, mesh, channels=asked)
    muscle, side = muscle_queries(asked)
    for values in found:
        np.testing.assert_allclose(values, np.tile(muscle + 100 * side, (len(values), 1)))
