"""Predicts EMG from videos or a camera and, with an assessment run, score and feedback.

Without --run, by the model that comes with the package, from the pose in the film; fetch-pose
downloads the weights of its estimator once. One recording is one --video per camera; a folder of
videos is one recording each. --camera shows the EMG while the video comes in, by the model in the
package, a run that reads poses, or a causal run. See docs/predict.md. Exit statuses: 0; 3 if a
recording is out of domain; 4 if some of a folder cannot be read.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video2emg.cli.flags import (
    Film,
    FilmFlags,
    Repeated,
    compilation_cache,
    existing,
    use_compilation_cache,
)
from video2emg.core.errors import UserError

if TYPE_CHECKING:
    from video2emg.inference.prediction import Prediction
    from video2emg.inference.predictor import Predictor

# Exit statuses; 2 is a user's mistake, as everywhere.
FINE, OUT_OF_DOMAIN, SOME_FAILED = 0, 3, 4

REPORT, OVERLAY = "report.html", "overlay.mp4"
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".3gp")
# What `--camera` cannot do, and why.
_NOT_LIVE = {
    "rate": "a camera has its own clock; --rate is for folders of pictures",
    "measured": "measured EMG is shown in the report of a whole recording; use --video",
    "corrections": "corrections are computed of a whole recording; use --video",
    "person": "of several people, the largest in the picture is followed",
    "calibration": "it is one camera; use --video for several",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      run: workdir of a finished run; else the model in the package.
      video: a video, [view=]path, once per camera; or one folder of recordings.
      camera: instead of --video, as it comes, [view=]source: 0, rtsp://…, a file, or - for
        standard input.
      action: the exercise; else --video recognises it and --camera shows all channels.
      load: kg, handed on to the results and shown to a model that is given loads.
      equipment: none, dumbbell, dumbbell_left, dumbbell_right, barbell (in the hands),
        barbell_back, barbell_hips or ankle_weights; else the action says where the load is.
      pose: instead of --video, what another program found: .trc, .mot, .c3d, .csv, .json, .npy.
      measured: table of measured EMG envelopes, for the report.
      overlay: also write overlay.mp4, the film with skeleton and muscles; of --camera as it comes.
      corrections: also compute, for the reported errors of a pose, how the peak joint moments would
        change without each of them.
      out: folder for the results; else runs/predict, and no files of a camera.
      film: how a model that reads poses is given one.
      compilation_cache: where compiled programs are kept for the next time; empty for nowhere.
        JAX_COMPILATION_CACHE_DIR, if set, wins.
    """

    run: str = ""
    video: Repeated = ()
    camera: str = ""
    action: str = ""
    load: float = math.nan
    equipment: str = ""
    pose: str = ""
    measured: str = ""
    overlay: bool = False
    corrections: bool = False
    out: str = ""
    film: Film = FilmFlags()
    compilation_cache: str = dataclasses.field(default_factory=compilation_cache)


def run(options: Options) -> int:
    """Predicts and writes; standard output names the folders written, one a line.

    Returns:
      The exit status.

    Raises:
      UserError: flags that do not go together, no finished run, or a recording that cannot be read.
    """
    if sum(map(bool, (options.video, options.camera, options.pose))) != 1:
        raise UserError(
            "say on what, e.g. --video squat.mp4, --camera 0 or --pose squat.trc, and only one"
        )
    options.film.check()
    load = None if math.isnan(options.load) else options.load
    if load is not None and not (math.isfinite(load) and load >= 0):
        raise UserError(f"--load {load}: must be a mass in kg")
    use_compilation_cache(options.compilation_cache)
    if options.camera:
        return _follow(options, load)
    files = _recordings(options.video) if options.video else None
    from video2emg.inference.predictor import Predictor
    from video2emg.inference.run import PRETRAINED
    from video2emg.parallel.hosts import log

    out = Path(options.out or "runs/predict").expanduser()
    measured = Path(options.measured).expanduser() if options.measured else None
    if measured and files is not None:
        raise UserError("--measured belongs to one recording, but --video is a folder of several")
    if measured and not measured.is_file():
        raise UserError(f"--measured {measured}: no such file")
    told = {"action": options.action, "load": load, "equipment": options.equipment}
    told["progress"] = log
    if options.overlay and options.pose:
        raise UserError("--overlay: is drawn over a film; use --video")
    predictor = Predictor.load(options.run or PRETRAINED)
    if options.corrections:
        predictor.check_corrections(options.action, load, options.equipment)
    if options.pose:
        return _write(predictor, _of_pose(predictor, options, told), out, options, measured)
    told |= {"rate": options.film.rate, "film": options.film.options()}
    if files is None:
        prediction = predictor.predict(options.video, **told)
        return _write(predictor, prediction, out, options, measured)
    statuses = []
    for number, file in enumerate(files, 1):
        log(f"{number} of {len(files)}")
        try:
            prediction = predictor.predict(file, **told)
            statuses.append(_write(predictor, prediction, out / file.name, options))
        except UserError as error:
            log(f"error: {error}")
            statuses.append(SOME_FAILED)
    return max(statuses)


def _of_pose(predictor: "Predictor", options: Options, told: dict[str, Any]) -> "Prediction":
    """The prediction for what another program found."""
    from video2emg.data.film_pose import track_to_pose
    from video2emg.data.readers.poses import read_pose

    options.film.check_unused(flag="--pose")
    (path,) = existing([options.pose], "--pose")
    pose = track_to_pose(read_pose(path, options.film.rate), options.film.body())
    return predictor.predict_pose(pose, height=options.film.height, **told)


def _follow(options: Options, load: float | None) -> int:
    """Predicts from a camera until it ends."""
    given = {
        "rate": not math.isnan(options.film.rate),
        "measured": bool(options.measured),
        "corrections": options.corrections,
        "person": bool(options.film.person),
        "calibration": bool(options.film.calibration),
    }
    for name, why in _NOT_LIVE.items():
        if given[name]:
            raise UserError(f"--{name} does not go with --camera: {why}")
    if options.overlay and not options.out:
        raise UserError("--overlay with --camera: say where to write it by --out")
    from video2emg.inference import live
    from video2emg.inference.run import PRETRAINED

    return live.run(
        options.run or PRETRAINED,
        options.camera,
        out=options.out,
        action=options.action,
        load=load,
        equipment=options.equipment,
        film=options.film.options(),
        overlay=options.overlay,
    )


def _recordings(videos: Sequence[str]) -> list[Path] | None:
    """The videos of a folder of them; None if `videos` are those of one recording."""
    from video2emg.data.readers import film
    from video2emg.inference.video_input import split_view

    folder = Path(videos[0]).expanduser()
    if len(videos) > 1 or not folder.is_dir():
        for _, path in map(split_view, videos):
            if not path.exists():
                raise UserError(f"--video {path}: no such file")
        return None
    files = sorted(folder.iterdir())
    recordings = [file for file in files if file.suffix.lower() in VIDEOS]
    if not recordings and not any(file.suffix.lower() in film.IMAGE_SUFFIXES for file in files):
        raise UserError(f"--video {folder}: no video in it ({', '.join(VIDEOS)})")
    return recordings or None


def _write(
    predictor: "Predictor",
    prediction: "Prediction",
    folder: Path,
    options: Options,
    measured: Path | None = None,
) -> int:
    """Writes tables, report and overlay of one recording."""
    from video2emg.inference.output import overlay, pose_overlay, report, tables
    from video2emg.parallel.hosts import log

    if options.corrections and prediction.repetitions:
        log(f"{prediction.name}: corrections by mechanics")
        prediction = predictor.with_corrections(prediction, options.equipment, options.film.height)
    envelopes = report.measured_envelopes(prediction, measured) if measured else {}
    log(f"{prediction.name}: writing")
    tables.write(prediction, folder)
    if prediction.pose is not None:
        pose_overlay.write_people(prediction.pose, folder, options.film.rate, fewest=2)
    head = predictor.run.aqa_head
    graph = None if head is None else head.graph
    report.write(
        prediction, folder / REPORT, graph=graph, rate=options.film.rate, measured=envelopes
    )
    if options.overlay:
        overlay.write(prediction, folder / OVERLAY, rate=options.film.rate)
    for warning in prediction.warnings:
        log(f"{prediction.name}: {warning}")
    print(folder)
    return FINE if prediction.in_domain else OUT_OF_DOMAIN
