"""TFDS builder of GymSim: simulated lifters, filmed and wired, physics from end to end."""

import collections
import concurrent.futures
import dataclasses
import multiprocessing
import os
import typing
from collections.abc import Iterator

import tensorflow_datasets as tfds
import tqdm

from video2emg.data.clip import Clip
from video2emg.data.datasets import schema
from video2emg.data.datasets.splits import SPLITS, deal_subjects
from video2emg.sim import record as sim


@dataclasses.dataclass(kw_only=True)
class GymSimConfig(tfds.core.BuilderConfig):
    """Size of one version of GymSim; every subject does every exercise `repetitions` times."""

    subjects: int = 30
    repetitions: int = 3
    studio: sim.Studio = dataclasses.field(default_factory=sim.Studio)
    seed: int = 0


class Builder(tfds.core.GeneratorBasedBuilder):
    """GymSim: `tiny` (tests), `default` (two cores), `crowd` (assessment), `full` (like FLEX)."""

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: typing.ClassVar = {
        "1.1.0": "Six standing exercises.",
        "1.2.0": "60 subjects instead of 30 in gymsim/default.",
    }
    BUILDER_CONFIGS: typing.ClassVar = [
        GymSimConfig(
            name="tiny",
            description="Seconds to build: 4 subjects, one repetition, small frames.",
            subjects=4,
            repetitions=1,
            studio=sim.Studio(views=("front", "front_left"), size=48, fps=6.0),
        ),
        GymSimConfig(
            name="default",
            description="60 subjects, 1080 clips, two views, 64 px, 10 fps.",
            subjects=60,
            studio=sim.Studio(size=64),
        ),
        GymSimConfig(
            name="crowd",
            description="200 subjects, 3600 clips, else like `default`: each error is rare.",
            subjects=200,
            studio=sim.Studio(size=64),
        ),
        GymSimConfig(
            name="full",
            description="As large as FLEX: 38 subjects, 10 repetitions, 5 views, 224 px, 30 fps.",
            subjects=38,
            repetitions=10,
            studio=sim.Studio(
                views=("front", "front_left", "left", "front_right", "right"), size=224, fps=30.0
            ),
        ),
    ]
    DEFAULT_CONFIG_NAME = "default"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=schema.features(),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        config = self.builder_config
        trials = sim.plan(config.subjects, config.repetitions, config.seed)
        people = deal_subjects(sorted({t.subject.id for t in trials}), config.seed)
        self._bar = tqdm.tqdm(total=len(trials), desc=f"building gymsim/{config.name}", unit="clip")
        return {
            split: self._generate_examples([t for t in trials if t.subject.id in people[split]])
            for split in SPLITS
        }

    def _generate_examples(self, trials: list[sim.Trial]):
        for clip in record_all(trials, self.builder_config.studio):
            self._bar.update()
            if self._bar.n == self._bar.total:
                self._bar.close()
            yield clip.clip_id, schema.to_example(clip)


def record_all(
    trials: list[sim.Trial], studio: sim.Studio, workers: int | None = None
) -> Iterator[Clip]:
    """Records trials in processes; results come in order, with only a few waiting in memory."""
    workers = min(workers or os.cpu_count() or 1, len(trials))
    if workers <= 1:
        yield from (sim.record(trial, studio) for trial in trials)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _one_thread) as pool:
        waiting: collections.deque[concurrent.futures.Future[Clip]] = collections.deque()
        try:
            for trial in trials:
                waiting.append(pool.submit(sim.record, trial, studio))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _one_thread() -> None:
    """Keeps the workers' linear algebra from fighting for the same cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
