"""Runs and datasets in a bucket, against an emulator of Cloud Storage that speaks HTTP."""

import json
import os
import pathlib
import shutil
import signal
import time

import numpy as np
import pytest

from tests.train import tiny
from video2emg.core import remote
from video2emg.core.errors import Interrupted, UserError
from video2emg.data.store import open_dataset

# Read when gcsfs is imported: the emulator does not know kinds of buckets.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
pytest.importorskip("gcsfs", reason="needs the extra gcs")
server = pytest.importorskip("gcp_storage_emulator.server")


@pytest.fixture(scope="module")
def emulator():
    running = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def bucket(emulator, tmp_path, monkeypatch):
    """An empty bucket; the client is told where to find it."""
    import fsspec

    emulator.wipe(keep_buckets=True)
    port = emulator._api._httpd.server_address[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fsspec.get_filesystem_class("gs").clear_instance_cache()
    yield fsspec.filesystem("gs", use_listings_cache=False)
    fsspec.get_filesystem_class("gs").clear_instance_cache()


def content(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name[0] != "."
    }


def another_machine(tmp_path):
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def write(folder, **files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_run_is_the_same_on_the_next_machine(bucket, tmp_path):
    address = "gs://bucket/runs/a"
    with remote.workdir(address) as folder:
        write(folder, **{"config.json": "{}", "checkpoints/1/x": "one", "metrics.jsonl": "1\n"})
        write(folder, **{"checkpoints/2.orbax-checkpoint-tmp/x": "half", ".best.json.abc": "half"})
    another_machine(tmp_path)
    with remote.workdir(address) as folder:
        expected = {"config.json": b"{}", "checkpoints/1/x": b"one", "metrics.jsonl": b"1\n"}
        assert content(folder) == expected
        shutil.rmtree(folder / "checkpoints/1")
        write(folder, **{"checkpoints/2/x": "two", "metrics.jsonl": "1\n2\n"})
    another_machine(tmp_path)
    with remote.workdir(address) as folder:
        expected = {"config.json": b"{}", "checkpoints/2/x": b"two", "metrics.jsonl": b"1\n2\n"}
        assert content(folder) == expected and not (folder / "checkpoints/1").exists()
    assert not bucket.exists("bucket/runs/a/checkpoints/1/x")


def test_a_run_is_copied_while_it_goes_on_and_after_an_error(bucket):
    with (
        pytest.raises(ValueError, match="of the job"),
        remote.workdir("gs://bucket/run", every_s=0.05) as folder,
    ):
        write(folder, first="1")
        deadline = time.monotonic() + 20
        while not bucket.exists("bucket/run/.manifest.json") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert json.loads(bucket.cat_file("bucket/run/.manifest.json")).keys() == {"first"}
        write(folder, second="2")
        raise ValueError("of the job")
    assert bucket.cat_file("bucket/run/second") == b"2"


def test_an_interrupted_copy_keeps_the_last_manifest(bucket, tmp_path, monkeypatch):
    """If files arrive without a manifest, the next machine gets the run before them."""
    with remote.workdir("gs://bucket/run") as folder:
        write(folder, **{"checkpoints/1/x": "one"})
    with monkeypatch.context() as cut:
        cut.setattr(bucket, "pipe_file", lambda *_, **__: 1 / 0)
        with (
            pytest.raises(UserError, match="gs://bucket/run: ZeroDivisionError"),
            remote.workdir("gs://bucket/run") as folder,
        ):
            shutil.rmtree(folder / "checkpoints/1")
            write(folder, **{"checkpoints/2/x": "two"})
    assert bucket.exists("bucket/run/checkpoints/2/x")
    # This machine is newer than the bucket and continues; another one gets what was pushed.
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {"checkpoints/2/x": b"two"}
        shutil.rmtree(folder / "checkpoints/2")
        write(folder, **{"checkpoints/1/x": "one"})
    another_machine(tmp_path)
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {"checkpoints/1/x": b"one"}


def test_changes_by_another_machine_are_fetched(bucket, tmp_path):
    with remote.workdir("gs://bucket/run") as folder:
        write(folder, a="here")
    kept = shutil.copytree(tmp_path / "cache", tmp_path / "kept")
    with remote.workdir("gs://bucket/run") as folder:
        write(folder, a="there", b="new")
    another_machine(tmp_path)
    shutil.move(kept, tmp_path / "cache")
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {"a": b"there", "b": b"new"}
    bucket.rm("bucket/run", recursive=True)  # the owner deletes the run
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {}


def test_mistakes_give_one_line(bucket, tmp_path, monkeypatch):
    bucket.pipe_file("bucket/other/notes.txt", b"mine")
    with (
        pytest.raises(UserError, match="gs://bucket/other is not empty and holds no run"),
        remote.workdir("gs://bucket/other"),
    ):
        pass
    for address in ("gs://", "gs://bucket/", "gs://bucket/../x"):
        with pytest.raises(UserError, match="expected gs://bucket/name"), remote.workdir(address):
            pass
    with pytest.raises(UserError, match=r"config\.data\.dir=gs://bucket/data: .*nothing complete"):
        open_dataset("gymsim/tiny", "gs://bucket/data")

    def missing(*_, **__):
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr("fsspec.filesystem", missing)
    with (
        pytest.raises(UserError, match=r"pip install \"\.\[gcs\]\""),
        remote.workdir("gs://bucket/run"),
    ):
        pass
    assert bucket.cat_file("bucket/other/notes.txt") == b"mine"


def test_a_dataset_is_fetched_once_and_checked(bucket, tiny_dir, monkeypatch):
    built = open_dataset("gymsim/tiny", tiny_dir)
    for path in pathlib.Path(tiny_dir).glob("gymsim/tiny/*/*"):
        bucket.put_file(str(path), f"bucket/data/{path.relative_to(tiny_dir).as_posix()}")
    fetched = open_dataset("gymsim/tiny", "gs://bucket/data")
    assert fetched.fingerprint == built.fingerprint
    assert fetched.splits["test"][0].clip_id == built.splits["test"][0].clip_id
    with monkeypatch.context() as offline:
        offline.setattr(bucket, "get_file", lambda *_, **__: 1 / 0)
        open_dataset("gymsim/tiny", "gs://bucket/data")
    place = next(key for key in bucket.find("bucket/data") if "array_record" in key)
    bucket.pipe_file(place, b"short")
    seal = place.rsplit("/", 1)[0] + "/file_sizes.json"
    bucket.pipe_file(seal, bucket.cat_file(seal) + b"\n")  # uploaded again
    with pytest.raises(UserError, match=r"damaged: 5 instead of \d+ bytes"):
        open_dataset("gymsim/tiny", "gs://bucket/data")


def test_a_run_that_is_stopped_continues_on_another_machine(bucket, tmp_path, capsys):
    """Two machines, one after the other, end with the result of one."""

    def stop(params):
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="after step 4"), remote.workdir("gs://bucket/run") as run:
        run.mkdir(parents=True)
        tiny.run(run, check=stop)
    assert "all of this run is in gs://bucket/run" in capsys.readouterr().err
    assert bucket.exists("bucket/run/checkpoints.json")
    another_machine(tmp_path)
    with remote.workdir("gs://bucket/run") as run:
        tiny.run(run)
    tiny.run(tmp_path / "alone")
    assert [row.get("loss") for row in tiny.lines(run)] == [
        row.get("loss") for row in tiny.lines(tmp_path / "alone")
    ]
    steps = tiny.config().steps
    for a, b in zip(tiny.arrays(run, steps), tiny.arrays(tmp_path / "alone", steps), strict=True):
        np.testing.assert_array_equal(a, b)
    content_of_bucket = {key.removeprefix("bucket/run/") for key in bucket.find("bucket/run")}
    assert set(content(run)) <= content_of_bucket
