"""The folder tree tells the architecture; these rules keep it from lying (docs/architecture.md)."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted([*(ROOT / "video2emg").rglob("*.py"), ROOT / "launch.py"])

# What modules below a folder may not import, directly.
FORBIDDEN = {
    "video2emg/data": ("jax", "flax", "video2emg.models", "video2emg.train", "video2emg.eval"),
    "video2emg/sim": ("jax", "flax", "video2emg.models", "video2emg.train", "video2emg.eval"),
    "video2emg/fkg": ("video2emg.data", "video2emg.sim", "video2emg.models", "video2emg.train"),
    "video2emg/models": ("video2emg.data", "video2emg.sim", "video2emg.train", "video2emg.eval"),
    "video2emg/train": ("video2emg.sim", "video2emg.eval", "video2emg.data"),
    "video2emg/eval": ("video2emg.sim", "video2emg.train"),
    "video2emg/viz": ("video2emg.sim", "video2emg.train"),
}


def imports(path: pathlib.Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_data_flow_one_way(folder):
    broken = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in FILES
        for name in imports(path)
        if (ROOT / folder) in path.parents and any(within(name, p) for p in FORBIDDEN[folder])
    }
    assert not broken


@pytest.mark.parametrize(
    "package, home",
    [("mujoco", "video2emg/sim"), ("orbax", "video2emg/checkpoint.py"), ("tensorflow", "nowhere")],
)
def test_some_libraries_have_one_home(package, home):
    users = {str(p.relative_to(ROOT)) for p in FILES if any(within(n, package) for n in imports(p))}
    assert not {user for user in users if not user.startswith(home)}


def test_files_stay_readable():
    long = {
        str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long
