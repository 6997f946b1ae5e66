"""Saving and restoring; the only file that knows orbax.

Resuming (`Checkpoints.restore`: the state, bit for bit) and starting from somebody's weights
(`load_params`) are different functions on purpose.
"""

# Orbax annotates paths with a protocol of its own that pathlib's do not match.
# pyright: reportArgumentType=false

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from video2emg.core.errors import UserError
from video2emg.core.files import checksum, write_json
from video2emg.parallel import hosts


class Checkpoints:
    """Checkpoints of one run: the last few with everything, and the best parameters.

    A checkpoint is written in the background under a temporary name and renamed when complete, so a
    kill at any moment leaves the previous one whole. When it is complete, sizes and checksums of
    its files are noted in `checkpoints.json`; what no longer fits them is not restored.

    `best/` holds the best parameters by step. Older ones stay for as long as a checkpoint from
    which the newest would lie in the future is kept.
    """

    def __init__(self, workdir: Path, keep: int = 2):
        """Opens `workdir/checkpoints`, creating it; what a killed save left behind is removed."""
        self._workdir = Path(workdir).absolute()
        self._sums = self._workdir / "checkpoints.json"
        self._states = ocp.training.Checkpointer(
            self._workdir / "checkpoints",
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
            context=_barriers("state"),
        )
        self._best = ocp.training.Checkpointer(
            self._workdir / "best",
            preservation_policy=_Reachable(self._states),
            cleanup_tmp_directories=True,
            context=_barriers("best"),
        )
        self._background = futures.ThreadPoolExecutor(1)
        self._saving: dict[str, tuple[int, futures.Future]] = {}

    @property
    def latest_step(self) -> int | None:
        """Step of the last complete checkpoint, or None."""
        latest = self._states.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, note: Any = None) -> None:
        """Starts saving in the background; the arrays may be donated as soon as this returns.

        Args:
          step: number of steps done; nothing happens if it is saved already.
          state: pytree of arrays.
          note: a JSON value to go with it.

        Raises:
          UserError: the disk was full, now or during the save before.
        """
        self._finish("state")
        if any(found.step == step for found in self._states.checkpoints):
            return
        # Best parameters of an earlier step cannot be made again from this state.
        if self._saving.get("best", (step, None))[0] < step:
            self._finish("best")
        with self._saves():
            response = self._states.save_checkpointables_async(
                step, {"state": state}, custom_metadata={"note": note}, force=True
            )
        done = self._background.submit(self._seal, step, response)
        self._saving["state"] = (step, done)

    def save_best(self, step: int, params: Any) -> None:
        """Starts saving the best parameters so far."""
        self._finish("best")
        if any(found.step == step for found in self._best.checkpoints):
            return
        with self._saves():
            # Forced: when to save is the loop's decision, not the default policy's.
            response = self._best.save_async(step, params, force=True)
        self._saving["best"] = (step, self._background.submit(response.result))

    def return_to(self, step: int, best_step: int | None, average: Any) -> None:
        """Makes `best/` what it was when `step` was saved.

        Args:
          step: that the run resumes from.
          best_step: of the best validation until then.
          average: the parameters that were validated at `step`.
        """
        for found in self._best.checkpoints:
            if found.step > step:
                self._best.delete(found.step)
        # State and best of one step are saved side by side; the kill may have hit the latter.
        if best_step == step:
            self.save_best(step, average)

    def restore(self, like: Any) -> tuple[Any, Any] | None:
        """The latest checkpoint that is whole: state and note, or None if there is none at all.

        Damaged ones are set aside, and that is said.

        Args:
          like: pytree of `jax.ShapeDtypeStruct` with shardings, of any mesh.

        Raises:
          UserError: there are checkpoints, and none fits the model or is whole.
        """
        steps = sorted((found.step for found in self._states.checkpoints), reverse=True)
        damaged: dict[int, str] = {}
        for step in steps:
            found, problem = self._load(step, like)
            problems = [p for p in hosts.share(problem) if p is not None]
            if not problems:
                self._set_aside(damaged)
                return found
            damaged[step] = problems[0]
        if damaged:
            raise UserError(
                f"{self._states.directory}: cannot restore any of steps {sorted(damaged)}; step "
                f"{steps[0]}: {damaged[steps[0]]}"
            )
        return None

    def _load(self, step: int, like: Any) -> tuple[tuple[Any, Any] | None, str | None]:
        """State and note of a step, or what is wrong with it."""
        problems = hosts.share(self._damage(step) if hosts.is_main() else None)
        if problems[0] is not None:
            return None, problems[0]
        try:
            with jax.transfer_guard("allow"):
                state = self._states.load_checkpointables(step, {"state": like})["state"]
            meta = self._states.checkpointables_metadata(step).custom_metadata or {}
        except Exception as error:  # whatever a damaged file makes the libraries say
            lines = str(error).strip().splitlines()
            return None, lines[0] if lines else type(error).__name__
        return (state, meta.get("note")), None

    def _set_aside(self, damaged: dict[int, str]) -> None:
        def move() -> None:
            for step, problem in damaged.items():
                folder = Path(self._states.directory) / str(step)
                aside = folder.with_name(f"damaged-{step}")
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
                print(
                    f"checkpoint of step {step} is damaged ({problem}); set aside as {aside}, the "
                    "one before is used",
                    file=sys.stderr,
                    flush=True,
                )

        hosts.main_only(move)
        if damaged:
            self._states.reload()

    def _seal(self, step: int, response: Any) -> None:
        """Waits for a save and notes what its files look like; runs in the background."""
        response.result()
        if not hosts.is_main():
            return
        sums = _read_sums(self._sums) | {str(step): checksums(self._folder(step))}
        kept = {name: files for name, files in sums.items() if self._folder(name).exists()}
        write_json(self._sums, kept)

    def _damage(self, step: int) -> str | None:
        """How the files of a step differ from what was written; None if they don't."""
        wanted = _read_sums(self._sums).get(str(step))
        if wanted is None:  # killed between the save and the note; orbax's own checks remain
            return None
        found = checksums(self._folder(step))
        for name, value in wanted.items():
            if name not in found:
                return f"{name} is missing"
            if found[name] != value:
                what = "size" if found[name][0] != value[0] else "content"
                return f"the {what} of {name} has changed"
        return None

    def _folder(self, step: int | str) -> Path:
        return Path(self._states.directory) / str(step)

    def _finish(self, what: str) -> None:
        """Waits for a save under way, and raises its error."""
        if what in self._saving:
            with self._saves():
                self._saving.pop(what)[1].result()

    @contextlib.contextmanager
    def _saves(self) -> Iterator[None]:
        """Allows copies to the host, and makes one line of a full disk.

        Orbax reports it as one of several exceptions.
        """
        try:
            with jax.transfer_guard("allow"):
                yield
        except (ValueError, OSError, RuntimeError, UserError) as error:
            if "No space left" not in str(error):
                raise
            raise UserError(
                f"{self._workdir}: disk full while saving a checkpoint; the one before is intact: "
                "free some room and run the same command again, it resumes"
            ) from error

    def close(self) -> None:
        """Waits for saves under way."""
        try:
            for what in list(self._saving):
                self._finish(what)
            with self._saves():
                self._states.close()
                self._best.close()
        finally:
            self._background.shutdown()


def _barriers(name: str) -> ocp.Context:
    """Several processes meet at barriers, which must not be taken for another checkpointer's.

    Orbax names some of them after the step alone, and one step may have two saves under way.
    """
    options = ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=name)
    return ocp.Context(multiprocessing_options=options)


class _Reachable:
    """Keeps, for every checkpoint, the newest best that is not newer; and the newest of all."""

    def __init__(self, states: ocp.training.Checkpointer):
        self._states = states

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """Which of `checkpoints` to keep."""
        steps = [found.step for found in checkpoints]
        kept = {max(steps, default=None)}
        for state in self._states.checkpoints:
            kept.add(max((s for s in steps if s <= state.step), default=None))
        return [step in kept for step in steps]


def checksums(folder: Path) -> dict[str, list[int]]:
    """Size in bytes and CRC-32 of every file in a folder, by relative name."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path) for path in paths}


def _read_sums(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # none yet, or damaged: orbax's own checks remain
        return {}


def load_params(workdir: str | Path, like: Any) -> Any:
    """Loads the best parameters of a run.

    Args:
      workdir: the run's folder.
      like: pytree of `jax.ShapeDtypeStruct` with shardings.

    Raises:
      UserError: there are none, or they belong to another model.
    """
    best = Path(workdir).absolute() / "best"
    steps = [int(path.name) for path in best.glob("*") if path.name.isdigit()]
    folder = best / str(max(steps)) if steps else best  # runs of before 0.2 hold one, by itself
    if not (folder / "_CHECKPOINT_METADATA").exists():
        raise UserError(f"{workdir}: no trained model here (no folder `best`)")
    try:
        return ocp.load(folder, like)
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{folder}: cannot load the parameters: {str(error).splitlines()[0]}"
        ) from error
