"""Records one set of the simulated gym as a complete `Clip`."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float
from PIL import Image

from video2emg.core import vocabulary
from video2emg.core.clip import Clip, Repetition, validate
from video2emg.core.errors import UserError
from video2emg.fkg.graph import Action, Graph
from video2emg.sim import (
    body,
    dynamics,
    effort,
    fatigue,
    kinematics,
    posture,
    semg,
    static_optimisation,
)
from video2emg.sim import equipment as gear
from video2emg.sim import tempo as tempo_lib
from video2emg.sim.bench import Support
from video2emg.sim.exercises import EXERCISES, GRAPH, Draft, Exercise
from video2emg.sim.raster import Camera, Scene
from video2emg.sim.subject import Subject
from video2emg.sim.tempo import POSE_RATE, Cycle, Tempo
from video2emg.sim.trials import Trial

# Direction of view, degrees; see `raster.Camera`.
VIEWS = {"front": 180.0, "front_left": 225.0, "left": 270.0, "front_right": 135.0, "right": 90.0}
MAX_ATTEMPTS = 8
MAX_RESIDUAL = 0.10  # RMS residual over RMS torque
MARGIN = 0.5  # s at most, of the preparation before a repetition
MAX_SATURATION = 0.08  # share of a channel's samples with the drive at its limit


@dataclasses.dataclass(frozen=True)
class Studio:
    """Cameras and electrodes.

    Attributes:
      views: camera names, of `VIEWS`; none for recordings without pictures.
      size: width and height of the frames, px.
      fps: frames per second; frame times are rounded to the samples of the pose.
      emg_rate: Hz.
      jpeg_quality: 1-95.
      varied_cameras: whether places, heights and lenses of the cameras vary widely.
      montage: muscles with an electrode on either side; none for poses, torques and labels only.
      motor_units: whether the EMG is made of motor-unit pulses instead of Gaussian noise.
    """

    views: tuple[str, ...] = ("front", "front_left")
    size: int = 96
    fps: float = 10.0
    emg_rate: float = 1000.0
    jpeg_quality: int = 90
    varied_cameras: bool = False
    montage: tuple[str, ...] = semg.MONTAGE
    motor_units: bool = False


@dataclasses.dataclass(frozen=True)
class Movement:
    """A simulated set before muscles, electrodes and cameras.

    Attributes:
      tempo: when its repetitions happen.
      load: lifted, kg.
      equipment: what is lifted, and on which side.
      errors: severity by name, of each repetition.
      lifter: the model, with the muscle strength of a rested body.
      qpos: [T, Q] its coordinates at `POSE_RATE`.
      motion: inverse dynamics.
      heading: of the feet, rad.
      support: how a bench supports the body; None without a bench.
      weak_side: `left` or `right`, the side that one-sided errors affect.
    """

    tempo: Tempo
    load: float
    equipment: str
    errors: tuple[Mapping[str, float], ...]
    lifter: body.Lifter
    qpos: np.ndarray
    motion: dynamics.Motion
    heading: float
    support: Support | None
    weak_side: str

    @property
    def time(self) -> np.ndarray:
        """[T] s."""
        return self.tempo.time

    def during(self, number: int) -> slice:
        """The samples of repetition `number`, from 0."""
        cycle = self.tempo.cycles[number]
        return slice(round(cycle.start * POSE_RATE), round(cycle.end * POSE_RATE) + 1)


@dataclasses.dataclass(frozen=True)
class Performance(Movement):
    """A simulated set before electrodes and cameras.

    Attributes:
      solution: muscle activations.
      muscle_drive: [T, n] neural drive of each muscle.
      channels: electrode names.
      drive: [T, C] neural drive under each electrode.
      remaining_capacity: [T, n] share of each muscle's force that is not lost to fatigue.
      intensity: share of the heart-rate reserve that the set uses, see `fatigue`.
      time_in_set: duration of the equal work done just before, s.
      accepted: whether the set is feasible with correct effort; None if there is no other.
    """

    solution: static_optimisation.Solution
    muscle_drive: np.ndarray
    channels: tuple[str, ...]
    drive: np.ndarray
    remaining_capacity: np.ndarray
    intensity: float
    time_in_set: float
    accepted: bool | None = None

    @property
    def saturation(self) -> float:
        """Share of samples with the drive at its limit, of the worst channel."""
        return float((self.drive > 0.99).mean(0).max())

    @property
    def feasible(self) -> bool:
        """Whether the muscles produce the torques without saturating."""
        if self.accepted is not None:
            return self.accepted
        return self.solution.relative_residual < MAX_RESIDUAL and self.saturation < MAX_SATURATION


def perform(
    subject: Subject,
    exercise: Exercise,
    load: float,
    errors: Sequence[Mapping[str, float]],
    seed: int,
    montage: tuple[str, ...] = semg.MONTAGE,
    time_in_set: float = 0.0,
    standard_tempo: bool = False,
    efforts: bool = False,
) -> Performance:
    """Simulates a set: motion, torques, muscles.

    Args:
      subject: who lifts.
      exercise: the exercise.
      load: kg.
      errors: severity by name, one entry per repetition.
      seed: of everything that varies.
      montage: muscles with electrodes.
      time_in_set: duration of equal work done just before, which has fatigued the muscles, s.
      standard_tempo: whether the one repetition has the standard tempo, for comparisons.
      efforts: whether errors of effort may occur; correct execution then braces the trunk.
    """
    movement = move(subject, exercise, load, errors, seed, standard_tempo, efforts)
    exertion = None
    if efforts:
        muscles = movement.lifter.muscles
        exertion = effort.exertion(exercise.name, errors, movement.tempo, muscles, subject, seed)
    return work(movement, subject, montage, time_in_set, exertion)


def move(
    subject: Subject,
    exercise: Exercise,
    load: float,
    errors: Sequence[Mapping[str, float]],
    seed: int,
    standard_tempo: bool = False,
    efforts: bool = False,
) -> Movement:
    """Simulates the movement and the torques of a set; the arguments are those of `perform`."""
    rng = np.random.default_rng([seed, 1])
    side = str(rng.choice(list(vocabulary.SIDES)))
    equipment = gear.on_side(exercise.equipment, side) if exercise.one_sided else exercise.equipment
    lifter = body.build(subject, equipment, load, exercise.bench)
    visible = [effort.technique(e) for e in errors]
    scales = [_phase_scale(exercise, e) for e in visible]
    if standard_tempo:
        [scale] = scales
        tempo = tempo_lib.standard(scale)
    else:
        tempo = _draw_tempo(exercise, scales, subject.pace, rng)
    manners = list({tuple(sorted(e.items())): e for e in visible}.values()) or [{}]
    # One seed: repetitions differ by their errors only, and are continuous.
    poses = [
        exercise.move(
            Draft(subject, lifter.length, e, tempo, np.random.default_rng([seed, 2]), side)
        )
        for e in manners
    ]
    solved = [posture.solve(pose, lifter, subject) for pose in poses]
    blended = _blend(lifter.model, solved, _weights(manners, visible, tempo))
    qpos = dynamics.low_pass(blended, POSE_RATE)
    motion = dynamics.inverse_dynamics(
        lifter,
        qpos,
        POSE_RATE,
        poses[0].support,
        poses[0].heading,
        tempo.carried(),
        efforts and effort.EFFORTS[exercise.name].on_feet,
    )
    return Movement(
        tempo=tempo,
        load=load,
        equipment=equipment,
        errors=tuple(errors),
        lifter=lifter,
        qpos=qpos,
        motion=motion,
        heading=poses[0].heading,
        support=poses[0].support,
        weak_side=side,
    )


def work(
    movement: Movement,
    subject: Subject,
    montage: tuple[str, ...] = semg.MONTAGE,
    time_in_set: float = 0.0,
    exertion: effort.Exertion | None = None,
) -> Performance:
    """The muscles of a movement; see `perform`.

    Args:
      movement: of the set.
      subject: who lifts.
      montage: muscles with electrodes.
      time_in_set: duration of equal work done just before, s.
      exertion: what is asked of the muscles besides the torques of the movement.
    """
    lifter = movement.lifter
    motion = movement.motion.leaning(exertion.share) if exertion else movement.motion
    rested, remaining, solution = effort.solve(
        lifter, motion, subject, movement.time, time_in_set, exertion
    )
    muscle_drive = static_optimisation.neural_drive(solution.activation, POSE_RATE)
    channels = tuple(
        vocabulary.channel(side, muscle) for side in vocabulary.SIDES for muscle in montage
    )
    columns = [
        semg.drive_at_electrode(muscle_drive, lifter.muscles, c, subject.anatomy) for c in channels
    ]
    return Performance(
        **vars(dataclasses.replace(movement, motion=motion)),
        solution=solution,
        muscle_drive=muscle_drive,
        channels=channels,
        drive=np.stack(columns, -1),
        remaining_capacity=remaining,
        intensity=fatigue.exercise_intensity(rested.mean(0), lifter),
        time_in_set=time_in_set,
    )


def _weights(
    manners: Sequence[Mapping[str, float]], errors: Sequence[Mapping[str, float]], tempo: Tempo
) -> Float[np.ndarray, "K T"]:
    """How much each manner counts at each sample: as much as the repetitions done in it."""
    if len(manners) == 1:
        return np.ones((1, len(tempo.time)))
    same = np.array([[e == manner for e in errors] for manner in manners], float)
    return same @ tempo.weights()


def _blend(
    model: mujoco.MjModel, solved: Sequence[np.ndarray], weights: Float[np.ndarray, "K T"]
) -> Float[np.ndarray, "T Q"]:
    """Weighted mean of the coordinates of K manners of doing the same set.

    An angle and the same angle plus 2π are one rotation, as are a quaternion and its negative, but
    their means are none. So all manners take the turn and the sign of the first.
    """
    first, blended = solved[0], np.zeros_like(solved[0])
    address = model.jnt_qposadr.astype(int)
    hinges = address[model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE]
    balls = address[model.jnt_type == mujoco.mjtJoint.mjJNT_BALL]
    free = address[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE] + 3
    for weight, qpos in zip(weights, solved, strict=True):
        qpos = qpos.copy()
        turns = np.round((first - qpos)[:, hinges].mean(0) / (2 * np.pi))
        qpos[:, hinges] += 2 * np.pi * turns
        for start in (*free, *balls):
            part = slice(start, start + 4)
            qpos[:, part] *= np.sign((qpos[:, part] * first[:, part]).sum()) or 1.0
        blended += weight[:, None] * qpos
    return blended


def _phase_scale(exercise: Exercise, errors: Mapping[str, float]) -> tuple[float, float]:
    """Factors on the durations of both phases; some errors make them shorter."""
    shortening = [
        (exercise.errors[name].shorten_first * s, exercise.errors[name].shorten_second * s)
        for name, s in errors.items()
    ]
    first, second = np.max([(0.0, 0.0), *shortening], axis=0)
    return float(1 - first), float(1 - second)


def _draw_tempo(
    exercise: Exercise,
    scales: Sequence[tuple[float, float]],
    pace: float,
    rng: np.random.Generator,
) -> Tempo:
    """The tempo of a set; without repetitions it has a length only."""
    if not scales:
        return tempo_lib.still(rng)
    return tempo_lib.draw(
        rng,
        scales,
        concentric=_concentric_phase(exercise),
        hold=exercise.hold,
        can_be_racked=exercise.equipment.startswith("barbell"),
        pace=pace,
    )


def _concentric_phase(exercise: Exercise) -> int:
    """Which of the two phases of a repetition lifts the load, 0 or 1."""
    if exercise.name not in GRAPH.actions:
        return int(exercise.lowers_first)
    moving = [
        step.phase for step in GRAPH.action(exercise.name).steps if step.phase != "preparation"
    ]
    return moving.index("concentric")


def record(trial: Trial, studio: Studio) -> Clip:
    """Records a trial; a pure function of its arguments.

    Without electrodes only the movement is simulated, and every set is taken to be feasible. A set
    that the subject cannot do (residual torques, or saturated muscles) is repeated with
    another seed and less load.

    Raises:
      UserError: no attempt succeeded, or a view is unknown.
    """
    for view in studio.views:
        if view not in VIEWS:
            raise UserError(f"unknown view {view!r}; there are {', '.join(VIEWS)}")
    if not studio.montage:
        movement = move(trial.subject, *_task(trial, 0), efforts=trial.efforts)
        return validate(_clip(trial, studio, movement, 1))
    for attempt in range(MAX_ATTEMPTS):
        performance = attempt_trial(trial, attempt, studio.montage)
        if performance.feasible:
            return validate(_clip(trial, studio, performance, attempt + 1))
    raise UserError(
        f"trial {trial.index}: {trial.subject.id} cannot do {trial.exercise} "
        f"(residual {performance.solution.relative_residual:.0%}, "
        f"saturation {performance.saturation:.0%})"
    )


def attempt_trial(
    trial: Trial, attempt: int, montage: tuple[str, ...] = semg.MONTAGE
) -> Performance:
    """Attempt number `attempt` (from 0).

    Whether a set is feasible is judged without its errors of effort. Otherwise fewer heavy sets
    would have them, and the movement would tell about the effort.
    """
    exercise, load, errors, seed = _task(trial, attempt)
    movement = move(trial.subject, exercise, load, errors, seed, efforts=trial.efforts)

    def at(errors: Sequence[Mapping[str, float]]) -> Performance:
        exertion = None
        if trial.efforts:
            tempo, muscles = movement.tempo, movement.lifter.muscles
            exertion = effort.exertion(exercise.name, errors, tempo, muscles, trial.subject, seed)
        return work(movement, trial.subject, montage, trial.time_in_set, exertion)

    visible = [effort.technique(e) for e in errors]
    correct = at(visible)
    if errors == visible or not correct.feasible:
        return correct
    return dataclasses.replace(at(errors), accepted=True)


def _task(trial: Trial, attempt: int) -> tuple[Exercise, float, Sequence[Mapping[str, float]], int]:
    """Exercise, load, errors and seed of an attempt.

    Each attempt has another seed and less load; later ones also have milder errors, except those of
    effort.
    """
    exercise = EXERCISES[trial.exercise]
    low, _, step = exercise.loads
    load = max(low, low + step * float(np.floor((trial.load * 0.85**attempt - low) / step)))
    milder = 0.8 ** max(attempt - 2, 0)
    errors = [
        {n: severity * (1.0 if n in effort.ERRORS else milder) for n, severity in repetition}
        for repetition in trial.repetitions
    ]
    return exercise, load, errors, trial.seed + 7919 * attempt


def surface_emg(
    performance: Performance, subject: Subject, studio: Studio, rng: np.random.Generator
) -> Float[np.ndarray, "N C"]:
    """Raw sEMG in mV under all electrodes, float32; `rng` draws the noise.

    Its clock lags behind that of the video by `Subject.emg_lag`, in whole samples of the pose.
    """
    velocity = np.gradient(performance.motion.joints, 1 / POSE_RATE, axis=0)
    acceleration = np.linalg.norm(np.gradient(velocity, 1 / POSE_RATE, axis=0), axis=-1)
    late = round(subject.emg_lag * POSE_RATE)
    acceleration = _later(acceleration, late)
    muscle_drive = _later(performance.muscle_drive, late)
    columns = []
    for channel, lost in zip(performance.channels, _force_lost(performance, subject), strict=True):
        side, muscle = vocabulary.split_channel(channel)
        joint = vocabulary.FLEX_21.index(f"{side}_{semg.SITES[muscle].joint}")
        columns.append(
            semg.simulate_channel(
                muscle_drive,
                performance.lifter.muscles,
                performance.time,
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


def _later(values: Float[np.ndarray, "T n"], samples: int) -> Float[np.ndarray, "T n"]:
    """The values some samples later; the first is held before."""
    return np.concatenate([np.repeat(values[:1], samples, 0), values[: len(values) - samples]])


def _clip(trial: Trial, studio: Studio, movement: Movement, attempts: int) -> Clip:
    """The labels and the frames of a movement; of a performance also what sensors measure."""
    subject, motion = trial.subject, movement.motion
    rng = np.random.default_rng([trial.seed, attempts, 2])
    measured, facts = {}, {}
    if isinstance(movement, Performance):
        measured = _measured(trial, studio, movement, rng)
        facts = _muscle_facts(subject, movement)
    frames, frame_view, frame_time = _film(movement, studio, rng)
    to_subject = kinematics.rotation("z", -movement.heading)
    return Clip(
        clip_id=f"gymsim_{subject.id}_{trial.exercise}_{trial.index:05d}",
        dataset="gymsim",
        subject=subject.id,
        action=trial.exercise,
        views=studio.views,
        frames=frames,
        frame_view=frame_view,
        frame_time=frame_time,
        joints=vocabulary.FLEX_21,
        pose=(motion.joints @ to_subject.T).astype(np.float32),
        pose_time=movement.time,
        dofs=vocabulary.DOFS,
        torque=motion.named_torque.astype(np.float32),
        load=movement.load,
        repetitions=_repetitions(trial, movement, rng),
        provenance=_provenance(trial, movement, attempts) | facts,
        **measured,
    )


def _measured(
    trial: Trial, studio: Studio, performance: Performance, rng: np.random.Generator
) -> dict[str, Any]:
    """The fields of a clip that electrodes and sensor vest fill."""
    subject = trial.subject
    vitals = fatigue.vital_signs(
        subject,
        performance.intensity,
        performance.time_in_set,
        performance.tempo.duration,
        np.random.default_rng([trial.seed, 3]),
    )
    return {
        "muscles": performance.channels,
        "emg": surface_emg(performance, subject, studio, rng),
        "emg_unit": "mV",
        "emg_rate": studio.emg_rate,
        "emg_max": np.array(
            [semg.mvc_envelope(subject, c, studio.emg_rate) for c in performance.channels],
            np.float32,
        ),
        "drive": performance.drive.astype(np.float32),
        "heart_rate": vitals.heart_rate.astype(np.float32),
        "heart_time": vitals.time,
        "breath_rate": vitals.breath_rate.astype(np.float32),
        "breath_time": vitals.time,
    }


def _graph(trial: Trial) -> Graph:
    """The graph of the labels."""
    return effort.graph() if trial.efforts else GRAPH


def _repetitions(
    trial: Trial, movement: Movement, rng: np.random.Generator
) -> tuple[Repetition, ...]:
    """Bounds and labels of each repetition; only exercises of the graph have labels."""
    graph, exercise = _graph(trial), trial.exercise
    repetitions, ready = [], 0.0
    for cycle, errors in zip(movement.tempo.cycles, movement.errors, strict=True):
        labels = {}
        if exercise in graph.actions:
            action = graph.action(exercise)
            step_of_error = {edge.error: step.id for step, edge in action.pairs}
            labels = {
                "phases": phases(action, cycle, ready),
                "errors": tuple((step_of_error[name], name, s) for name, s in errors.items()),
                "score": _score(action, errors, rng),
            }
        repetitions.append(
            Repetition(start=cycle.start, end=cycle.end, complete=cycle.complete, **labels)
        )
        ready = cycle.end
    return tuple(repetitions)


def phases(
    action: Action, cycle: Cycle, ready: float = 0.0
) -> tuple[tuple[str, float, float], ...]:
    """Key steps of a repetition: (id, start, end), s.

    Args:
      action: of the knowledge graph.
      cycle: the repetition.
      ready: when the preparation may begin, s.
    """
    bounds = (max(ready, cycle.start - MARGIN), cycle.start, cycle.turn, cycle.end)
    return tuple(
        (step.id, float(start), float(end))
        for step, start, end in zip(action.steps, bounds, bounds[1:], strict=False)
    )


def _score(action: Action, errors: Mapping[str, float], rng: np.random.Generator) -> float:
    """Score (0-100) of the errors, with the noise of an annotator."""
    weights = zip(action.pairs, action.penalties, strict=True)
    penalties = {edge.error: weight for (_, edge), weight in weights}
    lost = sum(penalties[name] * severity for name, severity in errors.items())
    score = 100 * (1 - lost / sum(penalties.values())) + rng.normal(0, 1.5)
    return float(np.clip(score, 0, 100))


def _force_lost(performance: Performance, subject: Subject) -> list[float]:
    """Share of the force lost to fatigue under each electrode, at the end of the set."""
    remaining, muscles = performance.remaining_capacity[-1:], performance.lifter.muscles
    return [
        1 - float(semg.drive_at_electrode(remaining, muscles, c, subject.anatomy)[0])
        for c in performance.channels
    ]


def _film(
    movement: Movement, studio: Studio, rng: np.random.Generator
) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """JPEG frames of all views, the view of each frame, and its time in s."""
    if not studio.views:
        return [], np.zeros(0, np.int32), np.zeros(0)
    time, motion = movement.time, movement.motion
    frame_times = np.arange(0, time[-1] + 1e-9, 1 / studio.fps)
    index = np.unique(np.round(frame_times * POSE_RATE).astype(int))
    scene = Scene(movement.lifter.model)
    position, rotation = motion.geom_position[index], motion.geom_rotation[index]
    frames, view = [], []
    for v, name in enumerate(studio.views):
        camera = _camera(name, studio, rng)
        for picture in scene.film(position, rotation, camera):
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "JPEG", quality=studio.jpeg_quality)
            frames.append(buffer.getvalue())
        view += [v] * len(index)
    times = np.tile(time[index], len(studio.views))
    return frames, np.array(view, np.int32), times


def _camera(view: str, studio: Studio, rng: np.random.Generator) -> Camera:
    """Draws the exact place and lens of a camera; the walls limit its distance."""
    if studio.varied_cameras:
        distance = rng.uniform(2.4, 3.1)
        azimuth, elevation = rng.normal(0, 9), np.clip(rng.normal(-7, 4.5), -18, 3)
        angle = np.rad2deg(2 * np.arctan(1.26 / distance)) * rng.uniform(0.92, 1.15)
    else:
        azimuth, elevation = rng.normal(0, 2), -7 + rng.normal(0, 1)
        distance, angle = 3.05 + rng.normal(0, 0.06), 45.0
    return Camera(
        azimuth_deg=VIEWS[view] + azimuth,
        elevation_deg=float(elevation),
        distance=float(distance),
        look_at=(0.0, 0.0, 1.1),
        fovy_deg=float(angle),
        size=studio.size,
    )


def _provenance(trial: Trial, movement: Movement, attempts: int) -> dict[str, Any]:
    """JSON-able facts that no other field of the clip holds."""
    subject, exercise = trial.subject, EXERCISES[trial.exercise]
    labels = {"graph": _graph(trial).label} if trial.exercise in GRAPH.actions else {}
    return labels | {
        "simulated": True,
        "licence": "CC0",
        "source": "video2emg.sim",
        "filters": [],
        "seed": trial.seed,
        "attempts": attempts,
        "planned_load_kg": trial.load,
        "prime_muscles": exercise.muscles,
        "family": exercise.family or exercise.name,
        "equipment": movement.equipment,
        "time_in_set_s": trial.time_in_set,
        "racked": movement.tempo.racked,
        "subject": {
            "height_m": subject.height,
            "mass_kg": subject.mass,
            "female": subject.female,
            "strength": subject.strength,
            "skill": subject.skill,
        },
    }


def _muscle_facts(subject: Subject, performance: Performance) -> dict[str, Any]:
    """JSON-able facts about the muscles of a performance."""
    return {
        "residual": performance.solution.relative_residual,
        "saturation": performance.saturation,
        "gain_mv": [semg.electrode(subject, c).gain for c in performance.channels],
        "force_lost": _force_lost(performance, subject),
    }
