"""Rows of the representation table that need no representation: what is trivial to know."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from video2emg.aqa.baselines import emg_features
from video2emg.core.files import write_arrays
from video2emg.data.examples import Examples
from video2emg.eval import evaluate
from video2emg.representation import probes
from video2emg.representation.probes import ProbePredictions, ProbeTargets, WindowEmbeddings

PICTURES, MEASURED = "small pictures", "measured EMG"


def save(path: Path, splits: Mapping[str, Examples]) -> None:
    """Writes small grey pictures and measured EMG of every clip, and durations of test windows."""
    arrays: dict[str, np.ndarray] = {}
    for split, examples in splits.items():
        series = evaluate.series_of(examples, descriptors=True)
        arrays[f"{PICTURES}/{split}"] = np.concatenate([np.asarray(s.descriptor) for s in series])
        measured = emg_features(series)
        if len({len(features) for features in measured}) == 1:
            arrays[f"{MEASURED}/{split}"] = np.stack(measured)
    write_arrays(path, arrays | _durations(splits["test"]))


def rows(path: Path, clips: Mapping[str, ProbeTargets]) -> dict[str, ProbePredictions]:
    """What the probes know from what `save` wrote."""
    train, test = clips["train"], clips["test"]
    with np.load(path) as file:
        arrays = dict(file)
    windows = WindowEmbeddings(**{f: arrays[f"duration/{f}"] for f in ("clip", "video", "emg")})
    query, hits = probes.retrieval_hits(windows, test)
    prior = probes.prior(train, test)
    answers = {
        "nothing": ProbePredictions(prior.predictions, *probes.chance_hits(windows.clip, test)),
        "duration": ProbePredictions({}, query, hits),
    }
    for name in (PICTURES, MEASURED):
        if f"{name}/test" in arrays:
            features = {split: arrays[f"{name}/{split}"] for split in clips}
            answers[name] = probes.fit_probes(features, clips)
    return answers


def _durations(examples: Examples) -> dict[str, np.ndarray]:
    """Embeddings whose inner product is the similarity in length of video and EMG, (s)²."""
    index, video, emg = [], [], []
    for number in range(len(examples)):
        clip = examples.clip(number)
        frames = clip.frame_time if examples.window.views else clip.pose_time
        for start in examples.window_starts(number, examples.window.seconds):
            index.append(number)
            v, e = (
                min(time[-1] - start, examples.window.seconds) for time in (frames, clip.emg_time)
            )
            # -(v - e)² = 2ve - v² - e².
            video.append([2 * v, -(v**2), -1.0])
            emg.append([e, 1.0, e**2])
    return {
        "duration/clip": np.array(index),
        "duration/video": np.array(video),
        "duration/emg": np.array(emg),
    }
