"""The errors of a pose estimator: each alone, on a body whose pose is known."""

import dataclasses

import numpy as np
import pytest
from scipy import signal

from configs import v2emg
from tests.bodies import standing, swinging_arms
from tests.conftest import make_clip
from tests.data.presets import check_preset
from tests.data.windows import NO_AUGMENTATION, POSE_WINDOW, assert_same, examples
from video2emg.core import skeleton, vocabulary
from video2emg.core.body_frame import canonical_pose
from video2emg.core.errors import UserError
from video2emg.data import pose_noise
from video2emg.data.pose_noise import ESTIMATOR, ESTIMATOR_NOISE, PoseNoise
from video2emg.data.store import open_dataset
from video2emg.data.train_stream import train_batches
from video2emg.run import setup

FLEX = vocabulary.FLEX_21
RATE = 25.0
BODY = swinging_arms(100)


def noisy(seed=0, body=BODY, joints=FLEX, share=1.0, **ranges):
    noise = PoseNoise.from_config(dict(share=share, **ranges))
    return noise(joints, body, RATE, np.random.default_rng(seed))


def draws(count, **ranges):
    """[count, T, J, 3] errors."""
    return np.stack([noisy(seed, **ranges) for seed in range(count)]) - BODY


def rms(errors, axes=None):
    return np.sqrt((errors**2).mean(axes))


def at(joint):
    return FLEX.index(joint)


def test_zero_is_off_and_the_share_of_noisy_examples_is_kept():
    quiet = PoseNoise()(FLEX, BODY, RATE, np.random.default_rng(0))
    np.testing.assert_array_equal(quiet, BODY)
    changed = [not np.array_equal(noisy(s, share=0.3, offset=0.1), BODY) for s in range(1000)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("name", skeleton.SKELETONS)
def test_the_estimator_is_a_function_of_its_seed_and_fits_every_skeleton(name):
    joints = skeleton.skeleton(name)
    body = skeleton.arrange(BODY, FLEX, joints)
    before = body.copy()
    first, second, other = (noisy(s, body, joints, **ESTIMATOR | {"share": 1}) for s in (1, 1, 2))
    np.testing.assert_array_equal(body, before)
    np.testing.assert_array_equal(first, second)
    assert first.shape == body.shape and not np.array_equal(first, other, equal_nan=True)
    known, lost = np.isfinite(body), np.isnan(first)
    assert (lost & known).sum() < 0.5 * known.sum()
    assert np.isnan(first[~known]).all() or name == "flex_21"


def test_an_error_that_is_drawn_does_not_depend_on_unknown_joints():
    """Unknown joints stay unknown and spoil no others."""
    holes = BODY.copy()
    holes[10:40, at("left_knee")] = np.nan
    holes[:, at("right_wrist")] = np.nan
    ranges = ESTIMATOR | dict(share=1, drop_joint=0, drop_limb=0, exchange=0)
    found = noisy(3, holes, **ranges)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(holes))


def test_camera_angles_cover_their_ranges_and_keep_the_body_rigid():
    hips = BODY[:, [at("left_hip")]]
    for name, still in (("yaw", 2), ("pitch", 1), ("roll", 0)):
        found = np.stack([noisy(s, **{name: 20.0}) for s in range(200)])
        np.testing.assert_allclose(
            found[..., still], np.broadcast_to(BODY[..., still], found.shape[:3]), atol=1e-9
        )
        np.testing.assert_allclose(
            np.linalg.norm(found[0] - found[0][:, [at("left_hip")]], axis=2),
            np.linalg.norm(BODY - hips, axis=2),
        )
        turned, before = (
            x[..., [i for i in range(3) if i != still]] for x in (found[:, 0, 8], BODY[0, 8])
        )
        turned, before = (x[..., 0] + 1j * x[..., 1] for x in (turned, before))
        angles = np.degrees(np.angle(turned / before))
        assert np.abs(angles).max() < 20 and np.std(angles) == pytest.approx(20 / 3**0.5, rel=0.1)


def test_the_canonical_frame_removes_yaw_and_scale_but_not_pitch():
    mask = np.ones(BODY.shape[:2], bool)
    clean = canonical_pose(FLEX, BODY, mask, FLEX)[0]
    seen = canonical_pose(FLEX, noisy(0, yaw=180.0, scale=0.3), mask, FLEX)[0]
    np.testing.assert_allclose(seen, clean, atol=1e-5)
    tilted = canonical_pose(FLEX, noisy(0, pitch=15.0), mask, FLEX)[0]
    assert np.abs(tilted - clean).max() > 0.05


def test_depth_errors_are_slow_lie_in_the_line_of_sight_and_grow_towards_the_limbs():
    error = draws(300, depth=0.15)
    assert not error[..., 1:].any()  # the camera stands in front
    relative = error[..., 0] - error[:, :, [at("left_hip"), at("right_hip")], 0].mean(
        2, keepdims=True
    )
    # The mean square of a range that begins at 0 is a third of that of its end.
    assert rms(relative) == pytest.approx(0.15 / 3**0.5, rel=0.1)
    by_joint = rms(relative, (0, 1))
    assert (
        by_joint[at("left_hip")] < 0.4 * by_joint[at("left_knee")] < 0.4 * by_joint[at("left_toe")]
    )
    frequency, power = signal.periodogram(error[:, :, at("left_ankle"), 0], RATE, axis=1)
    total = power.mean(0)
    assert total[frequency > 1.0].sum() < 0.1 * total.sum()
    segment = BODY + error - (BODY + error)[:, :, [at("left_knee")]]
    length = np.linalg.norm(segment[:, :, at("left_ankle")], axis=2)
    assert 0.01 < (length.std(1) / length.mean(1)).mean() < 0.1  # as measured: 3–10 %


def test_jitter_has_its_size_and_spectrum():
    error = draws(100, jitter=0.03)
    assert rms(error) == pytest.approx(0.03 / 3**0.5, rel=0.1)
    frequency, power = signal.periodogram(error, RATE, axis=1)
    total = power.mean((0, 2, 3))
    assert 0.8 < total[frequency <= 6].sum() / total.sum() < 0.97
    assert total[(frequency > 0.5) & (frequency < 4)].std() < 0.2 * total[1:20].mean()
    flat = error.reshape(100, 100, -1)
    assert abs(np.corrcoef(flat[0, :, 0], flat[0, :, 3])[0, 1]) < 0.5  # another joint


def test_offsets_are_constant_in_a_window():
    error = draws(300, offset=0.04)
    np.testing.assert_allclose(error, error[:, :1].repeat(100, 1), atol=1e-12)
    assert rms(error) == pytest.approx(0.04 / 3**0.5, rel=0.1)


def test_smoothing_and_shrinking_keep_the_mean_and_lose_movement():
    wrist = BODY[:, at("left_wrist")]
    for ranges in (dict(smoothing=0.3), dict(shrink=0.5)):
        left = np.array(
            [
                noisy(s, **ranges)[:, at("left_wrist"), 0].std() / wrist[:, 0].std()
                for s in range(50)
            ]
        )
        assert 0.4 < left.min() < 0.7 < left.max() <= 1 + 1e-6
    still = np.repeat(standing()[None], 50, 0)
    np.testing.assert_allclose(noisy(0, still, smoothing=0.3, shrink=0.5), still, atol=1e-12)
    shrunk = noisy(0, shrink=0.5)
    np.testing.assert_allclose(shrunk.mean(0), BODY.mean(0), atol=1e-9)


def flexion(pose, side):
    hip, knee, ankle = (pose[:, at(f"{side}_{part}")] for part in ("hip", "knee", "ankle"))
    thigh, shank = knee - hip, ankle - knee
    cosine = (thigh * shank).sum(1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shank, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def squat(degrees):
    """Bodies whose knees are bent by each of some angles; the foot stays below the hip."""
    pose = np.repeat(standing()[None], len(degrees), 0)
    half = np.radians(degrees) / 2
    thigh = 0.245 * 1.75
    for side in vocabulary.SIDES:
        knee = pose[:, at(f"{side}_hip")] + thigh * np.stack(
            [np.sin(half), 0 * half, -np.cos(half)], 1
        )
        shift = pose[:, at(f"{side}_hip")] + 2 * (knee - pose[:, at(f"{side}_hip")]) * [0, 0, 1]
        move = shift - pose[:, at(f"{side}_ankle")]
        pose[:, at(f"{side}_knee")] = knee
        for part in ("ankle", "heel", "toe"):
            pose[:, at(f"{side}_{part}")] += move
    return pose


def test_knees_bend_to_the_least_flexion_and_deeper_ones_stay():
    degrees = np.array([0.0, 5.0, 15.0, 29.0, 31.0, 60.0, 110.0])
    body = squat(degrees)
    np.testing.assert_allclose(flexion(body, "left"), degrees, atol=0.3)
    bent = pose_noise.bend_knees(FLEX, body, np.radians(30.0))
    for side in vocabulary.SIDES:
        np.testing.assert_allclose(
            flexion(bent, side), np.maximum(flexion(body, side), 30), atol=0.5
        )
        knee, hip, ankle, toe = (at(f"{side}_{part}") for part in ("knee", "hip", "ankle", "toe"))
        for a, b in ((hip, knee), (knee, ankle), (ankle, toe)):
            lengths = [np.linalg.norm(x[:, a] - x[:, b], axis=1) for x in (body, bent)]
            np.testing.assert_allclose(*lengths, atol=1e-9)
        assert (bent[:4, knee, 0] > body[:4, knee, 0]).all()  # knees go forward
        np.testing.assert_allclose(bent[0, ankle, :2], body[0, ankle, :2], atol=0.02)
    np.testing.assert_allclose(bent[4:], body[4:], atol=1e-12)
    standing_knees = [flexion(noisy(s, knee=33.0), "left").min() for s in range(100)]
    assert max(standing_knees) < 33.5 and np.mean(standing_knees) == pytest.approx(16.5, abs=3)


def test_joints_and_limbs_are_lost_with_their_probabilities():
    lost = np.stack([np.isnan(noisy(s, drop_joint=0.2)[..., 0]) for s in range(400)])
    assert lost.any(1).mean() == pytest.approx(0.2, abs=0.02)
    assert 0.2 < lost[lost.any(1).nonzero()[0], :, lost.any(1).nonzero()[1]].mean() < 0.5
    lost = np.stack([np.isnan(noisy(s, drop_limb=0.25)[..., 0]) for s in range(400)])
    names = [f"left_{part}" for part in ("elbow", "wrist", "hand")]
    arm = lost[:, :, [at(name) for name in names]]
    assert (arm == arm[..., :1]).all()
    assert arm.any((1, 2)).mean() == pytest.approx(0.25, abs=0.06)
    assert arm.all((1, 2)).mean() == pytest.approx(0.125, abs=0.05)
    trunk = [at(name) for name in ("left_hip", "right_shoulder", "head", "chest")]
    assert not lost[:, :, trunk].any()


def test_left_and_right_are_exchanged_for_a_short_while():
    swapped, mirrored = [], BODY[:, vocabulary.mirror_order(FLEX)]
    for seed in range(300):
        pose = noisy(seed, exchange=0.5)
        wrong = (pose != BODY).any((1, 2))
        np.testing.assert_array_equal(pose[wrong], mirrored[wrong])
        swapped.append(wrong.sum())
    assert np.mean(np.array(swapped) > 0) == pytest.approx(0.5, abs=0.08)
    assert max(swapped) <= 25 and np.std(swapped) > 3


def test_chest_and_neck_are_computed_if_the_estimator_does_not_find_them():
    body = BODY.copy()
    body[:, at("chest")] += 0.1  # a round back
    found = noisy(0, body, stand_ins=1.0)
    hips, shoulders = (
        np.mean([body[:, at(f"{side}_{part}")] for side in vocabulary.SIDES], 0)
        for part in ("hip", "shoulder")
    )
    np.testing.assert_allclose(found[:, at("chest")], 0.6 * hips + 0.4 * shoulders, atol=1e-9)
    others = [j for j in range(21) if FLEX[j] not in ("chest", "neck")]
    np.testing.assert_array_equal(found[:, others], body[:, others])


def angle(pose, *parts):
    """Angle at the middle one of three joints of the left side, degrees."""
    first, middle, last = (pose[..., at(f"left_{part}"), :] for part in parts)
    first, last = first - middle, last - middle
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(last, axis=-1)
    return np.degrees(np.arccos(np.clip((first * last).sum(-1) / lengths, -1, 1)))


def test_all_errors_together_are_as_large_as_those_measured():
    """As docs/datasets.md says; of BlazePose with a known vertical: 105–136 mm, and see below."""
    phase = 1 - np.cos(np.pi * np.arange(100) / RATE)
    body, bend = squat(10 + 45 * phase), np.radians(70 * phase)
    forearm = np.stack([np.sin(bend), 0 * bend, -np.cos(bend)], 1) * 0.146 * 1.75
    for side in vocabulary.SIDES:
        for part, length in (("wrist", 1), ("hand", 1.53)):
            body[:, at(f"{side}_{part}")] = body[:, at(f"{side}_elbow")] + length * forearm
    ranges = ESTIMATOR | dict(share=1.0, pitch=0.0, roll=0.0)
    every, known = np.ones(body.shape[:2], bool), []
    seen = np.empty((100, *body.shape))
    for seed in range(len(seen)):
        seen[seed], mask, _ = canonical_pose(FLEX, noisy(seed, body, **ranges), every, FLEX)
        seen[seed][~mask] = np.nan
        known.append(mask.mean())
    true = canonical_pose(FLEX, body, every, FLEX)[0]
    assert 0.9 < np.mean(known) < 0.97
    distance = np.linalg.norm(seen - true, axis=-1)
    assert np.sqrt(np.nanmean(distance**2)) == pytest.approx(0.111, abs=0.012)
    for parts, expected in (  # measured: 18, 14, 29, 14
        (("hip", "knee", "ankle"), 13),
        (("shoulder", "hip", "knee"), 11),
        (("shoulder", "elbow", "wrist"), 18),
        (("hip", "shoulder", "elbow"), 9),
    ):
        error = angle(seen, *parts) - angle(true, *parts)
        assert np.sqrt(np.nanmean(error**2)) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize(
    "ranges, message",
    [
        (dict(wobble=1.0), "wobble: is none of share, smoothing"),
        (dict(share=0.5, yaw=-5), "yaw: expected 0 to 180 degrees, not -5"),
        (dict(share=0.5, jitter=30), "jitter: expected 0 to 1 m, not 30"),
        (dict(share=1.5, jitter=0.03), "share: expected 0 to 1 as a fraction, not 1.5"),
        (dict(share=0.5, depth=float("nan")), "depth: expected 0 to 1 m, not nan"),
        (dict(share=0.5), r"share: is 0\.5, but every error is 0"),
    ],
)
def test_ranges_without_sense_are_refused(ranges, message):
    with pytest.raises(UserError, match=f"config.augment.pose.{message}"):
        PoseNoise.from_config(ranges)


def body_clip(index=0):
    """A clip of a body, with the other fields of a test clip."""
    clip = make_clip(index)
    pose = swinging_arms(len(clip.pose_time)).astype(np.float32)
    return dataclasses.replace(clip, pose=pose)


def test_a_split_is_seen_with_the_same_errors_again_and_again():
    clean = examples([body_clip(0), body_clip(1)], POSE_WINDOW)
    split = clean.with_pose_noise(ESTIMATOR_NOISE)
    first, again = split.read_window(0, 0.2), split.read_window(0, 0.2)
    assert_same(first, again)
    true = clean.read_window(0, 0.2)
    assert not np.array_equal(first["pose"], true["pose"])
    # A noisy body has another size. The target is the true pose.
    kept = [k for k in first if k not in ("pose", "pose_mask", "height")]
    assert_same(*({k: x[k] for k in kept} for x in (first, true)))
    np.testing.assert_array_equal(first["true_pose"], true["pose"])
    other = split.read_window(1, 0.2)
    assert not np.array_equal(first["pose"], other["pose"])
    fixed = clean.with_pose_noise(PoseNoise.from_config(dict(share=1.0, pitch=15.0)))
    tilts = [fixed.read_window(0, start)["pose"][0, at("head")] for start in (0.0, 0.4)]
    np.testing.assert_allclose(*tilts, atol=1e-4)  # the camera does not move within a clip


def test_the_torques_of_a_noisy_pose_stay_those_of_the_true_one():
    window = dataclasses.replace(POSE_WINDOW, statics=True, dofs=vocabulary.DOFS)
    clip = dataclasses.replace(body_clip(), action="dumbbell_curl")
    clean = examples([clip], window)
    noise = PoseNoise.from_config(dict(share=1.0, offset=0.2))
    first, second = (x.read_window(0, 0.2) for x in (clean, clean.with_pose_noise(noise)))
    assert first["torque_mask"].any() and not np.array_equal(first["pose"], second["pose"])
    np.testing.assert_array_equal(first["torque"], second["torque"])


def test_training_draws_new_errors_and_leaves_the_share_of_clean_poses():
    clips = [body_clip(i) for i in range(4)]
    augmentation = dataclasses.replace(
        NO_AUGMENTATION, pose=dict(share=0.5, offset=0.1, drop_joint=0.01)
    )
    plain = examples(clips, POSE_WINDOW)
    batches = iter(train_batches(plain, augmentation, 4, 0))
    clean, distances = 0, set()
    for _ in range(25):
        batch = next(batches)
        for pose, index, start in zip(batch["pose"], batch["index"], batch["start"], strict=True):
            true = plain.read_window(int(index), float(start))["pose"]
            same = np.allclose(pose, true, atol=1e-4)
            clean += same
            if not same:
                distances.add(round(float(np.abs(pose - true).mean()), 6))
    assert clean == pytest.approx(50, abs=15) and len(distances) == 100 - clean


def test_the_preset_fits_its_data_and_only_what_is_evaluated_is_always_noisy(tiny_dir):
    config = v2emg.get_config("pose")
    config.data.name = "gymsim/tiny"
    config.eval.pose_noise = True
    check_preset(config, tiny_dir, tiny_dir)
    splits, _ = setup.load_splits(config, open_dataset(config.data.name, tiny_dir))
    assert splits["train"].pose_noise is None
    for name in ("validation", "test"):
        noise = splits[name].pose_noise
        assert noise is not None and (noise.share, noise.knee) == (1.0, ESTIMATOR["knee"])


@pytest.mark.parametrize("name", ["augment.pose.share", "eval.pose_noise"])
def test_a_model_that_is_given_no_pose_cannot_be_given_a_noisy_one(name):
    config = v2emg.get_config()
    setup.check_pose_noise(config)
    config.augment.pose.jitter = 0.01 if name.startswith("augment") else 0.0
    config.update_from_flattened_dict({name: 1.0 if name.startswith("augment") else True})
    with pytest.raises(UserError, match=f"config.{name}: .* the model is not given a pose"):
        setup.check_pose_noise(config)
    config.model.extra_inputs = ("pose",)
    setup.check_pose_noise(config)


def test_repetitions_of_a_set_have_the_same_lasting_errors_and_their_own_jitter():
    clips = [
        dataclasses.replace(
            body_clip(), clip_id=f"{name}_r{n}", provenance={"set": name, "repetition": n}
        )
        for name, n in (("a", 1), ("a", 2), ("b", 1))
    ]

    def poses(**ranges):
        noise = PoseNoise.from_config(dict(share=1.0, **ranges))
        split = examples(clips, POSE_WINDOW).with_pose_noise(noise)
        return [split.read_window(i, 0.2)["pose"] for i in range(3)]

    first, second, of_another = poses(offset=0.05, pitch=10.0)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - of_another).max() > 0.01
    first, second, _ = poses(jitter=0.02)
    assert np.abs(first - second).max() > 0.005
