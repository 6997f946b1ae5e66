"""Flags of `launch.py videoqa`, beside `--data_dir`, `--manual_dir`, `--checkpoint`, `--out`."""

import dataclasses

from absl import flags

from video2emg.core.errors import UserError
from video2emg.videoqa.command import Options

_FLAG_NAMES = {"seed": "qa_seed", "views": "qa_views"}  # others have the names of their fields
_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    tuple: flags.DEFINE_list,
}
_HELP = "videoqa: see docs/videoqa.md and video2emg/videoqa/command.py."
_FLAGS = {
    field.name: _DEFINE[type(field.default)](
        _FLAG_NAMES.get(field.name, field.name), field.default, _HELP
    )
    for field in dataclasses.fields(Options)
}


def options() -> Options:
    """The options on the command line.

    Raises:
      UserError: a flag is wrong.
    """
    values = {name: flag.value for name, flag in _FLAGS.items()}
    values |= {name: tuple(v) for name, v in values.items() if isinstance(v, list)}
    try:
        values["price"] = tuple(map(float, values["price"]))
    except ValueError:
        raise UserError("--price: expected two numbers, e.g. --price=2.5,10") from None
    return Options(**values)
