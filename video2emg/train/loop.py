"""The training loop.

At each step it validates the state, saves it, gets the next batch, updates the state and logs the
metrics. Exact resuming relies on this order. The batch of a step depends on the step alone, so a
checkpoint needs no more than the state and the metrics that are not written yet.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import tqdm

from video2emg.core.config import Config
from video2emg.core.errors import Interrupted, UserError
from video2emg.core.memory import keep_freed_memory
from video2emg.models.finetune import Model
from video2emg.parallel import hosts
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import state as state_lib
from video2emg.train.checkpoint import Checkpoints
from video2emg.train.feed import Feed
from video2emg.train.log import MetricsLog
from video2emg.train.losses import losses
from video2emg.train.profile import Profile
from video2emg.train.state import TrainState
from video2emg.train.step import LossFn, train_step
from video2emg.train.stop import Stop

Batches = Callable[[int], Iterable[Any]]
Validate = Callable[[Any], dict[str, float]]


def train(
    model: Model,
    config: Config,
    data: Batches,
    validate: Validate,
    mesh: jax.sharding.Mesh,
    workdir: Path,
    *,
    loss_fn: LossFn = losses,
    start: Mapping[str, Any] | None = None,
    name_of: Callable[[int], str] = str,
    profile: bool = False,
) -> None:
    """Trains until `config.steps`, continuing from the last checkpoint in `workdir`, if any.

    Writes `checkpoints/` (states), `best/` (parameters with the best validation), `metrics.jsonl`
    and TensorBoard files to `workdir`.

    Args:
      model: from `models.build`.
      config: `config.train`.
      data: step → endless batches (this process's rows) from that step on.
      validate: averaged parameters → metrics; `skill` selects the best.
      mesh: the devices.
      workdir: of the run.
      loss_fn: outputs, batch, `config.loss` → total loss and its parts.
      start: initial parameters of some of the model's submodules, by their names.
      name_of: name of the clip with a number in a batch's `index`, for messages.
      profile: whether to write `profile/` about the first steps.

    Raises:
      UserError: a loss that is not finite, input that hangs, or no checkpoint that fits.
      Interrupted: SIGTERM or SIGINT; the state has been saved.
    """
    keep_freed_memory()  # notebooks and scripts train without launch.py
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(Stop())
        checkpoints = Checkpoints(workdir)
        stack.callback(checkpoints.close)
        latest = checkpoints.latest_step or 0
        feed = Feed(data(latest), config.patience_s)
        stack.callback(lambda: feed.close())

        tx = state_lib.optimiser(config)
        create = functools.partial(state_lib.create, model, tx, feed.peek(), config.seed, start)
        shapes = jax.eval_shape(create)
        sharding = mesh_lib.state_sharding(mesh, shapes)
        step_fn = jax.jit(
            train_step(model, tx, config, loss_fn),
            out_shardings=(sharding, mesh_lib.replicated(mesh)),
            donate_argnums=0,
        )
        state, pending = _restore_or_create(checkpoints, create, shapes, sharding)
        first = int(state.step)
        if first > config.steps:
            raise UserError(
                f"{workdir}: already trained for {first} steps, more than "
                f"config.train.steps={config.steps}; choose another workdir"
            )
        if first != latest:  # the latest checkpoint was damaged
            feed.close()
            feed = Feed(data(first), config.patience_s)
        log = MetricsLog(workdir, first, config.log_every, pending, name_of)
        stack.callback(log.close)
        checkpoints.return_to(first, log.best[0], state.average)

        profiler = Profile(workdir / "profile", step_fn, feed, mesh) if profile else None
        if profiler:
            stack.callback(profiler.close)
        bar = tqdm.tqdm(
            total=config.steps,
            initial=first,
            desc="training",
            unit="step",
            disable=not hosts.is_main(),
        )
        stack.enter_context(bar)
        stack.enter_context(jax.transfer_guard("disallow"))
        loop = _Loop(config, step_fn, validate, mesh, feed, checkpoints, log, stop, bar, profiler)
        loop.run(state, first)


def _restore_or_create(
    checkpoints: Checkpoints, create: Callable[[], TrainState], shapes: Any, sharding: Any
) -> tuple[TrainState, list[Any]]:
    """The state of the last checkpoint and its unwritten metrics, or an initial state."""
    abstract = jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, sharding
    )
    restored = checkpoints.restore(abstract)
    if restored is None:
        return jax.jit(create, out_shardings=sharding)(), []
    return restored[0], restored[1] or []


@dataclasses.dataclass
class _Loop:
    """The parts that `train` has prepared, and the loop over the steps."""

    config: Config
    step_fn: Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]
    validate: Validate
    mesh: jax.sharding.Mesh
    feed: Feed
    checkpoints: Checkpoints
    log: MetricsLog
    stop: Stop
    bar: tqdm.tqdm
    profiler: Profile | None

    def run(self, state: TrainState, first: int) -> None:
        """Trains `state` from step `first` to the last."""
        steps = self.config.steps
        done = first  # steps that `state` includes
        try:
            for step in range(first, steps + 1):
                last = step == steps
                if _due(step, self.config.eval_every, last) and not self.log.validated(step):
                    self._validate(step, state)
                if _due(step, self.config.save_every, last):
                    self._save(step, state)
                if last:
                    break
                state = self._step(step, state)
                done = step + 1
                # Reading a metric waits for the device, so it is done rarely.
                means = self.log.report(done, last=done == steps)
                if means is not None:
                    self.bar.set_postfix(loss=f"{means['loss']:.4f}")
                    self.stop.agreed()
            self.stop.agreed()  # a signal during the last save must not be lost
        except Interrupted as signal:
            self._save(done, state)
            self.checkpoints.close()
            raise Interrupted(
                f"stopped by {signal} after step {done} of {steps}, which is saved; the same "
                "command resumes"
            ) from None

    def _validate(self, step: int, state: TrainState) -> None:
        self.log.read()
        best = self.log.best[1]
        with self.stop.at_once():
            scores = self.validate(state.average)
        # Saved before the validation is logged, so that the best of the log always exists.
        if scores["skill"] > best:
            self.checkpoints.save_best(step, state.average)
        self.log.validation(step, scores)

    def _step(self, step: int, state: TrainState) -> TrainState:
        if self.profiler:
            self.profiler.before(state)
        with self.stop.at_once():
            batch = next(self.feed)
        batch = mesh_lib.put_batch(self.mesh, batch)
        if self.profiler:
            self.profiler.ready(batch)
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            state, metrics = self.step_fn(state, batch)
        if self.profiler and (summary := self.profiler.after(state, batch)):
            self.bar.write(summary, end="")
        self.log.add(step + 1, metrics, batch.get("index"))
        self.bar.update()
        return state

    def _save(self, step: int, state: TrainState) -> None:
        """Saves the state, after a check that its losses are finite, and the unwritten metrics."""
        self.log.read()
        self.log.sync()
        self.checkpoints.save(step, state, self.log.pending)


def _due(step: int, every: int, last: bool) -> bool:
    return step > 0 and (step % every == 0 or last)
