"""Runs what a config describes: builds the data if they are missing, trains or resumes, evaluates.

Everything of the run goes to --workdir. Values of the config are changed by --config.key=value, for
instance --config.train.steps=2000. SIGTERM or Ctrl-C saves the training state and ends with status
75; the same command continues.
"""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
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
        print("\n".join(sweep_commands(options, config, changed)))
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


def sweep_commands(options: Options, config: Any, changed: Mapping[str, Any]) -> Iterator[str]:
    """Yields one command for each variant of the sweep.

    Args:
      options: of this command; those that differ from their defaults are handed on.
      config: as loaded.
      changed: values of the config that this command changes, by `a.b.c`.
    """
    from video2emg.cli import config as config_lib
    from video2emg.cli.main import program
    from video2emg.jobs import compare

    own = ("config", "workdir", "overrides", "sweep", "sweep_print", "sweep_collect")
    shared = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name in own or value == getattr(Options(), field.name):
            continue
        shared += [f"--{field.name}"] if value is True else [f"--{field.name}={value}"]
    for override in _sweep(options):
        values = dict(changed) | {key: value for key, value in override.items() if key != "row"}
        [row] = compare.sweep(config, [override])[1]
        yield shlex.join(
            [
                *program().split(),
                "--config",
                options.config,
                *config_lib.as_flags(values),
                "--workdir",
                str(compare.workdir_of(options.workdir, row.name, row.seeds[0])),
                *shared,
            ]
        )


def _sweep(options: Options) -> list[dict[str, Any]]:
    """The overrides that the config's `sweep()` yields."""
    from video2emg.cli import config as config_lib

    return list(config_lib.function_of(options.config, "sweep")())


def _run_job(config: Any, options: Options) -> None:
    """Runs the job of a config in its workdir."""
    import jax

    from video2emg import jobs
    from video2emg.cli import config as config_lib
    from video2emg.core import remote
    from video2emg.jobs import compare

    sweeping = options.sweep or options.sweep_collect
    if sweeping and config.job not in ("video2emg", "aqa"):
        raise UserError(f"--sweep is not for config.job={config.job}")
    if options.profile and config.job != "video2emg":
        raise UserError("--profile is for the main job")
    if remote.is_remote(options.workdir) and jax.process_count() > 1:
        raise UserError(
            f"--workdir={options.workdir}: several processes write one checkpoint together, so all "
            "must see one folder: mount the bucket (docs/scaling.md)"
        )
    rows: list[jobs.Row] = []
    if config.job == "compare":
        table = config_lib.function_of(options.config, "rows")(config)
        rows = compare.table_rows(config, table)
    elif sweeping:
        config, rows = compare.sweep(config, _sweep(options))
    with remote.workdir(options.workdir) as workdir:
        jobs.run(config, workdir, jobs.Options(options.profile, rows, options.sweep_collect))
