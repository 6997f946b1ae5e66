"""Makes questions about the clips of a dataset, and lets a model or a baseline answer them.

See docs/videoqa.md. --model graph answers with the assessment run of --run; without one it is
trained, as --config and --config.key=value say (else configs/aqa.py).
"""

import dataclasses
from pathlib import Path
from typing import Any

from video2emg.cli.flags import Numbers, Overrides, Words
from video2emg.core.errors import UserError

_DEFAULT_CONFIG = Path(__file__).parents[2] / "configs" / "aqa.py"


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      dataset: dataset whose clips the questions are about, e.g. gymsim or gymsim/crowd.
      model: who answers: graph, blind, majority, oracle, openai:NAME or hf:FOLDER; without it the
        questions are only made.
      run: workdir of the assessment run that answers as graph; by default one is found or trained.
      config: configuration file, with :preset, of the assessment run that is trained.
      graph: name of the knowledge graph, or path of a YAML file.
      seed: random seed of the questions.
      split: split that the questions are about.
      limit: at least so many questions, balanced; 0 for all.
      records: also write the questions with their frames (TFDS).
      frames: frames shown of each view.
      views: views that are shown; by default the first of each clip.
      context: what is told besides the frames: emg, pose.
      refine: openai:NAME, a model that rewrites the reference texts of new questions.
      base_url: address of a chat endpoint; by default OpenAI's. The key is in $OPENAI_API_KEY.
      at_once: dialogues with an endpoint at the same time.
      per_minute: most requests per minute; 0 for no limit.
      timeout: longest wait for an answer, s.
      attempts: attempts at each request.
      answer_tokens: longest answer, in tokens; 0 to decide by the form of the question.
      request: JSON object with fields that are added to each request; null removes one.
      price: price of a million tokens, prompt,answer.
      out: folder for questions, answers, cache, leaderboard.json and report.html.
      manual_dir: the source's own files, for datasets made of some.
      data_dir: where built datasets live.
    """

    dataset: str = ""
    model: str = ""
    run: str = ""
    config: str = ""
    graph: str = "gymsim"
    seed: int = 0
    split: str = "test"
    limit: int = 0
    records: bool = False
    frames: int = 8
    views: Words = ()
    context: Words = ()
    refine: str = ""
    base_url: str = ""
    at_once: int = 8
    per_minute: float = 0.0
    timeout: float = 120.0
    attempts: int = 6
    answer_tokens: int = 0
    request: str = "{}"
    price: Numbers = ()
    out: str = "runs/videoqa"
    manual_dir: str = ""
    data_dir: str = "data"
    overrides: Overrides = ()


def run(options: Options) -> int:
    """Asks; returns the exit status."""
    from video2emg.cli import config as config_lib
    from video2emg.videoqa import command

    names = [field.name for field in dataclasses.fields(command.Options)]
    settings = command.Options(**{name: getattr(options, name) for name in names})

    config = None
    if options.config or options.overrides:
        path = options.config or str(_DEFAULT_CONFIG)
        config, _ = config_lib.load(path, options.overrides)
    place = command.Place(
        Path(options.out).expanduser(), options.data_dir, options.manual_dir, options.run
    )
    command.run(settings, place, lambda: config or _default_config())
    return 0


def _default_config() -> Any:
    from video2emg.cli import config as config_lib

    if not _DEFAULT_CONFIG.is_file():
        raise UserError(
            "no assessment run is at hand: say --run, or how to train one, e.g. "
            "--config configs/aqa.py"
        )
    return config_lib.load(str(_DEFAULT_CONFIG))[0]
