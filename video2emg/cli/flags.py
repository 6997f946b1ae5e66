"""What the flags of several commands have in common.

Types say `tuple` and not what it holds, and `float` and not `float | None`: for these, tyro would
import a type checker, which takes longer than all of the rest.
"""

import os
from typing import Annotated

import tyro


def _comma_separated(kind: type, metavar: str) -> tyro.constructors.PrimitiveConstructorSpec:
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda texts: tuple(kind(text) for text in texts[0].split(",") if text),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [",".join(map(str, values))],
    )


def _integers() -> tyro.constructors.PrimitiveConstructorSpec:
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="N N …",
        instance_from_str=lambda texts: tuple(map(int, texts)),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [str(value) for value in values],
    )


# Strings, `--flag a,b`.
Words = Annotated[tuple, _comma_separated(str, "A,B,…")]
# Numbers, `--flag 2.5,10`.
Numbers = Annotated[tuple, _comma_separated(float, "X,Y,…")]
# Whole numbers, `--flag 1 2`. Tyro would check a default that is not empty by a type checker.
Integers = Annotated[tuple, _integers()]
# Strings, `--flag a --flag b`.
Repeated = tyro.conf.UseAppendAction[tuple]
# `--config.key=value`, which `main.parse` fills in.
Overrides = Annotated[tuple, tyro.conf.Fixed, tyro.conf.Suppress]


def compilation_cache() -> str:
    """The default of `--compilation_cache`."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(home, "video2emg")


def use_compilation_cache(folder: str) -> None:
    """Keeps compiled programs there; to be called before JAX compiles anything."""
    import jax

    if folder and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", folder)
