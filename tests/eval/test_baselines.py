import logging

import numpy as np
import pytest

from tests.eval.clips import make_clip, make_set
from video2emg.core.errors import UserError
from video2emg.core.joint_angles import ANGLES, OF_SIDE, OF_TRUNK
from video2emg.eval import baselines, scores

INPUTS = ("starts", "window", "angles", "descriptor", "mechanics")
TRAIN = make_set(["a", "b", "c", "d"], seed=1)
TEST = make_set(["x", "y", "z"], seed=2)


def skill(predictions, template):
    return scores.score(scores.tabulate(TEST, predictions, template))["skill"]


def test_zero_and_means():
    clips = [
        make_clip(np.full((10, 2), [0.2, 0.4]), clip_id="1"),
        make_clip(np.full((30, 3), [0.5, 0.7, 0.9]), clip_id="2", action="squat"),
    ]
    found = baselines.predict_baselines(clips, clips, ["zero", "train_mean", "action_mean"])
    assert (found["zero"][0] == 0).all()
    # Biceps: 10 samples of 0.2, 10 of 0.4 and 30 of 0.9, sides and actions together.
    biceps = (2 + 4 + 27) / 50
    np.testing.assert_allclose(found["train_mean"][0], np.full((10, 2), biceps), 1e-6)
    np.testing.assert_allclose(found["train_mean"][1][0], [0.6, 0.6, biceps], 1e-6)
    np.testing.assert_allclose(found["action_mean"][1], clips[1].target, 1e-6)


def test_template_is_the_mean_over_clips_by_phase():
    def clip(n, height, clip_id):
        return make_clip(height * np.linspace(0, 1, n)[:, None], clip_id=clip_id)

    template = baselines.Template().fit([clip(50, 0.2, "1"), clip(90, 0.6, "2")])
    wanted = 0.4 * np.linspace(0, 1, 33)[:, None]
    np.testing.assert_allclose(template.predict(clip(33, 1, "3")), wanted, atol=1e-6)


def test_template_skips_what_was_not_measured():
    target = np.full((101, 1), 0.5)
    target[60:] = np.nan
    short = make_clip(target, clip_id="1", mask=np.isfinite(target))
    full = make_clip(np.full((101, 1), 0.1), clip_id="2")
    found = baselines.Template().fit([short, full]).predict(full)
    np.testing.assert_allclose(found[:59], 0.3, atol=1e-6)
    np.testing.assert_allclose(found[62:], 0.1, atol=1e-6)
    # A phase that no clip has is bridged, not zero.
    np.testing.assert_allclose(baselines.Template().fit([short]).predict(full), 0.5, atol=1e-6)


def set_of(durations, pause, curve, rest=0.1, **fields):
    """A set of 50 Hz: pause, repetition, pause, …; the envelope is `curve` of the phase."""
    parts = [np.full(pause, np.nan)]
    for n in durations:
        parts += [np.linspace(0, 1, n), np.full(pause, np.nan)]
    phase = np.concatenate(parts).astype(np.float32)
    target = np.where(np.isnan(phase), rest, curve(phase))[:, None]
    return make_clip(target, phase=phase, **fields)


def test_template_of_sets_has_repetitions_by_phase_and_a_resting_level():
    train = [
        set_of([50, 120], 30, lambda x: 0.2 + 0.4 * x, rest=0.06, clip_id="1"),
        set_of([80], 30, lambda x: 0.8 + 0.4 * x, rest=0.03, clip_id="2"),
    ]
    template = baselines.Template().fit(train)
    query = set_of([40, 200, 33], 25, lambda x: x)
    found = template.predict(query)[:, 0]
    inside = np.isfinite(query.phase)
    # Each repetition counts the same (two of the first kind, one of the second), each sample at
    # rest the same (90 and 60).
    np.testing.assert_allclose(found[inside], 0.4 + 0.4 * query.phase[inside], atol=1e-3)
    np.testing.assert_allclose(found[~inside], (90 * 0.06 + 60 * 0.03) / 150, atol=1e-6)
    # Without any rest in training it says that it does not know it.
    single = baselines.Template().fit([make_clip(np.full((50, 1), 0.5))])
    assert np.isfinite(single.predict(query)).all()
    assert any("between repetitions" in key for key in single.fallbacks)


def test_nearest_neighbour_of_a_set_goes_by_repetition():
    low, high = np.float32([[0.0, 1.0]]), np.float32([[9.0, 1.0]])
    train = [
        set_of([60, 60], 20, lambda x: 0.5 * x, descriptor=np.concatenate([low, low + 1])),
        make_clip(np.full((70, 1), 0.7), clip_id="c1", descriptor=high),
    ]
    query = set_of([40, 90], 30, lambda x: x, descriptor=np.concatenate([high, low]))
    found = baselines.NearestNeighbour().fit(train).predict(query)[:, 0]
    first, second = query.repetitions
    np.testing.assert_allclose(found[first], 0.7, atol=1e-6)
    np.testing.assert_allclose(found[second], 0.5 * query.phase[second], atol=1e-6)
    # From the end of a repetition to the beginning of the next; constant at the ends.
    between = np.interp(
        np.arange(first.stop, second.start), [first.stop - 1, second.start], [0.7, 0]
    )
    np.testing.assert_allclose(found[first.stop : second.start], between, atol=1e-6)
    assert (found[: first.start] == found[first.start]).all()


def test_shuffling_of_sets_keeps_the_phase():
    sets = [
        set_of([40, 60], 10, lambda x: x, clip_id="a"),
        set_of([50], 30, lambda x: x, clip_id="b"),
    ]
    moved = baselines.shuffled(sets, [2 * clip.target for clip in sets])
    for clip, signal in zip(sets, moved, strict=True):
        inside = np.isfinite(clip.phase)
        np.testing.assert_allclose(signal[inside, 0], 2 * clip.phase[inside], atol=1e-5)


def test_free_movement_has_no_repetitions():
    free = make_clip(
        np.full((90, 1), 0.3),
        clip_id="free",
        phase=np.full(90, np.nan, np.float32),
        descriptor=np.zeros((0, 0), np.float32),
    )
    one = make_clip(np.full((60, 1), 0.6), clip_id="one", descriptor=np.ones((1, 4), np.float32))
    found = baselines.predict_baselines([free, one], [free, one])
    template = baselines.Template().fit([free])
    np.testing.assert_allclose(template.predict(free), 0.3, atol=1e-6)
    assert not template.fallbacks
    mean = (90 * 0.3 + 60 * 0.6) / 150
    np.testing.assert_allclose(found["nearest_neighbour"][0], mean, atol=1e-6)
    np.testing.assert_allclose(found["nearest_neighbour"][1], 0.6, atol=1e-6)
    with pytest.raises(UserError, match="no clip has a repetition"):
        baselines.NearestNeighbour().fit([free])
    courses = [np.linspace(0, 1, len(clip.time))[:, None] for clip in (free, one)]
    moved = baselines.shuffled([free, one], courses)
    np.testing.assert_allclose(moved[0], courses[0], atol=1e-6)


def windowed(target, starts, **fields):
    return make_clip(target, starts=np.array(starts), window=1.0, **fields)


def test_clock_is_the_mean_course_in_the_window():
    rng = np.random.default_rng(0)
    train = [windowed(rng.random((130, 2)), [0.0, 0.7, 1.6], clip_id=str(i)) for i in range(3)]
    clock = baselines.Clock().fit(train)
    starts = [0, 35, 80]
    curve = np.mean([c.target[s : s + 50] for c in train for s in starts], 0)
    # A window alone shows the curve, overlapping ones its weighted mean.
    alone = clock.predict(windowed(np.zeros((50, 2)), [0.0]))
    np.testing.assert_allclose(alone, curve, atol=1e-6)
    both = clock.predict(windowed(np.zeros((80, 2)), [0.0, 0.6]))
    ramp = np.minimum(np.arange(1, 51), np.arange(50, 0, -1))[:, None]
    total, weight = np.zeros((80, 2)), np.zeros((80, 1))
    for first in (0, 30):
        total[first : first + 50] += ramp * curve
        weight[first : first + 50] += ramp
    np.testing.assert_allclose(both, total / weight, atol=1e-6)
    with pytest.raises(UserError, match="clock: clip 'bare' has no windows"):
        baselines.Clock().fit([make_clip(np.zeros((9, 2)), clip_id="bare")])


def test_clock_knows_single_repetitions_and_nothing_of_sets():
    """At a fixed phase the clock has skill over a constant; at any phase it has none."""

    def split(people, seed, phased):
        rng = np.random.default_rng(seed)
        found = []
        for i in range(people):
            shift = 0.0 if phased else rng.uniform(0, 1)
            course = 0.5 - 0.4 * np.cos(2 * np.pi * (np.arange(400) / 100 + shift))
            starts = [0.0, 2.0, 4.0, 6.0]
            found.append(
                make_clip(course[:, None], clip_id=str(i), starts=np.array(starts), window=2.0)
            )
        return found

    for phased, low, high in ((True, 0.99, 1.01), (False, -0.2, 0.05)):
        train, test = split(40, 1, phased), split(20, 2, phased)
        guess = baselines.predict_baselines(train, test, ["clock", "action_mean"])
        table = scores.tabulate(test, guess["clock"], guess["action_mean"])
        assert low < scores.score(table)["skill"] < high


def bent(angle, slope, offset, channels=2, **fields):
    """A clip whose envelope is affine in the elbow angle of the channel's side."""
    angles = np.full((len(angle), len(ANGLES)), np.nan, np.float32)
    angles[:, ANGLES.index("left_elbow_flexion")] = angle
    angles[:, ANGLES.index("right_elbow_flexion")] = angle[::-1]
    angles[:, ANGLES.index("trunk_lean")] = 10 * np.sin(np.arange(len(angle)))
    target = offset + slope * np.stack([angle, angle[::-1]], 1)[:, :channels]
    return make_clip(target, angles=angles, **fields)


def test_kinematic_finds_the_angle_and_its_line_on_both_sides():
    rng = np.random.default_rng(1)
    train = [bent(rng.uniform(0, 120, 60), 0.004, 0.05, clip_id=str(i)) for i in range(3)]
    kinematic = baselines.Kinematic().fit(train)
    assert kinematic.angle("biceps_brachii") == "elbow_flexion"
    test = bent(rng.uniform(0, 120, 40), 0.004, 0.05)
    np.testing.assert_allclose(kinematic.predict(test), test.target, atol=1e-5)
    assert not kinematic.fallbacks
    # What is not known of the pose is the muscle's mean, and counted.
    mean = np.mean([clip.target for clip in train])
    bare = make_clip(np.zeros((9, 2)), clip_id="bare")
    np.testing.assert_allclose(kinematic.predict(bare), mean, rtol=1e-5)
    test.angles[5] = np.nan
    np.testing.assert_allclose(kinematic.predict(test)[5], mean, rtol=1e-5)
    assert kinematic.fallbacks == {"bare", "c0"}


def test_kinematic_equals_the_best_of_all_regressions():
    rng = np.random.default_rng(2)
    angles = [rng.normal(30, 20, (50, len(ANGLES))).astype(np.float32) for _ in range(4)]
    mix = rng.normal(size=(len(ANGLES), 2))
    train = [
        make_clip(0.3 + 0.001 * a @ mix, angles=a, clip_id=str(i)) for i, a in enumerate(angles)
    ]
    y = np.concatenate([clip.target[:, c] for c in (0, 1) for clip in train])
    errors, curves = {}, {}
    for name in (*OF_SIDE, *OF_TRUNK):
        columns = [
            ANGLES.index(name if name in OF_TRUNK else f"{side}_{name}")
            for side in ("left", "right")
        ]
        x = np.concatenate([a[:, k] for k in columns for a in angles])
        fit = np.polyfit(x, y, 1)
        errors[name] = ((np.polyval(fit, x) - y) ** 2).sum()
        curves[name] = np.stack([np.polyval(fit, angles[0][:, k]) for k in columns], 1)
    kinematic = baselines.Kinematic().fit(train)
    best = min(errors, key=lambda name: errors[name])
    assert kinematic.angle("biceps_brachii") == best
    np.testing.assert_allclose(kinematic.predict(train[0]), curves[best], atol=1e-5)


def test_unseen_actions_and_muscles_fall_back_and_say_so(caplog):
    curls = [clip for clip in TRAIN if clip.action == "curl"]
    squat = next(clip for clip in TEST if clip.action == "squat")
    template = baselines.Template().fit(curls)
    with caplog.at_level(logging.WARNING):
        found = template.predict(squat)
        template.predict(squat)
    assert np.isfinite(found).all()
    assert (found == found[0]).all()
    assert len(caplog.records) == len({r.getMessage() for r in caplog.records})
    assert "squat/left_vastus_lateralis" in caplog.text
    # The biceps was seen in curls: its own mean, not the mean of everything.
    biceps = np.concatenate([clip.target.ravel() for clip in curls]).mean()
    np.testing.assert_allclose(found[0, 2], biceps, 1e-5)


def test_nearest_neighbour_finds_its_own_clip():
    nearest = baselines.NearestNeighbour().fit(TRAIN)
    for clip in TRAIN[:4]:
        [(found, rows)] = nearest.neighbours(clip)
        assert found is clip and rows == slice(0, len(clip.time))
        np.testing.assert_array_equal(nearest.predict(clip), clip.target)


def test_nearest_neighbour_is_not_told_the_action_and_matches_channels_by_name():
    squat = next(clip for clip in TRAIN if clip.action == "squat")
    query = make_clip(np.zeros((40, 2)), descriptor=squat.descriptor)
    found = baselines.NearestNeighbour().fit(TRAIN).predict(query)
    wanted = np.interp(query.phase, squat.phase, squat.target[:, 2])
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-6)
    assert np.ptp(found[:, 1]) == 0  # The squat has no right biceps.


def test_nearest_neighbour_needs_descriptors():
    bare = [make_clip(np.zeros((9, 2)), clip_id="bare")]
    with pytest.raises(UserError, match="'bare' has no video descriptor"):
        baselines.NearestNeighbour().fit(bare)
    assert "nearest_neighbour" not in baselines.predict_baselines(bare, bare)


def test_subject_mean_leaves_the_clip_itself_out():
    def clip(level, clip_id, subject="x"):
        return make_clip(np.full((10, 1), level), clip_id=clip_id, subject=subject)

    test = [clip(0.2, "1"), clip(0.4, "2"), clip(0.9, "3"), clip(0.7, "4", "single")]
    found = baselines.predict_baselines([clip(0.5, "0", "a")], test, ["subject_mean"])
    levels = [p[0, 0] for p in found["subject_mean"]]
    np.testing.assert_allclose(levels, [0.65, 0.55, 0.3, 0.5], 1e-6)
    assert baselines.SubjectMean.uses_test_emg


def test_only_the_oracle_sees_test_emg():
    hidden = [
        make_clip(
            np.zeros(c.target.shape),
            **{k: getattr(c, k) for k in ("clip_id", "subject", "action", *INPUTS)},
        )
        for c in TEST
    ]
    seen, blind = (baselines.predict_baselines(TRAIN, test) for test in (TEST, hidden))
    for name, cls in baselines.REGISTRY.items():
        same = all(np.array_equal(a, b) for a, b in zip(seen[name], blind[name], strict=True))
        assert same is not cls.uses_test_emg, name


@pytest.mark.parametrize("within_action", [False, True])
def test_shuffled_predictions_have_no_skill(within_action):
    template = baselines.predict_baselines(TRAIN, TEST, ["template"])["template"]
    good = [0.9 * clip.target for clip in TEST]
    assert skill(good, template) > 0.9
    bad = baselines.shuffled(TEST, good, within_action=within_action)
    assert skill(bad, template) < 0
    found = scores.score(scores.tabulate(TEST, bad, template))
    assert abs(found["amplitude_r"]) < 0.5


def test_shuffling_moves_every_clip_and_is_seeded():
    marks = [np.full(clip.target.shape, i, np.float32) for i, clip in enumerate(TEST)]
    moved = baselines.shuffled(TEST, marks, seed=1)
    donors = [int(x[0, 0]) for x in moved]
    assert sorted(donors) == list(range(len(TEST)))
    assert all(donor != i for i, donor in enumerate(donors))
    assert donors == [int(x[0, 0]) for x in baselines.shuffled(TEST, marks, seed=1)]
    assert donors != [int(x[0, 0]) for x in baselines.shuffled(TEST, marks, seed=2)]
    within = baselines.shuffled(TEST, marks, within_action=True)
    for clip, signal in zip(TEST, within, strict=True):
        assert TEST[int(signal[0, 0])].action == clip.action


def test_bad_requests_are_user_errors():
    with pytest.raises(UserError, match=r"unknown baselines.*'oracle'"):
        baselines.predict_baselines(TRAIN, TEST, ["oracle"])
    with pytest.raises(UserError, match="no clips"):
        baselines.predict_baselines([], TEST, ["template"])
