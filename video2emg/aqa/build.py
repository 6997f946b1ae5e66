"""The head that a configuration asks for: ours, or a published system."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.aqa import head as head_lib
from video2emg.aqa import published
from video2emg.aqa.frozen_features import FrozenFeatures
from video2emg.aqa.labels import annotations
from video2emg.aqa.predictions import AQALabels, AQAPredictions, choose_threshold
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import FLEX_21
from video2emg.fkg.rubric import Rubric
from video2emg.models.build import head_rate
from video2emg.models.published.flex import Choices, ScoreScale

AQA_HEAD_FILE = "aqa_head.json"  # what inference needs of a run beside its parameters
# The choices of FLEX's code that concern heads; its others concern encoders and raw EMG.
CHOICES = (
    "leaves_as_published",
    "skeleton_per_frame",
    "ranges_of_whole_dataset",
    "scores_beyond_range",
)


def build_head(
    config: Config, rubric: Rubric, log_odds: Sequence[Sequence[float]], main: Config
) -> head_lib.AQAHead:
    """The head of `config` over the Video→EMG model of `main`, starting from `log_odds`."""
    settings = {k: v for k, v in config.model.items() if k != "exemplars"}
    return head_lib.AQAHead(
        rubric=rubric,
        log_odds=tuple(map(tuple, log_odds)),
        rate=head_rate(main),
        views=max(len(main.data.views), 1) if config.video else 0,
        emg=config.emg_source != "none",
        extra_inputs=tuple(config.get("extra_inputs", ())),
        **settings,
    )


def build_published_head(config: Config, features: FrozenFeatures) -> published.PublishedAQAHead:
    """The published system that `config.published` names.

    Raises:
      UserError: the system needs a pose that the dataset does not have.
    """
    settings = config.published.to_dict()
    choices = Choices(**{field: settings.get(field, False) for field in CHOICES})
    splits = features.splits if choices.ranges_of_whole_dataset else ("train",)
    labels = [annotations(features, split) for split in splits]
    score = np.concatenate([part.score for part in labels])
    action = np.concatenate([part.action for part in labels])
    scale = ScoreScale.fit(score, action, len(features.rubric.actions))
    edges: tuple = ()
    if settings["system"] == "core":
        train = annotations(features, "train")
        normalised = scale.normalise(train.score, train.action)
        intervals = published.intervals_of(normalised, train.action, choices.leaves_as_published)
        edges = tuple(intervals.left.tolist()), tuple(intervals.right.tolist())
    if "pose" in settings["modalities"] and features.splits["train"].window.joints != FLEX_21:
        raise UserError(
            "config.published.modalities: pose needs FLEX's 21 joints, which the dataset has not"
        )
    return published.PublishedAQAHead(
        rubric=features.rubric,
        system=settings["system"],
        modalities=tuple(settings["modalities"]),
        views=max(len(features.main.data.views), 1),
        choices=choices,
        edges=edges,
        scale=(tuple(scale.low.tolist()), tuple(scale.high.tolist())),
    )


def video2emg_workdir(config: Config, workdir: Path) -> Path:
    """The workdir of the Video→EMG model."""
    return Path(config.video2emg).expanduser() if config.video2emg else workdir / "video2emg"


def head_metadata(
    log_odds: Sequence[Sequence[float]], validation: AQALabels, predictions: AQAPredictions
) -> dict[str, Any]:
    """The content of `aqa_head.json`, with which the head can be used without its data.

    Args:
      log_odds: of the training split.
      validation: labels of validation.
      predictions: of validation.
    """
    return {
        "graph": validation.rubric.version,
        "actions": validation.rubric.actions,
        "log_odds": log_odds,
        "threshold": choose_threshold(validation, predictions),
    }
