"""Writes `metrics.jsonl` and TensorBoard files; resuming a run repeats or loses no line."""

import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
import tensorboardX

from video2emg.core.errors import UserError
from video2emg.core.files import write_json, write_text
from video2emg.parallel import hosts

Pending = list[tuple[int, dict[str, Any]]]


class MetricsLog:
    """Means of training metrics over `every` steps, and validations, in the order of steps.

    Reports are at fixed steps. Metrics since the last report are saved in the checkpoint
    (`pending`), so a resumed run writes the same lines as an uninterrupted one. Only process 0
    writes.
    """

    def __init__(
        self,
        workdir: Path,
        first_step: int,
        every: int,
        pending: Iterable[Any] = (),
        name_of: Callable[[int], str] = str,
    ):
        """Continues the log of a run that resumes at `first_step`.

        Args:
          workdir: of the run.
          first_step: lines of later steps are removed.
          every: steps per report.
          pending: saved with the checkpoint.
          name_of: name of the clip with a number in a batch's `index`, for messages.
        """
        self._workdir, self._every, self._name_of = workdir, every, name_of
        self._path = workdir / "metrics.jsonl"
        self._unread: list[tuple[int, dict[str, jax.Array], jax.Array | None]] = []
        self._pending: Pending = [
            (step, {name: np.float32(value) for name, value in values.items()})
            for step, values in pending
        ]
        lines = self._read_back(first_step)
        self._validations = {
            line["step"]: line["validation_skill"] for line in lines if "validation_skill" in line
        }
        self._file = self._board = None
        if hosts.is_main():
            write_text(self._path, "".join(json.dumps(line) + "\n" for line in lines))
            self._file = self._path.open("a")
            self._board = self._fresh_board(lines)

    def _read_back(self, first_step: int) -> list[dict[str, Any]]:
        lines = []
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                try:
                    record = json.loads(line)
                except ValueError:  # the line that was being written when the run was killed
                    continue
                if record["step"] <= first_step:
                    lines.append(record)
        return lines

    def _fresh_board(self, lines: list[dict[str, Any]]) -> tensorboardX.SummaryWriter:
        """Writes TensorBoard files anew from the lines; old ones would show some steps twice."""
        folder = self._workdir / "tensorboard"
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._board = tensorboardX.SummaryWriter(str(folder))
        for line in lines:
            self._add_scalars(line["step"], {k: v for k, v in line.items() if k != "step"})
        return self._board

    def _add_scalars(self, step: int, values: dict[str, float | None]) -> None:
        assert self._board is not None
        for name, value in values.items():
            if value is not None:
                self._board.add_scalar(name, value, step)

    def add(self, step: int, metrics: dict[str, jax.Array], index: jax.Array | None) -> None:
        """Records the metrics and the example numbers of a step, without waiting for them."""
        self._unread.append((step, metrics, index))

    def read(self) -> None:
        """Waits for the metrics of all recorded steps.

        Raises:
          UserError: a metric is not finite; the message names the clips of that batch.
        """
        if not self._unread:
            return
        with jax.transfer_guard("allow"):
            values = jax.device_get([metrics for _, metrics, _ in self._unread])
        for (step, _, index), metrics in zip(self._unread, values, strict=True):
            not_finite = [name for name, value in metrics.items() if not math.isfinite(value)]
            if not_finite:
                self._raise_not_finite(step, not_finite, metrics, index)
            self._pending.append((step, metrics))
        self._unread = []

    def _raise_not_finite(
        self, step: int, names: list[str], metrics: dict, index: jax.Array | None
    ) -> NoReturn:
        clips: list[str] = []
        if index is not None:
            with jax.transfer_guard("allow"):
                local = [int(i) for part in _distinct(index) for i in part]
            clips = sorted({self._name_of(i) for part in hosts.share(local) for i in part})
        if hosts.is_main():
            values = {name: str(value) for name, value in metrics.items()}
            report = {"step": step, "metrics": values, "clips": clips}
            write_json(self._workdir / "not_finite.json", report)
        shown = ", ".join(clips[:4]) + (f" and {len(clips) - 4} more" if len(clips) > 4 else "")
        raise UserError(
            f"training stopped: {', '.join(names)} not finite at step {step}"
            + (f", batch of clips {shown} (all in not_finite.json)" if clips else "")
            + "; the last checkpoint is intact: lower config.train.learning_rate or look at the"
            " data"
        )

    @property
    def pending(self) -> Pending:
        """Metrics that are not reported yet, as JSON values, to be saved with the state."""
        return [(s, {name: float(v) for name, v in m.items()}) for s, m in self._pending]

    def report(self, step: int, last: bool = False) -> dict[str, float] | None:
        """Writes and returns the means at steps where a report is due; None at others."""
        if step % self._every and not last:
            return None
        self.read()
        if not self._pending:
            return None
        values = [metrics for _, metrics in self._pending]
        means = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
        self._pending = []
        self._write(step, means)
        return means

    def validated(self, step: int) -> bool:
        """Whether the validation of `step` is written."""
        return step in self._validations

    @property
    def best(self) -> tuple[int | None, float]:
        """Step and skill of the best validation, the first one of several equal ones."""
        known = [(skill, -step) for step, skill in self._validations.items() if skill is not None]
        skill, step = max(known, default=(-math.inf, None))
        return (None if step is None else -step), skill

    def validation(self, step: int, scores: dict[str, float]) -> None:
        """Writes a validation."""
        skill = scores["skill"]
        self._validations[step] = skill if math.isfinite(skill) else None
        self._write(step, {f"validation_{name}": value for name, value in scores.items()})

    def _write(self, step: int, values: dict[str, float]) -> None:
        if self._file is None:
            return
        # Undefined values (no clips to compare) become null.
        line = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **line}) + "\n")
        self._file.flush()
        self._add_scalars(step, line)

    def sync(self) -> None:
        """Flushes the lines to disk, before a checkpoint that relies on them."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the files."""
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()


def _distinct(array: jax.Array) -> list[np.ndarray]:
    """The shards of a batch's field on this process, without copies."""
    return [np.asarray(s.data) for s in array.addressable_shards if s.replica_id == 0]
