"""Which correction of an error helps a person most: mechanics of the own pose without the error.

The mean change that an error makes to the directions of the segments (`fkg.signatures`) is taken
away from a measured pose, in proportion to the severity of the error. Bones keep their lengths.
Moments with and without the error are computed by the same mechanics.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jaxtyping import Bool, Float

from video2emg.core import body_frame, interpolation, segment_directions, vocabulary
from video2emg.core.clip import Clip
from video2emg.core.equipment import load_shares, name_of_shares
from video2emg.core.errors import UserError
from video2emg.core.joint_moments import JOINTS, peaks
from video2emg.core.pose_track import UPRIGHT, PoseTrack, interpolate
from video2emg.data.person import traits
from video2emg.fkg import signatures as files
from video2emg.fkg.effects import joint_name
from video2emg.fkg.graph import Action, Graph
from video2emg.fkg.signatures import Signature
from video2emg.inference import mechanics
from video2emg.inference.mechanics import Settings
from video2emg.physics.constants import COMMON_DRIVE
from video2emg.physics.mechanics import Mechanics

MARGIN = 0.3  # s that are computed before and after a repetition
_BLOCK = 32  # instants; lengths are multiples of it, so that programs can be used again

_shipped = functools.cache(files.read)


@dataclasses.dataclass(frozen=True)
class Correction:
    """A repetition as it was, and without one of its errors.

    Attributes:
      step, error: ids.
      error_name: for people.
      severity: of the error that was taken away.
      moments: peak moment of each of `JOINTS` during the repetition with and without the error,
        N·m; of pairs of joints that of the larger side.
      score: points of 100 that the correction gains.
    """

    step: str
    error: str
    error_name: str
    severity: float
    moments: Mapping[str, tuple[float, float]]
    score: float

    def change(self, joint: str) -> float:
        """Change of a joint's peak moment by the correction, N·m."""
        before, after = self.moments[joint]
        return after - before

    def share(self, joint: str) -> float:
        """`change` over the peak with the error."""
        return self.change(joint) / max(self.moments[joint][0], 1e-9)

    @property
    def joint(self) -> str:
        """The joint whose peak moment falls most."""
        return min(self.moments, key=self.change)

    def to_json(self) -> dict:
        """Plain values."""
        return {
            "step": self.step,
            "error": self.error,
            "severity": self.severity,
            "score": self.score,
            "moments": {
                joint: {"with": before, "without": after, "unit": "N·m"}
                for joint, (before, after) in self.moments.items()
            },
        }


def corrections(
    track: PoseTrack,
    phases: Sequence[tuple[str, float, float]],
    severities: Mapping[tuple[str, str], float],
    graph: Graph,
    action: str,
    settings: Settings,
    estimated: bool = False,
    signatures: Mapping[tuple[str, str], Signature] | None = None,
) -> list[Correction]:
    """The corrections of one repetition, the one that lowers a peak moment most first.

    Args:
      track: pose around the repetition, upright.
      phases: (key step, start, end) of the repetition, s on the track's clock.
      severities: of the errors to correct, by key step and error, 0-1; for uncertain errors the
        expected one. Errors without a signature are left out.
      graph: names and penalties.
      action: of the graph.
      settings: load, equipment and body.
      estimated: whether an estimator saw the pose in a film.
      signatures: by action and error; by default those of `gymsim`.

    Raises:
      UserError: key steps that are missing, or a pose that is too short or makes no body.
    """
    signatures = _shipped() if signatures is None else signatures
    node = graph.action(action)
    wanted = {
        pair: severity
        for pair, severity in severities.items()
        if severity > 0 and (action, pair[1]) in signatures
    }
    if not wanted:
        return []
    bounds = _bounds(node, phases, track.source)
    body = _body(track, bounds, settings, estimated)
    start, turn, end = (float(bound - body.time[0]) for bound in bounds)
    bounds = start, turn, end
    variants = [(body.pose, body.time - body.time[0], bounds)]
    for (_, error), severity in wanted.items():
        variants.append(corrected(body, bounds, signatures[action, error], severity))
    peaks = _peaks(body, variants)
    total = sum(node.penalties)
    weights = {(s.id, e.error): w for (s, e), w in zip(node.pairs, node.penalties, strict=True)}
    changes = [
        Correction(
            step=step,
            error=error,
            error_name=graph.errors[error].name or error,
            severity=severity,
            moments={j: (float(peaks[0][j]), float(after[j])) for j in JOINTS},
            score=100 * weights[step, error] * severity / total,
        )
        for ((step, error), severity), after in zip(wanted.items(), peaks[1:], strict=True)
    ]
    return sorted(changes, key=lambda correction: correction.change(correction.joint))


def for_clip(clip: Clip, graph: Graph) -> list[Correction]:
    """The corrections of the labelled errors of a clip that is one repetition.

    Height and mass are those of the clip's provenance; else they follow from the joints.

    Raises:
      UserError: no pose, no key steps, or a load whose place is unknown.
    """
    if not clip.phases or not len(clip.pose):
        raise UserError(f"clip {clip.clip_id!r}: corrections need a pose and key steps")
    equipment = str(clip.provenance.get("equipment", ""))
    shares = load_shares(clip.action, equipment)
    if shares is None:
        raise UserError(f"clip {clip.clip_id!r}: nothing says where the load is")
    (height, mass, _), told = traits(clip)
    settings = Settings(
        load=float(np.nan_to_num(clip.load)),
        equipment=equipment or name_of_shares(shares),
        height=float(height) if told[0] else math.nan,
        mass=float(mass) if told[1] else math.nan,
    )
    seen = np.isfinite(clip.pose).all(2).astype(float)
    track = PoseTrack(
        clip.joints, clip.pose_time, clip.pose, seen, source=clip.clip_id, axes=UPRIGHT
    )
    severities = {(step, error): severity for step, error, severity in clip.errors}
    return corrections(track, clip.phases, severities, graph, clip.action, settings)


def to_text(changes: Sequence[Correction]) -> str:
    """One or two sentences for people; empty without corrections."""
    if not changes:
        return ""
    relief, gain = changes[0], max(changes, key=lambda correction: correction.score)
    if relief.change(relief.joint) < 0:
        first = (
            f"Without “{relief.error_name.lower()}” the peak of {joint_name(relief.joint)} would "
            f"be {-relief.change(relief.joint):.0f} N·m lower ({-relief.share(relief.joint):.0%})"
        )
        if relief is gain:
            return f"{first}, and the score {gain.score:.0f} points higher."
        first += "."
    else:
        first = "No single correction lowers a peak moment."
    return f"{first} Most points ({gain.score:.0f}) are gained without “{gain.error_name.lower()}”."


@dataclasses.dataclass(frozen=True)
class Body:
    """A repetition in the canonical frame, at the body's own size.

    Attributes:
      time: [T] s, regular.
      pose: [T, 21, 3] m, joints of `vocabulary.FLEX_21`; 0 if never known.
      known: [T, 21] which joints were seen.
      layers: mechanics of these joints.
      height, mass: m and kg.
      held: [5] kg at each of `core.equipment.PLACES`.
    """

    time: Float[np.ndarray, " T"]
    pose: Float[np.ndarray, "T 21 3"]
    known: Bool[np.ndarray, "T 21"]
    layers: Mechanics
    height: float
    mass: float
    held: Float[np.ndarray, " 5"]


# Time from the start, s, of a pose, and when its repetition starts, turns and ends.
Variant = tuple[np.ndarray, np.ndarray, tuple[float, float, float]]


def corrected(
    body: Body, bounds: tuple[float, float, float], signature: Signature, severity: float
) -> Variant:
    """The pose without an error: its time from the start of the body, and its new bounds.

    An error of one side is taken away from the side on which this leaves the body more symmetric.

    Args:
      body: the repetition.
      bounds: start, turn and end of the repetition, s after the start of the body.
      signature: of the error.
      severity: of the error, 0-1.
    """
    time = body.time - body.time[0]
    rotation = signature.at(np.interp(time, bounds, range(3)), severity)
    sides = (rotation, segment_directions.mirrored(rotation))
    poses = [segment_directions.turned(body.pose, -side) for side in sides]
    pose = min(poses, key=_asymmetry)
    start, turn, end = bounds
    first, second = signature.stretched(severity)
    new_turn = start + (turn - start) / first
    new_end = new_turn + (end - turn) / second
    stretched = np.interp(time, bounds, (start, new_turn, new_end))
    stretched += np.minimum(time - start, 0) + np.maximum(time - end, 0)
    return pose, stretched, (start, new_turn, new_end)


def _asymmetry(pose: np.ndarray) -> float:
    """Mean distance of the directions of the segments from those of the mirror image."""
    directions = segment_directions.directions(pose)
    names = [far for _, far in segment_directions.SEGMENTS]
    mirror = directions[:, vocabulary.mirror_order(names)] * np.array([1.0, -1.0, 1.0])
    return float(np.abs(directions - mirror).mean())


def _bounds(
    action: Action, phases: Sequence[tuple[str, float, float]], source: str
) -> tuple[float, float, float]:
    """Start, turn and end of the movement, s: the key steps after the preparation."""
    moving = [p for p in phases if action.step(p[0]).phase != "preparation"]
    if len(moving) < 2 or not np.isfinite([p[1:] for p in moving]).all():
        raise UserError(f"{source}: corrections need the start and end of both phases")
    start, turn, end = moving[0][1], moving[1][1], moving[-1][2]
    if not start < turn < end:
        raise UserError(f"{source}: key steps that are not in order ({start}, {turn}, {end} s)")
    return start, turn, end


def _body(
    track: PoseTrack, bounds: tuple[float, float, float], settings: Settings, estimated: bool
) -> Body:
    """The repetition with a margin on both sides.

    What an estimator saw is smooth, so that it may be interpolated to the rate of the mechanics.
    """
    if estimated and len(track.times) > 1 and track.rate < mechanics.LEAST_RATE:
        track = track.resampled(mechanics.LEAST_RATE)
    inside = (track.times >= bounds[0] - MARGIN) & (track.times <= bounds[2] + MARGIN)
    time, pose, known, rate = mechanics.regular(track.during(inside))
    joints = vocabulary.FLEX_21
    placed, known, measured = body_frame.canonical_pose(track.names, pose, known, joints)
    if not np.isfinite(measured):
        raise UserError(f"{track.source}: joints that make no body; no segment is known")
    placed = np.nan_to_num(interpolate(time, np.where(known[..., None], placed, np.nan), time))
    height = mechanics.told_height(settings, measured, track.source)
    used = tuple(j for j in joints if j != "chest" or "chest" in track.names)
    shares = load_shares("", settings.equipment)
    assert shares is not None  # settings are checked
    return Body(
        time=time,
        pose=placed * (height / body_frame.HEIGHT),
        known=known,
        layers=Mechanics(
            used,
            rate=rate,
            muscle_rate=rate,
            cutoff=mechanics.told_cutoff(settings, estimated, rate),
            anatomy=settings.anatomy,
            balanced=estimated,
            common_drive=COMMON_DRIVE,
        ),
        height=height,
        mass=mechanics.told_mass(settings, height),
        held=(settings.load * shares).astype(np.float32),
    )


def _peaks(body: Body, variants: Sequence[Variant]) -> list[dict[str, float]]:
    """Peak moment of each joint in each variant, N·m, in one batch."""
    rate = body.layers.rate
    longest = max(float(time[-1]) for _, time, _ in variants)
    count = -(-(int(longest * rate) + 1) // _BLOCK) * _BLOCK
    grid = np.arange(count) / rate
    poses = np.stack([interpolation.linear(pose, time, grid) for pose, time, _ in variants])
    used = [vocabulary.FLEX_21.index(name) for name in body.layers.joints]
    known = np.broadcast_to(body.known.any(0), poses.shape[:3])
    torque = np.asarray(
        _torque(
            body.layers,
            poses[:, :, used].astype(np.float32),
            known[:, :, used],
            np.full(len(poses), body.height, np.float32),
            np.full(len(poses), body.mass, np.float32),
            np.tile(body.held, (len(poses), 1)),
        )
    )
    return [
        peaks(one[(grid >= start) & (grid <= end)])
        for one, (_, _, (start, _, end)) in zip(torque, variants, strict=True)
    ]


@functools.partial(jax.jit, static_argnums=0)
def _torque(layers: Mechanics, pose, known, height, mass, held) -> jax.Array:
    """[B, T, D] N·m; the muscles are not computed, because nothing needs them."""
    return layers(pose, known, height, mass, held).torque
