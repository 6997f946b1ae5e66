"""TFDS builder of GymSim: simulated lifters with video, EMG and physics."""

import dataclasses
import functools
import typing
from pathlib import Path

import tensorflow_datasets as tfds

from video2emg.data.datasets.builder import ClipBuilder, Maker
from video2emg.data.datasets.splits import SPLITS, deal_subjects
from video2emg.sim import record as sim
from video2emg.sim.exercises import STANDING
from video2emg.sim.trials import Trial, plan_trials

# A configuration names its exercises, so that new exercises do not change an existing dataset.
TWENTY = (
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
# Movements without labels, and free movement.
PLAIN = (
    "bodyweight_squat",
    "bodyweight_hinge",
    "bodyweight_calf_raise",
    "bodyweight_arm_raise",
    "dumbbell_one_arm_curl",
    "dumbbell_one_arm_raise",
    "dumbbell_one_arm_deadlift",
    "bodyweight_squat_hold",
    "dumbbell_raise_hold",
    "dumbbell_curl_hold",
)
FREE = ("free_movement", "free_dumbbells", "free_barbell")
FIVE_VIEWS = ("front", "front_left", "left", "front_right", "right")
GYM_STUDIO = sim.Studio(views=FIVE_VIEWS, size=64, varied_cameras=True, motor_units=True)


@dataclasses.dataclass(kw_only=True)
class GymSimConfig(tfds.core.BuilderConfig):
    """A configuration of GymSim; every subject does `sets` sets of every exercise.

    Attributes:
      exercises: names.
      subjects: number of subjects.
      sets: of each subject and exercise.
      repetitions: fewest and most of a set.
      studio: cameras and electrodes.
      seed: of everything that is drawn.
    """

    exercises: tuple[str, ...]
    subjects: int = 60
    sets: int = 1
    repetitions: tuple[int, int] = (2, 4)
    studio: sim.Studio = dataclasses.field(default_factory=sim.Studio)
    seed: int = 0


class Builder(ClipBuilder):
    """GymSim: sets of repetitions with electrodes on all superficial muscles of both sides.

    `tiny` is for tests. `default` has six standing exercises, `gym` twenty, with and without a
    bench; `moves` has no pictures and also movements without labels and free movement. `crowd` and
    `gym_crowd` have more people, for action quality and for larger models; `full` is as large as
    FLEX.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: typing.ClassVar = {
        "2.0.0": "Sets instead of repetitions; electrodes on all muscles; five cameras.",
    }
    BUILDER_CONFIGS: typing.ClassVar = [
        GymSimConfig(
            name="tiny",
            description="Seconds to build: 4 subjects, two repetitions, small frames.",
            exercises=STANDING,
            subjects=4,
            repetitions=(2, 2),
            studio=sim.Studio(size=48, fps=6.0),
        ),
        GymSimConfig(
            name="default",
            description="Six exercises, 60 subjects, 360 sets, five views, 64 px, 10 fps.",
            exercises=STANDING,
            studio=sim.Studio(views=FIVE_VIEWS, size=64, varied_cameras=True),
        ),
        GymSimConfig(
            name="crowd",
            description="Like `default` with 200 subjects, 1200 sets: more of each error.",
            exercises=STANDING,
            subjects=200,
            studio=sim.Studio(size=64),
        ),
        GymSimConfig(
            name="moves",
            description="Six exercises, 10 movements without labels, free movement; no pictures.",
            exercises=(*STANDING, *PLAIN, *FREE),
            studio=sim.Studio(views=()),
        ),
        GymSimConfig(
            name="full",
            description="As large as FLEX: 38 subjects, 3 sets, 5 views, 224 px, 30 fps.",
            exercises=STANDING,
            subjects=38,
            sets=3,
            studio=sim.Studio(views=FIVE_VIEWS, size=224, fps=30.0),
        ),
        GymSimConfig(
            name="gym",
            description="20 exercises, 40 subjects, 800 sets, five views, 64 px.",
            exercises=TWENTY,
            subjects=40,
            studio=GYM_STUDIO,
        ),
        GymSimConfig(
            name="gym_crowd",
            description="Like `gym` with 160 subjects: 3200 sets.",
            exercises=TWENTY,
            subjects=160,
            studio=GYM_STUDIO,
        ),
        GymSimConfig(
            name="gym_moves",
            description="Like `gym_crowd` with all movements; no pictures.",
            exercises=(*TWENTY, *PLAIN, *FREE),
            subjects=100,
            studio=sim.Studio(views=(), motor_units=True),
        ),
    ]
    DEFAULT_CONFIG_NAME = "default"

    @classmethod
    def plan(cls, manual_dir: Path | None, config: str) -> dict[str, list[Trial]]:
        """Trials by split; splits share no subject."""
        settings = cls.builder_configs[config]
        trials = plan_trials(
            settings.subjects,
            settings.sets,
            settings.seed,
            settings.exercises,
            settings.repetitions,
        )
        people = deal_subjects(sorted({t.subject.id for t in trials}), settings.seed)
        return {split: [t for t in trials if t.subject.id in people[split]] for split in SPLITS}

    @classmethod
    def maker(cls, manual_dir: Path | None, config: str) -> Maker:
        """Simulates a trial."""
        return functools.partial(sim.record, studio=cls.builder_configs[config].studio)
