"""One trial in the simulated gym, from its plan to a complete `Clip`."""

import dataclasses
import io

import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.core import vocabulary
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.sim import body, dynamics, effort, posture, semg, sharing
from video2emg.sim.exercises import EXERCISES, GRAPH, POSE_RATE, Draft, Exercise
from video2emg.sim.plan import Trial, plan
from video2emg.sim.raster import Camera, Scene
from video2emg.sim.subject import Subject

__all__ = ["Performance", "Studio", "Trial", "perform", "plan", "record", "surface_emg", "try_once"]

# Direction of view, degrees; see `raster.Camera`.
VIEWS = {"front": 180.0, "front_left": 225.0, "left": 270.0, "front_right": 135.0, "right": 90.0}
ATTEMPTS = 8
LARGEST_MISS = 0.10  # RMS residual over RMS torque
LARGEST_SATURATION = 0.05  # share of a channel's samples with the drive at its limit


@dataclasses.dataclass(frozen=True)
class Studio:
    """How it is recorded.

    Attributes:
      views: camera names, of `VIEWS`.
      size: of the square frames, px.
      fps: frames per second; times are rounded to the pose's samples.
      emg_rate: Hz.
      jpeg_quality: 1-95.
      camera_seed: of the cameras' exact places; None draws them anew for each trial.
      montage: muscles with an electrode on either side; empty for the two of the exercise.
      units: whether the EMG is made of motor units' pulses instead of even noise.
    """

    views: tuple[str, ...] = ("front", "front_left")
    size: int = 96
    fps: float = 10.0
    emg_rate: float = 1000.0
    jpeg_quality: int = 90
    camera_seed: int | None = None
    montage: tuple[str, ...] = ()
    units: bool = False


@dataclasses.dataclass(frozen=True)
class Performance:
    """A simulated repetition before electrodes and cameras.

    Attributes:
      draft: tempo.
      load: kg, really lifted.
      errors: severity by name.
      lifter: the model, its muscles as strong as they are in this repetition.
      qpos: [T, Q] its positions at `POSE_RATE`.
      motion: inverse dynamics.
      shares: muscle activations.
      drives: [T, n] excitations.
      channels: electrode names.
      drive: [T, C] excitation under each electrode.
      heading: of the feet, rad.
      capacity: [n] force that earlier repetitions have left, 1 for a fresh body.
      before: how long these lasted, s.
    """

    draft: Draft
    load: float
    errors: dict[str, float]
    lifter: body.Lifter
    qpos: np.ndarray
    motion: dynamics.Motion
    shares: sharing.Shares
    drives: np.ndarray
    channels: tuple[str, ...]
    drive: np.ndarray
    heading: float
    capacity: np.ndarray
    before: float

    @property
    def saturation(self) -> float:
        """Largest share over channels of samples with the drive at its limit."""
        return float((self.drive > 0.99).mean(0).max())

    @property
    def feasible(self) -> bool:
        """Whether the muscles produce the torques without standing at their limit."""
        return self.shares.miss < LARGEST_MISS and self.saturation < LARGEST_SATURATION


def perform(
    who: Subject,
    exercise: Exercise,
    load: float,
    errors: dict[str, float],
    seed: int,
    montage: tuple[str, ...] = (),
    before: int = 0,
) -> Performance:
    """Simulates a repetition: motion, torques, muscles.

    Args:
      who: lifts.
      exercise: which.
      load: kg.
      errors: severity by name.
      seed: of all that varies.
      montage: muscles with electrodes; empty for those of the exercise.
      before: repetitions that were done like this one just before.
    """
    lifter = body.build(who, exercise.equipment, load, exercise.bench)
    rng = np.random.default_rng([seed, 1])
    hurry = [(exercise.errors[n].haste * s, exercise.errors[n].drop * s) for n, s in errors.items()]
    haste, drop = np.max([(0.0, 0.0), *hurry], axis=0)
    draft = Draft(who, lifter.length, errors, rng, quick=(1 - haste, 1 - drop))
    pose = exercise.move(draft)
    qpos = dynamics.smooth(posture.solve(pose, lifter, who), POSE_RATE)
    motion = dynamics.analyse(lifter, qpos, POSE_RATE, pose.rest, pose.heading)
    passed = before * draft.duration
    left = effort.capacity(lifter, motion, who, passed)
    lifter = dataclasses.replace(lifter, force=lifter.force * left)
    shares = sharing.share(lifter, motion, who)
    drives = sharing.excitation(shares.activation, POSE_RATE)
    channels = tuple(
        vocabulary.channel(side, muscle)
        for side in vocabulary.SIDES
        for muscle in montage or exercise.muscles
    )
    drive = np.stack([semg.drive_under(drives, lifter.muscles, c) for c in channels], -1)
    return Performance(
        draft,
        load,
        errors,
        lifter,
        qpos,
        motion,
        shares,
        drives,
        channels,
        drive,
        pose.heading,
        left,
        passed,
    )


def record(trial: Trial, studio: Studio) -> Clip:
    """Records a trial; a pure function of its arguments.

    A repetition that the subject cannot do (torques that the muscles miss, or muscles at their
    limit) is repeated with another seed and less load.

    Raises:
      UserError: no attempt succeeded, or a view is unknown.
    """
    for view in studio.views:
        if view not in VIEWS:
            raise UserError(f"unknown view {view!r}; there are {', '.join(VIEWS)}")
    for attempt in range(ATTEMPTS):
        done = try_once(trial, attempt, studio.montage)
        if done.feasible:
            return validate(_clip(trial, studio, done, attempt + 1))
    raise UserError(
        f"trial {trial.index}: {trial.subject.id} cannot do {trial.exercise} "
        f"(residual {done.shares.miss:.0%}, saturation {done.saturation:.0%})"
    )


def try_once(trial: Trial, attempt: int, montage: tuple[str, ...] = ()) -> Performance:
    """The `attempt`-th try (from 0): another seed each, less load each, later milder errors."""
    exercise = EXERCISES[trial.exercise]
    low, _, step = exercise.loads
    load = max(low, low + step * float(np.floor((trial.load * 0.85**attempt - low) / step)))
    milder = 0.8 ** max(attempt - 2, 0)
    errors = {name: severity * milder for name, severity in trial.errors}
    seed, before = trial.seed + 7919 * attempt, trial.repetition - 1
    return perform(trial.subject, exercise, load, errors, seed, montage, before)


def surface_emg(
    done: Performance, who: Subject, studio: Studio, rng: np.random.Generator
) -> Float[np.ndarray, "N C"]:
    """Raw sEMG in mV under all electrodes; float32. Other random numbers give other noise."""
    velocity = np.gradient(done.motion.joints, 1 / POSE_RATE, axis=0)
    shake = np.linalg.norm(np.gradient(velocity, 1 / POSE_RATE, axis=0), axis=-1)
    columns = []
    for channel, lost in zip(done.channels, _lost(done), strict=True):
        side, muscle = vocabulary.split_channel(channel)
        joint = vocabulary.FLEX_21.index(f"{side}_{semg.SITES[muscle].joint}")
        columns.append(
            semg.record(
                done.drives,
                done.lifter.muscles,
                done.draft.time,
                shake[:, joint],
                channel,
                who,
                studio.emg_rate,
                rng,
                speed=1 - effort.SLOWING * lost,
                units=studio.units,
            )
        )
    return np.stack(columns, -1).astype(np.float32)


def _clip(trial: Trial, studio: Studio, done: Performance, attempts: int) -> Clip:
    """Puts electrodes on and turns the cameras on."""
    who, draft, motion = trial.subject, done.draft, done.motion
    rng = np.random.default_rng([trial.seed, attempts, 2])
    emg = surface_emg(done, who, studio, rng)
    placing = rng if studio.camera_seed is None else np.random.default_rng(studio.camera_seed)
    frames, frame_view, frame_time = _film(done, studio, placing)
    upright = np.array(
        [
            [np.cos(done.heading), np.sin(done.heading), 0],
            [-np.sin(done.heading), np.cos(done.heading), 0],
            [0, 0, 1],
        ]
    )
    edges = draft.boundaries()
    action = GRAPH.action(trial.exercise)
    where = {edge.error: step.id for step, edge in action.pairs}
    weights = dict(zip(where, action.penalties, strict=True))
    lost = sum(weights[name] * severity for name, severity in done.errors.items())
    score = 100 * (1 - lost / sum(weights.values())) + rng.normal(0, 1.5)
    vest = _vest(trial, done)
    return Clip(
        clip_id=f"gymsim_{who.id}_{trial.exercise}_{trial.index:05d}",
        dataset="gymsim",
        subject=who.id,
        action=trial.exercise,
        views=studio.views,
        frames=frames,
        frame_view=frame_view,
        frame_time=frame_time,
        muscles=done.channels,
        emg=emg,
        emg_unit="mV",
        emg_rate=studio.emg_rate,
        emg_max=np.array(
            [semg.maximum(who, c, studio.emg_rate) for c in done.channels], np.float32
        ),
        joints=vocabulary.FLEX_21,
        pose=(motion.joints @ upright.T).astype(np.float32),
        pose_time=draft.time,
        dofs=vocabulary.DOFS,
        torque=motion.named_torque.astype(np.float32),
        drive=done.drive.astype(np.float32),
        load=done.load,
        phases=tuple(
            (step.id, float(start), float(end))
            for step, start, end in zip(action.steps, edges, edges[1:], strict=False)
        ),
        errors=tuple((where[n], n, s) for n, s in done.errors.items()),
        score=float(np.clip(score, 0, 100)),
        heart_rate=vest.heart.astype(np.float32),
        heart_time=vest.time,
        breath_rate=vest.breath.astype(np.float32),
        breath_time=vest.time,
        provenance=_provenance(trial, done, attempts),
    )


def _vest(trial: Trial, done: Performance) -> effort.Vest:
    """Heart and breath of a set; who does one repetition alone wears no vest."""
    if not trial.of:
        return effort.Vest(np.zeros(0), np.zeros(0), np.zeros(0))
    asked = effort.strain(done.shares.activation, done.lifter)
    rng = np.random.default_rng([trial.seed, 3])
    return effort.vest(trial.subject, asked, done.before, done.draft.duration, rng)


def _lost(done: Performance) -> list[float]:
    """Share of the force that is lost under each electrode."""
    left, muscles = done.capacity[None], done.lifter.muscles
    return [1 - float(semg.drive_under(left, muscles, c)[0]) for c in done.channels]


def _film(
    done: Performance, studio: Studio, rng: np.random.Generator
) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """JPEG frames of all views, the view of each and its time in s."""
    time = done.draft.time
    wanted = np.arange(0, time[-1] + 1e-9, 1 / studio.fps)
    index = np.unique(np.round(wanted * POSE_RATE).astype(int))
    scene = Scene(done.lifter.model)
    position, rotation = done.motion.geom_position[index], done.motion.geom_rotation[index]
    frames, view = [], []
    for v, name in enumerate(studio.views):
        camera = Camera(
            azimuth_deg=VIEWS[name] + rng.normal(0, 2),
            elevation_deg=-7 + rng.normal(0, 1),
            distance=3.05 + rng.normal(0, 0.06),
            look_at=(0.0, 0.0, 1.1),
            size=studio.size,
        )
        for picture in scene.film(position, rotation, camera):
            memory = io.BytesIO()
            Image.fromarray(picture).save(memory, "JPEG", quality=studio.jpeg_quality)
            frames.append(memory.getvalue())
        view += [v] * len(index)
    times = np.tile(time[index], len(studio.views))
    return frames, np.array(view, np.int32), times


def _provenance(trial: Trial, done: Performance, attempts: int) -> dict:
    """JSON-able facts that nothing else in the clip says."""
    who, of_set = trial.subject, {}
    if trial.of:
        of_set = {"repetition": trial.repetition, "set_of": trial.of, "force_lost": _lost(done)}
    return {
        "simulated": True,
        "licence": "CC0",
        "source": "video2emg.sim",
        "graph": GRAPH.label,
        "filters": [],
        "seed": trial.seed,
        "attempts": attempts,
        "planned_load_kg": trial.load,
        "residual": done.shares.miss,
        "saturation": done.saturation,
        "gain_mv": [semg.electrode(who, c).gain for c in done.channels],
        "subject": {
            "height_m": who.height,
            "mass_kg": who.mass,
            "female": who.female,
            "strength": who.strength,
            "skill": who.skill,
        },
        **of_set,
    }
