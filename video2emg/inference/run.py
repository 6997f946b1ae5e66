"""Opens a finished run for inference: the model, its OOD detector, and its AQA head if any."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType

from video2emg.aqa import build
from video2emg.aqa import head as head_lib
from video2emg.aqa.predictions import AQAPredictions, predict
from video2emg.aqa.set_pooling import SetPooling
from video2emg.core.batch import Window, blank_batch
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.eval import out_of_domain
from video2emg.eval.forward import ForwardFunction
from video2emg.eval.out_of_domain import OODDetector
from video2emg.fkg.graph import Graph
from video2emg.fkg.load import load
from video2emg.fkg.rubric import Rubric
from video2emg.models.finetune import Model
from video2emg.models.outputs import aqa_inputs
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.run.workdir import read_config
from video2emg.train.checkpoint import load_params, load_saved_params
from video2emg.train.step import predict_step

RESULTS = "results.json"  # the last file that a job writes
# The packed AQA run that comes with the package, with its Video→EMG run; README.md in each is the
# model card.
PRETRAINED = Path(__file__).parents[1] / "pretrained"
PRETRAINED_VIDEO2EMG = PRETRAINED / "video2emg"
# Values of `config.emg_source` with which a head is shown EMG that no video provides.
_EMG_NOT_FROM_VIDEO = ("measured", "shuffled", "from_other_subject")


@dataclasses.dataclass(frozen=True)
class TrainedAQAHead:
    """An AQA head with its parameters, graph and threshold.

    Attributes:
      graph: knowledge graph of the run.
      rubric: the same as tables, for the actions of the run.
      threshold: smallest probability at which an error is reported.
      pooling: how the repetitions of a set are judged together.
      params: of the head.
    """

    graph: Graph
    rubric: Rubric
    threshold: float
    pooling: SetPooling
    params: Any
    _predict: Any
    _rate: float
    _mesh: jax.sharding.Mesh

    def __call__(self, batch: Mapping[str, np.ndarray]) -> AQAPredictions:
        """Predicts score, errors and phases of a batch of repetitions.

        Args:
          batch: `ModelOutputs.aqa_inputs` with `view`, `muscle`, `side`, `action` and `_mask`.
        """
        return predict(
            self._predict, self.params, iter([dict(batch)]), self.rubric, self._rate, self._mesh
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """An opened run.

    Attributes:
      workdir: of the run.
      config: of its Video→EMG model.
      window: input window of that model.
      model, params: of Video→EMG.
      forward: the model with its parameters, compiled.
      ood_detector: decides whether windows resemble the training clips.
      aqa_head: None for a Video→EMG run.
    """

    workdir: Path
    config: Config
    window: Window
    model: Model
    params: Any
    forward: ForwardFunction
    ood_detector: OODDetector
    aqa_head: TrainedAQAHead | None

    @property
    def reads_pose(self) -> bool:
        """Whether the model reads poses, not pictures."""
        return not self.window.views


def open_run(workdir: str | Path = PRETRAINED) -> Run:
    """Opens the workdir of a Video→EMG run or of an AQA run.

    Args:
      workdir: of the finished run, or a packed run; by default the one in the package.

    Raises:
      UserError: the run is not finished, or its head needs inputs that a video does not provide.
    """
    workdir = Path(workdir).expanduser()
    config = read_config(workdir)
    if config.job not in ("video2emg", "aqa"):
        raise UserError(f"{workdir}: a run of job {config.job!r}; expected video2emg or aqa")
    is_aqa = config.job == "aqa"
    joint = is_aqa and config.emg_source == "predicted"
    source = build.video2emg_workdir(config, workdir) if is_aqa else workdir
    main = read_config(source)
    if is_aqa:
        _check_head_inputs(config, main, workdir)
        _check_finished(workdir, build.AQA_HEAD_FILE)
    model_workdir = workdir if joint else source
    _check_finished(model_workdir, out_of_domain.FILE)

    mesh = jax.make_mesh(
        (1, 1), mesh_lib.AXES, axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:1]
    )
    ood_detector = OODDetector.load(model_workdir)
    window = dataclasses.replace(
        setup.window_from_config(main),
        joints=tuple(ood_detector.about["joints"]),
        dofs=tuple(ood_detector.about["dofs"]),
    )
    model = setup.build_model(main, window)
    head, threshold, pooling = None, 0.0, SetPooling()
    if is_aqa:
        head, threshold, pooling = _read_head(config, workdir, main)
    params, head_params = _load_params(workdir, source, model, head, joint, window, mesh)
    aqa_head = None
    if head is not None:
        aqa_head = TrainedAQAHead(
            graph=load(config.graph),
            rubric=head.rubric,
            threshold=threshold,
            pooling=pooling,
            params=head_params,
            _predict=jax.jit(predict_step(head)),
            _rate=head.rate * config.model.phase_samples,
            _mesh=mesh,
        )
    forward = ForwardFunction(model, params, mesh)
    return Run(workdir, main, window, model, params, forward, ood_detector, aqa_head)


def _check_head_inputs(config: Config, main: Config, workdir: Path) -> None:
    """Refuses heads that need more than the recording that the Video→EMG model of `main` reads."""
    if config.emg_source in _EMG_NOT_FROM_VIDEO:
        raise UserError(
            f"{workdir}: its head was trained on {config.emg_source} EMG, which a video does not "
            "have; use a run with emg_source=predicted or predicted_frozen"
        )
    given = () if main.data.views else ("pose",)
    if missing := [name for name in config.extra_inputs if name not in given]:
        raise UserError(
            f"{workdir}: its head also reads {', '.join(missing)}, which "
            f"{'a video does' if main.data.views else 'a pose does'} not have"
        )
    if config.published.system or not config.train.loss.error:
        raise UserError(
            f"{workdir}: its head predicts a score but no errors; use a run with published.system "
            "empty and train.loss.error above 0"
        )
    if config.model.score == "relative":
        raise UserError(
            f"{workdir}: its head (score=relative) compares with repetitions of the training "
            "data, which are not in the workdir"
        )


def _check_finished(workdir: Path, *files: str) -> None:
    """Refuses a workdir in which a file of a finished run is missing."""
    for name in (*files, RESULTS):
        if not (workdir / name).exists():
            raise UserError(f"{workdir}: the run is not finished: {name} is missing")


def _read_head(
    config: Config, workdir: Path, main: Config
) -> tuple[head_lib.AQAHead, float, SetPooling]:
    """The head without parameters, its threshold and how sets are judged, of `aqa_head.json`."""
    path = workdir / build.AQA_HEAD_FILE
    try:
        settings = json.loads(path.read_text())
        version, actions = settings["graph"], settings["actions"]
        log_odds, threshold = settings["log_odds"], settings["threshold"]
        pooling = SetPooling(**settings["set_pooling"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); train the run again") from None
    rubric = Rubric.from_graph(load(config.graph))
    if version != rubric.version:
        raise UserError(
            f"{path}: the run was trained with graph {version!r}, which is now "
            f"{rubric.version!r}; train it again"
        )
    return build.build_head(config, rubric.only(actions), log_odds, main), threshold, pooling


def _load_params(
    workdir: Path,
    source: Path,
    model: Model,
    head: head_lib.AQAHead | None,
    joint: bool,
    window: Window,
    mesh: jax.sharding.Mesh,
) -> tuple[Any, Any]:
    """Parameters of the Video→EMG model and of the head, None without a head.

    Those of a run must fit the models, which are traced for this. Tracing takes seconds; a test
    checks the parameters in the package instead.
    """
    if workdir.resolve().is_relative_to(PRETRAINED.resolve()):
        replicated = mesh_lib.replicated(mesh)
        params = load_saved_params(source, replicated)
        return params, None if head is None else load_saved_params(workdir, replicated)
    batch = blank_batch(window)
    if joint:
        joint_batch = batch | {"action": np.zeros(1, np.int32)}
        joint_model = head_lib.JointAQAModel(model, head)  # pyright: ignore
        both = load_params(workdir, setup.abstract_params(joint_model, joint_batch, mesh))
        return both["video2emg"], both["head"]
    params = load_params(source, setup.abstract_params(model, batch, mesh))
    if head is None:
        return params, None
    head_batch = _head_batch(model, params, batch)
    return params, load_params(workdir, setup.abstract_params(head, head_batch, mesh))


def _head_batch(model: Model, params: Any, batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What a head is given, as shapes."""

    def forward(params: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        outputs, tensors = model.apply({"params": params}, batch, train=False)  # pyright: ignore
        return aqa_inputs(outputs, tensors, batch)

    inputs = jax.eval_shape(forward, params, dict(batch))
    queried = {name: batch[name] for name in ("view", "muscle", "side")}
    return dict(inputs) | queried | {"action": np.zeros(1, np.int32)}
