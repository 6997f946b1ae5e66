"""Windows of clips: what is in them, and what is masked."""

import dataclasses

import numpy as np
import pytest

from tests.bodies import swinging_arms
from tests.conftest import jpeg, make_clip
from tests.data.test_person import with_person
from tests.data.windows import POSE_WINDOW, WINDOW, assert_same, examples
from video2emg.core import skeleton, vocabulary
from video2emg.core.errors import UserError
from video2emg.core.skeleton import COCO_17
from video2emg.data import video
from video2emg.data.augment import Augmentation, Mirror
from video2emg.data.train_stream import train_batches


def test_the_nearest_frame_is_chosen_also_at_a_variable_rate():
    clip = make_clip(0)
    own = clip.frame_view == 0
    clip.frame_time[own] = np.cumsum(np.random.default_rng(0).uniform(0.03, 0.2, own.sum()))
    times = np.linspace(-1, 4, 60)
    chosen, inside = video.nearest_frames(clip, 0, times)
    shown = clip.frame_time[own]
    np.testing.assert_array_equal(chosen, np.abs(shown[None] - times[:, None]).argmin(1))
    assert not inside[0] and not inside[-1] and inside[30]


def test_a_flash_and_a_burst_of_emg_stay_simultaneous():
    for fps, rate in ((25.0, 200.0), (29.97, 1259.26), (60.0, 2000.0)):
        clip = make_clip(0, fps=fps, emg_rate=rate, views=("front",))
        dark, bright = (np.full((8, 8, 3), level, np.uint8) for level in (10, 240))
        instant = 0.7
        clip.frames[:] = [
            jpeg(bright if abs(t - instant) <= 0.5 / fps else dark) for t in clip.frame_time
        ]
        clip.emg[:] = 0
        clip.emg[round(instant * rate)] = 1.0
        window = dataclasses.replace(WINDOW, views=("front",), frame_rate=50.0)
        example = examples([clip], window).read_window(0, 0.0)
        flash = example["video"][0, :, 0, 0, 0].argmax()
        burst = example["emg"][:, 0].argmax()
        assert abs(flash - burst) <= 1


def test_time_outside_the_recording_is_masked():
    example = examples([make_clip(0)]).read_window(0, 1.5)
    assert example["video"].shape == (2, 10, 8, 8, 3)
    assert example["video_mask"][:, :5].all() and not example["video_mask"][:, 6:].any()
    assert example["emg_mask"][:24, :2].all() and not example["emg_mask"][27:].any()
    assert not example["emg_mask"][:, 2:].any()
    assert (example["emg"][~example["emg_mask"]] == 0).all()
    with pytest.raises(UserError, match="none of the views"):
        examples([make_clip(0)], dataclasses.replace(WINDOW, views=("back",))).read_window(0, 0.0)


def test_a_missing_view_is_masked(clips):
    window = dataclasses.replace(WINDOW, views=("back", "left"))
    example = examples(clips, window).read_window(0, 0.0)
    assert not example["video_mask"][0].any() and example["video_mask"][1].all()


def test_windows_without_views_need_a_pose(clips):
    example = examples(clips, POSE_WINDOW).read_window(0, 0.5)
    assert example["video"].shape == (0, 10, 8, 8, 3) and example["view"].shape == (0,)
    assert example["pose"].shape == (10, 21, 3) and example["pose_mask"].all()
    hips = [WINDOW.joints.index(f"{side}_hip") for side in vocabulary.SIDES]
    np.testing.assert_allclose(example["pose"][:, hips].mean(1), 0, atol=1e-6)
    clip = dataclasses.replace(
        clips[0], frames=[], views=(), frame_view=np.zeros(0, np.int32), frame_time=np.zeros(0)
    )
    assert_same(examples([clip], POSE_WINDOW).read_window(0, 0.5), example)
    # Windows start at samples of the pose (every 0.02 s); batches and flips need no picture.
    assert video.align_to_frames(clip, 0.033) == pytest.approx(0.04)
    batch = next(iter(train_batches(examples([clip] * 4, POSE_WINDOW), Augmentation(), 4, 0)))
    assert batch["video"].shape == (4, 0, 10, 8, 8, 3) and batch["pose_mask"].any()
    empty = np.zeros((0, 0), np.float32)
    bare = dataclasses.replace(
        clip,
        joints=(),
        pose=empty[..., None],
        pose_time=np.zeros(0),
        dofs=(),
        torque=empty,
        drive=empty,
    )
    with pytest.raises(UserError, match="has no pose in the window"):
        examples([bare], POSE_WINDOW).read_window(0, 0.0)


def test_missing_joints_are_masked_one_by_one(clips):
    clip = dataclasses.replace(clips[0], pose=clips[0].pose.copy())
    missing = WINDOW.joints.index("left_heel")
    clip.pose[:, missing] = np.nan
    example = examples([clip], POSE_WINDOW).read_window(0, 1.5)  # half of it is after the recording
    assert not example["pose_mask"][:, missing].any() and not example["pose_mask"][6:].any()
    assert example["pose_mask"][:5].sum() == 5 * 20
    assert (example["pose"][~example["pose_mask"]] == 0).all()
    mirrored = Mirror(WINDOW.joints, WINDOW.dofs)(example)
    other = WINDOW.joints.index("right_heel")
    assert not mirrored["pose_mask"][:, other].any() and mirrored["pose_mask"][0, missing]


def test_clips_with_another_skeleton_are_read_in_the_windows(clips):
    """Two clips of one body: with FLEX's joints, and turned, in centimetres, with COCO's."""
    body = swinging_arms(len(clips[0].pose_time)).astype(np.float32)
    own = dataclasses.replace(clips[0], pose=body)
    other = skeleton.arrange(100 * body[..., [1, 0, 2]] * [1, -1, 1], WINDOW.joints, COCO_17)
    theirs = dataclasses.replace(clips[0], joints=COCO_17, pose=other)
    split = examples([own, theirs], POSE_WINDOW)
    first, second = (split.read_window(i, 0.0) for i in range(2))
    known = second["pose_mask"]
    missing = {WINDOW.joints[j] for j in np.flatnonzero(~known[0])}
    assert missing == {"head", "left_toe", "right_toe"} and (known == known[0]).all()
    exact = [j for j, name in enumerate(WINDOW.joints) if name in COCO_17 or name == "chest"]
    np.testing.assert_allclose(second["pose"][:, exact], first["pose"][:, exact], atol=1e-4)


def test_window_starts_are_aligned_to_frames_also_before_the_first():
    clip = make_clip(0, fps=10.0)
    for time, aligned in ((0.04, 0.0), (0.26, 0.3), (-0.16, -0.2), (5.51, 5.5)):
        assert video.align_to_frames(clip, time) == pytest.approx(aligned)


def test_the_cache_does_not_change_examples(clips):
    plain, cached = examples(clips), examples(clips, cache=2**30)
    for _ in range(2):
        assert_same(plain.read_window(1, 0.3), cached.read_window(1, 0.3))
    tight = examples(clips, cache=20_000)
    assert_same(tight.read_window(2, 0.3), plain.read_window(2, 0.3))


def test_dropped_inputs_are_masked_and_other_fields_stay():
    plain = examples([with_person()], cache=1 << 20)
    shown, full = (
        plain.drop_inputs(("left", "load", "vitals")).read_window(0, 0.0),
        plain.read_window(0, 0.0),
    )
    assert full["video_mask"].all() and full["load_mask"] and full["vitals_mask"].all()
    np.testing.assert_array_equal(shown["video_mask"].any(1), [True, False])
    assert not shown["load_mask"] and not shown["vitals_mask"].any()
    changed = ("video_mask", "load_mask", "vitals_mask")
    assert_same(
        {n: v for n, v in shown.items() if n not in changed},
        {n: v for n, v in full.items() if n not in changed},
    )


def test_a_window_whose_pose_is_lost_is_masked(clips):
    """Elsewhere in the clip there is a pose, so that nothing is wrong with the data."""
    pose = clips[0].pose.copy()
    pose[clips[0].pose_time > 0.9] = np.nan
    window = dataclasses.replace(WINDOW, views=(), seconds=0.8)
    example = examples([dataclasses.replace(clips[0], pose=pose)], window).read_window(0, 1.0)
    assert not example["pose_mask"].any() and not example["pose"].any()
    assert example["emg_mask"].any()
