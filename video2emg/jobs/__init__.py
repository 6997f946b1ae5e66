"""One module per job; each has `run(config, workdir, options) -> results`.

`config.job` names the module. Nothing but a command, or another job through `run`, uses a job.
"""

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from video2emg.core.config import Config
from video2emg.core.errors import UserError

JOBS = (
    "video2emg",
    "aqa",
    "representation",
    "regressor",
    "modality_ablation",
    "personalise",
    "compare",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a comparison.

    Attributes:
      name: of the row, also of its folder; empty in a comparison of seeds only. A name that comes
        several times is one row whose parts are tested on different clips.
      config: of the job that makes the row.
      seeds: each is a run of its own; replaces `config.train.seed`.
    """

    name: str
    config: Config
    seeds: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Options:
    """How a job runs, beside its config.

    Attributes:
      profile: `video2emg` only: also write a trace of the first steps to `workdir/profile`.
      rows: `compare` only: what is compared.
      collect: `compare` only: run nothing, compare the runs that are finished.
      shared: scratch that the runs of one comparison share.
    """

    profile: bool = False
    rows: Sequence[Row] = ()
    collect: bool = False
    shared: dict[str, Any] = dataclasses.field(default_factory=dict)


def load(name: str) -> ModuleType:
    """The module of a job.

    Raises:
      UserError: there is no such job.
    """
    if name not in JOBS:
        raise UserError(f"config.job: {name!r} is not one of {', '.join(JOBS)}")
    return importlib.import_module(f"video2emg.jobs.{name}")


def run(config: Config, workdir: str | Path, options: Options | None = None) -> dict[str, Any]:
    """Runs the job that `config.job` names."""
    return load(config.job).run(config, workdir, options or Options())
