"""The main job, top to bottom: data → model → training → test subjects → results."""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from video2emg.core.batch import with_pose_only
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder, write_json, write_text
from video2emg.data.augment import Augmentation
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples, has_pose
from video2emg.data.pose_noise import PoseNoise
from video2emg.data.select import select
from video2emg.data.store import Dataset, open_dataset
from video2emg.data.train_stream import train_batches
from video2emg.eval import baselines, comparison, forward, intervals, results, scores
from video2emg.eval import evaluate as evaluate_lib
from video2emg.eval.baselines import Template
from video2emg.eval.mechanics import with_mechanics
from video2emg.eval.series import ClipSeries
from video2emg.jobs import Options, Row
from video2emg.models.finetune import Adapted, Model
from video2emg.models.video2emg import Video2EMG
from video2emg.parallel import hosts
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.tables import write_table
from video2emg.run.workdir import SCORES, flatten, init_workdir, provenance, read_config
from video2emg.train import loop
from video2emg.train.checkpoint import load_params
from video2emg.train.step import predict_step
from video2emg.viz import run_figures

# Envelopes of training clips, evenly spread, that baselines are fitted on at most, bytes.
_FITTED_ON = 2**28
_SHIFTED = 200  # clips at most, evenly spread, whose windows are moved by half a window
# What the trivial baselines know.
_TRIVIAL = {
    "zero": "nothing",
    "train_mean": "nothing",
    "action_mean": "exercise",
    "clock": "exercise, time in the window",
    "kinematic": "pose",
    "template": "exercise, phase",
    "physics": "pose, load",
    "physics_typical_load": "pose, equipment",
    "physics_other_anatomy": "pose, load",
    "subject_mean": "test EMG",
    "nearest_neighbour": "video",
}
# What `evaluate` may change in the configuration of a finished run, and of `config.data.select`.
_EVALUATION_FIELDS = (
    "data.dir",
    "data.manual_dir",
    "data.views",
    "data.select",
    "eval",
    "parallel",
)
_TRAINING_SELECTION = ("data.select.people", "data.select.seed")
_OTHER_WINDOWS = 1000  # added to the seed, so that windows without video are others
SPLITS = ("test", "validation")  # that can be evaluated


@dataclasses.dataclass(frozen=True)
class _Task:
    """Data, model and devices of a configuration.

    Attributes:
      config: see `configs/v2emg.py`.
      mesh: the devices.
      dataset: all clips.
      splits: `train`, `validation` and `test`.
      model: without parameters.
    """

    config: Config
    mesh: jax.sharding.Mesh
    dataset: Dataset
    splits: Mapping[str, Examples]
    model: Model

    @functools.cached_property
    def train_series(self) -> list[ClipSeries]:
        """What baselines are fitted on."""
        train = self.splits["train"]
        most = max(_FITTED_ON // train.target(0)[0].nbytes, 1)
        chosen = evaluate_lib.evenly(len(train), most)
        return evaluate_lib.series_of(train, descriptors=True, clips=chosen, angles=True)

    @functools.cached_property
    def template(self) -> Template:
        """The action template, fitted."""
        template = Template()
        template.fit(self.train_series)
        return template

    @functools.cached_property
    def validation(self) -> list[ClipSeries]:
        """Measured envelopes of the validation clips."""
        return evaluate_lib.series_of(self.splits["validation"])

    @functools.cached_property
    def _predict(self) -> Any:
        # Every process scores, so every process is given all predictions.
        return jax.jit(predict_step(self.model), out_shardings=mesh_lib.replicated(self.mesh))

    def predict(
        self, params: Any, examples: Examples
    ) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """EMG [N, C] of every clip, and its expected absolute error if the model predicts it."""
        return evaluate_lib.predict_with_mae(
            self._predict, params, examples, self.config.eval.batch_size, self.mesh
        )

    def shift_r(self, params: Any, examples: Examples) -> float:
        """Agreement of the predictions of windows that are moved by half a window."""
        chosen = evaluate_lib.evenly(len(examples), _SHIFTED)
        batch = self.config.eval.batch_size
        return evaluate_lib.shift_r(self._predict, params, examples, batch, self.mesh, chosen)

    def load_params(self, workdir: Path) -> Any:
        """The parameters that were best on validation."""
        example = next(eval_batches(self.splits["test"], 1))
        return load_params(workdir, setup.abstract_params(self.model, example, self.mesh))


@dataclasses.dataclass(frozen=True)
class _Evaluation:
    """A model's scores on one split, and what its figures and tables are made of.

    Attributes:
      split: that was evaluated.
      results: `provenance`, and the scores under the name of the split.
      tables: sums over each clip, of the model and of the baselines.
      examples, series, predictions: the clips, what was measured and what was predicted.
    """

    split: str
    results: dict[str, Any]
    tables: Mapping[str, scores.Table]
    examples: Examples
    series: Sequence[ClipSeries]
    predictions: Sequence[np.ndarray]

    def save(self, out: Path, template: Template) -> None:
        """Writes scores.npz, figures and, last, results.json; prints the table."""
        comparison.save(out / SCORES, self.tables)
        shown = {"provenance": self.results["provenance"], "test": self.results[self.split]}
        run_figures.figures(out, shown, self.examples, self.series, self.predictions, template)
        results.write_results(out / "results.json", self.results)
        print(results.format_table(self.results, self.split))


def run(config: Config, workdir: str | Path, options: Options | None = None) -> dict[str, Any]:
    """Runs (or resumes) one experiment.

    Args:
      config: see `configs/v2emg.py`.
      workdir: receives config.json, checkpoints, best, metrics.jsonl, scores.npz, results.json,
        figures.
      options: `profile`: whether it also receives `profile/`, about the first steps.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    mesh = mesh_lib.make_mesh(**config.parallel)
    setup.check(config, mesh)
    hosts.agree(flatten(json.loads(config.to_json()), "config.") | {"packages": results.packages()})
    hosts.main_only(lambda: init_workdir(workdir, config))
    finished = workdir / "results.json"
    if finished.exists():
        previous = results.read_results(finished)
        hosts.main_only(lambda: print(results.format_table(previous)))
        log(f"finished before; results are in {finished}. To run again, choose another --workdir")
        return previous

    dataset = _open_dataset(config)
    splits, normalisation = setup.load_splits(config, dataset)
    model = setup.build_model(config, splits["train"].window)
    task = _Task(config, mesh, dataset, splits, model)
    hosts.main_only(lambda: write_json(workdir / "normalisation.json", normalisation.to_json()))
    log(f"{len(splits['train'])} training clips, mesh {dict(mesh.shape)}")
    _train(task, workdir, (options or Options()).profile)

    log("evaluating the model that was best on validation on the test subjects")
    params = task.load_params(workdir)
    evaluation = _score(task, params, "test", splits["test"])
    ood_detector = None
    if "system" not in config.model:  # published systems have no features of an encoder
        log("looking at training and validation clips, to know later what is out of domain")
        ood_detector = forward.fit_ood_detector(
            forward.ForwardFunction(model, params, mesh),
            _as_predicted(config, splits),
            config.eval.batch_size,
            {
                "dataset": config.data.name,
                "normalisation": config.data.normalisation,
                "simulated": dataset.simulated,
            },
        )

    def write() -> None:
        if ood_detector is not None:
            ood_detector.save(workdir)
        evaluation.save(workdir, task.template)

    hosts.main_only(write)
    log(f"results: {finished}; figures: {workdir / 'figures'}")
    return evaluation.results


def evaluate(
    config: Config, run: str | Path, out: str | Path, split: str = "test"
) -> dict[str, Any]:
    """Scores a finished run again, without training; nothing of the run is changed.

    Baselines and the normalisation of EMG are those of the data that the run has learned from,
    whatever `config.data.select` says; it selects the clips that are scored.

    Args:
      config: of the run, changed in `data.views`, `data.select`, `eval` or `parallel`; `data.dir`
        and `data.manual_dir` may be where the data are now.
      run: workdir of the run.
      out: receives results.json, scores.npz, table.txt and figures.
      split: `test` or `validation`. Intervals are fitted on validation, so only `test` has their
        coverage.

    Returns:
      The results, as written; scores are under the name of the split.

    Raises:
      UserError: there is no finished run, or what was changed does not belong to an evaluation.
    """
    run, out = folder(run, "--run"), folder(out, "--out")
    trained = read_config(run)
    changed = _check_evaluation(config, trained, run, out, split)
    mesh = mesh_lib.make_mesh(**config.parallel)
    mesh_lib.check_batch(mesh, config.eval.batch_size, "config.eval.batch_size")
    setup.check_pose_noise(config)
    dataset = _open_dataset(config, build_missing=False)
    learned = config.copy_and_resolve_references()
    learned.data.select = trained.data.select
    splits, _ = setup.load_splits(learned, dataset)
    task = _Task(config, mesh, dataset, splits, setup.build_model(config, splits["train"].window))
    examples = splits[split]
    if any(name.startswith("data.select.") for name in changed):
        examples = _select(config, dataset, examples, split)
    log(f"evaluating {run} on {len(examples)} clips of {split}")
    evaluation = _score(task, task.load_params(run), split, examples)
    evaluation.results["provenance"]["evaluation"] = {"run": str(run), "changed": changed}
    evaluation.save(out, task.template)
    write_text(out / "table.txt", results.format_table(evaluation.results, split) + "\n")
    log(f"results: {out / 'results.json'}; figures: {out / 'figures'}")
    return evaluation.results


def _as_predicted(config: Config, splits: Mapping[str, Examples]) -> Mapping[str, Examples]:
    """The splits as `predict` will see such recordings.

    Models that have learned the errors of a pose estimator are meant for films, in which every pose
    has errors.
    """
    ranges = config.augment.pose.to_dict()
    if config.data.views or not ranges["share"]:
        return splits
    noise = PoseNoise.from_config(ranges | {"share": 1.0})
    return {name: examples.with_pose_noise(noise) for name, examples in splits.items()}


def _open_dataset(config: Config, build_missing: bool = True) -> Dataset:
    """The dataset, built first if it is missing; all processes have the same."""
    data = config.data
    dataset = hosts.main_first(
        lambda: open_dataset(data.name, data.dir, data.manual_dir, build_missing=build_missing)
    )
    hosts.agree({"the dataset": dataset.fingerprint})
    return dataset


def _train(task: _Task, workdir: Path, profile: bool) -> None:
    """Trains (or resumes) into `workdir`."""
    config, train = task.config, task.splits["train"]
    expected = [task.template.predict(series) for series in task.validation]

    def validate(params: Any) -> dict[str, float]:
        predictions, _ = task.predict(params, task.splits["validation"])
        scored = scores.score(scores.tabulate(task.validation, predictions, expected))
        return {name: scored[name] for name in ("skill", "pcc", "rmse", "amplitude_r")}

    posed = _posed_clips(task)

    def data(step: int) -> Iterable[Any]:
        augmentation = Augmentation(**config.augment.to_dict())
        shown = _windows(task, train, augmentation, step)
        if not posed:
            return shown
        pose_only = _windows(
            task,
            train.with_pose_only(config.data.frame_rate),
            dataclasses.replace(
                augmentation,
                cameras=(),
                hide={**augmentation.hide, "pose": 0.0},
                pose=augmentation.predicted_pose,
            ),
            step,
            times=config.train.pose_windows,
            seed=_OTHER_WINDOWS,
            only=posed,
        )
        return map(with_pose_only, shown, pose_only)

    loop.train(
        task.model,
        config.train,
        data,
        validate,
        task.mesh,
        workdir,
        name_of=lambda index: train.clip(index).clip_id,
        profile=profile,
    )


def _posed_clips(task: _Task) -> list[int]:
    """Numbers of the training clips of which windows without video are shown."""
    model = task.model.model if isinstance(task.model, Adapted) else task.model
    predicts_pose = isinstance(model, Video2EMG) and model.pose
    if not (task.config.train.pose_windows and predicts_pose):
        return []
    train = task.splits["train"]
    return [number for number in range(len(train)) if has_pose(train.clip(number))]


def _windows(
    task: _Task,
    train: Examples,
    augmentation: Augmentation,
    step: int,
    times: int = 1,
    seed: int = 0,
    only: Sequence[int] | None = None,
) -> Iterable[Any]:
    """This process's rows of endless batches of `times` the size, from `step` on."""
    config, size = task.config, times * task.config.train.batch_size
    return train_batches(
        train,
        augmentation,
        size,
        config.train.seed + seed,
        rows=mesh_lib.local_rows(task.mesh, size).tolist(),
        start=step,
        threads=config.data.threads,
        field="config.train.batch_size" + (" · pose_windows" if times > 1 else ""),
        only=only,
    )


def _score(task: _Task, params: Any, split: str, examples: Examples) -> _Evaluation:
    """Predicts the clips of a split and scores them beside the baselines."""
    series = evaluate_lib.series_of(examples, descriptors=True, angles=True)
    if task.config.eval.get("physics", False):
        common_drive = task.config.model.mechanics.get("common_drive", 0.0)
        batch = task.config.eval.batch_size
        series = with_mechanics(series, examples, batch, task.mesh, common_drive)
    predictions = task.predict(params, examples)
    tables = results.tables(task.train_series, series, predictions[0])
    part = results.evaluate(tables, {train.subject for train in task.train_series})
    part["shift_r"] = task.shift_r(params, examples)
    if split == "test":  # the intervals are fitted on validation
        fitted_on = task.predict(params, task.splits["validation"])
        part["calibration"] = intervals.calibrate(task.validation, fitted_on, series, predictions)
    size = {"parameters": sum(x.size for x in jax.tree.leaves(params))}
    found = {"provenance": provenance(task.config, task.dataset) | size, split: part}
    return _Evaluation(split, found, tables, examples, series, predictions[0])


def _select(config: Config, dataset: Dataset, examples: Examples, split: str) -> Examples:
    """The clips of a split that `config.data.select` wants, as its cameras show them."""
    views = tuple(config.data.select.test_views) or tuple(config.data.views)
    action, montage = config.data.select.without_action, config.data.montage
    source = select(dataset.splits, action, montage=montage)[split]
    window = dataclasses.replace(examples.window, views=views)
    selected = Examples(source, window, examples.chain, examples.normalisation)
    return (
        selected if examples.pose_noise is None else selected.with_pose_noise(examples.pose_noise)
    )


def _check_evaluation(
    config: Config, trained: Config, run: Path, out: Path, split: str
) -> dict[str, Any]:
    """Finds the mistakes of an evaluation; returns what differs from the run's configuration."""
    if split not in SPLITS:
        raise UserError(f"--split {split!r}: not one of {', '.join(SPLITS)}")
    if trained.job != "video2emg" or not (run / "results.json").exists():
        raise UserError(f"{run}: no finished Video→EMG run, which evaluate needs")
    if (out / "config.json").exists():
        raise UserError(f"--out {out}: holds a run; choose another folder")
    before = flatten(json.loads(trained.to_json()))
    after = flatten(json.loads(config.to_json()))
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    for name in (*changed, *(before.keys() - after.keys())):
        allowed = any(name == field or name.startswith(f"{field}.") for field in _EVALUATION_FIELDS)
        if not allowed or name in _TRAINING_SELECTION:
            raise UserError(
                f"config.{name}: belongs to the training; an evaluation can change "
                "data.select.without_action, data.select.test_views, data.views, eval "
                "and parallel"
            )
    if bool(config.data.views) != bool(trained.data.views):
        raise UserError(
            f"config.data.views: {tuple(config.data.views)}, but the run has learned "
            f"from {tuple(trained.data.views) or 'the pose'}"
        )
    test_views = config.data.select.test_views
    if test_views and len(test_views) != len(config.data.views):
        raise UserError(
            f"config.data.select.test_views: {len(test_views)}, but there are "
            f"{len(config.data.views)} in config.data.views; as many are needed"
        )
    return changed


def prepare(rows: Sequence[Row], workdir: Path) -> list[Row]:
    """Rows of a comparison in `workdir`: regressors read the encoder of another row's first run."""
    seeds = {row.name: row.seeds for row in rows}
    prepared = []
    for row in rows:
        variant = row.config.copy_and_resolve_references()
        if variant.job == "regressor" and (other := variant.regressor.encoder_of):
            if other not in seeds:
                raise UserError(f"row {row.name} needs the encoder of row {other}: add it to only")
            variant.regressor.encoder_of = str(workdir / other / str(seeds[other][0]))
        prepared.append(dataclasses.replace(row, config=variant))
    return prepared


def summarise(runs: Sequence[Any], config: Config, workdir: Path) -> dict[str, Any]:
    """The table of `compare`: seeds of one system, or several systems on the same clips."""
    if len({run.row for run in runs}) == 1:
        outcome = results.merge_seeds([dict(run.results) for run in runs])
        return write_table(outcome, workdir, results.format_table, draw=None)
    systems, trivial = _systems(runs, config.baseline)
    provenances = {run.row: run.results["provenance"] for run in runs}
    outcome = {
        "provenance": results.common_provenance(provenances),
        "test": comparison.compare(systems, config.baseline, config.bootstrap),
    }
    for name, row in outcome["test"]["rows"].items():
        if name in trivial:
            row["sees"] = _TRIVIAL[name]
            row["uses_test_emg"] = baselines.REGISTRY[name].uses_test_emg
            continue
        known = ("sees", "parameters", "settings", "config_hash")
        row |= {key: provenances[name][key] for key in known if key in provenances[name]}
    return write_table(outcome, workdir)


def _systems(
    runs: Sequence[Any], baseline: str
) -> tuple[dict[str, list[scores.Table]], tuple[str, ...]]:
    """One table of scores per row and seed, all with the baseline's template; trivial baselines."""
    tables: dict[str, dict[int, list[dict[str, scores.Table]]]] = {}
    for run in runs:
        seeds = tables.setdefault(run.row, {})
        seeds.setdefault(run.seed, []).append(comparison.load(run.workdir / SCORES))
    if baseline not in tables:
        raise UserError(f"no run of the baseline row {baseline!r} is finished")
    systems = {
        name: [scores.join([part["model"] for part in parts]) for parts in seeds.values()]
        for name, seeds in tables.items()
    }
    trivial: dict[str, list[scores.Table]] = {}
    for row in (baseline, *tables):  # another row may have what the baseline was not scored with
        parts = list(tables[row].values())[-1]
        for name in parts[0]:
            new = name != "model" and name not in trivial
            if new and all(name in part for part in parts):
                trivial[name] = [scores.join([part[name] for part in parts])]
    systems |= trivial
    comparison.check_same_clips(systems, baseline)
    # One template for all: rows that learn from less data have a worse template of their own.
    template = systems[baseline][0].template_sq_error
    return {
        name: [dataclasses.replace(table, template_sq_error=template) for table in tables]
        for name, tables in systems.items()
    }, tuple(trivial)
