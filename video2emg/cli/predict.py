"""`launch.py predict`: one recording, or every video of a folder."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from video2emg.core.errors import UserError
from video2emg.data.readers import film
from video2emg.inference.output import overlay as overlay_lib
from video2emg.inference.output import report, tables
from video2emg.inference.prediction import Prediction
from video2emg.inference.predictor import Predictor
from video2emg.inference.video_input import named
from video2emg.parallel.hosts import log

# Exit statuses; 2 is a user's mistake, as everywhere.
FINE, OUT_OF_DOMAIN, SOME_FAILED = 0, 3, 4

REPORT, OVERLAY = "report.html", "overlay.mp4"
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".3gp")


def run(
    checkpoint: str,
    videos: Sequence[str],
    out: str,
    *,
    action: str = "",
    load: float | None = None,
    rate: float = math.nan,
    measured: str = "",
    overlay: bool = False,
    data_dir: str | None = None,
) -> int:
    """Predicts and writes; standard output names the folders written, one a line.

    Args:
      checkpoint: workdir of a finished run.
      videos: of one recording; or one folder of videos, each a recording of its own.
      out: folder; with a folder of videos, each gets one of its name in it.
      action: see `Predictor.predict`.
      load: kg, likewise.
      rate: Hz, likewise.
      measured: table of measured envelopes, shown in the report of a single recording.
      overlay: whether to write a video with traces and muscles beside the frames.
      data_dir: see `run.open_run`.

    Returns:
      The exit status: 0; 3 if a recording is out of domain; 4 if some of a folder cannot be read.
    """
    batch = _batch(videos)
    if batch is None:
        for _, path in map(named, videos):
            if not path.exists():
                raise UserError(f"--video {path}: no such file")
    predictor = Predictor.load(checkpoint, data_dir)
    if batch is None:
        if measured and not Path(measured).expanduser().is_file():
            raise UserError(f"--measured {measured}: no such file")
        found = predictor.predict(videos, action=action, load=load, rate=rate, progress=log)
        beside = report.measured_envelopes(found, Path(measured).expanduser()) if measured else {}
        return _finish(predictor, found, Path(out).expanduser(), rate, beside, overlay)
    statuses = []
    for number, video in enumerate(batch, 1):
        log(f"{number} of {len(batch)}")
        try:
            found = predictor.predict(video, action=action, load=load, progress=log)
            folder = Path(out).expanduser() / video.name
            statuses.append(_finish(predictor, found, folder, rate, {}, overlay))
        except UserError as error:
            log(f"error: {error}")
            statuses.append(SOME_FAILED)
    return max(statuses)


def _batch(videos: Sequence[str]) -> list[Path] | None:
    """The videos of a folder of them; None if `videos` are those of one recording."""
    if not videos:
        raise UserError("say which video, e.g. --video squat.mp4")
    folder = Path(videos[0]).expanduser()
    if len(videos) > 1 or not folder.is_dir():
        return None
    files = sorted(folder.iterdir())
    found = [file for file in files if file.suffix.lower() in VIDEOS]
    if not found and not any(file.suffix.lower() in film.IMAGE_SUFFIXES for file in files):
        raise UserError(f"--video {folder}: no video in it ({', '.join(VIDEOS)})")
    return found or None


def _finish(
    predictor: Predictor,
    prediction: Prediction,
    folder: Path,
    rate: float,
    measured: Mapping[str, np.ndarray],
    overlay: bool,
) -> int:
    log(f"{prediction.name}: writing")
    tables.write(prediction, folder)
    judge = predictor.run.judge
    graph = None if judge is None else judge.graph
    report.write(prediction, folder / REPORT, graph=graph, rate=rate, measured=measured)
    if overlay:
        overlay_lib.write(prediction, folder / OVERLAY, rate=rate)
    for warning in prediction.warnings:
        log(f"{prediction.name}: {warning}")
    print(folder)
    return FINE if prediction.in_domain else OUT_OF_DOMAIN
