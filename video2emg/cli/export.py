"""Writes a run's Video→EMG model as StableHLO and ONNX, its weights and a model card."""

import dataclasses

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      run: workdir of a finished run; of an assessment run, its Video→EMG model is exported.
      out: folder for the files.
    """

    run: str = ""
    out: str = "runs/export"


def run(options: Options) -> int:
    """Exports; returns the exit status."""
    if not options.run:
        raise UserError("say what to export, e.g. --run runs/v2emg; see --help")
    from video2emg.export import stablehlo

    return stablehlo.run(options.run, options.out)
