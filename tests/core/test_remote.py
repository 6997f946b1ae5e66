"""Runs and datasets in a bucket, against an emulator of Cloud Storage that speaks HTTP."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from video2emg.core import remote
from video2emg.core.errors import UserError
from video2emg.data.store import open_dataset

# Read when gcsfs is imported: the emulator does not know what kind a bucket is.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
pytest.importorskip("gcsfs", reason="needs the extra gcs")
server = pytest.importorskip("gcp_storage_emulator.server")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """An empty bucket, and what the client must be told to find it."""
    import fsspec

    running = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    running.start()
    port = running._api._httpd.server_address[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fsspec.get_filesystem_class("gs").clear_instance_cache()
    yield fsspec.filesystem("gs", use_listings_cache=False)
    fsspec.get_filesystem_class("gs").clear_instance_cache()
    running.stop()


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


def test_what_is_done_on_one_machine_is_there_on_the_next(bucket, tmp_path):
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


def test_it_is_copied_while_it_goes_on_and_after_an_error(bucket):
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


def test_a_push_that_is_cut_off_leaves_what_was_there(bucket, tmp_path, monkeypatch):
    """Files arrive, the manifest doesn't: the next machine has what went before."""
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
    # This machine is ahead of the bucket and goes on from there; another one has what was pushed.
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {"checkpoints/2/x": b"two"}
        shutil.rmtree(folder / "checkpoints/2")
        write(folder, **{"checkpoints/1/x": "one"})
    another_machine(tmp_path)
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {"checkpoints/1/x": b"one"}


def test_who_went_on_elsewhere_is_followed(bucket, tmp_path):
    with remote.workdir("gs://bucket/run") as folder:
        write(folder, a="here")
    kept = shutil.copytree(tmp_path / "cache", tmp_path / "kept")
    with remote.workdir("gs://bucket/run") as folder:
        write(folder, a="there", b="new")
    another_machine(tmp_path)
    shutil.move(kept, tmp_path / "cache")
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {"a": b"there", "b": b"new"}
    bucket.rm("bucket/run", recursive=True)  # the owner begins anew
    with remote.workdir("gs://bucket/run") as folder:
        assert content(folder) == {}


def test_mistakes_cost_one_line(bucket, tmp_path, monkeypatch):
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
        pytest.raises(UserError, match=r"pip install \"video2emg\[gcs\]\""),
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
    bucket.pipe_file(seal, bucket.cat_file(seal) + b"\n")  # uploaded anew
    with pytest.raises(UserError, match=r"damaged: 5 instead of \d+ bytes"):
        open_dataset("gymsim/tiny", "gs://bucket/data")


def test_a_run_that_is_told_to_stop_goes_on_elsewhere(bucket, tiny_dir, tmp_path):
    """Two machines, one after the other, end where one alone does."""
    command = [
        sys.executable,
        "launch.py",
        "--config",
        "configs/v2emg.py:debug",
        f"--config.data.dir={tiny_dir}",
        "--config.train.save_every=5",
        "--config.train.log_every=1",
    ]
    env = os.environ | {"JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(
        [*command, "--workdir", "gs://bucket/run"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    mirror = tmp_path / "cache/video2emg/buckets/runs/bucket/run/metrics.jsonl"
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if mirror.exists() and mirror.read_text().count("\n") >= 3:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=200)[1].decode()
    assert process.returncode == 75 and "all of this run is in gs://bucket/run" in told, told
    assert bucket.exists("bucket/run/checkpoints.json")
    assert not bucket.exists("bucket/run/results.json")
    another_machine(tmp_path)
    for workdir in ("gs://bucket/run", str(tmp_path / "alone")):
        done = subprocess.run(
            [*command, "--workdir", workdir], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    rows = [
        bucket.cat_file("bucket/run/metrics.jsonl"),
        (tmp_path / "alone/metrics.jsonl").read_bytes(),
    ]
    losses = [[json.loads(line).get("loss") for line in text.splitlines()] for text in rows]
    assert losses[0] == losses[1] and len(losses[0]) >= 20
    found = [
        json.loads(bucket.cat_file("bucket/run/results.json")),
        json.loads((tmp_path / "alone/results.json").read_text()),
    ]
    assert found[0]["test"] == found[1]["test"]
