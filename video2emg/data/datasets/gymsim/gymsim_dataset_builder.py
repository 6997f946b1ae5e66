"""TFDS builder of GymSim: simulated lifters, filmed and wired, physics from end to end."""

import dataclasses
import functools
import typing
from pathlib import Path

import tensorflow_datasets as tfds

from video2emg.data.datasets.builder import ClipBuilder, Maker
from video2emg.data.datasets.splits import SPLITS, deal_subjects
from video2emg.sim import record as sim
from video2emg.sim import semg
from video2emg.sim.exercises import EXERCISES, STANDING

FIVE_VIEWS = ("front", "front_left", "left", "front_right", "right")


@dataclasses.dataclass(kw_only=True)
class GymSimConfig(tfds.core.BuilderConfig):
    """One version of GymSim; every subject does every exercise `repetitions` times.

    Attributes:
      subjects: how many.
      repetitions: recorded, of each subject and exercise.
      exercises: names.
      of: repetitions of the sets of which one each is recorded; 0 for repetitions done alone.
      studio: cameras, and electrodes (`Studio.montage`).
      seed: of everything.
    """

    subjects: int = 30
    repetitions: int = 3
    exercises: tuple[str, ...] = STANDING
    of: int = 0
    studio: sim.Studio = dataclasses.field(default_factory=sim.Studio)
    seed: int = 0


class Builder(ClipBuilder):
    """GymSim: `tiny` (tests), `default` (two cores), `crowd` (assessment), `full` (like FLEX).

    These are six standing exercises; `gym` has all twenty, on and off the bench, in sets of ten,
    `gym_crowd` of four times the people.
    """

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
            name="views",
            description="60 subjects, 1080 clips, else like `default`: seen by five cameras.",
            subjects=60,
            studio=sim.Studio(views=FIVE_VIEWS, size=64),
        ),
        GymSimConfig(
            name="full",
            description="As large as FLEX: 38 subjects, 10 repetitions, 5 views, 224 px, 30 fps.",
            subjects=38,
            repetitions=10,
            studio=sim.Studio(views=FIVE_VIEWS, size=224, fps=30.0),
        ),
        GymSimConfig(
            name="gym",
            description="All 20 exercises in sets of ten: 40 subjects, 2400 clips, vest, 64 px.",
            subjects=40,
            exercises=tuple(EXERCISES),
            of=10,
            studio=sim.Studio(size=64, units=True),
        ),
        GymSimConfig(
            name="gym_crowd",
            description="Like `gym`, two repetitions of each of 160 people: 6400 clips.",
            subjects=160,
            repetitions=2,
            exercises=tuple(EXERCISES),
            of=10,
            studio=sim.Studio(size=64, units=True),
        ),
        GymSimConfig(
            name="gym16",
            description="Like `gym`, with the same 16 electrodes in all exercises.",
            subjects=40,
            exercises=tuple(EXERCISES),
            of=10,
            studio=sim.Studio(size=64, units=True, montage=semg.SIXTEEN),
        ),
    ]
    DEFAULT_CONFIG_NAME = "default"

    @classmethod
    def plan(cls, manual_dir: Path | None, config: str) -> dict[str, list[sim.Trial]]:
        """Trials by split; people are dealt."""
        settings = cls.builder_configs[config]
        trials = sim.plan(
            settings.subjects, settings.repetitions, settings.seed, settings.exercises, settings.of
        )
        people = deal_subjects(sorted({t.subject.id for t in trials}), settings.seed)
        return {split: [t for t in trials if t.subject.id in people[split]] for split in SPLITS}

    @classmethod
    def maker(cls, manual_dir: Path | None, config: str) -> Maker:
        """Simulates a trial."""
        return functools.partial(sim.record, studio=cls.builder_configs[config].studio)
