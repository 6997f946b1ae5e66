"""Runs what a config describes: builds the data if they are missing, trains or resumes, evaluates.

Everything of the run goes to --workdir. Values of the config are changed by --config.key=value, for
instance --config.train.steps=2000. SIGTERM or Ctrl-C saves the training state and ends with status
75; the same command continues.
"""

import dataclasses
import importlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from video2emg.cli.flags import Overrides, compilation_cache, use_compilation_cache
from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      config: configuration file, with :preset.
      workdir: where everything of this run goes; a folder, or gs://….
      sweep: run every variant that the config's sweep() yields, and compare them.
      sweep_print: print one command for each variant instead, to be run anywhere.
      sweep_collect: compare those variants that are finished.
      profile: write a trace of a few steps and a page about them to workdir/profile.
      print_sharding: print how the training state lies on the devices, and stop.
      coordinator: host:port of process 0 of several; found without it on TPU pods and SLURM.
      processes: how many processes form this run.
      process: which of them this one is, from 0.
      compilation_cache: where compiled programs are kept for the next run; empty for nowhere.
        JAX_COMPILATION_CACHE_DIR, if set, wins.
    """

    config: str = ""
    workdir: str = "runs/v2emg"
    sweep: bool = False
    sweep_print: bool = False
    sweep_collect: bool = False
    profile: bool = False
    print_sharding: bool = False
    coordinator: str = ""
    processes: int = 0
    process: int = -1
    compilation_cache: str = dataclasses.field(default_factory=compilation_cache)
    overrides: Overrides = ()


def run(options: Options) -> int:
    """Trains, or prints what was asked for; returns the exit status."""
    if not options.config:
        raise UserError("say what to run, e.g. --config configs/v2emg.py; see --help")
    from video2emg.cli import config as config_lib

    config, changed = config_lib.load(options.config, options.overrides)
    if options.sweep_print:
        print("\n".join(sweep_commands(options, changed)))
        return 0
    use_compilation_cache(options.compilation_cache)
    from video2emg.parallel import hosts

    # Before any other module may look for devices.
    hosts.join(options.coordinator, options.processes, options.process)
    if options.print_sharding:
        from video2emg.run import setup

        print(setup.sharding_table(config))
        return 0
    _run_job(config, options)
    return 0


def sweep_commands(options: Options, changed: Mapping[str, Any]) -> Iterator[str]:
    """Yields one command for each variant of the sweep.

    Args:
      options: of this command; those that differ from their defaults are handed on.
      changed: values of the config that this command changes, by `a.b.c`.
    """
    from video2emg.cli import config as config_lib
    from video2emg.cli.main import program

    own = ("config", "workdir", "overrides", "sweep", "sweep_print", "sweep_collect")
    shared = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name in own or value == getattr(Options(), field.name):
            continue
        shared += [f"--{field.name}"] if value is True else [f"--{field.name}={value}"]
    for n, override in enumerate(_sweep(options)):
        values = dict(changed) | {key: value for key, value in override.items() if key != "row"}
        yield shlex.join(
            [
                *program().split(),
                "--config",
                options.config,
                *config_lib.as_flags(values),
                "--workdir",
                f"{options.workdir}/{n}",
                *shared,
            ]
        )


def sweep_rows(config: Any, overrides: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yields name and config of every variant.

    Args:
      config: that is varied.
      overrides: values by `a.b.c`, and with `row` the name of the variant. Without it the name
        tells the values, but for the seed: variants of one name differ in their seed only.
    """
    for override in overrides:
        values = dict(override)
        name = values.pop("row", "")
        told = [f"{key}={value}" for key, value in values.items() if key != "train.seed"]
        variant = config.copy_and_resolve_references()
        variant.update_from_flattened_dict(values)
        yield name or ", ".join(told) or "model", variant


def _sweep(options: Options) -> list[dict[str, Any]]:
    """The overrides that the config's `sweep()` yields."""
    from video2emg.cli import config as config_lib

    return list(config_lib.function_of(options.config, "sweep")())


# The name that a config gives its job, and the module of `video2emg.jobs`.
_JOBS = {
    "": "video2emg",
    "aqa": "aqa",
    "personalise": "personalise",
    "regressor": "regressor",
    "represent": "representation",
    "subsets": "modality_ablation",
    "table": "compare",
    "representations": "representation_table",
}
_TABLES = ("table", "representations")


def _run_job(config: Any, options: Options) -> None:
    """Runs the job of a config in its workdir."""
    import jax

    from video2emg.cli import config as config_lib
    from video2emg.core import remote

    task = config.get("task") or ("regressor" if config.get("regressor") else "")
    job = importlib.import_module(f"video2emg.jobs.{_JOBS[task]}")
    swept = options.sweep or options.sweep_collect
    if task not in ("", "aqa") and (swept or options.profile):
        raise UserError("--sweep, --sweep_collect and --profile are not for this config")
    if task == "aqa" and options.profile:
        raise UserError("--profile is for the main job")
    if remote.is_remote(options.workdir) and jax.process_count() > 1:
        raise UserError(
            f"--workdir={options.workdir}: several processes write one checkpoint together, so all "
            "must see one folder: mount the bucket (docs/scaling.md)"
        )
    with remote.workdir(options.workdir) as workdir:
        if task in _TABLES:
            rows = config_lib.function_of(options.config, "rows")(config)
            job.run(config, rows, workdir)
        elif swept:
            job.sweep(config, _sweep(options), workdir, options.sweep_collect)
        elif task == "":
            job.run(config, workdir, options.profile)
        else:
            job.run(config, workdir)
