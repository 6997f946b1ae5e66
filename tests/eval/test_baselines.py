import logging

import numpy as np
import pytest

from tests.eval.clips import make_clip, make_set
from video2emg.core.errors import UserError
from video2emg.eval import baselines, scores

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
        assert nearest.neighbour(clip) is clip
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
            **{k: getattr(c, k) for k in ("clip_id", "subject", "action", "descriptor")},
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
