import numpy as np
import pytest

from tests.conftest import make_clip
from video2emg.core.errors import UserError
from video2emg.data.select import Joined, select, with_channels

SPLITS = {
    "train": [make_clip(i, subject=f"t{i % 4}", action=("squat", "curl")[i % 2]) for i in range(8)],
    "validation": [make_clip(10 + i, subject="v", action=("squat", "curl")[i]) for i in range(2)],
    "test": [make_clip(20 + i, subject="u", action=("squat", "curl")[i % 2]) for i in range(4)],
}


def ids(source):
    return [source[i].clip_id for i in range(len(source))]


def test_without_arguments_everything_is_selected():
    for name, source in select(SPLITS).items():
        assert source is SPLITS[name]


def test_an_action_left_out_is_only_in_the_test():
    selected = select(SPLITS, without_action="curl")
    for name in ("train", "validation"):
        assert {selected[name][i].action for i in range(len(selected[name]))} == {"squat"}
    assert ids(selected["test"]) == ["clip21", "clip23"]


def test_fewer_subjects_are_a_subset_of_more():
    few, more = select(SPLITS, people=1), select(SPLITS, people=3)
    people = [{s["train"][i].subject for i in range(len(s["train"]))} for s in (few, more)]
    assert len(people[0]) == 1 and len(people[1]) == 3 and people[0] < people[1]
    assert ids(few["train"]) == [c.clip_id for c in SPLITS["train"] if c.subject in people[0]]
    assert ids(few["test"]) == ids(SPLITS["test"])
    others = [select(SPLITS, people=1, seed=s)["train"][0].subject for s in range(8)]
    assert len(set(others)) > 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(without_action="plank"), "no test clip of 'plank'; there are curl, squat"),
        (dict(people=5), "people: 5, but there are 4"),
    ],
)
def test_impossible_selections_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        select(SPLITS, **arguments)


def test_sources_are_joined_one_after_the_other():
    both = Joined([SPLITS["validation"], SPLITS["test"]])
    assert ids(both) == ids(SPLITS["validation"]) + ids(SPLITS["test"])
    with pytest.raises(IndexError):
        both[len(both)]


def test_some_channels_keep_their_emg():
    clip = SPLITS["train"][0]
    right = with_channels(clip, [1])
    assert right.muscles == clip.muscles[1:]
    np.testing.assert_array_equal(right.emg[:, 0], clip.emg[:, 1])
    assert right.emg_max.shape == (1,) and right.drive.shape == (len(clip.pose_time), 1)
