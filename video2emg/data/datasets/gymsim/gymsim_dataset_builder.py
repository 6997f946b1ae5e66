"""TFDS builder of GymSim: simulated lifters with video, EMG and physics."""

import dataclasses
import functools
import typing
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from video2emg.core.clip import Clip, validate
from video2emg.data.datasets.builder import ClipBuilder, Maker
from video2emg.data.datasets.splits import SPLITS, deal_subjects
from video2emg.data.pose_noise import ESTIMATOR, PoseNoise
from video2emg.physics.anatomy import Variation
from video2emg.sim import record as sim
from video2emg.sim.exercises import STANDING
from video2emg.sim.subject import ElectrodeRanges, Population
from video2emg.sim.tempo import POSE_RATE
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

# In a whole clip, a single joint would be lost for longer than a window.
WHOLE_CLIP_NOISE = PoseNoise(**ESTIMATOR | {"share": 1.0, "drop_joint": 0.0})

# Limits of the part of the vasti's drive that rectus femoris has besides its own, see
# `physics.constants.COMMON_DRIVE`.
HEADS = (0.3, 0.7)
USUAL = Population(common_drive=HEADS)

# People of the usual anatomy who differ as people do, so that a model cannot learn one body.
# Volumes of muscles of people of the same height and mass differ by 10 to 25 % (Handsfield et al.
# 2014), attachments by several mm after scaling (Duda et al. 1996).
VARIED = Population(
    strength=1.3,  # else the weakest could not lift an empty bar
    proportions=0.06,
    pace=(0.8, 1.5),
    electrodes=ElectrodeRanges(
        exponent=(0.85, 1.2), crosstalk=(0.5, 2.0), noise=(0.002, 0.010), mvc_effort=(0.8, 1.0)
    ),
    variation=Variation(force=0.18, group_force=0.08, attachment=0.003, radius=0.06),
    common_drive=HEADS,
)

HEADS_VERSION = tfds.core.Version("2.1.0")  # of the configurations of these people

# The people of `other`.
OTHERS = Population(
    anatomy="literature",
    strength=1.8,  # its forces are of cadavers; else most loads would be too heavy
    proportions=0.12,
    pace=(0.85, 1.9),
    emg_lag=1.2,
    electrodes=ElectrodeRanges(
        gain=0.5,
        exponent=(0.75, 1.3),
        crosstalk=(1.0, 3.0),
        noise=(0.004, 0.015),
        hum=(0.0, 0.008),
        artefact=(0.001, 0.008),
        mvc_effort=(0.7, 1.0),
    ),
    common_drive=HEADS,
)


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
      population: what the people have in common; None for the usual people.
      pose_noise: errors of every stored pose; another draw for each clip.
      for_testing: whether all people but two are in the split test.
      only_train: further subjects, all of the split train; the others stay where they are.
      efforts: whether errors of effort occur too (`sim.effort`); labels are of `gymsim_effort`.
    """

    exercises: tuple[str, ...]
    subjects: int = 60
    sets: int = 1
    repetitions: tuple[int, int] = (2, 4)
    studio: sim.Studio = dataclasses.field(default_factory=sim.Studio)
    seed: int = 0
    population: Population | None = None
    pose_noise: PoseNoise = PoseNoise()
    for_testing: bool = False
    only_train: int = 0
    efforts: bool = False


class Builder(ClipBuilder):
    """GymSim: sets of repetitions with electrodes on all superficial muscles of both sides.

    `tiny` is for tests. `default` has six standing exercises, `gym` twenty, with and without a
    bench; `moves` has no pictures and also movements without labels and free movement;
    `gym_moves` is both, and so is `gym_people`, of people whose muscles differ. `crowd` and
    `gym_crowd` have more people, for action quality and for larger models. `gym_poses` has 200
    people that no other configuration has, without EMG; `crowd_poses` has these and 600 more for
    training. `effort` also has errors that only muscles show. `full` is as large as FLEX. No
    network is trained on `loads` and `other`: `loads` has several loads of each person, to learn
    how models are calibrated; the people of `other` differ from those of all others.
    """

    keeps_clips: typing.ClassVar[bool] = True
    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: typing.ClassVar = {
        "2.1.0": "gym_moves, gym_people, loads and other: rectus femoris has a part of the drive "
        "of the vasti.",
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
            name="tiny_poses",
            description="As `tiny`, of other people: poses, torques, labels only.",
            exercises=STANDING,
            subjects=4,
            repetitions=(2, 2),
            studio=sim.Studio(views=(), montage=()),
            seed=41,
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
            description="Like `gym` with all movements, 60 subjects, 1980 sets; no pictures.",
            exercises=(*TWENTY, *PLAIN, *FREE),
            subjects=60,
            studio=sim.Studio(views=(), motor_units=True),
            population=USUAL,
            version=HEADS_VERSION,
        ),
        GymSimConfig(
            name="gym_people",
            description="Like `gym_moves`, of people whose muscles and electrodes differ more.",
            exercises=(*TWENTY, *PLAIN, *FREE),
            subjects=60,
            studio=sim.Studio(views=(), motor_units=True),
            population=VARIED,
            version=HEADS_VERSION,
        ),
        GymSimConfig(
            name="gym_poses",
            description="20 exercises, 200 other subjects, 4000 sets: poses, torques, labels.",
            exercises=TWENTY,
            subjects=200,
            studio=sim.Studio(views=(), montage=()),
            seed=41,
        ),
        GymSimConfig(
            name="crowd_poses",
            description="`gym_poses` and 600 more subjects for training: 16,000 sets.",
            exercises=TWENTY,
            subjects=200,
            only_train=600,
            studio=sim.Studio(views=(), montage=()),
            seed=41,
        ),
        GymSimConfig(
            name="effort",
            description="Errors that only muscles show: 140 subjects, 840 sets, no pictures.",
            exercises=STANDING,
            subjects=140,
            repetitions=(3, 3),
            studio=sim.Studio(views=(), emg_rate=500.0),
            efforts=True,
        ),
        GymSimConfig(
            name="loads",
            description="Usual people with several loads in each exercise, to tune calibration.",
            exercises=(
                "barbell_squat",
                "barbell_deadlift",
                "dumbbell_curl",
                "barbell_overhead_press",
                "barbell_bent_over_row",
                "barbell_hip_thrust",
            ),
            subjects=10,
            sets=3,
            studio=sim.Studio(views=(), motor_units=True),
            seed=31,
            population=USUAL,
            version=HEADS_VERSION,
            pose_noise=WHOLE_CLIP_NOISE,
            for_testing=True,
        ),
        GymSimConfig(
            name="other",
            description="Never trained on: another anatomy, late EMG, poses of an estimator.",
            exercises=(
                "bodyweight_squat",
                "barbell_squat",
                "barbell_deadlift",
                "barbell_romanian_deadlift",
                "dumbbell_curl",
                "barbell_overhead_press",
            ),
            subjects=10,
            sets=2,
            repetitions=(3, 6),
            studio=sim.Studio(views=(), motor_units=True),
            seed=23,
            population=OTHERS,
            version=HEADS_VERSION,
            pose_noise=WHOLE_CLIP_NOISE,
            for_testing=True,
        ),
    ]
    DEFAULT_CONFIG_NAME = "default"

    @classmethod
    def plan(cls, manual_dir: Path | None, config: str) -> dict[str, list[Trial]]:
        """Trials by split; splits share no subject."""
        settings = cls.builder_configs[config]
        trials = plan_trials(
            settings.subjects + settings.only_train,
            settings.sets,
            settings.seed,
            settings.exercises,
            settings.repetitions,
            settings.population,
            settings.efforts,
        )
        names = sorted({t.subject.id for t in trials})
        if settings.for_testing:  # no split may be empty
            people = {"train": {names[0]}, "validation": {names[1]}, "test": set(names[2:])}
        else:
            people = deal_subjects(names[: settings.subjects], settings.seed)
            people["train"] |= set(names[settings.subjects :])
        return {split: [t for t in trials if t.subject.id in people[split]] for split in SPLITS}

    @classmethod
    def maker(cls, manual_dir: Path | None, config: str) -> Maker:
        """Simulates a trial."""
        settings = cls.builder_configs[config]
        return functools.partial(_record, studio=settings.studio, noise=settings.pose_noise)


def _record(trial: Trial, studio: sim.Studio, noise: PoseNoise) -> Clip:
    """The clip of a trial, with the pose as an estimator would see it if there is any noise."""
    clip = sim.record(trial, studio)
    if not noise.share:
        return clip
    pose = noise(clip.joints, clip.pose, POSE_RATE, np.random.default_rng([trial.seed, 5]))
    facts = clip.provenance | {"pose": "with the errors of an estimator"}
    return validate(dataclasses.replace(clip, pose=pose.astype(np.float32), provenance=facts))
