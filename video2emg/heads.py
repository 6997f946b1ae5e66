"""The head that a configuration asks for: ours, or a system of others."""

from collections.abc import Sequence

import numpy as np

from video2emg.annotations import labels_of
from video2emg.config import Config
from video2emg.errors import UserError
from video2emg.evidence import Bench
from video2emg.fkg.rubric import Rubric
from video2emg.models import aqa
from video2emg.models.build import token_rate
from video2emg.models.reference import judges
from video2emg.models.reference.flex import Choices, ScoreScale
from video2emg.vocabulary import FLEX_21

# Where FLEX's code can be followed by a head; its other choices concern encoders and raw EMG.
CHOICES = ("leaves_as_published", "skeleton_per_frame", "ranges_of_whole_dataset")


def head_of(
    config: Config, rubric: Rubric, log_odds: Sequence[Sequence[float]], main: Config
) -> aqa.Assessor:
    """The head of `config` over the Video→EMG model of `main`, starting from `log_odds`."""
    settings = {k: v for k, v in config.model.items() if k != "exemplars"}
    return aqa.Assessor(
        rubric=rubric,
        log_odds=tuple(map(tuple, log_odds)),
        rate=token_rate(main.model, main.data.frame_rate),
        views=max(len(main.data.views), 1) if config.video else 0,
        emg=config.emg_source != "none",
        extra_inputs=tuple(config.get("extra_inputs", ())),
        **settings,
    )


def judge_of(config: Config, bench: Bench) -> judges.ReferenceJudge:
    """The system of others that `config.reference` names."""
    settings = config.reference.to_dict()
    choices = Choices(**{field: settings[field] for field in CHOICES})
    known = [labels_of(bench, s) for s in (bench.splits if choices.ranges_of_whole_dataset
                                           else ("train",))]  # fmt: skip
    score = np.concatenate([of.score for of in known])
    action = np.concatenate([of.action for of in known])
    scale = ScoreScale.fit(score, action, len(bench.rubric.actions))
    edges: tuple = ()
    if settings["system"] == "core":
        train = labels_of(bench, "train")
        normalised = scale.normalise(train.score, train.action)
        found = judges.intervals_of(normalised, train.action, choices.leaves_as_published)
        edges = tuple(found.left.tolist()), tuple(found.right.tolist())
    if "pose" in settings["modalities"] and bench.splits["train"].window.joints != FLEX_21:
        raise UserError("config.reference.modalities: pose needs FLEX's 21 joints, which the "
                        "dataset has not")  # fmt: skip
    return judges.ReferenceJudge(
        rubric=bench.rubric,
        system=settings["system"],
        modalities=tuple(settings["modalities"]),
        views=max(len(bench.main.data.views), 1),
        choices=choices,
        edges=edges,
        scale=(tuple(scale.low.tolist()), tuple(scale.high.tolist())),
    )
