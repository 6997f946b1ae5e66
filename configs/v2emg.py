"""Video → EMG on the simulated gym.

    python launch.py --config configs/v2emg.py --workdir runs/v2emg

Presets (after a colon):

- none: twenty exercises, a quarter of an hour of training on two CPU cores;
- `debug`: checks the machinery in under a minute;
- `six`: six exercises, two thirds of the time;
- `large`: twenty exercises of four times the people; an hour, after 15 minutes of building;
- `pose`: reads the 3-D pose that an estimator finds in films; the model in the package;
- `mechanics`: reads the true pose of the gym, and starts from what mechanics say; for people who
  have not the simulator's muscles, set `model.mechanics.force_error` and `lever_error` back;
- `causal`: for live video, 0.4 s late (docs/predict.md);
- `base`: ViT-B size, for one large GPU;
- `flex`: the files of FLEX; `mia`: the poses of Muscles in Action (set `--config.data.manual_dir`).

Any value can be changed: `--config.train.steps=2000`. Expected results are in the table
of README.md, which is written from `results/v2emg.json`; more, and run times, in docs/results.md.
"""

from collections.abc import Callable, Iterator

import ml_collections

from video2emg.data.pose_noise import ESTIMATOR
from video2emg.physics.constants import COMMON_DRIVE

# The values without a preset.
BASE = dict(
    job="video2emg",
    data=dict(
        name="gymsim/gym",
        dir="data",  # folder of built datasets
        manual_dir="",  # the source's own files, for datasets that are made from files
        normalisation="mvc",  # unit of the EMG targets: mvc | subject | train (docs/emg.md)
        torque="source",  # joint torques: source (the dataset's) | static (hold the posture)
        views=("front", "front_left"),
        seconds=4.0,  # length of a window
        stride=1.6,  # s, from one window of a clip to the next in evaluation and predict
        frame_rate=5.0,  # Hz, of the model's video input
        emg_rate=50.0,  # Hz, predicted envelope
        size=64,  # px
        montage="all",  # EMG channels: all | flex (two prime muscles per side) | names of muscles
        channels=46,  # largest number of EMG channels of a clip
        cache_gib=3.0,  # memory for decoded clips
        notch=0.0,  # Hz, mains filter; 0: none
        threads=2,  # decoding threads
        # Protocols: leave one action out; train on fewer people; test with other cameras.
        select=dict(without_action="", people=0, seed=0, test_views=()),
    ),
    augment=dict(
        flip=0.5,
        shift=0.06,
        colour=0.15,
        time=0.2,
        repeat=0.75,  # of single repetitions, so that windows begin at any phase, as in sets
        # Cameras of which each training example shows as many as data.views, drawn at random among
        # those that its clip has.
        cameras=("front", "front_left", "left", "front_right", "right"),
        # Probability of hiding a view or another input in training: the model can do without.
        hide=dict(views=0.0, pose=0.0, load=0.0, vitals=0.0, traits=0.0),
        # Errors of a pose estimator on video, for models that are given the pose: a range each,
        # see data/pose_noise.py.
        pose=dict(
            share=0.0,  # of the examples that have errors
            smoothing=0.0,  # s
            shrink=0.0,  # part of the movement that is lost
            knee=0.0,  # degrees, smallest flexion that is seen
            offset=0.0,  # m, constant per joint
            scale=0.0,  # relative error of the size
            stand_ins=0.0,  # probability that chest and neck come from shoulders and hips
            yaw=0.0,  # degrees, of the camera; errors of depth come from there
            pitch=0.0,  # degrees, error of the vertical
            roll=0.0,
            depth=0.0,  # m, slow
            jitter=0.0,  # m
            drop_joint=0.0,  # probability of each joint
            drop_limb=0.0,  # of each arm and leg
            exchange=0.0,  # of left and right, for up to 1 s
        ),
        # The same for windows that show only the pose (train.pose_windows), where the model
        # otherwise predicts it from the video. Not fitted: roughly the size of its errors.
        predicted_pose=dict(
            share=0.7,
            smoothing=0.08,
            shrink=0.3,
            knee=10.0,
            offset=0.03,
            scale=0.05,
            pitch=4.0,
            roll=3.0,
            depth=0.06,
            jitter=0.02,
        ),
    ),
    model=dict(
        encoder=dict(name="cnn", widths=(32, 64, 96), dim=128, patch=4, motion=True),
        dim=128,
        heads=4,
        layers=2,
        # Positions and velocities of the joints, given or predicted → features of both sides.
        pose_network=dict(
            rate=10.0,  # Hz, of the features
            dim=192,
            width=32,  # features of an instant that its neighbours see
            context_s=1.0,  # they see so far to both sides
            contexts=6,  # filters on each side
            depth=2,
        ),
        # Also predict the pose without the errors of augment.pose; network and mechanics read it.
        clean_pose=False,
        # Mechanics of the body as a starting point (docs/mechanics.md).
        mechanics=dict(
            anatomy="",  # table of muscles (video2emg/physics/anatomies); "": without mechanics
            cutoff=0.0,  # Hz, low-pass of the joints before accelerations; 0: none
            force_error=0.3,  # relative errors of forces and moment arms, drawn in training
            lever_error=0.2,
            balanced=False,  # correct the vertical of a pose that is estimated
            common_drive=0.0,  # of the heads of a muscle, as the people have it (docs/mechanics.md)
            hide_pose=0.0,  # share of training examples in which only the mechanics see the pose
        ),
        dropout=0.1,
        causal=False,  # for live video: predictions use no later frames,
        lookahead_s=0.0,  # except those of so many seconds; the output is late by this time
        extra_inputs=(),  # beside video: pose, load, vitals (heart, breath), traits (height …)
        view_embedding=True,  # tokens carry their camera; False for cameras absent from training
        symmetric=False,  # also encode the mirrored video; the pose is always mirrored
        predicted_mae=True,  # also predict the mean absolute error of the EMG
        moment_arms=False,  # also explain joint torques by the EMG (train.loss.consistency)
        auxiliary=True,  # also predict pose, joint torques and load, if the data has them
        dtype="float32",
    ),
    train=dict(
        seed=0,
        steps=3000,  # about a quarter of an hour on two cores
        batch_size=16,
        # For each window with video, so many others of which the true pose is read, in models that
        # predict the pose from video.
        pose_windows=1,
        accumulate=1,  # parts of a batch that are computed in sequence, to save memory
        optimiser="muon",
        learning_rate=0.01,
        warmup_steps=50,
        weight_decay=0.02,
        clip=1.0,
        average_decay=0.99,
        loss=dict(
            emg=10.0, pose=0.3, torque=0.3, load=0.3, held=0.3, predicted_mae=0.1, consistency=0.01
        ),
        eval_every=600,
        save_every=300,
        patience_s=600.0,  # s, longest wait for one batch of input
        log_every=20,
    ),
    # Devices that share the parameters (fsdp) and each layer (tensor); the rest split the batch.
    parallel=dict(fsdp=1, tensor=1),
    eval=dict(
        batch_size=16,
        physics=True,  # also score mechanics alone, if the data have a pose
        pose_noise=False,  # whether poses are tested as an estimator sees them
    ),
)


def _six(config: ml_collections.ConfigDict) -> None:
    config.data.name = "gymsim/default"
    config.train.update(steps=2000, eval_every=500, save_every=250)


def _large(config: ml_collections.ConfigDict) -> None:
    config.data.update(name="gymsim/gym_crowd", cache_gib=6.0)
    config.train.update(steps=8000, average_decay=0.995, eval_every=1000, save_every=500)


def reads_pose(config: ml_collections.ConfigDict) -> None:
    """The pose at 25 Hz takes the place of cameras."""
    config.data.update(frame_rate=25.0, views=())
    config.augment.cameras = ()
    config.model.encoder.name = "pose"
    config.model.pose_network.rate = 12.5


def told_load(config: ml_collections.ConfigDict) -> None:
    """The load is an input, and hidden in half of the training."""
    config.model.extra_inputs, config.augment.hide.load = ("load",), 0.5


def exact_mechanics(config: ml_collections.ConfigDict) -> None:
    """Mechanics inside, for exact poses of people who have the simulator's muscles."""
    config.model.mechanics.update(anatomy="simulated", force_error=0.0, lever_error=0.0)


def _pose(config: ml_collections.ConfigDict) -> None:
    reads_pose(config)
    told_load(config)
    config.data.name = "gymsim/gym_moves"  # also without a load, and free movement
    config.augment.pose.update(ESTIMATOR)
    config.eval.pose_noise = True
    config.model.clean_pose = True
    config.model.mechanics.update(anatomy="simulated", cutoff=1.5)  # cleaned poses still jitter
    config.model.mechanics.common_drive = COMMON_DRIVE
    config.train.update(steps=3000, batch_size=32, eval_every=600, save_every=600)


def _mechanics(config: ml_collections.ConfigDict) -> None:
    reads_pose(config)
    told_load(config)
    exact_mechanics(config)
    config.train.update(steps=1500, batch_size=32)


def _causal(config: ml_collections.ConfigDict) -> None:
    config.model.update(causal=True, lookahead_s=0.4)
    config.augment.hide.views = 0.3  # live video comes from one camera


def _debug(config: ml_collections.ConfigDict) -> None:
    config.eval.physics = False  # saves compiling
    config.data.update(name="gymsim/tiny", size=32, frame_rate=5.0)
    config.augment.cameras = ()
    config.model.update(dim=32, heads=2, layers=1)
    config.model.pose_network.update(dim=32, width=8)
    config.model.encoder.update(widths=(8, 16), dim=32)
    config.train.update(steps=20, batch_size=4, warmup_steps=4, eval_every=10, save_every=10)
    config.train.log_every = 5


def _base(config: ml_collections.ConfigDict) -> None:
    config.data.update(name="gymsim/full", frame_rate=12.5, size=224, threads=16)
    config.data.views = ("front", "front_left", "left", "front_right", "right")
    config.model.pose_network.rate = 25.0
    config.model.encoder = ml_collections.ConfigDict(
        dict(name="tubelet", dim=768, layers=12, heads=12, patch=16, stride=2)
    )
    config.model.encoder.update(remat="full", scan=True)
    config.model.update(dim=768, heads=12, layers=4, dtype="bfloat16")
    config.train.update(steps=30_000, batch_size=32, optimiser="adamw", learning_rate=2e-4)
    config.train.update(warmup_steps=800, eval_every=1000, save_every=1000, log_every=50)


def _flex(config: ml_collections.ConfigDict) -> None:
    # EMG without MVC; about 2.5 s per repetition; the place of the second camera is unknown.
    config.data.update(
        name="flex/cross_subject", normalisation="subject", channels=4, frame_rate=12.5, size=96
    )
    config.data.views = ("front", "view_2")
    config.model.pose_network.rate = 25.0
    config.augment.cameras = ()
    config.train.update(steps=20_000, eval_every=1000, save_every=1000)


def _mia(config: ml_collections.ConfigDict) -> None:
    # No video: poses estimated by VIBE and envelopes, both at 10 Hz in windows of 3 s.
    config.data.update(name="mia/cross_subject", normalisation="subject", channels=8)
    config.data.update(seconds=3.0, stride=1.3, frame_rate=10.0, emg_rate=10.0)
    config.data.views, config.augment.cameras = (), ()
    config.model.encoder.name = "pose"
    config.model.pose_network.rate = 10.0
    config.train.update(steps=20_000, batch_size=64, eval_every=1000, save_every=1000)
    config.eval.batch_size = 64


# What each preset changes in the values of `BASE`.
PRESETS: dict[str, Callable[[ml_collections.ConfigDict], None]] = {
    "": lambda config: None,
    "six": _six,
    "large": _large,
    "pose": _pose,
    "mechanics": _mechanics,
    "causal": _causal,
    "debug": _debug,
    "base": _base,
    "flex": _flex,
    "mia": _mia,
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration; `arg` is the preset."""
    if arg not in PRESETS:
        known = ", ".join(name for name in PRESETS if name)
        raise ValueError(
            f"configs/v2emg.py: unknown preset {arg!r}; choose one of {known}, or none"
        )
    config = ml_collections.ConfigDict(BASE)
    PRESETS[arg](config)
    return config


def sweep() -> Iterator[dict[str, int]]:
    """The three seeds behind the README's numbers (`launch.py --sweep`)."""
    for seed in range(3):
        yield {"train.seed": seed}
