"""The training loop, readable from top to bottom.

Order per step (it matters for exact resuming): evaluate the old state → save state and data
position → next batch → step → report.
"""

import functools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
import tensorboardX
import tqdm

from video2emg.checkpoint import Checkpoints
from video2emg.config import Config
from video2emg.errors import UserError
from video2emg.files import write_text
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import state as state_lib
from video2emg.train.finetune import Model
from video2emg.train.losses import losses
from video2emg.train.step import LossFn, train_step

Validate = Callable[[Any], dict[str, float]]


def train(
    model: Model,
    config: Config,
    data: grain.IterDataset,
    validate: Validate,
    mesh: jax.sharding.Mesh,
    workdir: Path,
    *,
    loss_fn: LossFn = losses,
    start: Mapping[str, Any] | None = None,
) -> None:
    """Trains until `config.steps`, continuing from the last checkpoint in `workdir`, if any.

    Leaves `checkpoints/` (state and data position), `best/` (parameters best on validation),
    `metrics.jsonl` and TensorBoard files in `workdir`.

    Args:
      model: from `models.build`.
      config: `config.train`.
      data: endless batches of this process.
      validate: averaged parameters → metrics; `skill` chooses the best.
      mesh: the devices.
      workdir: of the run.
      loss_fn: outputs, batch, `config.loss` → total and parts.
      start: parameters of some of the model's children to begin with, by the child's name.

    Raises:
      UserError: a loss that is not finite, or a checkpoint beyond the last step.
    """
    iterator = iter(data)
    like = next(iter(data))  # a batch of another iterator: `iterator` stays at its start
    tx = state_lib.optimiser(config)
    create = functools.partial(state_lib.create, model, tx, like, config.seed, start)
    shapes = jax.eval_shape(create)
    sharding = mesh_lib.state_sharding(mesh, shapes)
    step_fn = jax.jit(
        train_step(model, tx, config, loss_fn),
        out_shardings=(sharding, mesh_lib.replicated(mesh)),
        donate_argnums=0,
    )

    checkpoints = Checkpoints(workdir)
    if checkpoints.latest_step is None:
        state = jax.jit(create, out_shardings=sharding)()
    else:
        abstract = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, sharding
        )
        state, iterator = checkpoints.restore(abstract, iterator)
    first = int(state.step)
    if first > config.steps:
        raise UserError(f"{workdir}: already trained for {first} steps, more than "
                        f"config.train.steps={config.steps}; choose another workdir")  # fmt: skip
    log = MetricsLog(workdir, first)

    bar = tqdm.tqdm(total=config.steps, initial=first, desc="training", unit="step")
    unread: list[tuple[int, dict[str, jax.Array]]] = []
    with jax.transfer_guard("disallow"), bar:
        for step in range(first, config.steps + 1):
            last = step == config.steps
            if step > first or last:
                if step % config.eval_every == 0 or last:
                    unread = _read(unread, log, bar)
                    scores = validate(state.average)
                    log.write(step, {f"validation_{k}": v for k, v in scores.items()})
                    if log.is_best(step, scores["skill"]):
                        checkpoints.save_best(state.average)
                if step % config.save_every == 0 or last:
                    unread = _read(unread, log, bar)
                    checkpoints.save(step, state, iterator)
            if last:
                break
            batch = mesh_lib.put_batch(mesh, next(iterator))
            with jax.profiler.StepTraceAnnotation("train", step_num=step):
                state, metrics = step_fn(state, batch)
            unread.append((step + 1, metrics))
            bar.update()
            # Reading a metric waits for the device, so it is done rarely.
            if len(unread) == config.log_every:
                unread = _read(unread, log, bar)
    checkpoints.close()
    log.close()


def _read(unread: list, log: "MetricsLog", bar: tqdm.tqdm) -> list:
    """Fetches the metrics of the last steps, checks and logs them; returns the empty list."""
    if not unread:
        return []
    with jax.transfer_guard("allow"):
        values = jax.device_get([metrics for _, metrics in unread])
    for (step, _), metrics in zip(unread, values, strict=True):
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise UserError(
                f"training stopped: {', '.join(bad)} not finite at step {step}; the last checkpoint"
                " is intact: lower config.train.learning_rate or look at the data"
            )
    means = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
    log.write(unread[-1][0], means)
    bar.set_postfix(loss=f"{means['loss']:.4f}")
    return []


class MetricsLog:
    """`metrics.jsonl` and TensorBoard: one line per report, none twice after a resume."""

    def __init__(self, workdir: Path, first_step: int):
        """Continues the log of a run that resumes at `first_step`."""
        self._path = workdir / "metrics.jsonl"
        lines = []
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                try:
                    record = json.loads(line)
                except ValueError:  # the line that was being written when the run was killed
                    continue
                if record["step"] <= first_step:
                    lines.append(record)
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in lines))
        self._best = max((r.get("validation_skill", -math.inf) for r in lines), default=-math.inf)
        self._file = self._path.open("a")
        self._board = tensorboardX.SummaryWriter(str(workdir / "tensorboard"))

    def write(self, step: int, values: dict[str, float]) -> None:
        """Appends one report; what is undefined (no clips to compare) is null."""
        known = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **known}) + "\n")
        self._file.flush()
        for name, value in known.items():
            if value is not None:
                self._board.add_scalar(name, value, step)

    def is_best(self, step: int, skill: float) -> bool:
        """Whether this validation beats all before it; remembers it if so."""
        better = skill > self._best
        self._best = max(skill, self._best)
        return better

    def close(self) -> None:
        """Closes the files."""
        self._file.close()
        self._board.close()
