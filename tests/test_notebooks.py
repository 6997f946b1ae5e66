"""Notebooks run top to bottom, on one tiny run that they share, and carry no outputs."""

import os
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from configs import v2emg
from tests.conftest import build_once, fast_jobs
from video2emg.jobs import video2emg

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def work_dir(tiny_dir, common_dir):
    """The folder that notebooks work in, with the dataset and the trained run that they open."""
    folder = common_dir / "notebooks"

    def build():
        folder.mkdir()
        (folder / "data").symlink_to(tiny_dir)
        config = v2emg.get_config("debug")
        config.data.dir = str(folder / "data")
        with fast_jobs(figures=True):
            video2emg.run(config, folder / "v2emg")

    return build_once(folder, build)


@pytest.fixture(scope="module")
def kernel(work_dir):
    """One kernel for all: importing JAX and the package takes longer than most notebooks."""
    manager = KernelManager(kernel_name="python3")
    variables = {"VIDEO2EMG_NOTEBOOKS": str(work_dir), "JAX_PLATFORMS": "cpu"}
    manager.start_kernel(
        cwd=str(ROOT / "notebooks"), env=os.environ | variables | {"JAX_NUM_CPU_DEVICES": "1"}
    )
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_top_to_bottom(path, kernel, tmp_path):
    book = nbformat.read(path, as_version=4)
    forget = nbformat.v4.new_code_cell("%reset -f")  # the variables of the notebook before
    book.cells.insert(0, forget)
    NotebookClient(book, km=kernel, timeout=300).execute()
    assert len(book.cells[-1].outputs) > 0  # each ends with something to be seen
    nbformat.write(book, tmp_path / path.name)  # kept as an artefact


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
