"""Records one trial of the simulated gym as a complete `Clip`."""

import dataclasses
import io

import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.core import vocabulary
from video2emg.core.clip import Clip, validate
from video2emg.core.errors import UserError
from video2emg.sim import body, dynamics, fatigue, kinematics, posture, semg, static_optimisation
from video2emg.sim.exercises import EXERCISES, GRAPH, POSE_RATE, Draft, Exercise
from video2emg.sim.raster import Camera, Scene
from video2emg.sim.subject import Subject
from video2emg.sim.trials import Trial

# Direction of view, degrees; see `raster.Camera`.
VIEWS = {"front": 180.0, "front_left": 225.0, "left": 270.0, "front_right": 135.0, "right": 90.0}
MAX_ATTEMPTS = 8
MAX_RESIDUAL = 0.10  # RMS residual over RMS torque
MAX_SATURATION = 0.05  # share of a channel's samples with the drive at its limit


@dataclasses.dataclass(frozen=True)
class Studio:
    """Cameras and electrodes.

    Attributes:
      views: camera names, of `VIEWS`.
      size: width and height of the frames, px.
      fps: frames per second; frame times are rounded to the samples of the pose.
      emg_rate: Hz.
      jpeg_quality: 1-95.
      camera_seed: of the exact camera positions; None draws new ones for each trial.
      montage: muscles with an electrode on either side; empty for the two of the exercise.
      motor_units: whether the EMG is made of motor-unit pulses instead of Gaussian noise.
    """

    views: tuple[str, ...] = ("front", "front_left")
    size: int = 96
    fps: float = 10.0
    emg_rate: float = 1000.0
    jpeg_quality: int = 90
    camera_seed: int | None = None
    montage: tuple[str, ...] = ()
    motor_units: bool = False


@dataclasses.dataclass(frozen=True)
class Performance:
    """A simulated repetition before electrodes and cameras.

    Attributes:
      draft: tempo.
      load: lifted, kg.
      errors: severity by name.
      lifter: the model, with the muscle strength of this repetition.
      qpos: [T, Q] its coordinates at `POSE_RATE`.
      motion: inverse dynamics.
      solution: muscle activations.
      muscle_drive: [T, n] neural drive of each muscle.
      channels: electrode names.
      drive: [T, C] neural drive under each electrode.
      heading: of the feet, rad.
      remaining_capacity: [n] share of each muscle's force left by the earlier repetitions of the
        set, 1 for a rested body.
      time_in_set: duration of these earlier repetitions, s.
    """

    draft: Draft
    load: float
    errors: dict[str, float]
    lifter: body.Lifter
    qpos: np.ndarray
    motion: dynamics.Motion
    solution: static_optimisation.Solution
    muscle_drive: np.ndarray
    channels: tuple[str, ...]
    drive: np.ndarray
    heading: float
    remaining_capacity: np.ndarray
    time_in_set: float

    @property
    def saturation(self) -> float:
        """Share of samples with the drive at its limit, of the worst channel."""
        return float((self.drive > 0.99).mean(0).max())

    @property
    def feasible(self) -> bool:
        """Whether the muscles produce the torques without saturating."""
        return self.solution.relative_residual < MAX_RESIDUAL and self.saturation < MAX_SATURATION


def perform(
    subject: Subject,
    exercise: Exercise,
    load: float,
    errors: dict[str, float],
    seed: int,
    montage: tuple[str, ...] = (),
    repetitions_before: int = 0,
) -> Performance:
    """Simulates a repetition: motion, torques, muscles.

    Args:
      subject: who lifts.
      exercise: the exercise.
      load: kg.
      errors: severity by name.
      seed: of everything that varies.
      montage: muscles with electrodes; empty for those of the exercise.
      repetitions_before: equal repetitions done just before, which fatigue the muscles.
    """
    lifter = body.build(subject, exercise.equipment, load, exercise.bench)
    rng = np.random.default_rng([seed, 1])
    shortening = [
        (exercise.errors[name].shorten_first * s, exercise.errors[name].shorten_second * s)
        for name, s in errors.items()
    ]
    first, second = np.max([(0.0, 0.0), *shortening], axis=0)
    draft = Draft(subject, lifter.length, errors, rng, phase_scale=(1 - first, 1 - second))
    pose = exercise.move(draft)
    qpos = dynamics.low_pass(posture.solve(pose, lifter, subject), POSE_RATE)
    motion = dynamics.inverse_dynamics(lifter, qpos, POSE_RATE, pose.support, pose.heading)
    time_in_set = repetitions_before * draft.duration
    remaining = fatigue.remaining_capacity(lifter, motion, subject, time_in_set)
    lifter = dataclasses.replace(lifter, force=lifter.force * remaining)
    solution = static_optimisation.solve(lifter, motion, subject)
    muscle_drive = static_optimisation.neural_drive(solution.activation, POSE_RATE)
    channels = tuple(
        vocabulary.channel(side, muscle)
        for side in vocabulary.SIDES
        for muscle in montage or exercise.muscles
    )
    return Performance(
        draft=draft,
        load=load,
        errors=errors,
        lifter=lifter,
        qpos=qpos,
        motion=motion,
        solution=solution,
        muscle_drive=muscle_drive,
        channels=channels,
        drive=np.stack(
            [semg.drive_at_electrode(muscle_drive, lifter.muscles, c) for c in channels], -1
        ),
        heading=pose.heading,
        remaining_capacity=remaining,
        time_in_set=time_in_set,
    )


def record(trial: Trial, studio: Studio) -> Clip:
    """Records a trial; a pure function of its arguments.

    A repetition that the subject cannot do (residual torques, or saturated muscles) is repeated
    with another seed and less load.

    Raises:
      UserError: no attempt succeeded, or a view is unknown.
    """
    for view in studio.views:
        if view not in VIEWS:
            raise UserError(f"unknown view {view!r}; there are {', '.join(VIEWS)}")
    for attempt in range(MAX_ATTEMPTS):
        performance = attempt_trial(trial, attempt, studio.montage)
        if performance.feasible:
            return validate(_clip(trial, studio, performance, attempt + 1))
    raise UserError(
        f"trial {trial.index}: {trial.subject.id} cannot do {trial.exercise} "
        f"(residual {performance.solution.relative_residual:.0%}, "
        f"saturation {performance.saturation:.0%})"
    )


def attempt_trial(trial: Trial, attempt: int, montage: tuple[str, ...] = ()) -> Performance:
    """Attempt number `attempt` (from 0).

    Each attempt has another seed and less load; later ones also have milder errors.
    """
    exercise = EXERCISES[trial.exercise]
    low, _, step = exercise.loads
    load = max(low, low + step * float(np.floor((trial.load * 0.85**attempt - low) / step)))
    milder = 0.8 ** max(attempt - 2, 0)
    errors = {name: severity * milder for name, severity in trial.errors}
    seed, before = trial.seed + 7919 * attempt, trial.repetition - 1
    return perform(trial.subject, exercise, load, errors, seed, montage, before)


def surface_emg(
    performance: Performance, subject: Subject, studio: Studio, rng: np.random.Generator
) -> Float[np.ndarray, "N C"]:
    """Raw sEMG in mV under all electrodes, float32; `rng` draws the noise."""
    velocity = np.gradient(performance.motion.joints, 1 / POSE_RATE, axis=0)
    acceleration = np.linalg.norm(np.gradient(velocity, 1 / POSE_RATE, axis=0), axis=-1)
    columns = []
    for channel, lost in zip(performance.channels, _force_lost(performance), strict=True):
        side, muscle = vocabulary.split_channel(channel)
        joint = vocabulary.FLEX_21.index(f"{side}_{semg.SITES[muscle].joint}")
        columns.append(
            semg.simulate_channel(
                performance.muscle_drive,
                performance.lifter.muscles,
                performance.draft.time,
                acceleration[:, joint],
                channel,
                subject,
                studio.emg_rate,
                rng,
                conduction_velocity=1 - fatigue.FREQUENCY_SHIFT * lost,
                motor_units=studio.motor_units,
            )
        )
    return np.stack(columns, -1).astype(np.float32)


def _clip(trial: Trial, studio: Studio, performance: Performance, attempts: int) -> Clip:
    """Adds EMG, frames and labels to a performance."""
    subject, draft, motion = trial.subject, performance.draft, performance.motion
    rng = np.random.default_rng([trial.seed, attempts, 2])
    emg = surface_emg(performance, subject, studio, rng)
    camera_rng = rng if studio.camera_seed is None else np.random.default_rng(studio.camera_seed)
    frames, frame_view, frame_time = _film(performance, studio, camera_rng)
    to_subject = kinematics.rotation("z", -performance.heading)
    boundaries = draft.boundaries()
    action = GRAPH.action(trial.exercise)
    step_of_error = {edge.error: step.id for step, edge in action.pairs}
    vitals = _vital_signs(trial, performance)
    return Clip(
        clip_id=f"gymsim_{subject.id}_{trial.exercise}_{trial.index:05d}",
        dataset="gymsim",
        subject=subject.id,
        action=trial.exercise,
        views=studio.views,
        frames=frames,
        frame_view=frame_view,
        frame_time=frame_time,
        muscles=performance.channels,
        emg=emg,
        emg_unit="mV",
        emg_rate=studio.emg_rate,
        emg_max=np.array(
            [semg.mvc_envelope(subject, c, studio.emg_rate) for c in performance.channels],
            np.float32,
        ),
        joints=vocabulary.FLEX_21,
        pose=(motion.joints @ to_subject.T).astype(np.float32),
        pose_time=draft.time,
        dofs=vocabulary.DOFS,
        torque=motion.named_torque.astype(np.float32),
        drive=performance.drive.astype(np.float32),
        load=performance.load,
        phases=tuple(
            (step.id, float(start), float(end))
            for step, start, end in zip(action.steps, boundaries, boundaries[1:], strict=False)
        ),
        errors=tuple((step_of_error[name], name, s) for name, s in performance.errors.items()),
        score=_score(trial.exercise, performance.errors, rng),
        heart_rate=vitals.heart_rate.astype(np.float32),
        heart_time=vitals.time,
        breath_rate=vitals.breath_rate.astype(np.float32),
        breath_time=vitals.time,
        provenance=_provenance(trial, performance, attempts),
    )


def _score(exercise: str, errors: dict[str, float], rng: np.random.Generator) -> float:
    """Score (0-100) of the errors, with the noise of an annotator."""
    action = GRAPH.action(exercise)
    weights = zip(action.pairs, action.penalties, strict=True)
    penalties = {edge.error: weight for (_, edge), weight in weights}
    lost = sum(penalties[name] * severity for name, severity in errors.items())
    score = 100 * (1 - lost / sum(penalties.values())) + rng.normal(0, 1.5)
    return float(np.clip(score, 0, 100))


def _vital_signs(trial: Trial, performance: Performance) -> fatigue.VitalSigns:
    """Readings of the vest, which is worn in sets only; none for a single repetition."""
    if not trial.set_length:
        return fatigue.VitalSigns(np.zeros(0), np.zeros(0), np.zeros(0))
    intensity = fatigue.exercise_intensity(performance.solution.activation, performance.lifter)
    rng = np.random.default_rng([trial.seed, 3])
    return fatigue.vital_signs(
        trial.subject, intensity, performance.time_in_set, performance.draft.duration, rng
    )


def _force_lost(performance: Performance) -> list[float]:
    """Share of the force lost to fatigue, under each electrode."""
    remaining, muscles = performance.remaining_capacity[None], performance.lifter.muscles
    return [
        1 - float(semg.drive_at_electrode(remaining, muscles, c)[0]) for c in performance.channels
    ]


def _film(
    performance: Performance, studio: Studio, rng: np.random.Generator
) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """JPEG frames of all views, the view of each frame, and its time in s."""
    time, motion = performance.draft.time, performance.motion
    frame_times = np.arange(0, time[-1] + 1e-9, 1 / studio.fps)
    index = np.unique(np.round(frame_times * POSE_RATE).astype(int))
    scene = Scene(performance.lifter.model)
    position, rotation = motion.geom_position[index], motion.geom_rotation[index]
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
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "JPEG", quality=studio.jpeg_quality)
            frames.append(buffer.getvalue())
        view += [v] * len(index)
    times = np.tile(time[index], len(studio.views))
    return frames, np.array(view, np.int32), times


def _provenance(trial: Trial, performance: Performance, attempts: int) -> dict:
    """JSON-able facts that no other field of the clip holds."""
    subject, about_set = trial.subject, {}
    if trial.set_length:
        about_set = {
            "repetition": trial.repetition,
            "set_of": trial.set_length,
            "force_lost": _force_lost(performance),
        }
    return {
        "simulated": True,
        "licence": "CC0",
        "source": "video2emg.sim",
        "graph": GRAPH.label,
        "filters": [],
        "seed": trial.seed,
        "attempts": attempts,
        "planned_load_kg": trial.load,
        "residual": performance.solution.relative_residual,
        "saturation": performance.saturation,
        "gain_mv": [semg.electrode(subject, c).gain for c in performance.channels],
        "subject": {
            "height_m": subject.height,
            "mass_kg": subject.mass,
            "female": subject.female,
            "strength": subject.strength,
            "skill": subject.skill,
        },
        **about_set,
    }
