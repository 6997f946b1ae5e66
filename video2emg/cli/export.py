"""Writes a run's Video→EMG model as StableHLO and ONNX, its weights and a model card.

With --packed, instead, as a small folder that predict --run reads.
"""

import dataclasses

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      run: workdir of a finished run; of an assessment run, its Video→EMG model is exported.
      out: folder for the files.
      packed: write the run itself, with parameters of 16 bits, to be shared.
      trained_by: with --packed, the command that trained it, for the model card.
    """

    run: str = ""
    out: str = "runs/export"
    packed: bool = False
    trained_by: str = ""


def run(options: Options) -> int:
    """Exports; returns the exit status."""
    if not options.run:
        raise UserError("say what to export, e.g. --run runs/v2emg; see --help")
    if options.packed:
        from video2emg.export.packed import pack

        print(pack(options.run, options.out, options.trained_by))
        return 0
    from video2emg.export import stablehlo

    return stablehlo.run(options.run, options.out)
