"""The command `videoqa`: makes questions about a dataset, and lets a respondent answer them.

Importing this module is cheap, so that `--help` is fast; `job.py` does the work.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video2emg.core.errors import UserError

if TYPE_CHECKING:
    from video2emg.core.config import Config
    from video2emg.videoqa.respondents.endpoint import EndpointSettings

BASELINES = ("blind", "majority", "oracle")
OURS, CHAT, LOCAL = "graph", "openai:", "hf:"


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the command; each is a flag of the same name.

    Attributes:
      dataset: dataset whose clips the questions are about, e.g. gymsim or gymsim/crowd.
      model: respondent: graph, blind, majority, oracle, openai:NAME or hf:FOLDER. Without it, the
        questions are made but not asked.
      graph: name of the knowledge graph, or path of a YAML file.
      seed: random seed of the questions.
      split: split whose questions are asked.
      limit: number of questions at least, balanced over types; 0 for all.
      records: also write the questions with their frames (TFDS).
      frames: number of frames shown of each view.
      views: views that are shown; by default the first of each clip.
      context: measurements described beside the frames: emg, pose.
      refine: openai:NAME, a model that rewrites the reference texts of new questions.
      base_url: address of the chat endpoint; by default OpenAI's. The key is in $OPENAI_API_KEY.
      at_once: number of dialogues with the endpoint at the same time.
      per_minute: most requests per minute; 0 for no limit.
      timeout: longest wait for an answer, s.
      attempts: number of attempts at each request.
      answer_tokens: most tokens of an answer; 0 for a limit by the form of the answer.
      request: JSON object with fields that are added to each request; null removes a field.
      price: price of a million tokens of the prompt and of the answer.
    """

    dataset: str = ""
    model: str = ""
    graph: str = "gymsim"
    seed: int = 0
    split: str = "test"
    limit: int = 0
    records: bool = False
    frames: int = 8
    views: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    refine: str = ""
    base_url: str = ""
    at_once: int = 8
    per_minute: float = 0.0
    timeout: float = 120.0
    attempts: int = 6
    answer_tokens: int = 0
    request: str = "{}"
    price: tuple[float, ...] = ()

    def check(self) -> None:
        """Finds mistakes.

        Raises:
          UserError: one line that names the flag.
        """
        if not self.dataset:
            raise UserError("--dataset: name the dataset that questions are about, e.g. gymsim")
        for name in ("at_once", "attempts", "frames"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} {getattr(self, name)}: expected one or more")
        if len(self.price) not in (0, 2):
            raise UserError("--price: expected two numbers, e.g. --price=2.5,10")
        if self.context:
            from video2emg.videoqa.prompt import PromptSettings

            PromptSettings(self.frames, self.views, self.context)
        names = (*BASELINES, OURS)
        if self.model and self.model not in names and not self.model.startswith((CHAT, LOCAL)):
            raise UserError(
                f"--model {self.model!r}: expected {', '.join(names)}, {CHAT}NAME or {LOCAL}FOLDER"
            )
        if self.refine and not self.refine.startswith(CHAT):
            raise UserError(f"--refine {self.refine!r}: expected {CHAT}NAME")
        for name in ("model", "refine"):
            if getattr(self, name) == CHAT:
                raise UserError(f"--{name} {CHAT}: expected a name, e.g. {CHAT}gpt-4o")
            if getattr(self, name).startswith(CHAT):
                self.endpoint_settings(getattr(self, name))
        self.request_fields()

    def dataset_name(self) -> str:
        """Name of the dataset with its configuration."""
        return self.dataset if "/" in self.dataset else f"{self.dataset}/default"

    def request_fields(self) -> dict[str, Any]:
        """The decoded fields of `request`."""
        try:
            fields = json.loads(self.request)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise UserError(f"--request {self.request!r}: expected a JSON object")
        return fields

    def endpoint_settings(self, model: str) -> "EndpointSettings":
        """Settings of the endpoint for a model `openai:NAME`."""
        from video2emg.videoqa.respondents.endpoint import HOSTED, EndpointSettings

        return EndpointSettings(
            model=model.removeprefix(CHAT),
            base_url=self.base_url or HOSTED,
            timeout=self.timeout,
            attempts=self.attempts,
            per_minute=self.per_minute,
            extra_fields=self.request_fields(),
        )


@dataclasses.dataclass(frozen=True)
class Place:
    """Where files are read and written.

    Attributes:
      out: folder that receives all output.
      data_dir: folder of built datasets.
      manual_dir: folder of a dataset's own files.
      run: workdir of the assessment job that answers as `graph`; empty to train one.
    """

    out: Path
    data_dir: str
    manual_dir: str = ""
    run: str = ""


def run(options: Options, place: Place, aqa_config: Callable[[], "Config"]) -> dict[str, Any]:
    """Makes the questions if they are missing, asks them, and prints the metrics.

    `out` receives `questions/`, `answers/` (a file for each respondent), `cache/`, and the files
    `leaderboard.json` and `report.html` about all respondents so far. With `--records` the data
    folder receives the questions with their frames as a TFDS dataset.

    Args:
      options: of the command.
      place: where files are read and written.
      aqa_config: returns the configuration of the assessment job that is trained if `graph`
        answers and `place` names no run.

    Returns:
      The results as written; empty without a model.

    Raises:
      UserError: see `Options.check`, and mistakes in the data or the files.
    """
    options.check()
    from video2emg.videoqa import job

    return job.run(options, place, aqa_config)
