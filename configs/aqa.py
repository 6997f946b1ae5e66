"""Action quality assessment (AQA) from video and predicted EMG, on the simulated gym.

    python launch.py --config configs/aqa.py --workdir runs/aqa                # one head
    python launch.py --config configs/aqa.py --workdir runs/aqa_table --sweep  # the table

    python launch.py --config configs/aqa.py:core --workdir runs/core          # a published system

A Video→EMG model is trained first (into `workdir/video2emg`), unless `--config.video2emg=` names
the workdir of a finished one. Presets (after a colon):

- none: our head, for two CPU cores; the people are simulated in 5 minutes, Video→EMG trains in 10
  minutes, the head in one;
- `pose`: reads the pose that an estimator finds in films, of twenty exercises; the Video→EMG model
  is that of the preset `pose` of `configs/v2emg.py`, which has never seen the people of the head;
- `debug`: checks the machinery;
- `core`, `core_pose`, `core_as_published`, `usdl`, `mlp`: published systems;
- `core_i3d`: FLEX's CoRe on I3D features, for a GPU; `--config.main.model.pretrained.weights=`
  names the file of the I3D weights.

Expected results of `pose`: docs/aqa.md. The others are not measured on sets yet.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from configs import baselines, v2emg

# Published systems on the same frozen features, see docs/published_systems.md.
SYSTEMS = {
    "core": dict(system="core"),
    "core_pose": dict(system="core", modalities=("video", "pose", "emg")),
    "core_as_published": dict(
        system="core",
        leaves_as_published=True,
        skeleton_per_frame=True,
        ranges_of_whole_dataset=True,
        scores_beyond_range=True,
    ),
    "usdl": dict(system="usdl"),
    "mlp": dict(system="mlp"),
}
PRESETS = ("", "pose", "debug", "core_i3d", *SYSTEMS)


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is the preset."""
    if arg not in PRESETS:
        raise ValueError(f"configs/aqa.py: unknown preset {arg!r}; choose one of {PRESETS}")
    config = _base(_video2emg(arg))
    config.published.update(SYSTEMS.get("core_pose" if arg == "core_i3d" else arg, {}))
    if arg == "core_as_published":
        config.model.exemplars = 3  # as FLEX; CoRe takes 10
    if arg == "pose":
        _pose(config)
    if arg == "debug":
        _debug(config)
    return config


def _video2emg(arg: str) -> ml_collections.ConfigDict:
    """The Video→EMG model of a preset."""
    if arg in ("pose", "debug"):
        return v2emg.get_config(arg)
    main = baselines.get_config("i3d") if arg == "core_i3d" else v2emg.get_config()
    main.data.name = "gymsim/crowd"  # errors are rare: the head needs more people
    main.augment.cameras = ()  # there are two
    main.train.update(steps=2000, eval_every=200, save_every=200)
    return main


def _base(main: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Our head over the Video→EMG model of `main`."""
    config = ml_collections.ConfigDict()
    config.job = "aqa"
    config.graph = "gymsim"
    config.video2emg = ""  # workdir of a finished main job; empty: train one
    config.main = main  # of the Video→EMG model; must describe the one in `video2emg`
    # Repetitions of the head; empty: those of the Video→EMG model. With other people, the head
    # learns from EMG that is predicted for people whom the model has not seen.
    config.dataset = ""
    # none | predicted (Video→EMG is trained too) | predicted_frozen | measured | shuffled (that of
    # a random other person) | from_other_subject (of another person, for the same action)
    config.emg_source = "predicted_frozen"
    config.video = True  # False hides the video tokens: EMG only
    config.views = ()  # cameras shown to the head; empty: all of the Video→EMG model
    config.extra_inputs = ()  # other inputs of the head: pose (measured), load, vitals, traits
    config.copies = 8  # augmented versions of each training clip, encoded by the frozen model
    config.model = dict(
        score="errors",  # errors | regression | usdl | relative
        action="given",  # given | recognised
        dim=64,
        heads=4,
        layers=1,
        dropout=0.3,
        instants=16,  # of a repetition, at which the phase templates read the tokens,
        width=32,  # as so many features
        phase_samples=4,  # predictions of the key step per video frame
        exemplars=5,  # scored repetitions that `relative` and CoRe compare with and average over
    )
    # A published system instead of our head: core | usdl | mlp; its inputs, and where CoRe follows
    # its authors' code although another method is sound.
    config.published = dict(
        system="",
        modalities=("video", "emg"),
        leaves_as_published=False,
        skeleton_per_frame=False,
        ranges_of_whole_dataset=False,
        scores_beyond_range=False,
    )
    config.train = dict(
        seed=0,
        steps=1000,
        batch_size=64,
        accumulate=1,
        optimiser="muon",
        learning_rate=0.01,
        warmup_steps=50,
        weight_decay=0.1,
        clip=1.0,
        average_decay=0.99,
        loss=dict(
            error=1.0,
            severity=1.0,
            score=0.3,
            phase=0.3,
            action=0.1,
            asymmetric=dict(focus_positive=0.0, focus_negative=0.0, margin=0.0),
            video=1.0,
            video_parts=dict(main.train.loss),
        ),
        eval_every=100,
        save_every=1000,
        patience_s=600.0,  # s, longest wait for one batch of input
        log_every=25,
    )
    config.joint = dict(steps=300, batch_size=16, learning_rate=0.003, warmup_steps=20)
    # Whether the repetitions of a set are judged together, with weights fitted on validation
    # people (aqa/set_pooling.py); only where the score is made of errors.
    config.pool_sets = True
    config.eval = dict(
        batch_size=16,
        bootstrap=1000,
        pose_noise=False,  # whether poses are tested as an estimator sees them
        found=False,  # also score repetitions of poses as they are found, not as they are given
        clean=False,  # also score without the errors of pose_noise
        hide=(),  # inputs that validation and test do not tell: pose, load, vitals, traits
    )
    return config


def _pose(config: ml_collections.ConfigDict) -> None:
    """Estimated poses of twenty exercises."""
    config.dataset = "gymsim/crowd_poses"
    config.main.data.cache_gib = 4.0  # all repetitions
    config.copies = 1  # the people are many
    config.extra_inputs = ("pose",)  # as the Video→EMG model cleans it
    config.model.phase_samples = 8  # 50 Hz
    config.train.update(steps=3000, eval_every=300, save_every=600)
    config.eval.update(batch_size=32, pose_noise=True, found=True, clean=True)
    config.eval.hide = ("load",)


def _debug(config: ml_collections.ConfigDict) -> None:
    """The smallest sizes."""
    config.copies = 2
    config.model.update(dim=16, heads=2, instants=4, width=4)
    config.train.update(steps=12, batch_size=8, warmup_steps=2, eval_every=6, save_every=12)
    config.train.log_every = 3
    config.joint.update(steps=4, batch_size=8, warmup_steps=1)
    config.eval.update(batch_size=8, bootstrap=50)


FROZEN = ("none", "predicted_frozen", "measured", "shuffled", "from_other_subject")


def sweep() -> Iterator[dict[str, Any]]:
    """Every EMG source, and EMG without video, five seeds each (`launch.py --sweep`)."""
    for seed in range(5):
        for source in FROZEN:
            yield {"row": source, "emg_source": source, "train.seed": seed}
        only_emg = {"emg_source": "predicted_frozen", "video": False}
        yield {"row": "predicted_frozen, video=False", **only_emg, "train.seed": seed}
    for seed in range(5):
        yield {"row": "predicted", "emg_source": "predicted", "train.seed": seed}
