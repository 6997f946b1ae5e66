"""Surface EMG and action quality of weight-loaded exercises from video."""

import typing
from pathlib import Path

if typing.TYPE_CHECKING:
    from video2emg.inference.predictor import Predictor


def load(run: str | Path = "") -> "Predictor":
    """Opens a trained run to predict from videos; see docs/predict.md.

    Args:
      run: workdir of a finished Video→EMG or AQA run; by default the model in the package.

    Raises:
      UserError: the run is not finished, or cannot be used with video alone.
    """
    # Imported late, because most users of the package do not predict.
    from video2emg.inference.predictor import Predictor

    return Predictor.load(run) if run else Predictor.load()
