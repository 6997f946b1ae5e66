"""A run's folder: who owns it, its config, and what one must know to believe its results."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import ml_collections

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data.store import Dataset
from video2emg.eval import results

SCORES = "scores.npz"  # of the test clips, for tables of several runs


def init_workdir(workdir: Path, config: Config, expected: Collection[str] = ()) -> None:
    """Marks the workdir as this config's; refuses one that belongs to another.

    Args:
      workdir: made if it is missing.
      config: written to config.json.
      expected: names of folders that may be there already, without a config.json.

    Raises:
      UserError: the folder belongs to another config, or holds something else.
    """
    path = workdir / "config.json"
    mine = json.loads(config.to_json())
    if path.exists():
        try:
            theirs = json.loads(path.read_text())
        except ValueError:
            raise UserError(f"{path}: damaged; choose another --workdir") from None
        differing = sorted(k for k, v in flatten(mine).items() if flatten(theirs).get(k, "…") != v)
        differing += sorted(set(flatten(theirs)) - set(flatten(mine)))
        if differing:
            raise UserError(
                f"{workdir} belongs to another configuration (differs in "
                f"{', '.join(differing[:5])}{' …' if len(differing) > 5 else ''}); choose another "
                "--workdir or delete this one"
            )
        return
    # A kill while config.json was written leaves its temporary file, which is nobody's work.
    if workdir.exists() and any(
        path.name[0] != "." and path.name not in expected for path in workdir.iterdir()
    ):
        raise UserError(f"{workdir} is not empty and holds no run; choose another --workdir")
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(path, mine)


def read_config(workdir: str | Path) -> Config:
    """The configuration of a finished run.

    Raises:
      UserError: there is none.
    """
    path = Path(workdir).expanduser() / "config.json"
    try:
        return ml_collections.ConfigDict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no configuration of a run here ({error})") from None


def provenance(config: Config, dataset: Dataset) -> dict[str, Any]:
    """What one must know to believe or repeat the results of a run."""
    return results.provenance(
        dataset=config.data.name,
        dataset_version=dataset.version,
        simulated=dataset.simulated,
        normalisation=config.data.normalisation,
        seed=config.train.seed,
        config_hash=hashlib.sha256(config.to_json(sort_keys=True).encode()).hexdigest()[:16],
        sees=_sees(config),
    )


def _sees(config: Config) -> str:
    """What a model is given in a test, e.g. `pose, load`."""
    inputs = config.model.get("extra_inputs", ())
    return ", ".join(dict.fromkeys(("video" if config.data.views else "pose", *inputs)))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as one, with keys `a.b.c`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
