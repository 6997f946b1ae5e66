"""A finished run, opened to be used: model, domain, and the judge on top of it if there is one."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType

from video2emg.aqa import build, labels, report
from video2emg.aqa import head as head_lib
from video2emg.aqa.frozen_features import FrozenFeatures
from video2emg.aqa.predictions import AQAPredictions, predict
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data.pipeline import Examples, Window
from video2emg.data.store import open_dataset
from video2emg.eval import out_of_domain as domain_lib
from video2emg.eval.forward import ForwardFunction, fit_ood_detector, queries
from video2emg.eval.out_of_domain import OODDetector
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.models.finetune import Model
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.workdir import read_config
from video2emg.train.checkpoint import load_params
from video2emg.train.step import predict_step

# Heads that were shown EMG which no video has.
_NOT_FROM_VIDEO = ("measured", "shuffled", "from_other_subject")


@dataclasses.dataclass(frozen=True)
class Judge:
    """An assessment head with what turns its answers into words.

    Attributes:
      graph, rubric: of the run.
      threshold: probability from which an error is mentioned.
    """

    graph: Graph
    rubric: Rubric
    threshold: float
    _predict: Any
    _params: Any
    _rate: float
    _mesh: jax.sharding.Mesh

    def __call__(self, batch: Mapping[str, np.ndarray]) -> AQAPredictions:
        """Judges repetitions: evidence, `view`, `muscle`, `side`, `action` and `_mask`."""
        return predict(
            self._predict, self._params, iter([dict(batch)]), self.rubric, self._rate, self._mesh
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """See the module.

    Attributes:
      workdir: of the run.
      config: of its Video→EMG model.
      window: what that model looks at.
      model, params: of Video→EMG.
      watcher: the same, compiled.
      domain: what it knows.
      judge: None for a Video→EMG run.
    """

    workdir: Path
    config: Config
    window: Window
    model: Model
    params: Any
    watcher: ForwardFunction
    domain: OODDetector
    judge: Judge | None


def open_run(workdir: str | Path, data_dir: str | Path | None = None) -> Run:
    """Opens the workdir of a main job or of an assessment job.

    Args:
      workdir: of the finished run.
      data_dir: where built datasets live, if not where the config says. It is looked at only for a
        run that was finished before runs kept `ood_detector.npz` (and `aqa_head.json`), once.

    Raises:
      UserError: there is no finished run, or its head cannot judge from video.
    """
    workdir = Path(workdir).expanduser()
    config = read_config(workdir)
    assessing = config.get("task") == "aqa"
    source = build.video2emg_workdir(config, workdir) if assessing else workdir
    main = read_config(source)
    main.data.dir = str(data_dir or main.data.dir)
    if not main.data.views:
        raise UserError(f"{source}: its model reads poses and no camera, so no video either")
    joint = assessing and config.emg_source == "predicted"
    if assessing:
        if config.emg_source in _NOT_FROM_VIDEO:
            raise UserError(f"{workdir}: its head was trained on {config.emg_source} EMG, which a "
                            "video does not have; use one with emg_source=predicted or "
                            "predicted_frozen")  # fmt: skip
        if config.get("extra_inputs"):
            raise UserError(f"{workdir}: its head is also shown {', '.join(config.extra_inputs)}, "
                            "which a video does not have")  # fmt: skip
        # Runs from before there were other systems and scores do not say that theirs is ours.
        if system := config.get("published", {}).get("system"):
            raise UserError(f"{workdir}: its head ({system}) gives a score and no errors; use a "
                            "run of ours")  # fmt: skip
        if config.model.get("score") == "relative":
            raise UserError(f"{workdir}: its head (score=relative) compares with repetitions of "
                            "the training data, which a checkpoint does not hold")  # fmt: skip
    mesh = jax.make_mesh(
        (1, 1), mesh_lib.AXES, axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:1]
    )
    at = workdir if joint else source
    data = None
    if not (at / domain_lib.FILE).exists():
        data = _examples(main, at)
        about = dict(joints=data["train"].window.joints, dofs=data["train"].window.dofs)
    else:
        about = OODDetector.load(at).about
    window = dataclasses.replace(
        setup.window_from_config(main), joints=tuple(about["joints"]), dofs=tuple(about["dofs"])
    )
    model = setup.build_model(main, window)
    empty = nothing(window, 1)
    head, spoken = _head(config, workdir, main, source, mesh) if assessing else (None, {})
    if joint:
        asked = empty | {"action": np.zeros(1, np.int32)}
        like = setup.abstract_params(head_lib.JointAQAModel(model, head), asked, mesh)  # pyright: ignore
        both = load_params(workdir, like)
        params, head_params = both["video2emg"], both["head"]
    else:
        params = load_params(source, setup.abstract_params(model, empty, mesh))
        head_params = None
    watcher = ForwardFunction(model, params, mesh)
    if data is not None:
        log(f"looking once at the run's own clips, for {at / domain_lib.FILE}")
        simulated = bool(data["train"].clip(0).provenance.get("simulated", False))
        facts = {"dataset": main.data.name, "normalisation": main.data.normalisation}
        facts["simulated"] = simulated
        domain = fit_ood_detector(watcher, data, main.eval.batch_size, facts)
        _keep(lambda: domain.save(at), at / domain_lib.FILE)
    domain = OODDetector.load(at) if data is None else domain  # pyright: ignore
    found = None
    if head is not None:
        if head_params is None:
            evidence = watcher(empty).aqa_inputs
            asked = dict(evidence) | {n: empty[n] for n in ("view", "muscle", "side")}
            asked["action"] = np.zeros(1, np.int32)
            head_params = load_params(workdir, setup.abstract_params(head, asked, mesh))
        found = Judge(
            graph=load(config.graph),
            rubric=head.rubric,
            threshold=spoken["threshold"],
            _predict=jax.jit(predict_step(head)),
            _params=head_params,
            _rate=head.rate * config.model.phase_samples,
            _mesh=mesh,
        )
    return Run(workdir, main, window, model, params, watcher, domain, found)


def nothing(window: Window, batch: int, muscles: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """A batch in which no camera was on and nothing else is known; for shapes."""
    views, times, size = len(window.views), len(window.frame_time), window.size
    muscle, side = queries(muscles)
    if not len(muscles):
        muscle = side = np.zeros(window.channels, np.int32)
    return {
        "video": np.zeros((batch, views, times, size, size, 3), np.uint8),
        "video_mask": np.zeros((batch, views, times), bool),
        "view": np.zeros((batch, views), np.int32),
        "muscle": np.tile(muscle, (batch, 1)),
        "side": np.tile(side, (batch, 1)),
        "emg_mask": np.zeros((batch, len(window.emg_time), len(muscle)), bool),
        "pose": np.zeros((batch, times, len(window.joints), 3), np.float32),
        "pose_mask": np.zeros((batch, times, len(window.joints)), bool),
        "load": np.zeros(batch, np.float32),
        "load_mask": np.zeros(batch, bool),
        "vitals": np.zeros((batch, 2), np.float32),
        "vitals_mask": np.zeros((batch, 2), bool),
        "traits": np.zeros((batch, 3), np.float32),
        "traits_mask": np.zeros((batch, 3), bool),
    }


def _examples(config: Config, where: Path) -> Mapping[str, Examples]:
    """The run's own clips, if they are here; nothing is built for it."""
    folder = Path(config.data.dir).expanduser() / config.data.name
    if not folder.is_dir():
        raise UserError(f"{where / domain_lib.FILE}: missing, and the dataset to make it from is "
                        f"not in {folder}; say --data_dir")  # fmt: skip
    config.data.cache_gib = 0.0  # each clip is read once
    dataset = open_dataset(config.data.name, config.data.dir)
    return setup.load_splits(config, dataset)[0]


def _head(
    config: Config, workdir: Path, main: Config, source: Path, mesh: jax.sharding.Mesh
) -> tuple[head_lib.AQAHead, Mapping[str, Any]]:
    """The head without parameters, and `aqa_head.json`, which is made once for old runs."""
    rubric = Rubric.of(load(config.graph))
    path = workdir / build.AQA_HEAD_FILE
    if path.exists():
        try:
            spoken = json.loads(path.read_text())
            version, odds = spoken["graph"], spoken["log_odds"]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path}: damaged ({error}); delete it") from None
        if version != rubric.version:
            raise UserError(f"{path}: the run was judged by graph {version!r}, which is now "
                            f"{rubric.version!r}; train it again")  # fmt: skip
        # Runs that do not say which actions they know had all that the graph had; it only grows.
        rubric = rubric.only(spoken.get("actions", rubric.actions[: len(odds)]))
    else:
        config.main.data.dir = main.data.dir
        _examples(main, workdir)
        bench = FrozenFeatures(config, rubric, source, mesh)
        rubric = bench.rubric
        said = report.load(workdir / "aqa_predictions.npz")["validation"]
        odds = labels.error_log_odds(bench)
        spoken = build.head_metadata(odds, labels.load_aqa_labels(bench, "validation"), said)
        _keep(lambda: write_json(path, spoken), path)
    head = build.build_head(config, rubric, odds, main)
    return head, spoken


def _keep(write, path: Path) -> None:
    """Writes what is made only once; a run that is read-only is still of use."""
    try:
        write()
    except UserError as error:
        log(f"{path} could not be kept and is made again next time ({error})")
