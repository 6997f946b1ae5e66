"""TFDS builder of GymSim: simulated lifters with video, EMG and physics."""

import dataclasses
import functools
import typing
from pathlib import Path

import tensorflow_datasets as tfds

from video2emg.data.datasets.builder import ClipBuilder, Maker
from video2emg.data.datasets.splits import SPLITS, deal_subjects
from video2emg.sim import record as sim
from video2emg.sim import semg
from video2emg.sim.exercises import STANDING
from video2emg.sim.trials import Trial, plan_trials

# A configuration names its exercises, so that new exercises do not change an existing dataset.
GYM = (
    *STANDING,
    "barbell_bench_press",
    "barbell_incline_press",
    "barbell_lying_triceps_extension",
    "dumbbell_bench_press",
    "dumbbell_incline_press",
    "dumbbell_fly",
    "dumbbell_pullover",
    "dumbbell_seated_press",
    "barbell_deadlift",
    "barbell_bent_over_row",
    "barbell_upright_row",
    "barbell_hip_thrust",
    "dumbbell_supported_row",
    "dumbbell_reverse_fly",
)
FIVE_VIEWS = ("front", "front_left", "left", "front_right", "right")


@dataclasses.dataclass(kw_only=True)
class GymSimConfig(tfds.core.BuilderConfig):
    """A configuration of GymSim; every subject does every exercise `repetitions` times.

    Attributes:
      exercises: names.
      subjects: number of subjects.
      repetitions: number of recorded repetitions of each subject and exercise.
      set_length: repetitions of a set, of which one is recorded; 0 for single repetitions.
      studio: cameras and electrodes.
      seed: of everything that is drawn.
    """

    exercises: tuple[str, ...]
    subjects: int = 30
    repetitions: int = 3
    set_length: int = 0
    studio: sim.Studio = dataclasses.field(default_factory=sim.Studio)
    seed: int = 0


class Builder(ClipBuilder):
    """GymSim: `tiny` (tests), `default` (two cores), `crowd` (assessment), `full` (like FLEX).

    These have six standing exercises. `gym` has twenty exercises, with and without a bench, in sets
    of ten; `gym_crowd` has four times as many people.
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
            exercises=STANDING,
            subjects=4,
            repetitions=1,
            studio=sim.Studio(views=("front", "front_left"), size=48, fps=6.0),
        ),
        GymSimConfig(
            name="default",
            description="60 subjects, 1080 clips, two views, 64 px, 10 fps.",
            exercises=STANDING,
            subjects=60,
            studio=sim.Studio(size=64),
        ),
        GymSimConfig(
            name="crowd",
            description="Like `default` with 200 subjects, 3600 clips: more of each error.",
            exercises=STANDING,
            subjects=200,
            studio=sim.Studio(size=64),
        ),
        GymSimConfig(
            name="views",
            description="Like `default` with five cameras.",
            exercises=STANDING,
            subjects=60,
            studio=sim.Studio(views=FIVE_VIEWS, size=64),
        ),
        GymSimConfig(
            name="full",
            description="As large as FLEX: 38 subjects, 10 repetitions, 5 views, 224 px, 30 fps.",
            exercises=STANDING,
            subjects=38,
            repetitions=10,
            studio=sim.Studio(views=FIVE_VIEWS, size=224, fps=30.0),
        ),
        GymSimConfig(
            name="gym",
            description="20 exercises in sets of ten: 40 subjects, 2400 clips, vest, 64 px.",
            subjects=40,
            exercises=GYM,
            set_length=10,
            studio=sim.Studio(size=64, motor_units=True),
        ),
        GymSimConfig(
            name="gym_crowd",
            description="Like `gym` with 160 subjects and two repetitions each: 6400 clips.",
            subjects=160,
            repetitions=2,
            exercises=GYM,
            set_length=10,
            studio=sim.Studio(size=64, motor_units=True),
        ),
        GymSimConfig(
            name="gym16",
            description="Like `gym` with the same 16 electrodes in all exercises.",
            subjects=40,
            exercises=GYM,
            set_length=10,
            studio=sim.Studio(size=64, motor_units=True, montage=semg.MONTAGE_16),
        ),
    ]
    DEFAULT_CONFIG_NAME = "default"

    @classmethod
    def plan(cls, manual_dir: Path | None, config: str) -> dict[str, list[Trial]]:
        """Trials by split; splits share no subject."""
        settings = cls.builder_configs[config]
        trials = plan_trials(
            settings.subjects,
            settings.repetitions,
            settings.seed,
            settings.exercises,
            settings.set_length,
        )
        people = deal_subjects(sorted({t.subject.id for t in trials}), settings.seed)
        return {split: [t for t in trials if t.subject.id in people[split]] for split in SPLITS}

    @classmethod
    def maker(cls, manual_dir: Path | None, config: str) -> Maker:
        """Simulates a trial."""
        return functools.partial(sim.record, studio=cls.builder_configs[config].studio)
