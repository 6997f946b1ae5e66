"""Makes questions about the clips of a dataset, and lets a model or a baseline answer them.

See docs/videoqa.md. --model graph answers with the assessment run of --run; without one it is
trained, as --config and --config.key=value say (else configs/aqa.py).
"""

import dataclasses
from pathlib import Path
from typing import Any

from video2emg.cli.flags import Numbers, Overrides, Words
from video2emg.core.errors import UserError
from video2emg.videoqa import command

_DEFAULT_CONFIG = Path(__file__).parents[2] / "configs" / "aqa.py"


@dataclasses.dataclass(frozen=True)
class Options(command.Options):
    """The flags, beside those of the questions and the respondents.

    Attributes:
      views: views that are shown; by default the first of each clip.
      context: what is told besides the frames: emg, pose.
      price: price of a million tokens, prompt,answer.
      run: workdir of the assessment run that answers as graph; by default one is found or trained.
      config: configuration file, with :preset, of the assessment run that is trained.
      out: folder for questions, answers, cache, leaderboard.json and report.html.
      manual_dir: the source's own files, for datasets made of some.
      data_dir: where built datasets live.
    """

    views: Words = ()
    context: Words = ()
    price: Numbers = ()
    run: str = ""
    config: str = ""
    out: str = "runs/videoqa"
    manual_dir: str = ""
    data_dir: str = "data"
    overrides: Overrides = ()


def run(options: Options) -> int:
    """Asks; returns the exit status."""
    from video2emg.cli import config as config_lib

    config = None
    if options.config or options.overrides:
        path = options.config or str(_DEFAULT_CONFIG)
        config, _ = config_lib.load(path, options.overrides)
    place = command.Place(
        Path(options.out).expanduser(), options.data_dir, options.manual_dir, options.run
    )
    command.run(options, place, lambda: config or _default_config())
    return 0


def _default_config() -> Any:
    from video2emg.cli import config as config_lib

    if not _DEFAULT_CONFIG.is_file():
        raise UserError(
            "no assessment run is at hand: say --run, or how to train one, e.g. "
            "--config configs/aqa.py"
        )
    return config_lib.load(str(_DEFAULT_CONFIG))[0]
