"""Opening datasets on disk, and noticing damaged ones."""

import shutil

import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.data import build, store
from video2emg.data.datasets.gymsim import gymsim_dataset_builder as gymsim
from video2emg.sim import record as sim
from video2emg.sim.trials import plan_trials

VERSION = gymsim.Builder.VERSION


@pytest.fixture
def copy(tiny_dir, tmp_path):
    """A copy of the built dataset that a test may break; returns data_dir and its folder."""
    shutil.copytree(tiny_dir, tmp_path / "data")
    return tmp_path / "data", tmp_path / "data" / "gymsim" / "tiny" / str(VERSION)


def test_splits_share_no_subject(tiny_dir):
    dataset = store.open_dataset("gymsim/tiny", tiny_dir)
    people = [{clip.subject for clip in split} for split in dataset.splits.values()]
    assert all(people) and not set.intersection(*map(set, people))
    assert sum(map(len, people)) == len(set.union(*people)) == 4
    assert dataset.simulated and dataset.version == str(VERSION)


def test_stored_clips_are_those_of_the_simulator_bit_for_bit(tiny_dir):
    config = gymsim.Builder.builder_configs["tiny"]
    trial = plan_trials(
        config.subjects, config.sets, config.seed, config.exercises, config.repetitions
    )[0]
    simulated = sim.record(trial, config.studio)
    dataset = store.open_dataset("gymsim/tiny", tiny_dir)
    [stored] = [c for s in dataset.splits.values() for c in s if c.clip_id == simulated.clip_id]
    assert stored.frames == simulated.frames
    np.testing.assert_array_equal(stored.emg, simulated.emg)
    np.testing.assert_array_equal(stored.torque, simulated.torque)


def test_a_built_dataset_is_not_built_again(tiny_dir, monkeypatch):
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("built again"))
    store.open_dataset("gymsim/tiny", tiny_dir)


@pytest.mark.parametrize("name", ["gymsin/tiny", "gymsim/huge", "gymsim"])
def test_unknown_names_are_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(UserError, match=r"config\.data\.name: .*gymsim"):
        store.open_dataset(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_named(copy):
    data_dir, folder = copy
    record = next(folder.glob("*.array_record*"))
    record.write_bytes(record.read_bytes()[:-100])
    with pytest.raises(UserError, match=f"{record.name}: damaged.*delete the folder"):
        store.open_dataset("gymsim/tiny", data_dir)


def test_a_record_with_flipped_bits_is_named(copy):
    data_dir, folder = copy
    record = next(folder.glob("*train*array_record*"))
    content = bytearray(record.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)  # as long as before, so sizes cannot tell
    record.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        dataset = store.open_dataset("gymsim/tiny", data_dir)
        for clip in dataset.splits["train"]:
            assert clip.frames


def test_a_dataset_without_the_list_of_sizes_is_refused(copy):
    data_dir, folder = copy
    (folder / "file_sizes.json").unlink()
    with pytest.raises(UserError, match="not completely built"):
        store.open_dataset("gymsim/tiny", data_dir)


def test_a_missing_folder_of_own_files_is_told_before_anything_is_built(tmp_path):
    with pytest.raises(UserError, match=r"manual_dir: .*nowhere is no folder"):
        store.open_dataset("mia/cross_subject", tmp_path, tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())
