"""The published AQA system that a configuration names."""

import dataclasses

import numpy as np

from video2emg.aqa import published
from video2emg.aqa.frozen_features import FrozenFeatures
from video2emg.aqa.labels import annotations
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import FLEX_21
from video2emg.models.published.flex import Choices, ScoreScale


def build_published_head(config: Config, features: FrozenFeatures) -> published.PublishedAQAHead:
    """The published system that `config.published` names.

    Raises:
      UserError: the system needs a pose that the dataset does not have.
    """
    settings = config.published.to_dict()
    names = [field.name for field in dataclasses.fields(Choices)]
    choices = Choices(**{name: settings.get(name, False) for name in names})
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
