"""Mechanics of a recorded pose: torques, forces of the floor and muscle activations, no training.

The recording is computed in overlapping windows of the layers in `physics`, which are averaged.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import body_frame, vocabulary
from video2emg.core.body_frame import LARGEST_HEIGHT, LEAST_HEIGHT
from video2emg.core.equipment import EQUIPMENT, check_equipment, load_shares
from video2emg.core.errors import UserError
from video2emg.core.overlap_add import OverlapAdd, window_starts
from video2emg.core.pose_track import CAMERA, PoseTrack
from video2emg.core.skeleton import arrange
from video2emg.physics import anatomy as anatomies
from video2emg.physics import dynamics, skeleton
from video2emg.physics.constants import COMMON_DRIVE
from video2emg.physics.mechanics import LEAST_RATE, Mechanics, missing_joints, usual_mass

WINDOW_S, STRIDE_S = 8.0, 4.0
_SHORTEST_S = 0.5
CUTOFF = 6.0  # Hz (Winter, Biomechanics and Motor Control of Human Movement)
# Of what an estimator saw in a film: its joints jitter by centimetres, and accelerations would be
# those of the jitter. Slow exercises remain.
ESTIMATED_CUTOFF = 1.3  # Hz
_ESTIMATED_LIFT = 0.2  # m; depth of the feet is uncertain


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is told of a recording.

    Attributes:
      load: kg; of each hand for dumbbells, of the whole bar for barbells.
      equipment: a name of `core.equipment.EQUIPMENT`.
      height: of the body, m; NaN: from the joints.
      mass: of the body, kg; NaN: of an average build.
      anatomy: name or path of an anatomy.
      cutoff: low-pass of the joints, Hz; 0 for none; NaN: 6 Hz, as usual for motion capture, and
        `ESTIMATED_CUTOFF` for what an estimator saw.
      absolute: whether positions are in the room, so that a body in the air can be told from one
        that stands; else the feet are taken to stand.
    """

    load: float = 0.0
    equipment: str = "none"
    height: float = math.nan
    mass: float = math.nan
    anatomy: str = "simulated"
    cutoff: float = math.nan
    absolute: bool = False

    def __post_init__(self):
        check_equipment(self.equipment, "--equipment")
        if not self.load >= 0:
            raise UserError(f"--load {self.load:g}: expected kg, 0 or more")
        if self.load and self.equipment == "none":
            raise UserError(
                f"--load {self.load:g}: an equipment nobody holds; say where it is by --equipment, "
                f"one of {', '.join(EQUIPMENT)}"
            )
        if not (math.isnan(self.mass) or 20 <= self.mass <= 250):
            raise UserError(f"--mass {self.mass:g}: expected 20 to 250 kg")
        if not (math.isnan(self.height) or LEAST_HEIGHT <= self.height <= LARGEST_HEIGHT):
            raise UserError(
                f"--height {self.height:g}: expected {LEAST_HEIGHT} to {LARGEST_HEIGHT} m"
            )
        if self.cutoff < 0:
            raise UserError(f"--cutoff {self.cutoff:g}: expected Hz, 0 for none")
        anatomies.load(self.anatomy)


@dataclasses.dataclass(frozen=True)
class MechanicsReport:
    """Mechanics of a recording, on one clock.

    Attributes:
      time: [K] s.
      settings: what was told.
      height, mass: of the body that was used, m and kg.
      torque: [K, D] N·m, of `vocabulary.DOFS`.
      feet: [K, 2, 3] force of the floor on the left and right foot, N: forward, left and up; with
        `Settings.absolute` in the axes of the room, the last one up.
      bench: [K, 3] force of a bench on the trunk, N, in the same axes.
      residual: [K] m, how far the centre of pressure lies outside the soles.
      channels: names of the muscles, `side_muscle`.
      activation: [K, C] excitation, 0 to 1 of the maximum; NaN where joints are unknown.
      joints: [K, J, 3] of `skeleton.JOINTS`, m, in the canonical frame at the body's own size.
    """

    time: Float[np.ndarray, " K"]
    settings: Settings
    height: float
    mass: float
    torque: Float[np.ndarray, "K D"]
    feet: Float[np.ndarray, "K 2 3"]
    bench: Float[np.ndarray, "K 3"]
    residual: Float[np.ndarray, " K"]
    channels: tuple[str, ...]
    activation: Float[np.ndarray, "K C"]
    joints: Float[np.ndarray, "K J 3"]


def analyse(track: PoseTrack, settings: Settings, estimated: bool = False) -> MechanicsReport:
    """Computes the mechanics of a track.

    Args:
      track: upright, in metres (other units are found by the height of the body).
      settings: what is told of the recording.
      estimated: whether an estimator saw the pose in a film, rather than motion capture.

    Raises:
      UserError: joints that make no body, a rate below 25 Hz, or a recording that is too short.
    """
    time, pose, known, rate = regular(track)
    joints = _body_joints(track)
    placed, mask, measured = body_frame.canonical_pose(joints, pose, known, joints)
    if not np.isfinite(measured):
        raise UserError(f"{track.source}: joints that make no body; no segment is known")
    height = told_height(settings, measured, track.source)
    placed = placed * (height / body_frame.HEIGHT)
    mass = told_mass(settings, height)
    shares = load_shares("", settings.equipment)
    assert shares is not None  # settings are checked
    layers = Mechanics(
        joints,
        rate=rate,
        muscle_rate=rate,
        cutoff=told_cutoff(settings, estimated, rate),
        anatomy=settings.anatomy,
        absolute=settings.absolute,
        least_lift=_ESTIMATED_LIFT if estimated else 0.05,
        balanced=estimated,
        common_drive=COMMON_DRIVE,
    )
    moving = pose * (height / measured) if settings.absolute else placed
    arguments = np.float32(height), np.float32(mass), (settings.load * shares).astype(np.float32)
    values = _windows(layers, moving.astype(np.float32), mask, rate, arguments)
    channels, columns = _channels(settings.anatomy)
    flat = values["excitation"].reshape(len(time), -1)
    certain = values["known"].reshape(len(time), -1) > 0.5
    return MechanicsReport(
        time=time,
        settings=settings,
        height=float(height),
        mass=float(mass),
        torque=values["torque"],
        feet=values["feet"].reshape(-1, 2, 3),
        bench=values["bench"],
        residual=values["residual"][:, 0],
        channels=channels,
        activation=np.where(certain, flat, np.nan)[:, columns],
        joints=arrange(np.where(mask[..., None], placed, np.nan), joints, skeleton.JOINTS),
    )


def regular(
    track: PoseTrack,
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K J 3"], Bool[np.ndarray, "K J"], float]:
    """The track at 25 to 60 Hz: regular times, positions, what is known, and the rate."""
    if track.axes == CAMERA:
        raise UserError(
            f"{track.source}: the vertical is unknown; use --video, or a pose with z up"
        )
    rate = track.rate
    if not rate >= LEAST_RATE * 0.99:
        raise UserError(
            f"{track.source}: {rate:.3g} Hz; accelerations need {LEAST_RATE:g} Hz or more"
        )
    duration = float(track.times[-1] - track.times[0])
    if duration < _SHORTEST_S:
        raise UserError(f"{track.source}: {duration:.2g} s; expected {_SHORTEST_S:g} s or more")
    rate = min(max(round(rate), LEAST_RATE), 60.0)
    time = track.times[0] + np.arange(int(duration * rate + 1e-6) + 1) / rate
    return time, *track.sampled(time), rate


def _body_joints(track: PoseTrack) -> tuple[str, ...]:
    if missing := missing_joints(track.names):
        raise UserError(f"{track.source}: joints that make no body; missing {', '.join(missing)}")
    return track.names


def told_cutoff(settings: Settings, estimated: bool, rate: float) -> float:
    """Low-pass of the joints, Hz: what was told, else what is usual; 0 (none) if it cannot be."""
    usual = ESTIMATED_CUTOFF if estimated else CUTOFF
    cutoff = usual if math.isnan(settings.cutoff) else settings.cutoff
    return cutoff if cutoff < rate / 2 else 0.0


def told_mass(settings: Settings, height: float) -> float:
    """Mass of the body, kg: what was told, else that of an average build."""
    return settings.mass if np.isfinite(settings.mass) else float(usual_mass(height))


def told_height(settings: Settings, measured: float, source: str) -> float:
    """The height of the body, m: what was told, else what its joints measure.

    Raises:
      UserError: nobody is as tall as the joints say.
    """
    if np.isfinite(settings.height):
        return settings.height
    if not LEAST_HEIGHT <= measured <= LARGEST_HEIGHT:
        raise UserError(
            f"{source}: by its joints the person is {measured:.3g} m tall; if the unit is not the "
            "metre, or the source has no scale, tell --height"
        )
    return measured


def _windows(
    layers: Mechanics, pose: np.ndarray, known: np.ndarray, rate: float, arguments
) -> Mapping[str, np.ndarray]:
    """The fields of `Solution`, [K, ·] each, averaged over overlapping windows of one length."""
    count = len(pose)
    length = min(round(WINDOW_S * rate), count)
    starts = [
        round(start * rate) for start in window_starts(count / rate, length / rate, STRIDE_S, 0.0)
    ]
    height, mass, held = arguments

    @jax.jit
    def solve(pose, known):
        solution = layers(pose[None], known[None], height[None], mass[None], held[None])
        excitation = layers.sample(solution.excitation, length, rate)
        return solution._replace(excitation=excitation)._asdict()

    sums: dict[str, OverlapAdd] = {}
    for start in (min(start, count - length) for start in starts):
        rows = slice(start, start + length)
        for name, value in solve(pose[rows], known[rows]).items():
            total = sums.setdefault(name, OverlapAdd(count, rate))
            total.add(start / rate, np.asarray(value[0], np.float32).reshape(length, -1))
    return {name: total.finish() for name, total in sums.items()}


def _channels(anatomy: str) -> tuple[tuple[str, ...], list[int]]:
    """Names of all electrodes of the anatomy, and their columns in [S · E]."""
    electrodes = anatomies.load(anatomy).electrodes
    names, columns = [], []
    for s, side in enumerate(vocabulary.SIDES):
        for m, muscle in enumerate(vocabulary.MUSCLES):
            if muscle in electrodes:
                names.append(vocabulary.channel(side, muscle))
                columns.append(s * len(vocabulary.MUSCLES) + m)
    return tuple(names), columns


def floor_force(report: MechanicsReport) -> Float[np.ndarray, " K"]:
    """Vertical force of floor and bench, as a multiple of the weight of body and load."""
    shares = load_shares("", report.settings.equipment)
    weight = report.mass + (0 if shares is None else float(shares.sum()) * report.settings.load)
    vertical = report.feet[..., 2].sum(1) + report.bench[:, 2]
    return vertical / (weight * dynamics.GRAVITY)
