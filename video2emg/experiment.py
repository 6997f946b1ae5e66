"""The main job, top to bottom: data → model → training → test subjects → results."""

import dataclasses
import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from video2emg import models, vocabulary
from video2emg.checkpoint import load_params
from video2emg.config import Config
from video2emg.data import emg as emg_lib
from video2emg.data.augment import Augmentation
from video2emg.data.clip import Clip
from video2emg.data.labels import Labels
from video2emg.data.pipeline import Examples, Window, eval_batches, train_batches
from video2emg.data.select import select
from video2emg.data.store import Dataset, open_dataset
from video2emg.errors import UserError
from video2emg.eval import comparison, evaluate, intervals, results, scores
from video2emg.eval.baselines import Template
from video2emg.files import folder, write_json
from video2emg.inference import watch
from video2emg.parallel import hosts
from video2emg.parallel import mesh as mesh_lib
from video2emg.train import finetune, loop
from video2emg.train import state as state_lib
from video2emg.train.step import predict_step
from video2emg.viz import report

SCORES = "scores.npz"  # of the test clips, for tables of several runs
TORQUES = ("source", "static")  # of config.data.torque
_FITTED_ON = (
    20_000  # training clips at most, evenly spread, for the baselines: 13 kB each in memory
)


def run(config: Config, workdir: str | Path, profile: bool = False) -> dict[str, Any]:
    """Runs (or resumes) one experiment.

    Args:
      config: see `configs/v2emg.py`.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, scores.npz, results.json,
        figures.
      profile: whether it also receives `profile/`, about the first steps.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    jax.config.update("jax_threefry_partitionable", True)
    mesh = mesh_lib.make_mesh(**config.parallel)
    check(config, mesh)
    hosts.agree(_flat(json.loads(config.to_json()), "config.") | {"packages": results.packages()})
    hosts.main_only(lambda: claim(workdir, config))
    finished = workdir / "results.json"
    if finished.exists():
        found = results.read_results(finished)
        hosts.main_only(lambda: print(results.format_table(found)))
        say(f"finished before; results are in {finished}. To run again, choose another --workdir")
        return found

    dataset = hosts.main_first(
        lambda: open_dataset(config.data.name, config.data.dir, config.data.manual_dir)
    )
    hosts.agree({"the dataset": dataset.fingerprint})
    splits, reference = prepare(config, dataset)
    model = build_model(config, splits["train"].window)
    hosts.main_only(lambda: write_json(workdir / "reference.json", reference.to_json()))

    say(f"{len(splits['train'])} training clips, mesh {dict(mesh.shape)}")
    some = evaluate.evenly(len(splits["train"]), _FITTED_ON)
    train_series = evaluate.series_of(splits["train"], descriptors=True, clips=some)
    template = Template()
    template.fit(train_series)
    # Every process scores, so every process is given all answers.
    predict = jax.jit(predict_step(model), out_shardings=mesh_lib.replicated(mesh))

    def said(params: Any, split: str) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        return evaluate.predict_with_spread(
            predict, params, splits[split], config.eval.batch_size, mesh
        )

    def predictions(params: Any, split: str) -> list[np.ndarray]:
        return said(params, split)[0]

    validation = evaluate.series_of(splits["validation"])
    expected = [template.predict(series) for series in validation]

    def validate(params: Any) -> dict[str, float]:
        table = scores.tabulate(validation, predictions(params, "validation"), expected)
        found = scores.score(table)
        return {name: found[name] for name in ("skill", "pcc", "rmse", "amplitude_r")}

    def data(step: int) -> Iterable[Any]:
        return train_batches(
            splits["train"],
            Augmentation(**config.augment.to_dict()),
            config.train.batch_size,
            config.train.seed,
            rows=mesh_lib.local_rows(mesh, config.train.batch_size).tolist(),
            start=step,
            threads=config.data.threads,
        )

    def name_of(index: int) -> str:
        return splits["train"].clip(index).clip_id

    loop.train(model, config.train, data, validate, mesh, workdir, name_of=name_of, profile=profile)

    say("evaluating the model that was best on validation on the test subjects")
    params = load_params(
        workdir, abstract_params(model, next(eval_batches(splits["test"], 1)), mesh)
    )
    test = evaluate.series_of(splits["test"], descriptors=True)
    of_test = said(params, "test")
    predicted, _ = of_test
    tables = results.tables(train_series, test, predicted)
    calibration = intervals.calibrate(validation, said(params, "validation"), test, of_test)
    found = {
        "provenance": provenance(config, dataset)
        | {"parameters": sum(x.size for x in jax.tree.leaves(params))},
        "test": results.evaluate(tables, {series.subject for series in train_series})
        | {"calibration": calibration},
    }
    domain = None
    if config.data.views:
        say("looking at training and validation clips, to know later what is out of domain")
        domain = watch.survey(
            watch.Watcher(model, params, mesh),
            splits,
            config.eval.batch_size,
            {"dataset": config.data.name, "reference": config.data.reference},
        )

    def write() -> None:
        if domain is not None:
            domain.save(workdir)
        comparison.save(workdir / SCORES, tables)
        report.figures(workdir, found, splits["test"], test, predicted, template)
        results.write_results(finished, found)
        print(results.format_table(found))

    hosts.main_only(write)
    say(f"results: {finished}; figures: {workdir / 'figures'}")
    return found


def provenance(config: Config, dataset: Dataset) -> dict[str, Any]:
    """What one must know to believe or repeat the results of a run."""
    return results.provenance(
        dataset=config.data.name,
        dataset_version=dataset.version,
        simulated=dataset.simulated,
        normalisation=config.data.reference,
        seed=config.train.seed,
        config_hash=hashlib.sha256(config.to_json(sort_keys=True).encode()).hexdigest()[:16],
        sees="video" if config.data.views else "pose",
    )


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
    window = dataclasses.replace(window_of(main), joints=vocabulary.FLEX_21)
    model = build_model(main, window)
    batch = blank_batch(window)
    shapes = jax.eval_shape(
        lambda: state_lib.create(model, state_lib.optimiser(main.train), batch, 0)
    )
    return mesh_lib.table(shapes, mesh_lib.state_sharding(mesh, shapes))


def blank_batch(window: Window, size: int = 1) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of what a model is given, for `size` examples."""
    views, frames, pixels = len(window.views), len(window.frame_time), window.size
    fields = {
        "video": ((views, frames, pixels, pixels, 3), np.uint8),
        "video_mask": ((views, frames), np.bool_),
        "view": ((views,), np.int32),
        "muscle": ((window.channels,), np.int32),
        "side": ((window.channels,), np.int32),
    }
    return {
        name: jax.ShapeDtypeStruct((size, *shape), dtype) for name, (shape, dtype) in fields.items()
    }


def prepare(
    config: Config, dataset: Dataset, labels: Labels | None = None
) -> tuple[dict[str, Examples], emg_lib.Reference]:
    """Opens the three splits as examples, with `labels` if given, and fits the EMG reference."""
    wanted = (config.data.get("select") or ml_collections.ConfigDict()).to_dict()
    test_views = tuple(wanted.pop("test_views", ()))
    sources = select(dataset.splits, **wanted)
    first = sources["train"][0]
    window = dataclasses.replace(window_of(config), joints=first.joints)
    if not window.statics:
        window = dataclasses.replace(window, dofs=first.dofs)
    chain = emg_lib.Chain(notch=config.data.notch)

    def envelopes() -> Iterator[tuple[Clip, np.ndarray]]:
        for source in sources.values():
            for clip in (source[i] for i in range(len(source))):
                yield clip, emg_lib.clip_envelope(clip, chain)

    if config.data.reference == "mvc":
        reference = emg_lib.Reference("mvc")
    else:
        train = {sources["train"][i].subject for i in range(len(sources["train"]))}
        reference = emg_lib.Reference.fit(config.data.reference, envelopes(), train)
    room = int(config.data.cache_gib * 2**30 / len(sources))
    windows = dict.fromkeys(sources, window)
    if test_views:
        windows["test"] = dataclasses.replace(window, views=test_views)
    splits = {
        name: Examples(source, windows[name], chain, reference, room, labels)
        for name, source in sources.items()
    }
    return splits, reference


def window_of(config: Config) -> Window:
    """The window that `config.data` describes; joints and torques are for the dataset to name."""
    # Runs from before there was a choice do not say.
    kind = config.data.get("torque", "source")
    if kind not in TORQUES:
        raise UserError(f"config.data.torque: {kind!r} is not one of {', '.join(TORQUES)}")
    statics = kind == "static"
    return Window(
        seconds=config.data.seconds,
        frame_rate=config.data.frame_rate,
        emg_rate=config.data.emg_rate,
        size=config.data.size,
        views=tuple(config.data.views),
        channels=config.data.channels,
        dofs=vocabulary.DOFS if statics else (),
        statics=statics,
    )


def build_model(config: Config, window: Window):
    """The model of `config.model` for one kind of window."""
    model = models.build(
        config.model,
        frames=len(window.frame_time),
        size=window.size,
        frame_rate=window.frame_rate,
        emg_rate=window.emg_rate,
        joints=len(window.joints),
        dofs=len(window.dofs),
    )
    return finetune.from_config(config, model)


def sweep(
    config: Config, overrides: list[dict[str, Any]], workdir: str | Path, collect: bool = False
) -> dict[str, Any]:
    """Runs every variant into `workdir/<n>` and writes their summary to `workdir/results.json`.

    With `collect` none is run: the summary is of those that are finished.
    """
    workdir = folder(workdir, "--workdir")
    found = []
    for n, override in enumerate(overrides):
        if collect and not (workdir / str(n) / "results.json").exists():
            say(f"variant {n + 1} of {len(overrides)} is not finished: {override}")
            continue
        variant = config.copy_and_resolve_references()
        variant.update_from_flattened_dict(override)
        say(f"variant {n + 1} of {len(overrides)}: {override}")
        found.append(run(variant, workdir / str(n)))
    merged = results.merge_seeds(found)

    def write() -> None:
        results.write_results(workdir / "results.json", merged)
        print(results.format_table(merged))

    hosts.main_only(write)
    return merged


def check(config: Config, mesh: jax.sharding.Mesh) -> None:
    """Finds the mistakes of a config before a dataset is built or a folder made."""
    parts = config.train.accumulate
    if parts < 1 or config.train.batch_size % (parts * mesh_lib.batch_parts(mesh)):
        raise UserError(
            f"config.train.accumulate={parts} does not divide config.train.batch_size="
            f"{config.train.batch_size} into parts for {mesh_lib.batch_parts(mesh)} devices"
        )
    mesh_lib.check_batch(mesh, config.train.batch_size, "config.train.batch_size")
    mesh_lib.check_batch(mesh, config.eval.batch_size, "config.eval.batch_size")
    if (config.model.encoder.name == "pose") == bool(config.data.views):
        raise UserError(
            f"config.data.views: {tuple(config.data.views)}, but config.model.encoder.name="
            f"{config.model.encoder.name}: the pose encoder looks at no camera (set views to ()), "
            "the others at one or more"
        )
    build_model(config, window_of(config))
    state_lib.optimiser(config.train)


def claim(workdir: Path, config: Config) -> None:
    """Marks the workdir as this config's; refuses one that belongs to another."""
    path = workdir / "config.json"
    mine = json.loads(config.to_json())
    if path.exists():
        try:
            theirs = json.loads(path.read_text())
        except ValueError:
            raise UserError(f"{path}: damaged; choose another --workdir") from None
        differing = sorted(k for k, v in _flat(mine).items() if _flat(theirs).get(k, "…") != v)
        differing += sorted(set(_flat(theirs)) - set(_flat(mine)))
        if differing:
            raise UserError(
                f"{workdir} belongs to another configuration (differs in "
                f"{', '.join(differing[:5])}{' …' if len(differing) > 5 else ''}); choose another "
                "--workdir or delete this one"
            )
        return
    # A kill while config.json was written leaves its temporary file, which is nobody's work.
    if workdir.exists() and any(p for p in workdir.iterdir() if p.name[0] != "."):
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


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def say(message: str) -> None:
    """Tells the user what is going on, beside the results on standard output."""
    if hosts.is_main():
        print(message, file=sys.stderr, flush=True)
