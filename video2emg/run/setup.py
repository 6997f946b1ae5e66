"""From a config to data and model: splits, window, model, and the checks before any long work."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from video2emg import models
from video2emg.core import emg as emg_lib
from video2emg.core import vocabulary
from video2emg.core.batch import Window, blank_batch
from video2emg.core.clip import Clip, Clips
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.data.augment import Augmentation
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.labels import Labels
from video2emg.data.pose_noise import ESTIMATOR_NOISE
from video2emg.data.repetitions import Repetitions
from video2emg.data.select import select
from video2emg.data.store import Dataset, open_dataset
from video2emg.eval import out_of_domain
from video2emg.eval.out_of_domain import OODDetector
from video2emg.models import finetune
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.train import state as state_lib
from video2emg.train.checkpoint import load_params

TORQUES = ("source", "static")  # of config.data.torque


def load_splits(
    config: Config, dataset: Dataset, labels: Labels | None = None, cut: bool = False
) -> tuple[dict[str, Examples], emg_lib.Normalisation]:
    """Opens the three splits as examples and fits the normalisation.

    With `config.eval.pose_noise`, validation and test show the pose with the errors of an estimator
    (`pose_noise.ESTIMATOR`), whatever `config.augment.pose` is.

    Args:
      config: of a Video→EMG model.
      dataset: its clips.
      labels: adds the fields of action quality to every example.
      cut: whether sets are cut into their repetitions, each of at most one window.
    """
    protocol = config.data.select.to_dict()
    test_views = tuple(protocol.pop("test_views"))
    sources: Mapping[str, Clips] = select(dataset.splits, **protocol, montage=config.data.montage)
    if cut:
        longest = config.data.seconds
        cuts = {name: Repetitions(source, longest) for name, source in sources.items()}
        if shortened := sum(source.shortened for source in cuts.values()):
            total = sum(map(len, cuts.values()))
            log(f"{shortened} of {total} repetitions last longer than {longest:g} s: ends left out")
        sources = cuts
    first = sources["train"][0]
    window = dataclasses.replace(window_from_config(config), joints=first.joints)
    if not window.statics:
        window = dataclasses.replace(window, dofs=first.dofs)
    chain = emg_lib.Chain(notch=config.data.notch)

    def envelopes() -> Iterator[tuple[Clip, np.ndarray]]:
        for source in sources.values():
            for clip in (source[i] for i in range(len(source))):
                yield clip, emg_lib.clip_envelope(clip, chain)

    if config.data.normalisation == "mvc":
        normalisation = emg_lib.Normalisation("mvc")
    else:
        train = {sources["train"][i].subject for i in range(len(sources["train"]))}
        normalisation = emg_lib.Normalisation.fit(config.data.normalisation, envelopes(), train)
    room = config.data.cache_gib * 2**30 / sum(map(len, sources.values()))
    windows = dict.fromkeys(sources, window)
    if test_views:
        windows["test"] = dataclasses.replace(window, views=test_views)
    splits = {
        name: Examples(source, windows[name], chain, normalisation, int(room * len(source)), labels)
        for name, source in sources.items()
    }
    if config.eval.get("pose_noise", False):
        for name in ("validation", "test"):
            splits[name] = splits[name].with_pose_noise(ESTIMATOR_NOISE)
    return splits, normalisation


def window_from_config(config: Config) -> Window:
    """The window of `config.data`; the dataset gives the names of joints and torques."""
    if config.data.torque not in TORQUES:
        raise UserError(
            f"config.data.torque: {config.data.torque!r} is not one of {', '.join(TORQUES)}"
        )
    statics = config.data.torque == "static"
    return Window(
        seconds=config.data.seconds,
        frame_rate=config.data.frame_rate,
        emg_rate=config.data.emg_rate,
        size=config.data.size,
        views=tuple(config.data.views),
        channels=config.data.channels,
        dofs=vocabulary.DOFS if statics else (),
        statics=statics,
        stride=config.data.stride,
    )


def trained_window(config: Config, workdir: Path) -> Window:
    """The window of a finished run, with the joints and torques that its model was trained on.

    They are in the file of the out-of-domain detector, which runs on video write; those of GymSim
    are known. Else the training dataset is opened.

    Raises:
      UserError: the dataset is needed and is not where the run's config says.
    """
    window = window_from_config(config)
    if (workdir / out_of_domain.FILE).exists():
        about = OODDetector.load(workdir).about
        joints, dofs = tuple(about["joints"]), tuple(about["dofs"])
    elif config.data.name.startswith("gymsim/"):
        joints, dofs = vocabulary.FLEX_21, vocabulary.DOFS
    else:
        data = config.data
        dataset = open_dataset(data.name, data.dir, data.manual_dir, build_missing=False)
        first = dataset.splits["train"][0]
        joints, dofs = first.joints, first.dofs
    return dataclasses.replace(window, joints=joints, dofs=window.dofs or dofs)


def build_model(config: Config, window: Window):
    """The model of `config.model` for one kind of window."""
    model = models.build(
        config.model,
        frames=len(window.frame_time),
        size=window.size,
        frame_rate=window.frame_rate,
        emg_rate=window.emg_rate,
        joints=window.joints,
        dofs=window.dofs,
    )
    return finetune.from_config(config, model)


def check(config: Config, mesh: jax.sharding.Mesh) -> None:
    """Finds mistakes in a config before a dataset is built or a folder made."""
    parts = config.train.accumulate
    if parts < 1 or config.train.batch_size % (parts * mesh_lib.batch_parts(mesh)):
        raise UserError(
            f"config.train.accumulate={parts} does not divide config.train.batch_size="
            f"{config.train.batch_size} into parts for {mesh_lib.batch_parts(mesh)} devices"
        )
    mesh_lib.check_batch(mesh, config.train.batch_size, "config.train.batch_size")
    if not (isinstance(config.train.pose_windows, int) and config.train.pose_windows >= 0):
        raise UserError(
            f"config.train.pose_windows: expected a whole number, 0 or more, not "
            f"{config.train.pose_windows}"
        )
    mesh_lib.check_batch(mesh, config.eval.batch_size, "config.eval.batch_size")
    if (config.model.encoder.name == "pose") == bool(config.data.views):
        raise UserError(
            f"config.data.views: {tuple(config.data.views)}, but config.model.encoder.name="
            f"{config.model.encoder.name}: the pose encoder looks at no camera (set views to ()), "
            "the others at one or more"
        )
    check_pose_noise(config)
    build_model(config, window_from_config(config))
    state_lib.optimiser(config.train)


def check_pose_noise(config: Config) -> None:
    """Finds mistakes in `config.augment` and `config.eval.pose_noise`."""
    trained = Augmentation(**config.augment.to_dict()).pose.get("share", 0)
    given = not config.data.views or "pose" in config.model.get("extra_inputs", ())
    for name, noisy in (
        ("augment.pose.share", trained),
        ("eval.pose_noise", config.eval.get("pose_noise", False)),
    ):
        if noisy and not given:
            raise UserError(
                f"config.{name}: is {noisy}, but the model is not given a pose; set "
                "config.model.encoder.name to pose, or add pose to config.model.extra_inputs"
            )


def load_trained(
    config: Config, workdir: Path, examples: Examples, mesh: jax.sharding.Mesh
) -> tuple[finetune.Model, Any]:
    """Model and best parameters of a finished Video→EMG run; `examples` give the shapes."""
    model = build_model(config, examples.window)
    example = next(eval_batches(examples, 1))
    return model, load_params(workdir, abstract_params(model, example, mesh))


def abstract_params(model, batch: dict[str, Any], mesh: jax.sharding.Mesh) -> Any:
    """Shapes and shardings of the parameters for such batches, without computing any."""
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), batch)["params"]
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        shapes,
        mesh_lib.state_sharding(mesh, shapes),
    )


def sharding_table(config: Config) -> str:
    """How the training state would lie on the devices that are here, without any data."""
    main = config.main if "main" in config else config
    mesh = mesh_lib.make_mesh(**main.parallel)
    check(main, mesh)
    # A dataset's own joints and torques change the last layers of the auxiliary heads only.
    window = dataclasses.replace(window_from_config(main), joints=vocabulary.FLEX_21)
    model = build_model(main, window)
    batch = blank_batch(window)
    shapes = jax.eval_shape(
        lambda: state_lib.create(model, state_lib.optimiser(main.train), batch, 0)
    )
    return mesh_lib.table(shapes, mesh_lib.state_sharding(mesh, shapes))
