"""Notebooks run top to bottom, on one tiny run that they share, and carry no outputs."""

import fcntl
import os
import pathlib
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory, worker_id):
    """Folder with the trained run that notebooks open; made once for all test processes."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "notebooks"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "launch.py", "--config", "configs/v2emg.py:debug"]
        command += [f"--config.data.dir={folder / 'data'}", f"--workdir={folder / 'v2emg'}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_top_to_bottom(path, shared_run, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEO2EMG_NOTEBOOKS", str(shared_run))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    book = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(book, timeout=300, resources=where, kernel_name="python3").execute()
    assert len(book.cells[-1].outputs) > 0  # each ends with something to be seen
    nbformat.write(book, os.fspath(tmp_path / path.name))  # kept as an artefact


def test_every_topic_has_its_notebook():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"0{n}" for n in range(1, 7)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped_and_cells_are_short(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "google.colab" in code[0].source
    longest = max(len(cell.source.splitlines()) for cell in code)
    assert longest <= 24, "call the package instead of writing it again"
