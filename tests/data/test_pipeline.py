import dataclasses
import sys
import typing

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.conftest import jpeg, make_clip
from video2emg.core import clip as clip_lib
from video2emg.core import emg, vocabulary
from video2emg.core.batch import Window
from video2emg.core.errors import UserError
from video2emg.data import augment, video
from video2emg.data.augment import Augmentation, Mirror
from video2emg.data.batches import eval_batches, train_batches
from video2emg.data.datasets import schema
from video2emg.data.examples import Examples

WINDOW = Window(
    seconds=1.0,
    frame_rate=10.0,
    emg_rate=50.0,
    size=8,
    views=("front", "left"),
    channels=4,
    joints=vocabulary.FLEX_21,
    dofs=("left_knee_flexion", "right_knee_flexion"),
)
OFF = Augmentation(flip=0.0, shift=0.0, colour=0.0, time=0.0)


def examples(clips, window=WINDOW, cache=0):
    return Examples(clips, window, emg.Chain(), emg.Normalisation("mvc"), cache)


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


class Written(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    clips: typing.ClassVar = []

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=schema.features())

    def _split_generators(self, dl_manager):
        return {"train": ((c.clip_id, schema.to_example(c)) for c in self.clips)}

    def _generate_examples(self):
        raise AssertionError("the generator is given above")


def test_clip_survives_being_written_and_read_without_tensorflow(clips, tmp_path):
    empty = clip_lib.Clip(clip_id="bare", dataset="test", subject="s", action="a")
    Written.clips = [clips[0], empty]
    builder = Written(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    found = {c.clip_id: c for c in map(schema.from_example, builder.as_data_source("train"))}
    for wanted in (clips[0], empty):
        for field in dataclasses.fields(wanted):
            back = getattr(found[wanted.clip_id], field.name)
            np.testing.assert_equal(back, getattr(wanted, field.name), err_msg=field.name)
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (dict(subject=""), "subject"),
        (dict(muscles=("left_nose", "right_nose")), "muscles"),
        (dict(emg_rate=0.0), "emg_rate"),
        (dict(frame_time=np.zeros(40)), "frame_time"),
        (dict(pose_time=np.zeros(100)), "pose_time"),
        (dict(score=101.0), "score"),
        (dict(errors=(("lift", "odd", 1.5),)), "errors"),
        (dict(phases=(("lift", 1.0, 0.5),)), "phases"),
        (dict(emg=np.zeros((2000, 3), np.float32)), "emg"),
    ],
)
def test_broken_contract_names_clip_and_field(change, field):
    broken = dataclasses.replace(make_clip(3), **change)
    with pytest.raises(UserError, match=f"clip 'clip3', field {field}"):
        clip_lib.validate(broken)


def test_frames_are_chosen_by_timestamp_also_at_variable_rate():
    clip = make_clip(0)
    own = clip.frame_view == 0
    clip.frame_time[own] = np.cumsum(np.random.default_rng(0).uniform(0.03, 0.2, own.sum()))
    times = np.linspace(-1, 4, 60)
    chosen, inside = video.nearest_frames(clip, 0, times)
    shown = clip.frame_time[own]
    np.testing.assert_array_equal(chosen, np.abs(shown[None] - times[:, None]).argmin(1))
    assert not inside[0] and not inside[-1] and inside[30]


def test_flash_and_burst_come_out_together():
    """An instant of light and of muscle in the same place, whatever the rates."""
    for fps, rate in ((25.0, 200.0), (29.97, 1259.26), (60.0, 2000.0)):
        clip = make_clip(0, fps=fps, emg_rate=rate, views=("front",))
        dark, bright = (np.full((8, 8, 3), level, np.uint8) for level in (10, 240))
        at = 0.7
        clip.frames[:] = [
            jpeg(bright if abs(t - at) <= 0.5 / fps else dark) for t in clip.frame_time
        ]
        clip.emg[:] = 0
        clip.emg[round(at * rate)] = 1.0
        window = dataclasses.replace(WINDOW, views=("front",), frame_rate=50.0)
        cut = examples([clip], window).read_window(0, 0.0)
        flash = cut["video"][0, :, 0, 0, 0].argmax()
        burst = cut["emg"][:, 0].argmax()
        assert abs(flash - burst) <= 1


def test_windows_outside_the_recording_are_masked_not_invented():
    cut = examples([make_clip(0)]).read_window(0, 1.5)
    assert cut["video"].shape == (2, 10, 8, 8, 3)
    assert cut["video_mask"][:, :5].all() and not cut["video_mask"][:, 6:].any()
    assert cut["emg_mask"][:24, :2].all() and not cut["emg_mask"][27:].any()
    assert not cut["emg_mask"][:, 2:].any() and (cut["emg"][~cut["emg_mask"]] == 0).all()
    with pytest.raises(UserError, match="none of the views"):
        examples([make_clip(0)], dataclasses.replace(WINDOW, views=("back",))).read_window(0, 0.0)


def test_missing_view_is_masked(clips):
    window = dataclasses.replace(WINDOW, views=("back", "left"))
    cut = examples(clips, window).read_window(0, 0.0)
    assert not cut["video_mask"][0].any() and cut["video_mask"][1].all()


def test_mirror_twice_is_identity_and_swaps_names(clips):
    cut = examples(clips).read_window(0, 0.0)
    mirror = Mirror(WINDOW.joints, WINDOW.dofs)
    once = mirror(cut)
    same(mirror(once), cut)
    left = WINDOW.joints.index("left_knee")
    right = WINDOW.joints.index("right_knee")
    np.testing.assert_array_equal(once["pose"][:, left], cut["pose"][:, right] * [1, -1, 1])
    np.testing.assert_array_equal(once["side"], 1 - cut["side"])
    np.testing.assert_array_equal(once["emg"], cut["emg"])
    assert vocabulary.VIEWS[once["view"][1]] == "right"


POSE = dataclasses.replace(WINDOW, views=())


def test_without_cameras_the_pose_is_what_is_seen(clips):
    cut = examples(clips, POSE).read_window(0, 0.5)
    assert cut["video"].shape == (0, 10, 8, 8, 3) and cut["view"].shape == (0,)
    assert cut["pose"].shape == (10, 21, 3) and cut["pose_mask"].all()
    hips = [WINDOW.joints.index(f"{side}_hip") for side in vocabulary.SIDES]
    np.testing.assert_allclose(cut["pose"][:, hips].mean(1), 0, atol=1e-6)
    clip = dataclasses.replace(
        clips[0], frames=[], views=(), frame_view=np.zeros(0, np.int32), frame_time=np.zeros(0)
    )
    same(examples([clip], POSE).read_window(0, 0.5), cut)
    # Windows start on the pose's own beat (here every 0.02 s), batches and flips need no picture.
    assert video.align_to_frames(clip, 0.033) == pytest.approx(0.04)
    batch = next(iter(train_batches(examples([clip] * 4, POSE), Augmentation(), 4, 0)))
    assert batch["video"].shape == (4, 0, 10, 8, 8, 3) and batch["pose_mask"].any()
    none = np.zeros((0, 0), np.float32)
    bare = dataclasses.replace(
        clip,
        joints=(),
        pose=none[..., None],
        pose_time=np.zeros(0),
        dofs=(),
        torque=none,
        drive=none,
    )
    with pytest.raises(UserError, match="has no pose in the window"):
        examples([bare], POSE).read_window(0, 0.0)


def test_joints_that_a_source_lacks_are_masked_one_by_one(clips):
    clip = dataclasses.replace(clips[0], pose=clips[0].pose.copy())
    gone = WINDOW.joints.index("left_heel")
    clip.pose[:, gone] = np.nan
    cut = examples([clip], POSE).read_window(0, 1.5)  # half of it lies behind the recording
    assert not cut["pose_mask"][:, gone].any() and not cut["pose_mask"][6:].any()
    assert cut["pose_mask"][:5].sum() == 5 * 20
    assert (cut["pose"][~cut["pose_mask"]] == 0).all()
    mirrored = Mirror(WINDOW.joints, WINDOW.dofs)(cut)
    other = WINDOW.joints.index("right_heel")
    assert not mirrored["pose_mask"][:, other].any() and mirrored["pose_mask"][0, gone]


def test_augmentation_leaves_its_input_alone_and_can_be_off(clips):
    cut = examples(clips).read_window(0, 0.0)
    before = {name: value.copy() for name, value in cut.items()}
    mirror = Mirror(WINDOW.joints, WINDOW.dofs)
    rng = np.random.default_rng(0)
    changed = Augmentation()(cut, rng, mirror)
    same(cut, before)
    assert changed["video"].dtype == np.uint8 and (changed["video"] != cut["video"]).any()
    same(OFF(cut, rng, mirror), cut)


def test_a_repeated_repetition_is_a_set_with_everything_in_step(clips):
    cut = examples(clips).read_window(0, 1.5)  # half of the window lies behind the recording
    known = np.flatnonzero(cut["video_mask"].any(0))
    count, each = len(cut["video_mask"][0]), len(cut["emg"]) // len(cut["video_mask"][0])
    assert 2 < len(known) < count
    mirror, begun = Mirror(WINDOW.joints, WINDOW.dofs), set()
    repeat = dataclasses.replace(OFF, repeat=1.0)
    for seed in range(20):
        changed = repeat(cut, np.random.default_rng(seed), mirror)
        far = np.abs(changed["pose"][:, None] - cut["pose"][known]).sum((2, 3))
        frame = far.argmin(1)
        assert (
            (np.diff(frame) - 1) % len(known) == 0
        ).all()  # one after the other, round and round
        begun.add(frame[0])
        assert changed["video_mask"].all()
        for t, source in enumerate(known[frame]):
            mine, its = slice(t * each, (t + 1) * each), slice(source * each, (source + 1) * each)
            np.testing.assert_array_equal(changed["emg"][mine], cut["emg"][its])
            np.testing.assert_array_equal(changed["video"][:, t], cut["video"][:, source])
            np.testing.assert_array_equal(changed["torque"][t], cut["torque"][source])
    assert begun == set(range(len(known)))
    labelled = cut | {"phase": np.zeros(3, np.int32)}
    same(repeat(labelled, np.random.default_rng(0), mirror), labelled)


@pytest.mark.parametrize("dy, dx", [(0, 0), (2, -3), (-1, 4), (-7, -7)])
def test_shift_repeats_the_border(dy, dx):
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3)).astype(np.uint8)
    rows, columns = np.clip(np.arange(9) - dy, 0, 8), np.clip(np.arange(8) - dx, 0, 7)
    np.testing.assert_array_equal(augment._shift(frames, dy, dx), frames[:, rows][:, :, columns])


def test_recolour_scales_each_channel_of_a_whole_view_alike():
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3)).astype(np.uint8)
    changed = augment._recolour(frames, 0.3, np.random.default_rng(1))
    assert changed.shape == frames.shape and (changed != frames).mean() > 0.5
    for c in range(3):
        order = np.argsort(frames[..., c], axis=None)
        assert (np.diff(changed[..., c].ravel()[order].astype(int)) >= 0).all()


def test_windows_start_on_a_frame_also_before_the_first():
    clip = make_clip(0, fps=10.0)
    for wanted, found in ((0.04, 0.0), (0.26, 0.3), (-0.16, -0.2), (5.51, 5.5)):
        assert video.align_to_frames(clip, wanted) == pytest.approx(found)


def test_cache_changes_nothing(clips):
    plain, cached = examples(clips), examples(clips, cache=2**30)
    for _ in range(2):
        same(plain.read_window(1, 0.3), cached.read_window(1, 0.3))
    tight = examples(clips, cache=20_000)
    same(tight.read_window(2, 0.3), plain.read_window(2, 0.3))


def test_training_batches_can_be_started_anywhere(clips):
    """The batch of a step is a function of the step: what resuming rests on."""

    def batches(start):
        return iter(train_batches(examples(clips), Augmentation(), 4, seed=3, start=start))

    straight = batches(0)
    expected = [next(straight) for _ in range(7)]
    later = batches(4)
    for batch in expected[4:]:
        same(next(later), batch)


def test_training_batches_cover_the_split_every_epoch_in_another_order(clips):
    it = iter(train_batches(examples(clips), OFF, batch=4, seed=0))
    epochs = [np.concatenate([next(it)["index"] for _ in range(3)]) for _ in range(2)]
    assert all(sorted(e) == list(range(12)) for e in epochs)
    assert (epochs[0] != epochs[1]).any()


@pytest.mark.parametrize("rows", [([0, 1], [2, 3]), ([0, 3], [1, 2]), ([0], [1], [2], [3])])
def test_processes_that_share_a_batch_read_its_rows(clips, rows):
    """However many processes there are, they see the batches of one."""

    def batches(mine=None):
        ds = train_batches(examples(clips), Augmentation(), 4, seed=3, rows=mine, start=2)
        return iter(ds)

    whole, parts = batches(), [batches(mine) for mine in rows]
    for _ in range(3):
        batch = next(whole)
        for mine, part in zip(rows, parts, strict=True):
            same(next(part), {name: value[mine] for name, value in batch.items()})


def test_evaluation_rows_are_those_of_the_whole_batch(clips):
    for whole, part in zip(
        eval_batches(examples(clips), 5),
        eval_batches(examples(clips), 5, rows=[1, 4]),
        strict=True,
    ):
        for name, value in whole.items():
            np.testing.assert_array_equal(
                part[name], value if name.startswith("_") else value[[1, 4]]
            )


def test_evaluation_sees_every_clip_once_and_pads_the_last_batch(clips):
    batches = list(eval_batches(examples(clips), 5))
    seen = [
        (int(b["index"][i]), float(b["start"][i]))
        for b in batches
        for i in np.flatnonzero(b["_mask"])
    ]
    assert sorted(seen) == [(i, s) for i in range(12) for s in (0.0, 1.0)]
    assert all(len(b["index"]) == 5 for b in batches)


def test_too_large_a_batch_is_refused(clips):
    with pytest.raises(UserError, match="batch_size"):
        train_batches(examples(clips), OFF, batch=13, seed=0)
