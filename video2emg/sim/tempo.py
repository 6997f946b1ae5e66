"""When the repetitions of a set happen: pauses, uneven tempo, repetitions that are broken off."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from video2emg.sim import kinematics

POSE_RATE = 50.0  # Hz

# All ranges in s. Shares are per repetition unless noted.
_BEFORE, _AFTER = (0.8, 2.2), (0.8, 2.0)  # standing still at both ends of the set
_FIRST, _SECOND = (0.9, 1.45), (0.95, 1.5)  # durations of the two phases
_WITHOUT = (9.0, 14.0)  # length of a recording without repetitions
_HOLD, _REST = (0.05, 0.25), (0.1, 0.6)  # at the turning point; between repetitions
_LONG_SHARE, _LONG_HOLD, _LONG_REST = 0.12, (0.6, 1.8), (0.9, 2.5)  # pauses of some repetitions
_SHORT_SHARE, _SHORT_DEPTH = 0.07, (0.4, 0.7)  # broken-off repetitions, share of the full range
_DEPTH = (0.93, 1.0)  # of complete repetitions
_PERSONAL, _UNEVEN = 0.16, 0.08  # spread of the tempo over sets and within one (log scale)
# Loss of velocity from the first to the last repetition of the concentric phase: up to 20-40 % in
# sets that end before failure (Sánchez-Medina & González-Badillo, Med. Sci. Sports Exerc. 43,
# 2011).
_VELOCITY_LOSS = (0.0, 0.4)
_RACKED_SHARE, _RACKING = 0.3, 0.3  # sets whose bar is taken from and put back into a rack; s


@dataclasses.dataclass(frozen=True)
class Cycle:
    """One repetition.

    Attributes:
      start: of the movement, s.
      first, hold, second: durations of the two phases and of the pause between them, s.
      depth: share of the full range of motion.
    """

    start: float
    first: float
    hold: float
    second: float
    depth: float

    @property
    def turn(self) -> float:
        """Middle of the pause at the turning point, s."""
        return self.start + self.first + self.hold / 2

    @property
    def end(self) -> float:
        """End of the movement, s."""
        return self.start + self.first + self.hold + self.second

    @property
    def complete(self) -> bool:
        """Whether the repetition was not broken off."""
        return self.depth >= _DEPTH[0]


@dataclasses.dataclass(frozen=True)
class Tempo:
    """The repetitions of a set, in the order of time.

    Attributes:
      cycles: K repetitions; none in a movement without repetitions.
      duration: of the recording, s.
      racked: whether a rack carries the load at both ends of the recording.
    """

    cycles: tuple[Cycle, ...]
    duration: float
    racked: bool = False

    @property
    def time(self) -> Float[np.ndarray, " T"]:
        """[T] s, at `POSE_RATE`."""
        return np.arange(round(self.duration * POSE_RATE) + 1) / POSE_RATE

    def progress(self, time: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """0 at rest, 1 at the turning point of a full repetition."""
        total = np.zeros_like(time)
        for cycle in self.cycles:
            first = kinematics.minimum_jerk((time - cycle.start) / cycle.first)
            back = time - cycle.start - cycle.first - cycle.hold
            total += cycle.depth * (first - kinematics.minimum_jerk(back / cycle.second))
        return np.maximum(total, 0.0)  # differences at rest may be rounded to below zero

    def pulse(self, time: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """A pulse of height 1 while the first phase of each repetition accelerates."""
        total = np.zeros_like(time)
        for cycle in self.cycles:
            centre = cycle.start + 0.35 * cycle.first
            total += np.exp(-(((time - centre) / (0.22 * cycle.first)) ** 2))
        return total

    def weights(self) -> Float[np.ndarray, "K T"]:
        """How much each repetition's manner counts: 1 during it, cross-faded in the pauses."""
        time = self.time
        steps = [
            kinematics.minimum_jerk((time - before.end) / max(after.start - before.end, 0.1))
            for before, after in zip(self.cycles, self.cycles[1:], strict=False)
        ]
        begun = np.stack([np.ones_like(time), *steps])
        return begun - np.concatenate([begun[1:], np.zeros((1, len(time)))])

    def carried(self) -> Float[np.ndarray, " T"]:
        """Share of the load that the person carries; the rack carries the rest."""
        time = self.time
        if not self.racked or not self.cycles:
            return np.ones_like(time)
        taken = self.cycles[0].start - 0.5 - _RACKING
        returned = self.cycles[-1].end + 0.5
        up = kinematics.minimum_jerk((time - taken) / _RACKING)
        return up - kinematics.minimum_jerk((time - returned) / _RACKING)


def draw(
    rng: np.random.Generator,
    phase_scale: Sequence[tuple[float, float]],
    concentric: int = 0,
    hold: tuple[float, float] | None = None,
    can_be_racked: bool = False,
    pace: float = 1.0,
) -> Tempo:
    """Draws the tempo of a set.

    Args:
      rng: of everything that varies.
      phase_scale: factors on the durations of the two phases, for each repetition.
      concentric: the phase in which the muscles shorten, 0 or 1, which slows down with fatigue.
      hold: range of the pause at the turning point, s; the usual one by default.
      can_be_racked: whether the load may be in a rack before and after the set.
      pace: factor on the durations of all phases, of this person.
    """
    count = len(phase_scale)
    personal = np.exp(rng.normal(0, _PERSONAL))
    loss = rng.uniform(*_VELOCITY_LOSS)
    now, cycles = rng.uniform(*_BEFORE), []
    for number, scale in enumerate(phase_scale):
        long_hold, long_rest, short = rng.random(3)
        depth = rng.uniform(*(_SHORT_DEPTH if short < _SHORT_SHARE and count > 1 else _DEPTH))
        uneven = np.exp(rng.normal(0, _UNEVEN, 2))
        phases = np.array([rng.uniform(*_FIRST), rng.uniform(*_SECOND)]) * scale
        # A hurried phase is as fast in people whose tempo is slow otherwise.
        slow = np.where(np.array(scale) < 1, 1.0, personal)
        phases *= np.clip(slow * uneven, 0.8, 1.8) * np.sqrt(depth) * pace
        # The lost velocity grows faster towards the end of a set.
        phases[concentric] /= 1 - loss * (number / max(count - 1, 1)) ** 1.5
        pause = hold or (_LONG_HOLD if long_hold < _LONG_SHARE else _HOLD)
        cycle = Cycle(now, float(phases[0]), rng.uniform(*pause), float(phases[1]), float(depth))
        cycles.append(cycle)
        now = cycle.end + rng.uniform(*(_LONG_REST if long_rest < _LONG_SHARE else _REST))
    end = cycles[-1].end + rng.uniform(*_AFTER)
    racked = can_be_racked and rng.random() < _RACKED_SHARE
    if racked:  # time for the rack
        end += 0.5 + _RACKING
    return Tempo(tuple(cycles), float(np.round(end * POSE_RATE) / POSE_RATE), racked)


def still(rng: np.random.Generator) -> Tempo:
    """A recording without repetitions."""
    return Tempo((), float(np.round(rng.uniform(*_WITHOUT) * POSE_RATE) / POSE_RATE))


def standard(phase_scale: tuple[float, float] = (1.0, 1.0)) -> Tempo:
    """One repetition at a middling tempo, to compare repetitions that differ in something else."""
    first, second = 1.15 * phase_scale[0], 1.2 * phase_scale[1]
    cycle = Cycle(start=0.35, first=first, hold=0.15, second=second, depth=1.0)
    return Tempo((cycle,), float(np.round((cycle.end + 0.3) * POSE_RATE) / POSE_RATE))
