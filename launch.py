"""The one command of video2emg.

    python launch.py --config configs/v2emg.py --workdir runs/v2emg            # the main job
    python launch.py --config configs/v2emg.py:debug --workdir runs/debug      # under a minute
    python launch.py --config configs/v2emg.py --workdir runs/seeds --sweep    # all of its sweep()
    python launch.py --config configs/aqa.py --workdir runs/aqa                # judging repetitions
    python launch.py check-data --name recordings/default --manual_dir gym --out runs/check
    python launch.py prepare-data --name recordings/default --manual_dir gym
    python launch.py graph --name gymsim --out runs/graph
    python launch.py predict --checkpoint runs/v2emg --video squat.mp4 --out runs/squat
    python launch.py predict --checkpoint runs/causal --camera 0       # EMG as it comes
    python launch.py export --checkpoint runs/v2emg --out runs/exported
    python launch.py videoqa --dataset gymsim --model graph

The main job builds the dataset if it is missing, trains (or resumes), evaluates the model that was
best on validation once on the test subjects, and writes results.json and figures to the workdir.
SIGTERM or Ctrl-C saves the training state and exits with status 75; the same command continues.
Other ends: 0 done, 2 a mistake or fault told in one line, 130 a second Ctrl-C.

`check-data` says what is wrong with a dataset before anybody trains on it; `prepare-data` builds it
without training; `graph` checks a knowledge graph, draws it and writes it in other formats;
`predict` goes from videos to EMG and, with the workdir of an assessment job, to score and feedback
(docs/predict.md); `export` writes the model as StableHLO, its weights as safetensors and a model
card; `videoqa` asks our model, a vision-language model or a baseline about videos
(docs/videoqa.md).
"""

import dataclasses
import errno
import os
import pathlib
import re
import runpy
import shlex
import sys
from collections.abc import Callable

from absl import app, flags, logging
from ml_collections import config_flags

from video2emg.core.errors import Interrupted, UserError
from video2emg.videoqa import flags as videoqa_flags

_CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration file, with :preset.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/v2emg", "Where everything of this run goes.")
_SWEEP = flags.DEFINE_bool("sweep", False, "Run every variant that the config's sweep() yields.")
_SWEEP_PRINT = flags.DEFINE_bool(
    "sweep_print", False, "Print one command for every variant instead, to be run anywhere."
)
_SWEEP_COLLECT = flags.DEFINE_bool(
    "sweep_collect", False, "Make the sweep's table of those variants that are finished."
)
_PROFILE = flags.DEFINE_bool(
    "profile", False, "Write a trace of a few steps and a page about them to workdir/profile."
)
_NAME = flags.DEFINE_string(
    "name", "", "*-data: the dataset, e.g. recordings/default; graph: its name or YAML file."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "data", "*-data: where built datasets live; predict: see docs/predict.md."
)
_MANUAL_DIR = flags.DEFINE_string("manual_dir", "", "*-data: the source's own files.")
_BEAM = flags.DEFINE_string(
    "beam", "", "prepare-data: options of an Apache Beam pipeline, e.g. --runner=DirectRunner."
)
_OUT = flags.DEFINE_string("out", "", "All but training: where it goes; else runs/<command>.")
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "", "predict, export, videoqa: workdir of a finished run."
)
_VIDEO = flags.DEFINE_multi_string(
    "video", [], "predict: a video, [view=]path, once per camera; or a folder of recordings."
)
_CAMERA = flags.DEFINE_string(
    "camera", "", "predict: instead of --video, as it comes: 0, rtsp://…, a file, or - (stdin)."
)
_ACTION = flags.DEFINE_string("action", "", "predict: the exercise; else it is recognised.")
_LOAD = flags.DEFINE_float("load", None, "predict: kg; handed on to the results.")
_RATE = flags.DEFINE_float("rate", float("nan"), "predict: of a folder of pictures, Hz.")
_MEASURED = flags.DEFINE_string("measured", "", "predict: table of measured EMG envelopes.")
_OVERLAY = flags.DEFINE_bool("overlay", False, "predict: also write overlay.mp4.")

_PRINT_SHARDING = flags.DEFINE_bool(
    "print_sharding", False, "Print how the training state lies on the devices, and stop."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "", "host:port of process 0 of several; found by itself on TPU pods and SLURM."
)
_PROCESSES = flags.DEFINE_integer("processes", 0, "How many processes form this run.")
_PROCESS = flags.DEFINE_integer("process", -1, "Which of them this one is.")
_COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "video2emg"),
    "Where compiled programs are kept for the next run; empty: nowhere. "
    "JAX_COMPILATION_CACHE_DIR, if set, wins.",
)

COMMANDS = ("train", "check-data", "prepare-data", "graph", "predict", "export", "videoqa")


def main(argv: list[str]) -> None:
    """Dispatches; errors of the user end in one line and status 2."""
    command = argv[1] if len(argv) > 1 else "train"
    if command not in COMMANDS or len(argv) > 2:
        sys.exit(_fail(f"unexpected argument {argv[-1]!r}; commands: {', '.join(COMMANDS)}"))
    if command == "train" and _CONFIG.value is None:
        sys.exit(_fail("say what to run, e.g. --config configs/v2emg.py; see --help"))
    if command == "predict" and not (
        _CHECKPOINT.value and bool(_VIDEO.value) != bool(_CAMERA.value)
    ):
        sys.exit(_fail("say with what and on what, e.g. --checkpoint runs/v2emg --video squat.mp4, "
                       "or --camera 0"))  # fmt: skip
    if command == "export" and not _CHECKPOINT.value:
        sys.exit(_fail("say what to export, e.g. --checkpoint runs/v2emg; see --help"))
    if command in ("check-data", "prepare-data", "graph") and not _NAME.value:
        example = "gymsim" if command == "graph" else "recordings/default"
        sys.exit(_fail(f"say what to look at, e.g. --name {example}; see --help"))
    out = _OUT.value or f"runs/{command}"
    # A run's own config says where its data was; a flag that is given knows better.
    built = _DATA_DIR.value if flags.FLAGS["data_dir"].present else None
    # Libraries log the tracebacks of errors that they also raise; one of the two is enough.
    logging.set_verbosity(logging.FATAL)
    try:
        if _SWEEP_PRINT.value:
            print("\n".join(_sweep_commands()))
            return
        # Imported late: `--help` and mistakes should not wait for jax.
        if command == "check-data":
            from video2emg.cli import check_data

            sys.exit(check_data.run(_NAME.value, _DATA_DIR.value, _MANUAL_DIR.value, out))
        if command == "prepare-data":
            from video2emg.data import store

            made = store.open_dataset(
                _NAME.value, _DATA_DIR.value, _MANUAL_DIR.value or None, _BEAM.value
            )
            counts = ", ".join(f"{len(clips)} in {split}" for split, clips in made.splits.items())
            print(f"{_NAME.value} {made.version} in {_DATA_DIR.value}: clips: {counts}")
            sys.exit(0)
        if command == "graph":
            from video2emg.cli import graph

            sys.exit(graph.run(_NAME.value, out))
        if command == "predict" and _CAMERA.value:
            from video2emg.inference import stream

            sys.exit(stream.run(_CHECKPOINT.value, _CAMERA.value, _OUT.value, _ACTION.value, built))
        if command == "predict":
            from video2emg.cli import predict

            sys.exit(
                predict.run(
                    _CHECKPOINT.value,
                    _VIDEO.value,
                    out,
                    action=_ACTION.value,
                    load=_LOAD.value,
                    rate=_RATE.value,
                    measured=_MEASURED.value,
                    overlay=_OVERLAY.value,
                    data_dir=built,
                )
            )
        if command == "export":
            from video2emg.export import stablehlo

            sys.exit(stablehlo.run(_CHECKPOINT.value, out, built))
        if command == "videoqa":
            options = videoqa_flags.options()
            from configs import aqa
            from video2emg.videoqa import command as videoqa

            place = videoqa.Place(
                pathlib.Path(out).expanduser(),
                _DATA_DIR.value,
                _MANUAL_DIR.value,
                _CHECKPOINT.value,
            )
            videoqa.run(options, place, lambda: _CONFIG.value or aqa.get_config())
            sys.exit(0)
        _train()
    except Interrupted as error:
        sys.exit(_fail(str(error), 75))
    except UserError as error:
        sys.exit(_fail(str(error)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(_fail(f"disk full while writing {error.filename or _WORKDIR.value}: free some "
                       "room and run the same command again, it resumes"))  # fmt: skip
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted; the same command resumes from the last checkpoint", 130))


def _train() -> None:
    """Runs the job that the config describes."""
    _start_jax()
    import jax

    from video2emg import jobs
    from video2emg.core import remote
    from video2emg.jobs import compare
    from video2emg.run import setup

    config = _CONFIG.value
    if _PRINT_SHARDING.value:
        print(setup.sharding_table(config))
        return
    if remote.is_remote(_WORKDIR.value) and jax.process_count() > 1:
        raise UserError(
            f"--workdir={_WORKDIR.value}: several processes write one checkpoint together, so all "
            "must see one folder: mount the bucket (docs/scaling.md)"
        )
    collect = _SWEEP_COLLECT.value
    if (_SWEEP.value or collect or _PROFILE.value) and config.job not in ("video2emg", "aqa"):
        raise UserError("--sweep, --sweep_collect and --profile are not for this config")
    options = jobs.Options(profile=_PROFILE.value, collect=collect)
    if config.job == "compare":
        rows = compare.table_rows(config, _of_module("rows")(config))
        options = dataclasses.replace(options, rows=rows)
    elif _SWEEP.value or collect:
        config, rows = compare.sweep(config, _variants())
        options = dataclasses.replace(options, rows=rows)
    with remote.workdir(_WORKDIR.value) as workdir:
        jobs.run(config, workdir, options)


def _start_jax() -> None:
    """What must be said before JAX sees its devices."""
    import jax

    from video2emg.parallel import hosts

    if _COMPILATION_CACHE.value and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", _COMPILATION_CACHE.value)
    hosts.join(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)


def _variants() -> list[dict]:
    """The overrides that the config's `sweep()` yields."""
    return list(_of_module("sweep")())


def _of_module(name: str) -> Callable:
    """A function beside the config's `get_config`."""
    path = _config_path()
    module = runpy.run_path(path)
    if name not in module:
        raise UserError(f"{path} has no {name}()")
    return module[name]


def _sweep_commands() -> list[str]:
    """The command of every variant of the sweep, with the flags that were given to this one."""
    shared = [a for a in sys.argv[1:] if not re.match(r"--?(no)?sweep_print|--?workdir", a)]
    if "--workdir" in sys.argv:
        shared.remove(_WORKDIR.value)
    commands = []
    for n, override in enumerate(_variants()):
        override.pop("row", None)  # the name of a row of the table
        own = ["--workdir", f"{_WORKDIR.value}/{n}"]
        own += [f"--config.{name}={value}" for name, value in override.items()]
        commands.append(shlex.join(["python", "launch.py", *shared, *own]))
    return commands


def _config_path() -> str:
    return config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]


def _fail(message: str, status: int = 2) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _parse(argv: list[str]) -> list[str]:
    """Parses as absl does, but a mistake in a flag or in the config is one line, no traceback."""
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        # ml_collections puts a whole traceback into its message; what went wrong is its last line.
        message = str(error.args[0] if error.args else error).strip().splitlines()[-1]
        sys.exit(_fail(re.sub(r"^[A-Za-z]+Error: ", "", message.strip())))
    # A config file that is missing would be noticed only when it is first used.
    if _CONFIG.present and not os.path.exists(_config_path()):
        sys.exit(_fail(f"--config: no such file: {_config_path()}"))
    return rest


if __name__ == "__main__":
    app.run(main, flags_parser=_parse)
