"""The training loop, readable from top to bottom.

Order per step (it matters for exact resuming): validate the old state → save it → next batch →
step → report. The batch of a step is a function of the step alone, so the state is all there is to
save.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import tqdm

from video2emg.core.config import Config
from video2emg.core.errors import Interrupted, UserError
from video2emg.models.finetune import Model
from video2emg.parallel import hosts
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import state as state_lib
from video2emg.train.checkpoint import Checkpoints
from video2emg.train.feed import Feed
from video2emg.train.log import MetricsLog
from video2emg.train.losses import losses
from video2emg.train.profile import Profile
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

    Leaves `checkpoints/` (states), `best/` (parameters best on validation), `metrics.jsonl` and
    TensorBoard files in `workdir`.

    Args:
      model: from `models.build`.
      config: `config.train`.
      data: step → endless batches (this process's rows) of that step and those after.
      validate: averaged parameters → metrics; `skill` chooses the best.
      mesh: the devices.
      workdir: of the run.
      loss_fn: outputs, batch, `config.loss` → total and parts.
      start: parameters of some of the model's children to begin with, by the child's name.
      name_of: the clip of a number in a batch's `index`, for messages.
      profile: whether to write `profile/` about the first steps.

    Raises:
      UserError: a loss that is not finite, input that hangs, no checkpoint that can be restored, or
        one beyond the last step.
      Interrupted: SIGTERM or SIGINT; the state has been saved.
    """
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(Stop())
        checkpoints = Checkpoints(workdir)
        stack.callback(checkpoints.close)
        guess = checkpoints.latest_step or 0
        feed = Feed(data(guess), config.patience_s)
        stack.callback(lambda: feed.close())
        like = feed.peek()

        tx = state_lib.optimiser(config)
        create = functools.partial(state_lib.create, model, tx, like, config.seed, start)
        shapes = jax.eval_shape(create)
        sharding = mesh_lib.state_sharding(mesh, shapes)
        step_fn = jax.jit(
            train_step(model, tx, config, loss_fn),
            out_shardings=(sharding, mesh_lib.replicated(mesh)),
            donate_argnums=0,
        )
        abstract = jax.tree.map(
            lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, sharding
        )
        restored = checkpoints.restore(abstract)
        if restored is None:
            state, pending = jax.jit(create, out_shardings=sharding)(), []
        else:
            state, pending = restored[0], restored[1] or []
        first = int(state.step)
        if first > config.steps:
            raise UserError(
                f"{workdir}: already trained for {first} steps, more than "
                f"config.train.steps={config.steps}; choose another workdir"
            )
        if first != guess:  # the latest checkpoint was damaged
            feed.close()
            feed = Feed(data(first), config.patience_s)
        log = MetricsLog(workdir, first, config.log_every, pending, name_of)
        stack.callback(log.close)
        checkpoints.return_to(first, log.best[0], state.average)

        bar = tqdm.tqdm(
            total=config.steps,
            initial=first,
            desc="training",
            unit="step",
            disable=not hosts.is_main(),
        )
        watch = Profile(workdir / "profile", step_fn, feed, mesh) if profile else None
        if watch:
            stack.callback(watch.close)
        stack.enter_context(bar)
        stack.enter_context(jax.transfer_guard("disallow"))
        done = first  # steps that are in `state`
        try:
            for step in range(first, config.steps + 1):
                last = step == config.steps
                if _due(step, config.eval_every, last) and not log.validated(step):
                    log.read()
                    best = log.best[1]
                    with stop.at_once():
                        scores = validate(state.average)
                    # A validation that is written down has its parameters saved.
                    if scores["skill"] > best:
                        checkpoints.save_best(step, state.average)
                    log.validation(step, scores)
                if _due(step, config.save_every, last):
                    _save(checkpoints, log, step, state)
                if last:
                    break
                if watch:
                    watch.before(state)
                with stop.at_once():
                    batch = next(feed)
                batch = mesh_lib.put_batch(mesh, batch)
                if watch:
                    watch.ready(batch)
                with jax.profiler.StepTraceAnnotation("train", step_num=step):
                    state, metrics = step_fn(state, batch)
                done = step + 1
                if watch and (summary := watch.after(state, batch)):
                    bar.write(summary, end="")
                log.add(done, metrics, batch.get("index"))
                bar.update()
                # Reading a metric waits for the device, so it is done rarely.
                means = log.report(done, last=done == config.steps)
                if means is not None:
                    bar.set_postfix(loss=f"{means['loss']:.4f}")
                    stop.agreed()
            stop.agreed()  # a signal during the last save must not be forgotten
        except Interrupted as signal:
            _save(checkpoints, log, done, state)
            checkpoints.close()
            raise Interrupted(
                f"stopped by {signal} after step {done} of {config.steps}, which is saved; the "
                "same command resumes"
            ) from None


def _due(step: int, every: int, last: bool) -> bool:
    return step > 0 and (step % every == 0 or last)


def _save(checkpoints: Checkpoints, log: MetricsLog, step: int, state: Any) -> None:
    """Saves a state that is known to be sound, and what the log still owes."""
    log.read()
    log.sync()
    checkpoints.save(step, state, log.pending)
