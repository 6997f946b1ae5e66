"""What one file uses of another exists: a cheap check of code that tests do not run."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
FOLDERS = ("video2emg", "configs", "benchmarks", "analyses", "tools")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
# Modules are imported, but for those that change the process when they are.
PACKAGES = ("video2emg", "configs")


def imported(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yields module, name in it, and what the file calls it, of `from module import name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            for alias in node.names:
                yield node.module, alias.name, alias.asname or alias.name


def resolve(module: str, name: str) -> object:
    """The object.

    Raises:
      ImportError: there is none.
    """
    home = importlib.import_module(module)
    if not hasattr(home, name):
        importlib.import_module(f"{module}.{name}")
    return getattr(home, name)


def missing(tree: ast.AST) -> set[str]:
    """Imported names, and attributes of imported modules, that do not exist."""
    objects = {}
    for module, name, local in imported(tree):
        try:
            objects[local] = resolve(module, name)
        except ImportError:
            return {f"{module}.{name}"}
    # A variable or an argument of the same name hides the module.
    hidden = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    hidden |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id not in hidden
        and isinstance(objects.get(node.value.id), ModuleType)
        and not hasattr(objects[node.value.id], node.attr)
    }


def test_what_a_file_uses_exists():
    found = {str(path): missing(ast.parse(path.read_text(encoding="utf-8"))) for path in FILES}
    assert not {path: names for path, names in found.items() if names}


def test_a_missing_name_is_noticed():
    found = missing(ast.parse("from video2emg.core import emg\nemg.envelope()\nemg.envelop()"))
    assert found == {"emg.envelop"}
    found = missing(ast.parse("from video2emg.core.emg import envelop"))
    assert found == {"video2emg.core.emg.envelop"}
