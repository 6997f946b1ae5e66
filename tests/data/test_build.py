"""Builds that are killed, meet or fail, with workers and with Beam."""

import errno
import math
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import ezc3d
import numpy as np
import pytest

from video2emg.core.errors import UserError
from video2emg.data import build, kept_clips, store, workers
from video2emg.data.datasets import builder as builder_lib
from video2emg.data.datasets.gymsim import gymsim_dataset_builder as gymsim
from video2emg.data.datasets.recordings import Builder as Recordings
from video2emg.data.readers import text
from video2emg.data.workers import in_order

from .test_recordings import folder as recordings

ROOT = pathlib.Path(__file__).parents[2]
VERSION, GYMSIM = str(Recordings.VERSION), str(gymsim.Builder.VERSION)
BUILD = (
    "import sys; from video2emg.data import store; "
    "store.open_dataset('recordings/default', *sys.argv[1:])"
)


def start(code, *args):
    """Starts a program in its root process group."""
    return subprocess.Popen(
        [sys.executable, "-c", f"if __name__ == '__main__':\n    {code}", *map(str, args)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.02)


def alive(group):
    """Running processes of a group, without zombies."""
    processes = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ProcessLookupError):
            continue
        if int(pgrp) == group and state != "Z":
            processes.append(stat.parent.name)
    return processes


def assert_order_of_the_plan(dataset, root):
    for split, rows in Recordings.plan(root, "default").items():
        assert [clip.clip_id for clip in dataset.splits[split]] == [row.clip_id for row in rows]


def assert_same(one, other):
    for split, clips in one.splits.items():
        assert len(clips) == len(other.splits[split])
        for a, b in zip(clips, other.splits[split], strict=True):
            assert a.clip_id == b.clip_id and a.frames == b.frames
            np.testing.assert_array_equal(a.emg, b.emg)


def test_a_killed_build_leaves_no_process_and_starts_again(tmp_path):
    root, home = recordings(tmp_path, 40), tmp_path / "data" / "recordings" / "default"
    process = start(BUILD, tmp_path / "data", root)
    wait_for(lambda: list(home.rglob("*array_record*")))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (home / VERSION).exists() and (home / f".{VERSION}.building").exists()
    wait_for(lambda: not alive(process.pid), 20)
    dataset = store.open_dataset("recordings/default", tmp_path / "data", root)
    assert_order_of_the_plan(dataset, root)
    assert {path.name for path in home.iterdir()} == {VERSION, f".{VERSION}.lock"}


def test_two_builds_at_once_make_one_dataset(tmp_path):
    root, home = recordings(tmp_path), tmp_path / "data" / "recordings" / "default"
    with build._lock(home / f".{VERSION}.lock"):
        both = [start(BUILD, tmp_path / "data", root) for _ in range(2)]
        for process in both:
            assert "another process is building" in process.stderr.readline()
        assert not (home / VERSION).exists()
    assert [process.wait(120) for process in both] == [0, 0]
    assert_same(
        store.open_dataset("recordings/default", tmp_path / "data", root),
        store.open_dataset("recordings/default", tmp_path / "alone", root),
    )
    assert {path.name for path in home.iterdir()} == {VERSION, f".{VERSION}.lock"}


@pytest.mark.parametrize(
    "failure, raised",
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), UserError),
    ],
)
def test_an_interrupted_build_leaves_only_its_lock(tmp_path, monkeypatch, failure, raised):
    def interrupted(maker, items):
        yield maker(items[0])
        raise failure

    monkeypatch.setattr(builder_lib, "in_order", interrupted)
    with pytest.raises(raised) as caught:
        store.open_dataset("gymsim/tiny", tmp_path)
    if raised is UserError:
        assert "disk full while building" in str(caught.value)
        assert "config.data.dir" in str(caught.value)
    left = {p.name for p in (tmp_path / "gymsim" / "tiny").iterdir()}
    assert left == {f".{GYMSIM}.lock", f".{GYMSIM}.clips"}


def test_the_next_build_makes_only_the_clips_that_are_not_there(tmp_path, monkeypatch):
    record, made = gymsim.sim.record, []

    def counted(trial, studio):
        made.append(trial.index)
        if len(made) == 6:
            raise FloatingPointError("once")
        return record(trial, studio)

    monkeypatch.setattr(builder_lib, "in_order", map)
    monkeypatch.setattr(gymsim.sim, "record", counted)
    home = tmp_path / "gymsim" / "tiny_poses"
    with pytest.raises(FloatingPointError) as caught:
        store.open_dataset("gymsim/tiny_poses", tmp_path)
    assert any("while making the clip of Trial(index=" in note for note in caught.value.__notes__)
    assert len(list((home / f".{GYMSIM}.clips").glob("*/*.pickle"))) == 5
    resumed = store.open_dataset("gymsim/tiny_poses", tmp_path)
    assert len(made) == 1 + sum(len(split) for split in resumed.splits.values())
    assert {p.name for p in home.iterdir()} == {GYMSIM, f".{GYMSIM}.lock"}
    monkeypatch.setattr(gymsim.sim, "record", record)
    whole = store.open_dataset("gymsim/tiny_poses", tmp_path / "alone")
    for split, clips in whole.splits.items():
        for a, b in zip(clips, resumed.splits[split], strict=True):
            assert a.clip_id == b.clip_id
            np.testing.assert_array_equal(a.pose, b.pose)


def test_kept_clips_are_found_by_maker_and_item_however_they_came(tmp_path):
    trials = gymsim.Builder.plan(None, "tiny")["train"][:3]
    makers = [gymsim.Builder.maker(None, name) for name in ("tiny", "tiny_poses")]
    kept = [kept_clips.KeptClips(maker, tmp_path) for maker in makers]
    names = {one.name(trial) for one in kept for trial in trials}
    assert len(names) == 6
    sent, other = pickle.loads(pickle.dumps((kept, trials)))
    assert {one.name(trial) for one in sent for trial in other} == names


def test_clips_of_other_code_are_removed(tmp_path, monkeypatch):
    mine = kept_clips.folder_of_this_code(tmp_path)
    for folder in (mine, tmp_path / "older"):
        folder.mkdir()
    assert kept_clips.folder_of_this_code(tmp_path) == mine
    assert [path.name for path in tmp_path.iterdir()] == [mine.name]
    # An anatomy is code as well.
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "arm.yaml").write_text("force: 1")
    monkeypatch.setattr(kept_clips, "_PACKAGE", tmp_path / "package")
    first = kept_clips._code.__wrapped__()
    (tmp_path / "package" / "arm.yaml").write_text("force: 2")
    assert kept_clips._code.__wrapped__() != first


def test_a_build_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "_run", lambda builder, *_: builder.data_path.mkdir(parents=True))
    folder = build.build(gymsim.Builder, "tiny", tmp_path, None, "")
    assert folder == tmp_path / "gymsim" / "tiny" / GYMSIM and folder.is_dir()
    assert capsys.readouterr().err == f"building the dataset {folder}\n"


def test_a_reader_builds_nothing(tmp_path):
    with pytest.raises(UserError, match="prepare-data --dataset gymsim/tiny --data_dir"):
        store.open_dataset("gymsim/tiny", tmp_path, build_missing=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_locked_is_refused(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(build.fcntl, "flock", refuse)
    with pytest.raises(UserError, match=r"cannot be locked \(No locks available\)"):
        store.open_dataset("gymsim/tiny", tmp_path)


def test_results_of_workers_are_in_order():
    texts = [f"({i}, __import__('os').getpid())" for i in range(12)]
    results = list(in_order(eval, texts, workers=2))
    assert [value for value, _ in results] == list(range(12))
    assert os.getpid() not in {pid for _, pid in results} and len({pid for _, pid in results}) <= 2
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        list(in_order(math.sqrt, range(4, -5, -1), workers=2))


def test_few_results_wait_in_memory():
    class Items(list):
        asked = 0

        def __iter__(self):
            for item in range(200):
                self.asked = item
                yield item

    items = Items(range(200))
    for i, _ in enumerate(in_order(math.sqrt, items, workers=2)):
        assert items.asked - i <= 10
        if i == 40:
            break


def test_shards_keep_the_order_of_the_plan(tmp_path, monkeypatch):
    monkeypatch.setattr(builder_lib, "SHARD", 2)
    root = recordings(tmp_path, 11)
    dataset = store.open_dataset("recordings/default", tmp_path / "data", root)
    assert_order_of_the_plan(dataset, root)
    for split, clips in dataset.splits.items():
        shards = list(tmp_path.rglob(f"*{split}.array_record*"))
        assert len(shards) == (len(clips) + 1) // 2


def test_without_beam_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam.options", None)
    with pytest.raises(UserError, match=r"pip install \"\.\[beam\]\""):
        store.open_dataset("gymsim/tiny", tmp_path, beam="--runner=DirectRunner")


def test_beam_builds_the_same_dataset(tmp_path, tiny_dir):
    pytest.importorskip("apache_beam", reason="apache-beam is not installed (extra `beam`)")
    beam = "--runner=DirectRunner"
    built = store.open_dataset("gymsim/tiny", tmp_path / "beam", beam=beam)
    assert_same(built, store.open_dataset("gymsim/tiny", tiny_dir))
    (tmp_path / "root").mkdir()
    root = recordings(tmp_path / "root")
    by_beam = store.open_dataset("recordings/default", tmp_path / "a", root, beam=beam)
    assert_same(by_beam, store.open_dataset("recordings/default", tmp_path / "b", root))


def test_a_script_without_a_main_guard_builds_a_dataset_with_workers(tmp_path):
    """Workers do not import the script again: else each would wait for the build it is part of."""
    root = recordings(tmp_path, 9)
    file = ezc3d.c3d()
    file["parameters"]["ANALOG"]["RATE"]["value"] = [1000.0]
    file["parameters"]["ANALOG"]["LABELS"]["value"] = ["A", "B"]
    file["parameters"]["ANALOG"]["UNITS"]["value"] = ["mV", "mV"]
    file["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    file["data"]["points"] = np.zeros((4, 0, 200))
    file["data"]["analogs"] = np.random.default_rng(0).normal(size=(1, 2, 2000))
    file.write(str(root / "a.c3d"))
    table = root / "clips.csv"
    table.write_text(table.read_text().replace("a.csv", "a.c3d"))
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "os.cpu_count = lambda: 2\n"
        "from video2emg.data import readers, store\n"
        "print(len(readers.read(sys.argv[1] + '/a.c3d')))\n"
        "dataset = store.open_dataset('recordings/default', sys.argv[1] + '/data', sys.argv[1])\n"
        "print(sum(map(len, dataset.splits.values())))\n"
    )
    done = subprocess.run(
        [sys.executable, script, root],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split()[0] == "2" and done.stdout.split()[-1] == "9", done.stderr


def test_workers_hand_over_errors_and_crashes(capfd):
    with pytest.raises(UserError, match="no rows of numbers") as caught:
        workers.call(text.parse, "a,b\n", "x.csv", timeout=30)
    assert "text.py" in caught.value.__notes__[0]
    with pytest.raises(workers.WorkerError, match="status"):
        workers.call(os.abort, timeout=30)
    with pytest.raises(TimeoutError):
        workers.call(time.sleep, 30, timeout=0.1)
    assert workers.call(print, "to standard output", timeout=30) is None
    assert "to standard output" in capfd.readouterr().err
