"""Configurations from the command line: a file, its preset, and values that are changed."""

import re
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from video2emg.core.config import Config
from video2emg.core.errors import UserError


def load(path: str, overrides: Sequence[str] = ()) -> tuple[Config, dict[str, Any]]:
    """Reads a config file.

    Args:
      path: of the file, with `:preset` if it has some.
      overrides: `--config.key=value`.

    Returns:
      The configuration, and the values that were changed by `a.b.c`.

    Raises:
      UserError: no such file, preset or key, or a value of another type.
    """
    file = file_of(path)
    if not file.is_file():
        raise UserError(f"--config: no such file: {file}")
    _make_importable(file)
    arguments = ["", "--config", path, *overrides]
    values = flags.FlagValues()

    def define() -> None:
        config_flags.DEFINE_config_file("config", None, "", values, sys_argv=arguments)

    return _parse(values, define, arguments)


def change(config: Config, overrides: Sequence[str]) -> tuple[Config, dict[str, Any]]:
    """As `load`, of a configuration that was read already; it is changed in place."""
    arguments = ["", *overrides]
    values = flags.FlagValues()

    def define() -> None:
        config_flags.DEFINE_config_dict("config", config, "", values, sys_argv=arguments)

    return _parse(values, define, arguments)


def as_flags(values: dict[str, Any]) -> list[str]:
    """`--config.a.b=value` of values by `a.b`, as `load` reads them."""
    return [f"--config.{name}={value}" for name, value in values.items()]


def file_of(path: str) -> Path:
    """The config file, without the preset."""
    return Path(path.partition(":")[0])


def function_of(path: str, name: str) -> Callable[..., Any]:
    """A function of a config file, beside `get_config`.

    Raises:
      UserError: there is none.
    """
    file = file_of(path)
    module = runpy.run_path(str(file))
    if name not in module:
        raise UserError(f"{file} has no {name}()")
    return module[name]


def _parse(
    values: flags.FlagValues, define: Callable[[], None], arguments: Sequence[str]
) -> tuple[Config, dict[str, Any]]:
    try:
        define()
        _, *rest = values(arguments)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(_one_line(error)) from None
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}")
    flag = values["config"]
    return flag.value, dict(config_flags.get_override_values(flag))


def _one_line(error: Exception) -> str:
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    # ml_collections puts a whole traceback into its message; its last line says what is wrong.
    lines = str(cause.args[0] if cause.args else cause).strip().splitlines() or [repr(cause)]
    message = re.sub(r"^[A-Za-z]+Error: ", "", lines[-1].strip())
    unknown = isinstance(cause, AttributeError | KeyError)
    return f"--config: no such key: {message}" if unknown else message


def _make_importable(file: Path) -> None:
    """Lets a config file import its neighbours as `configs.…`, wherever the command is run."""
    for folder in file.resolve().parents:
        if folder.name == "configs" and str(folder.parent) not in sys.path:
            sys.path.append(str(folder.parent))
