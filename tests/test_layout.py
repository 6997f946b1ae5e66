"""The folder tree tells the architecture; these rules keep it from lying (docs/architecture.md)."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "video2emg"
FILES = sorted([*PACKAGE.rglob("*.py"), ROOT / "launch.py"])

# Folders of the package, lowest first: a folder imports itself and the folders above it here.
FOLDERS = (
    "core",  # what everything speaks of: clips, EMG, skeletons, names, files, errors
    "parallel",  # devices and processes
    "fkg",  # knowledge graph, score, feedback
    "physics",  # mechanics of the body as layers, and its anatomy as a table
    "sim",  # the simulated gym
    "pose",  # from pictures of a person to a 3-D pose
    "data",  # recordings in, batches out
    "models",  # Linen modules
    "train",  # one loop
    "eval",  # metrics, baselines, results
    "viz",  # figures
    "run",  # workdir and setup that jobs share
    "aqa",  # action quality assessment
    "representation",  # representation learning
    "inference",  # from a film to EMG, score and feedback
    "jobs",  # what a config runs; nothing but a command imports a job
    "export",  # models as files
    "videoqa",  # questions about films
    "cli",  # commands
)
# Folders that may not import some that stand below them, nor some libraries.
NEVER = {
    "core": ("jax", "flax"),
    "sim": ("jax", "flax", "video2emg.parallel"),
    "pose": ("jax", "flax", "video2emg.parallel", "video2emg.fkg", "video2emg.sim"),
    "data": ("jax", "flax", "video2emg.parallel"),
    "models": ("video2emg.data", "video2emg.sim"),
    "train": ("video2emg.data", "video2emg.sim"),
    "eval": ("video2emg.sim", "video2emg.train"),
    "viz": ("video2emg.sim", "video2emg.train"),
}
# Where a library may be used.
HOMES = {
    "mujoco": "sim/",
    "ai_edge_litert": "pose/nets.py",
    "orbax": "train/checkpoint.py",
    "tensorflow": "nowhere",
}


def imports(path: pathlib.Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_every_folder_has_its_place():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == {*FOLDERS, "pretrained"}
    assert not list((PACKAGE / "pretrained").rglob("*.py"))  # a packed run, no code
    assert [p.name for p in PACKAGE.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_go_one_way(folder):
    later = [f"video2emg.{name}" for name in FOLDERS[FOLDERS.index(folder) + 1 :]]
    forbidden = (*later, *NEVER.get(folder, ()))
    broken = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (PACKAGE / folder).rglob("*.py")
        for name in imports(path)
        if any(within(name, package) for package in forbidden)
    }
    assert not broken


@pytest.mark.parametrize("library", HOMES)
def test_some_libraries_have_one_home(library):
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(within(name, library) for name in imports(path))
    }
    assert not {user for user in users if not user.startswith(HOMES[library])}


# Functions that are longer for a reason.
LONG: dict[str, str] = {}


def test_functions_fit_on_a_screen():
    long = {
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= 80
    }
    assert long == set(LONG)


def test_the_formatter_is_never_switched_off():
    mark = "fmt: " + "skip"
    folders = ("video2emg", "tests", "configs", "benchmarks", "analyses", "tools")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert not [path for path in files if mark in path.read_text(encoding="utf-8")]
