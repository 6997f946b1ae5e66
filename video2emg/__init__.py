"""Surface EMG and action quality of weight-loaded exercises, seen only through a camera."""

import typing
from pathlib import Path

if typing.TYPE_CHECKING:
    from video2emg.inference.predictor import Predictor


def load(checkpoint: str | Path, data_dir: str | Path | None = None) -> "Predictor":
    """Opens a trained run, to predict from videos; see docs/predict.md.

    Args:
      checkpoint: workdir of a finished main job or assessment job.
      data_dir: where built datasets live; looked at only for runs older than `ood_detector.npz`.

    Raises:
      UserError: there is no finished run.
    """
    # Imported late: most users of the package do not predict.
    from video2emg.inference.predictor import Predictor

    return Predictor.load(checkpoint, data_dir)
