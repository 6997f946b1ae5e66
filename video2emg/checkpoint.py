"""Saving and restoring; the only file that knows orbax.

Resuming (`restore`: state and data position, bit for bit) and starting from somebody's weights
(`load_params`) are different functions on purpose.
"""

# Orbax annotates paths with a protocol of its own that pathlib's do not match.
# pyright: reportArgumentType=false

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from video2emg.errors import UserError


class Checkpoints:
    """Checkpoints of one run: the last few with everything, and the best parameters.

    A checkpoint is written under a temporary name and renamed when complete, so a kill at any
    moment leaves the previous one whole.
    """

    def __init__(self, workdir: Path, keep: int = 2):
        """Opens `workdir/checkpoints`, creating it."""
        self._best = Path(workdir).absolute() / "best"
        self._checkpointer = ocp.training.Checkpointer(
            Path(workdir).absolute() / "checkpoints",
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
        )

    @property
    def latest_step(self) -> int | None:
        """Step of the last complete checkpoint, or None."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, data: Any) -> None:
        """Starts saving state and data iterator in the background.

        Args:
          step: number of steps done.
          state: pytree of arrays.
          data: the grain iterator that will give the *next* batch.
        """
        with jax.transfer_guard("allow"), _full_disk_in_one_line(self._best.parent):
            # Forced: when to save is the loop's decision, not the default policy's.
            self._checkpointer.save_checkpointables_async(
                step, {"state": state, "data": data}, force=True
            )

    def restore(self, like: Any, data: Any) -> tuple[Any, Any]:
        """Restores the latest checkpoint.

        Args:
          like: pytree of `jax.ShapeDtypeStruct` with shardings.
          data: an iterator of the same dataset, whose position is replaced.

        Returns:
          State and iterator.

        Raises:
          UserError: the checkpoint does not fit the model or is damaged.
        """
        try:
            found = self._checkpointer.load_checkpointables(
                self.latest_step, {"state": like, "data": data}
            )
        except (ValueError, KeyError, OSError) as error:
            raise UserError(
                f"{self._checkpointer.directory}: cannot restore step {self.latest_step}: "
                f"{str(error).splitlines()[0]}; delete that step's folder to use the one before"
            ) from error
        return found["state"], found["data"]

    def save_best(self, params: Any) -> None:
        """Replaces the best parameters; the old ones stay until the new ones are complete."""
        fresh = self._best.with_name("best.new")
        shutil.rmtree(fresh, ignore_errors=True)
        with jax.transfer_guard("allow"), _full_disk_in_one_line(self._best.parent):
            ocp.save(fresh, params)
        old = self._best.with_name("best.old")
        shutil.rmtree(old, ignore_errors=True)
        if self._best.exists():
            self._best.rename(old)
        fresh.rename(self._best)
        shutil.rmtree(old, ignore_errors=True)

    def close(self) -> None:
        """Waits for saves under way."""
        with _full_disk_in_one_line(self._best.parent):
            self._checkpointer.close()


@contextlib.contextmanager
def _full_disk_in_one_line(workdir: Path) -> Iterator[None]:
    """Orbax reports a full disk as one of several exceptions, also of the save before this one."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        if "No space left" not in str(error):
            raise
        raise UserError(
            f"{workdir}: disk full while saving a checkpoint; the one before is intact: free some "
            "room and run the same command again, it resumes"
        ) from error


def load_params(workdir: str | Path, like: Any) -> Any:
    """Loads the best parameters of a run.

    Args:
      workdir: the run's folder.
      like: pytree of `jax.ShapeDtypeStruct` with shardings.

    Raises:
      UserError: there are none, or they belong to another model.
    """
    workdir = Path(workdir).absolute()
    # A kill between two renames of `save_best` leaves the complete tree under another name.
    found = [p for p in (workdir / n for n in ("best", "best.old", "best.new")) if p.exists()]
    if not found:
        raise UserError(f"{workdir}: no trained model here (no folder `best`)")
    try:
        return ocp.load(found[0], like)
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{found[0]}: cannot load the parameters: {str(error).splitlines()[0]}"
        ) from error
