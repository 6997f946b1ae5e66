"""What mechanics alone predict for the clips of a split: the `physics` baselines."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from video2emg.core.batch import Window
from video2emg.data.examples import Examples
from video2emg.eval import baselines
from video2emg.eval.evaluate import predict
from video2emg.eval.series import ClipSeries
from video2emg.models.finetune import Model
from video2emg.models.mechanics_prior import MechanicsOnly, MechanicsPrior
from video2emg.models.outputs import Outputs, complete
from video2emg.parallel import mesh as mesh_lib
from video2emg.physics.mechanics import LEAST_RATE, missing_joints

CLEANED_HZ = 1.5  # low-pass of cleaned poses, whose errors still jitter

Step = Callable[[Any, Mapping[str, jax.Array]], Outputs]  # of parameters and a batch


class Cleaner(NamedTuple):
    """A trained model that cleans poses (`config.model.clean_pose`)."""

    model: Model
    params: Any


# Baseline: anatomy, and what is told beside the pose.
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    baselines.Physics.name: ("simulated", ("load",)),
    baselines.PhysicsTypicalLoad.name: ("simulated", ()),
    baselines.PhysicsOtherAnatomy.name: ("literature", ("load",)),
}


def with_mechanics(
    series: Sequence[ClipSeries],
    examples: Examples,
    batch: int,
    mesh: jax.sharding.Mesh,
    common_drive: float = 0.0,
) -> list[ClipSeries]:
    """The series with what mechanics predict from the pose of each clip.

    Args:
      series: of the clips of `examples`.
      examples: the split; without a pose that makes a body the series stay as they are.
      batch: windows at a time; a multiple of the number of devices.
      mesh: the devices.
      common_drive: of the heads of a muscle, see `physics.anatomy.common_drive`.
    """
    window = examples.window
    if missing_joints(window.joints) or not any(
        len(examples.clip(i).pose_time) for i in range(len(examples))
    ):
        return list(series)
    posed = examples.with_pose_only(LEAST_RATE)
    predictions = {
        name: _predict(posed, anatomy, told, batch, mesh, common_drive)
        for name, (anatomy, told) in _KINDS.items()
    }
    return [
        dataclasses.replace(one, mechanics={name: p[i] for name, p in predictions.items()})
        for i, one in enumerate(series)
    ]


def predict_mechanics(
    examples: Examples,
    channels: Sequence[str],
    batch: int,
    mesh: jax.sharding.Mesh,
    cleaner: Cleaner | None = None,
    common_drive: float = 0.0,
) -> list[np.ndarray] | None:
    """What mechanics predict of any channels, as the baseline `physics`.

    Args:
      examples: clips with a pose.
      channels: names of the Q channels.
      batch: windows at a time; a multiple of the number of devices.
      mesh: the devices.
      cleaner: cleans the poses first.
      common_drive: of the heads of a muscle, see `physics.anatomy.common_drive`.

    Returns:
      [N, Q] for each clip, NaN where mechanics know nothing; None if the joints make no body.
    """
    if missing_joints(examples.window.joints):
        return None
    kind = _KINDS[baselines.Physics.name]
    if cleaner is None:
        posed = examples.with_pose_only(LEAST_RATE)
        return _predict(posed, *kind, batch, mesh, common_drive, channels)
    posed = examples.with_pose_only(examples.window.frame_rate)  # as the model reads it
    step = mechanics_step(posed.window, *kind, mesh, cutoff=CLEANED_HZ, common_drive=common_drive)
    step = on_cleaned_poses(step, cleaner.model)
    return predict(step, cleaner.params, posed, batch, mesh, channels=channels)


def on_cleaned_poses(step: Step, model: Model) -> Step:
    """The same step on poses that a model has cleaned; it takes the parameters of that model."""

    def clean(params: Any, batch: Mapping[str, jax.Array]) -> Outputs:
        outputs, _ = model.apply({"params": params}, batch, train=False)  # pyright: ignore
        cleaned = {"pose": outputs.pose, "pose_mask": complete(batch["pose_mask"])}
        return step({}, {**batch, **cleaned})

    return jax.jit(clean)


def _predict(
    examples: Examples,
    anatomy: str,
    told: tuple[str, ...],
    batch: int,
    mesh: jax.sharding.Mesh,
    common_drive: float,
    channels: Sequence[str] = (),
) -> list[np.ndarray]:
    step = mechanics_step(examples.window, anatomy, told, mesh, common_drive=common_drive)
    return predict(step, {}, examples, batch, mesh, channels=channels)


def mechanics_step(
    window: Window,
    anatomy: str,
    told: tuple[str, ...],
    mesh: jax.sharding.Mesh,
    *,
    cutoff: float = 0.0,
    balanced: bool = False,
    common_drive: float = 0.0,
) -> Step:
    """Mechanics alone as a compiled function of parameters, which are not read, and a batch.

    Args:
      window: of the batch.
      anatomy: name of the table of muscles.
      told: inputs beside the pose.
      mesh: the devices; each is given the whole output.
      cutoff: low-pass of the joints, Hz; 0 for none.
      balanced: whether the vertical is corrected so that the body does not fall.
      common_drive: of the heads of a muscle, see `physics.anatomy.common_drive`.
    """
    model = MechanicsOnly(
        MechanicsPrior(
            joints=window.joints,
            frame_rate=window.frame_rate,
            rate=window.frame_rate / 2,
            emg_rate=window.emg_rate,
            inputs=("held", "height", *told),
            anatomy=anatomy,
            cutoff=cutoff,
            balanced=balanced,
            common_drive=common_drive,
            force_error=0.0,
            lever_error=0.0,
        )
    )

    def forward(_, batch):
        return model.apply({}, batch)

    return jax.jit(forward, out_shardings=mesh_lib.replicated(mesh))
