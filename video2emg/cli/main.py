"""`video2emg COMMAND` and `python launch.py COMMAND`: finds the command, reads its flags, runs it.

Exit statuses: 0 done; 2 a mistake or fault, told in one line; 75 stopped by a signal after saving,
and the same command continues; 130 interrupted by a second Ctrl-C; 141 the reader of the output,
such as `head`, has gone. Commands may have others.
"""

import contextlib
import dataclasses
import difflib
import errno
import importlib
import io
import os
import re
import select
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from video2emg.core.errors import Interrupted, UserError

# Command and what it does. Each is the module of this folder with the same name, which has
# `Options`, a dataclass of its flags, and `run(options) -> exit status`.
COMMANDS = {
    "train": "train, evaluate and report what a config describes (the default command)",
    "evaluate": "score a finished run again, with other views, clips or splits",
    "predict": "videos or a camera to EMG and, with an assessment run, to score and feedback",
    "pose": "the 3-D pose of the person who exercises in a film",
    "mechanics": "joint torques, floor forces and muscles of a pose, without a trained model",
    "fetch-pose": "download the weights of the pose estimator, once",
    "transfer": "what a trained model is worth on other people, with 0, 1, 2, … repetitions",
    "check-data": "say what is wrong with a dataset before anybody trains on it",
    "prepare-data": "build a dataset without training",
    "export-data": "write a dataset in the folder layout of FLEX or Muscles in Action",
    "graph": "check a knowledge graph, draw it and write it in other formats",
    "export": "write a run's model as StableHLO and ONNX, its weights and a model card",
    "videoqa": "ask our model, a vision-language model or a baseline about videos",
    "publish": "write finished results into README.md, docs/ and results/",
}
DEFAULT = "train"
_STANDARD_OUTPUT = 1  # file descriptor
_MISTAKE, _STOPPED, _INTERRUPTED = 2, 75, 130
_NO_READER = 141  # what a shell reports of a program that SIGPIPE (13) ended: 128 + 13


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; an error that is the user's to mend becomes one line.

    Args:
      arguments: of the command line, without the program; by default those of this process.

    Returns:
      The exit status.
    """
    try:
        status = _run_command(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        if not _discard_unread_output():  # another pipe: a fault
            raise
        return _NO_READER


def _run_command(arguments: list[str]) -> int:
    if arguments and arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    named = arguments and not arguments[0].startswith("-")
    command = arguments.pop(0) if named else DEFAULT
    options = None
    try:
        if command not in COMMANDS:
            near = _near(command, COMMANDS)
            raise UserError(f"unknown command {command!r}{near}; commands: {', '.join(COMMANDS)}")
        module = importlib.import_module(f"video2emg.cli.{command.replace('-', '_')}")
        options = parse(module.Options, arguments, f"{program()} {command}", module.__doc__)
        if options is None:  # help was printed
            return 0
        _prepare_libraries()
        return module.run(options)
    except Interrupted as error:
        return _fail(str(error), _STOPPED)
    except UserError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        where = getattr(options, "workdir", "") or getattr(options, "out", "")
        return _fail(
            f"disk full while writing {error.filename or where}: free some room and run the "
            "same command again, it resumes"
        )
    except KeyboardInterrupt:
        resumes = (
            "; the same command resumes from the last checkpoint" if command == DEFAULT else ""
        )
        return _fail(f"interrupted{resumes}", _INTERRUPTED)


def _discard_unread_output() -> bool:
    """Whether nobody reads standard output; what is left of it is then thrown away."""
    output = select.poll()
    output.register(_STANDARD_OUTPUT, select.POLLOUT)
    state = sum(event for _, event in output.poll(0))
    if not state & (select.POLLERR | select.POLLHUP):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_OUTPUT)
    return True


def program() -> str:
    """How the user calls this program."""
    return "python launch.py" if Path(sys.argv[0]).name == "launch.py" else "video2emg"


def parse(
    kind: type, arguments: Sequence[str], name: str = "", description: str | None = None
) -> Any:
    """Reads the flags of a command.

    Args:
      kind: dataclass of the flags. If it has the field `overrides`, this receives all
        `--config.key=value`.
      arguments: of the command line, after the command.
      name: of program and command, for the help.
      description: for the help.

    Returns:
      An instance of `kind`; None if help was printed instead.

    Raises:
      UserError: an unknown flag or a bad value.
    """
    import tyro

    names = {field.name for field in dataclasses.fields(kind)}
    overrides: list[str] = []
    if "overrides" in names:
        overrides, arguments = split_overrides(arguments)
        names.remove("overrides")
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            options, unknown = tyro.cli(
                kind,
                prog=name,
                description=description,
                args=arguments,
                return_unknown_args=True,
                use_underscores=True,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
            )
    except SystemExit as end:
        if end.code:
            raise UserError(_one_line(errors.getvalue())) from None
        return None
    if unknown:
        raise UserError(_unknown(unknown[0], names))
    return dataclasses.replace(options, overrides=tuple(overrides)) if overrides else options


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes `--config.key=value`, `--config.key value` and `--noconfig.key` out of arguments.

    Returns:
      These, each as one string `--config.key=value`, `--config.key` or `--noconfig.key`; the rest.
    """
    overrides, rest = [], []
    waiting = list(reversed(arguments))
    while waiting:
        argument = waiting.pop()
        if not re.match(r"--?(no)?config\.", argument):
            rest.append(argument)
            continue
        if "=" not in argument and waiting and not waiting[-1].startswith("--"):
            argument = f"{argument}={waiting.pop()}"
        overrides.append(f"--{argument.lstrip('-')}")
    return overrides, rest


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {command:<{width}}  {what}" for command, what in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {program()} [COMMAND] [FLAGS]",
            "",
            "Surface EMG and action quality of exercises, seen only through a camera.",
            "",
            "commands:",
            *lines,
            "",
            f"{program()} COMMAND --help explains the flags of a command. Examples:",
            "",
            f"  {program()} --config configs/v2emg.py:debug --workdir runs/debug",
            f"  {program()} predict --run runs/v2emg --video squat.mp4 --out runs/squat",
        ]
    )


def _one_line(box: str) -> str:
    """What an error box of tyro says, without title, frame and help."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    _, *lines = [line.strip(" │|") for line in plain.strip().splitlines()]
    message: list[str] = []
    for number, line in enumerate(lines):
        if not re.match(r"[─╰-]{3,}", line):
            message.append(line)
        elif number:  # without UTF-8 there is a rule below the title; after another one comes help
            break
    return re.sub(r"^Error parsing ", "", " ".join(" ".join(message).split()))


def _unknown(argument: str, names: Iterable[str]) -> str:
    if not argument.startswith("-"):
        return f"unexpected argument {argument!r}"
    flag = argument.split("=")[0]
    return (
        f"unknown flag {flag}{_near(flag.lstrip('-').replace('-', '_'), names, '--')}; see --help"
    )


def _near(word: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def _prepare_libraries() -> None:
    """Sets how memory is reused; silences libraries that log errors which they also raise."""
    from absl import flags, logging

    from video2emg.core.memory import keep_freed_memory

    keep_freed_memory()
    logging.use_absl_handler()
    logging.set_verbosity(logging.FATAL)
    flags.FLAGS.mark_as_parsed()  # grain reads flags of its own


def _fail(message: str, status: int = _MISTAKE) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status
