"""Saves and restores checkpoints; the only module that uses orbax.

`Checkpoints.restore` resumes a run with its exact state; `load_params` loads the parameters of a
finished run.
"""

# Orbax annotates paths with its own protocol, which pathlib's paths do not match.
# pyright: reportArgumentType=false

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from video2emg.core.errors import UserError
from video2emg.core.files import checksum, write_json
from video2emg.parallel import hosts


class Checkpoints:
    """Checkpoints of one run: the last few states, and the best parameters.

    A checkpoint is written in the background under a temporary name and renamed when complete, so
    the previous one stays intact if the process is killed. Sizes and checksums of the files of a
    complete checkpoint are stored in `checkpoints.json`; a checkpoint that differs from them is not
    restored.

    `best/` holds the best parameters, by step. Older ones are kept while there is a checkpoint of a
    step before the newest best.
    """

    def __init__(self, workdir: Path, keep: int = 2):
        """Opens or creates `workdir/checkpoints`; remains of incomplete saves are removed."""
        self._workdir = Path(workdir).absolute()
        self._checksums = self._workdir / "checkpoints.json"
        self._states = ocp.training.Checkpointer(
            self._workdir / "checkpoints",
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
            context=_barriers("state"),
        )
        self._best = ocp.training.Checkpointer(
            self._workdir / "best",
            preservation_policy=_BestOfEachCheckpoint(self._states),
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
          note: a JSON value, saved with the state.

        Raises:
          UserError: the disk was full, now or during the previous save.
        """
        self._finish("state")
        if any(checkpoint.step == step for checkpoint in self._states.checkpoints):
            return
        # Best parameters of an earlier step cannot be restored from this state.
        if self._saving.get("best", (step, None))[0] < step:
            self._finish("best")
        with self._saves():
            response = self._states.save_checkpointables_async(
                step, {"state": state}, custom_metadata={"note": note}, force=True
            )
        done = self._background.submit(self._store_checksums, step, response)
        self._saving["state"] = (step, done)

    def save_best(self, step: int, params: Any) -> None:
        """Starts saving the best parameters so far."""
        self._finish("best")
        if any(checkpoint.step == step for checkpoint in self._best.checkpoints):
            return
        with self._saves():
            # The loop decides when to save, not orbax's default policy.
            response = self._best.save_async(step, params, force=True)
        self._saving["best"] = (step, self._background.submit(response.result))

    def return_to(self, step: int, best_step: int | None, average: Any) -> None:
        """Resets `best/` to what it was when `step` was saved.

        Args:
          step: at which the run resumes.
          best_step: step of the best validation until then.
          average: the parameters that were validated at `step`.
        """
        for checkpoint in self._best.checkpoints:
            if checkpoint.step > step:
                self._best.delete(checkpoint.step)
        # State and best of one step are saved in parallel; the process may have been killed when
        # only the state was complete.
        if best_step == step:
            self.save_best(step, average)

    def restore(self, abstract: Any) -> tuple[Any, Any] | None:
        """State and note of the latest intact checkpoint, or None if there is no checkpoint.

        Damaged checkpoints are renamed, with a message.

        Args:
          abstract: pytree of `jax.ShapeDtypeStruct` with shardings, of any mesh.

        Raises:
          UserError: there are checkpoints, but none that is intact and fits the model.
        """
        steps = sorted((checkpoint.step for checkpoint in self._states.checkpoints), reverse=True)
        damaged: dict[int, str] = {}
        for step in steps:
            restored, problem = self._load(step, abstract)
            problems = [p for p in hosts.share(problem) if p is not None]
            if not problems:
                self._set_aside(damaged)
                return restored
            damaged[step] = problems[0]
        if damaged:
            raise UserError(
                f"{self._states.directory}: cannot restore any of steps {sorted(damaged)}; step "
                f"{steps[0]}: {damaged[steps[0]]}"
            )
        return None

    def _load(self, step: int, abstract: Any) -> tuple[tuple[Any, Any] | None, str | None]:
        """State and note of a step, or the problem with it."""
        problems = hosts.share(self._damage(step) if hosts.is_main() else None)
        if problems[0] is not None:
            return None, problems[0]
        try:
            with jax.transfer_guard("allow"):
                state = self._states.load_checkpointables(step, {"state": abstract})["state"]
            meta = self._states.checkpointables_metadata(step).custom_metadata or {}
        except Exception as error:  # damaged files raise many types of exceptions
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
                    f"checkpoint of step {step} is damaged ({problem}); it is renamed to {aside} "
                    "and the previous one is used",
                    file=sys.stderr,
                    flush=True,
                )

        hosts.main_only(move)
        if damaged:
            self._states.reload()

    def _store_checksums(self, step: int, response: Any) -> None:
        """Waits for a save and stores the checksums of its files; runs in the background."""
        response.result()
        if not hosts.is_main():
            return
        stored = _read_checksums(self._checksums) | {str(step): checksums(self._folder(step))}
        kept = {name: files for name, files in stored.items() if self._folder(name).exists()}
        write_json(self._checksums, kept)

    def _damage(self, step: int) -> str | None:
        """How the files of a step differ from what was written; None if they do not."""
        expected = _read_checksums(self._checksums).get(str(step))
        if expected is None:  # killed before the checksums were stored; orbax has its own checks
            return None
        current = checksums(self._folder(step))
        for name, value in expected.items():
            if name not in current:
                return f"{name} is missing"
            if current[name] != value:
                changed = "size" if current[name][0] != value[0] else "content"
                return f"the {changed} of {name} has changed"
        return None

    def _folder(self, step: int | str) -> Path:
        return Path(self._states.directory) / str(step)

    def _finish(self, kind: str) -> None:
        """Waits for the pending save of `state` or `best`, and raises its error."""
        if kind in self._saving:
            with self._saves():
                self._saving.pop(kind)[1].result()

    @contextlib.contextmanager
    def _saves(self) -> Iterator[None]:
        """Allows copies to the host, and raises UserError if the disk is full.

        Orbax raises one of several exceptions then.
        """
        try:
            with jax.transfer_guard("allow"):
                yield
        except (ValueError, OSError, RuntimeError, UserError) as error:
            if "No space left" not in str(error):
                raise
            raise UserError(
                f"{self._workdir}: disk full while saving a checkpoint; the previous one is "
                "intact: free some space and run the same command again, it resumes"
            ) from error

    def close(self) -> None:
        """Waits for pending saves."""
        try:
            for kind in list(self._saving):
                self._finish(kind)
            with self._saves():
                self._states.close()
                self._best.close()
        finally:
            self._background.shutdown()


def _barriers(name: str) -> ocp.Context:
    """Options that give the barriers of each checkpointer different names.

    Orbax names some barriers after the step alone, and one step may have two saves at a time.
    """
    options = ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=name)
    return ocp.Context(multiprocessing_options=options)


class _BestOfEachCheckpoint:
    """Keeps the newest best, and for every checkpoint the newest best that is not newer."""

    def __init__(self, states: ocp.training.Checkpointer):
        self._states = states

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """Which of `checkpoints` to keep."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {max(steps, default=None)}
        for state in self._states.checkpoints:
            kept.add(max((s for s in steps if s <= state.step), default=None))
        return [step in kept for step in steps]


def checksums(folder: Path) -> dict[str, list[int]]:
    """Size in bytes and CRC-32 of every file in a folder, by relative name."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path) for path in paths}


def _read_checksums(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # none yet, or damaged; orbax has its own checks
        return {}


def save_params(workdir: Path, params: Any) -> None:
    """Saves parameters alone, as `load_params` finds them; any precision."""
    ocp.save(workdir.absolute() / "best" / "0", params)


def load_params(workdir: str | Path, abstract: Any) -> Any:
    """Loads the best parameters of a run.

    Args:
      workdir: the run's folder.
      abstract: pytree of `jax.ShapeDtypeStruct` with shardings.

    Raises:
      UserError: there are none, or they belong to another model.
    """
    return _loaded(workdir, lambda folder: abstract)


def load_saved_params(workdir: str | Path, sharding: jax.sharding.Sharding) -> Any:
    """Loads the best parameters with the shapes that are in the checkpoint.

    Nothing checks whether they fit a model. Floats of any precision become float32.

    Args:
      workdir: the run's folder.
      sharding: of all parameters.

    Raises:
      UserError: there are none.
    """

    def abstract(folder: Path) -> Any:
        def leaf(saved: Any) -> jax.ShapeDtypeStruct:
            is_float = jnp.issubdtype(saved.dtype, jnp.floating)  # bfloat16, too
            dtype = np.dtype(np.float32) if is_float else saved.dtype
            return jax.ShapeDtypeStruct(saved.shape, dtype, sharding=sharding)

        return jax.tree.map(leaf, ocp.metadata(folder).metadata)

    return _loaded(workdir, abstract)


def _loaded(workdir: str | Path, abstract_of: Callable[[Path], Any]) -> Any:
    """The best parameters, with the shapes that are asked for."""
    best = Path(workdir).absolute() / "best"
    steps = [int(path.name) for path in best.glob("*") if path.name.isdigit()]
    if not steps:
        raise UserError(f"{workdir}: no trained model here (no folder `best`)")
    folder = best / str(max(steps))
    try:
        return ocp.load(folder, abstract_of(folder))
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{folder}: cannot load the parameters: {str(error).splitlines()[0]}"
        ) from error
