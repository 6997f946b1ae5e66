"""Our AQA head, as a configuration asks for it; published ones: `build_published`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from video2emg.aqa import head as head_lib
from video2emg.aqa.predictions import AQALabels, AQAPredictions, choose_threshold
from video2emg.aqa.set_pooling import SetPooling
from video2emg.core.config import Config
from video2emg.fkg.rubric import Rubric
from video2emg.models.build import head_rate

AQA_HEAD_FILE = "aqa_head.json"  # what inference needs of a run beside its parameters


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


def video2emg_workdir(config: Config, workdir: Path) -> Path:
    """The workdir of the Video→EMG model."""
    return Path(config.video2emg).expanduser() if config.video2emg else workdir / "video2emg"


def head_metadata(
    log_odds: Sequence[Sequence[float]],
    validation: AQALabels,
    predictions: AQAPredictions,
    pooling: SetPooling,
) -> dict[str, Any]:
    """The content of `aqa_head.json`, with which the head can be used without its data.

    Args:
      log_odds: of the training split.
      validation: labels of validation.
      predictions: of validation.
      pooling: how the repetitions of a set are judged together.
    """
    return {
        "graph": validation.rubric.version,
        "actions": validation.rubric.actions,
        "log_odds": log_odds,
        "threshold": choose_threshold(validation, predictions),
        "set_pooling": dataclasses.asdict(pooling),
    }
