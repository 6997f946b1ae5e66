"""The transfer job: what a trained model is worth on people of any dataset.

The model predicts every clip with no EMG of the person; then k repetitions of each exercise of each
person are revealed, and the others are predicted by the calibrated model and by simple means
(`eval.ladder.ROWS`).
"""

import collections
import dataclasses
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from video2emg.core import vocabulary
from video2emg.core.batch import Window
from video2emg.core.clip import Clip, Clips
from video2emg.core.config import Config
from video2emg.core.emg import Chain, Normalisation
from video2emg.core.errors import UserError
from video2emg.core.files import folder
from video2emg.data.dense_pose import dense
from video2emg.data.examples import Examples
from video2emg.data.select import Joined, Subset, with_channels
from video2emg.data.store import Dataset, open_dataset
from video2emg.eval import constant_baselines, evaluate, ladder_scores
from video2emg.eval.ladder import CLEANED, LOAD_RESPONSE, PHYSICS, ROWS, Ladder, Recording
from video2emg.eval.mechanics import Cleaner, predict_mechanics
from video2emg.eval.shrinkage import FILE, PersonPrior, learn
from video2emg.inference.run import PRETRAINED_VIDEO2EMG
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.physics.mechanics import LEAST_RATE
from video2emg.run import setup
from video2emg.run.tables import RESULTS, write_table
from video2emg.run.workdir import provenance, read_config
from video2emg.train.step import predict_step
from video2emg.viz import transfer as figure

_CACHE = 2 * 2**30  # bytes, for poses and envelopes
# Settings that the results depend on, but for the run and the dataset, which are named apart.
_REPEATED = ("k", "split", "action", "seed", "apply_lag", "load_response", "bootstrap")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Attributes:
      run: workdir of a finished Video→EMG run, or a packed run; the one in the package if empty.
      dataset, data_dir, manual_dir: as of `open_dataset`.
      out: folder for the results; by default in the workdir of the run, and in `transfer` of the
        current folder for the run in the package.
      k: numbers of revealed repetitions of each exercise of each person.
      split: `all` or `test`.
      action: exercises; all if empty.
      seed: of the draw of the repetitions, and of the bootstrap.
      apply_lag: whether each person's EMG is moved by its delay.
      load_response: exponent with which the model's EMG follows the loads of one person, beyond
        what the model says; see `eval.ladder.with_load_response`.
      bootstrap: draws of people.
    """

    run: str
    dataset: str
    data_dir: str = "data"
    manual_dir: str = ""
    out: str = ""
    k: tuple[int, ...] = (0, 1, 2, 5, 10)
    split: str = "all"
    action: tuple[str, ...] = ()
    seed: int = 0
    apply_lag: bool = False
    load_response: float = LOAD_RESPONSE
    bootstrap: int = 1000


def run(settings: Settings) -> dict[str, Any]:
    """Runs the job.

    Args:
      settings: see there.

    Returns:
      The results, as written to results.json beside table.txt and table.png.
    """
    workdir = folder(settings.run or PRETRAINED_VIDEO2EMG, "--run")
    name = settings.dataset.replace("/", "_")
    packed = workdir.resolve() == PRETRAINED_VIDEO2EMG.resolve()
    out = folder(settings.out or (Path() if packed else workdir) / "transfer" / name, "--out")
    if (out / "config.json").exists():
        raise UserError(f"--out {out}: a run lives there; choose another folder")
    config = _config(settings, workdir)
    known = _known_channels(workdir)
    prior = _prior(workdir, known, settings.dataset)
    dataset, facts, recordings = _predicted(settings, workdir, config, known)
    ladder = _ladder(settings, recordings, prior)
    rungs = {}
    for k in sorted(set(settings.k)):
        rung = ladder.rung(k)
        if not rung.series:
            log(f"k = {k}: nobody has so many repetitions; left out")
            continue
        for row in rung.dropped:
            log(f"k = {k}: row {row!r} left out: not all exercises of all people have it")
        log(f"k = {k}: scoring {len(rung.series)} repetitions")
        rungs[str(k)] = ladder_scores.evaluate(rung, settings.bootstrap, settings.seed)
        delays = {person: dataclasses.asdict(delay) for person, delay in rung.delays.items()}
        rungs[str(k)]["delays"] = delays
    if not rungs:
        raise UserError(f"--k {settings.k}: nobody has so many repetitions of an exercise")
    facts |= {
        "run": "the model in the package" if packed else str(workdir),
        "trained_on": config.data.name,
        "apply_lag": settings.apply_lag,
        "settings": {name: getattr(settings, name) for name in _REPEATED},
        "prior": prior.dataset if prior else None,
        "normalisation": "the person's p99 in scores; the MVC or the p99 of k repetitions in fits",
        "rows": dict(ROWS),
        "metrics": dict(ladder_scores.METRICS),
    }
    own = config.copy_and_resolve_references()
    own.data.name = settings.dataset
    part = {"rungs": rungs, "delays": rungs[max(rungs, key=int)]["delays"]}
    outcome = {"provenance": provenance(own, dataset) | facts, "test": part}
    return write_table(outcome, out, ladder_scores.format_table, figure.ladder)


def learn_prior(settings: Settings, path: str | Path) -> PersonPrior:
    """Learns how calibrations differ between people (`eval.shrinkage`) and writes it.

    Args:
      settings: of the people it is learned from; their EMG must not have trained the run.
      path: of the file. `transfer` uses `person_prior.npz` in the workdir of a run.

    Returns:
      What was written.
    """
    workdir = folder(settings.run or PRETRAINED_VIDEO2EMG, "--run")
    config = _config(settings, workdir)
    known = _known_channels(workdir)
    if settings.split == "all" and settings.dataset == config.data.name:
        raise UserError(f"--dataset {settings.dataset}: the run was trained on its people")
    _, _, recordings = _predicted(settings, workdir, config, known)
    people = _ladder(settings, recordings, None).samples()
    prior = learn(people, known, settings.dataset)
    prior.save(Path(path).expanduser())
    log(f"{path}: learned from {len(people)} exercises of people of {settings.dataset}")
    return prior


def _predicted(
    settings: Settings, workdir: Path, config: Config, known: Sequence[str]
) -> tuple[Dataset, dict[str, Any], list[Recording]]:
    """The dataset, what is left out of it, and what the run and mechanics predict for the rest."""
    needed = ("test",) if settings.split == "test" else ()
    dataset = open_dataset(
        settings.dataset, settings.data_dir, settings.manual_dir or None, needed=needed
    )
    if settings.split == "all" and settings.dataset == config.data.name:
        log(f"the run was trained on people of {settings.dataset}; only --split test is honest")
    source, facts = _clips(settings, dataset, known, bool(config.data.views))
    # A person's few repetitions lack muscles and angles as a rule; each would be a warning.
    logging.getLogger(constant_baselines.__name__).setLevel(logging.ERROR)
    return dataset, facts, _predict(config, workdir, source, known)


def _ladder(
    settings: Settings, recordings: Sequence[Recording], prior: PersonPrior | None
) -> Ladder:
    """The ladder of these people."""
    # The delays are of the repetitions that may be revealed, also if none is.
    most = max(settings.k) or max(Settings.k)
    ladder = Ladder(
        recordings, most, settings.seed, settings.apply_lag, settings.load_response, prior
    )
    if not ladder.groups:
        raise UserError(f"{settings.dataset}: nobody has two repetitions of an exercise")
    return ladder


def _prior(workdir: Path, known: Sequence[str], dataset: str) -> PersonPrior | None:
    """The prior of a run, unless it has none or learned it from the people of the dataset."""
    if not (workdir / FILE).exists():
        return None
    prior = PersonPrior.load(workdir / FILE, known)
    if prior.dataset != dataset:
        return prior
    log(f"{workdir / FILE}: not used; it was learned from the people of {dataset}")
    return None


def _config(settings: Settings, workdir: Path) -> Config:
    """The config of the run, after the mistakes that can be found at once."""
    if not settings.k or min(settings.k) < 0:
        raise UserError(f"--k {settings.k}: numbers from 0 on wanted")
    config = read_config(workdir)
    if config.job != "video2emg":
        raise UserError(f"--run {workdir}: a run of job {config.job!r}; expected video2emg")
    if not (workdir / RESULTS).exists():
        raise UserError(f"--run {workdir}: the run is not finished: {RESULTS} is missing")
    return config


def _known_channels(workdir: Path) -> tuple[str, ...]:
    """Both sides of the muscles that the run was tested on."""
    found = json.loads((workdir / RESULTS).read_text())  # a packed run keeps a part of the results
    muscles = found["test"]["model"]["by_muscle"]
    return tuple(
        vocabulary.channel(side, muscle)
        for side in vocabulary.SIDES
        for muscle in vocabulary.MUSCLES
        if muscle in muscles
    )


def _columns(channel: str, known: Sequence[str]) -> list[int]:
    """Places of the channels whose mean stands for a channel; none if the model knows none."""
    side, muscle = vocabulary.split_channel(channel)
    if channel in known:
        return [known.index(channel)]
    members = [f"{side}_{member}" for member in vocabulary.MEMBERS.get(muscle, ())]
    return [known.index(member) for member in members if member in known]


class _Prepared:
    """Clips as the model reads them: known channels, dense poses, and films only if it sees."""

    def __init__(self, source: Clips, known: Sequence[str], rate: float, sees: bool) -> None:
        self._source, self._known, self._rate, self._sees = source, known, rate, sees

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int, /) -> Clip:
        clip = self._source[index]
        kept = [c for c, name in enumerate(clip.muscles) if _columns(name, self._known)]
        clip = dense(with_channels(clip, kept), self._rate)
        if self._sees:
            return clip
        none = np.zeros(0, np.int32), np.zeros(0)
        return dataclasses.replace(
            clip, views=(), frames=[], frame_view=none[0], frame_time=none[1]
        )


def _clips(
    settings: Settings, dataset: Dataset, known: Sequence[str], sees: bool
) -> tuple[Clips, dict[str, Any]]:
    """The clips that can be used, and what is left out and why."""
    names = ("test",) if settings.split == "test" else tuple(dataset.splits)
    source = Joined([dataset.splits[name] for name in names])
    left_out: collections.Counter[str] = collections.Counter()
    unknown: collections.Counter[str] = collections.Counter()
    usable, actions = [], set()
    for index in range(len(source)):
        clip = source[index]
        actions.add(clip.action)
        if settings.action and clip.action not in settings.action:
            continue
        unknown.update(name for name in clip.muscles if not _columns(name, known))
        reason = _unusable(clip, known, sees)
        if reason:
            left_out[reason] += 1
        else:
            usable.append((index, (clip.subject, clip.action), clip.muscles, clip.emg_unit))
    if missing := sorted(set(settings.action) - actions):
        raise UserError(f"--action {missing[0]}: not in {settings.dataset}: {sorted(actions)}")
    kept = _same_channels(usable, left_out)
    for name, count in sorted(unknown.items()):
        log(f"{name}: the model does not know this muscle; left out of {count} clips")
    for reason, count in left_out.items():
        log(f"{count} clips left out: {reason}")
    if not kept:
        raise UserError(f"{settings.dataset}: no clip can be used ({dict(left_out)})")
    facts = {"unknown_muscles": sorted(unknown), "left_out": dict(left_out)}
    return Subset(source, kept), facts


def _unusable(clip: Clip, known: Sequence[str], sees: bool) -> str:
    """Why a clip cannot be used; empty if it can."""
    if not any(_columns(name, known) for name in clip.muscles):
        return "no EMG of a muscle that the model knows"
    if not sees and len(clip.pose_time) < 2:
        return "no pose"
    if sees and not clip.views:
        return "no film"
    return ""


def _same_channels(
    usable: Sequence[tuple[int, tuple[str, str], tuple[str, ...], str]],
    left_out: collections.Counter[str],
) -> list[int]:
    """The clips that have the channels and the unit of most clips of their person and exercise."""
    kinds: dict[tuple[str, str], collections.Counter[Any]] = collections.defaultdict(
        collections.Counter
    )
    for _, owner, muscles, unit in usable:
        kinds[owner][muscles, unit] += 1
    kept = []
    for index, owner, muscles, unit in usable:
        if (muscles, unit) == kinds[owner].most_common(1)[0][0]:
            kept.append(index)
        else:
            left_out["other channels or another unit than most clips of person and exercise"] += 1
    return kept


def _predict(config: Config, workdir: Path, source: Clips, known: Sequence[str]) -> list[Recording]:
    """What the model and mechanics predict for each clip."""
    sees = bool(config.data.views)
    window = setup.trained_window(config, workdir)
    rate = max(window.frame_rate, LEAST_RATE)
    clips = _Prepared(source, known, rate, sees)
    most = max(len(clips[i].muscles) for i in range(len(clips)))
    window = dataclasses.replace(window, channels=most, statics=False)
    if not sees:
        window = _not_longer_than(window, config, clips)
    # The envelopes stay in the unit of the source: all scales are one.
    scale = Normalisation("train", dict.fromkeys(vocabulary.MUSCLES, 1.0))
    examples = Examples(clips, window, Chain(notch=config.data.notch), scale, _CACHE)
    mesh = mesh_lib.make_mesh(**config.parallel)
    model, params = setup.load_trained(config, workdir, examples, mesh)
    step = jax.jit(predict_step(model), out_shardings=mesh_lib.replicated(mesh))
    batch = config.eval.batch_size
    log(f"predicting {len(examples)} clips in windows of {window.seconds:g} s")
    curves = evaluate.predict(step, params, examples, batch, mesh, channels=known)
    has_pose = all(len(examples.clip(i).pose_time) > 1 for i in range(len(examples)))
    mechanics: dict[str, list[np.ndarray]] = {}
    if has_pose:
        ways: dict[str, Cleaner | None] = {PHYSICS: None}
        if config.model.clean_pose:
            ways[CLEANED] = Cleaner(model, params)
        predicted = {
            name: predict_mechanics(
                examples, known, batch, mesh, way, config.model.mechanics.get("common_drive", 0.0)
            )
            for name, way in ways.items()
        }
        mechanics = {name: curves for name, curves in predicted.items() if curves is not None}
    recordings = []
    for i, series in enumerate(evaluate.series_of(examples, angles=True)):
        columns = [_columns(name, known) for name in series.muscles]
        clip = examples.clip(i)
        in_mvc = config.data.normalisation == "mvc"
        prime = clip.provenance.get("prime_muscles", ())
        recordings.append(
            Recording(
                series=dataclasses.replace(series, scale=None),
                curves=curves[i],
                own=_means(curves[i], columns),
                physics={name: _means(c[i], columns) for name, c in mechanics.items()},
                mvc=clip.emg_max if in_mvc else np.full(len(columns), np.nan),
                prime=np.array([vocabulary.split_channel(n)[1] in prime for n in series.muscles]),
                load=clip.load,
            )
        )
    return recordings


def _means(curves: np.ndarray, columns: Sequence[Sequence[int]]) -> np.ndarray:
    return np.stack([curves[:, own].mean(1) for own in columns], 1)


def _not_longer_than(window: Window, config: Config, clips: Clips) -> Window:
    """The window of a pose model, shortened if all clips are shorter.

    Its filters hold the value of the edge of the window, so a window that ends with the clip is
    read better than one whose end is masked.
    """
    network: Mapping[str, Any] = config.model.get("pose_network", {})
    instant = 1 / network.get("rate", window.frame_rate)
    longest = max(clips[i].end for i in range(len(clips))) + 1 / window.emg_rate
    seconds = round(math.ceil(longest / instant - 1e-6) * instant, 6)
    return dataclasses.replace(
        window,
        seconds=min(window.seconds, seconds),
        stride=min(window.stride or window.seconds, seconds),
    )
