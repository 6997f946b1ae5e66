"""Definition of an exercise, and what all exercises share: noise, a neutral stance."""

import dataclasses
import typing
from collections.abc import Callable, Mapping

import numpy as np

from video2emg.sim import kinematics
from video2emg.sim.bench import Bench
from video2emg.sim.equipment import Equipment
from video2emg.sim.posture import ArmAngles, Posture
from video2emg.sim.subject import Subject
from video2emg.sim.tempo import POSE_RATE, Tempo


@dataclasses.dataclass(frozen=True)
class Effect:
    """Expected effect of an error on the drive of a muscle at equal load.

    Attributes:
      muscle: one of the two muscles of the exercise.
      statistic: `mean` or `peak` over the repetition, averaged over sides; or `asymmetry`, the
        difference of the means of both sides over their average.
      direction: +1 if the statistic rises with the error, −1 if it falls.
    """

    muscle: str
    statistic: typing.Literal["mean", "peak", "asymmetry"]
    direction: int


@dataclasses.dataclass(frozen=True)
class Error:
    """An error of technique. Its penalty and key step are in the knowledge graph.

    Attributes:
      effect: on the EMG.
      shorten_first: share by which the error shortens the first phase at full severity.
      shorten_second: share by which it shortens the second phase.
    """

    effect: Effect
    shorten_first: float = 0.0
    shorten_second: float = 0.0


@dataclasses.dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
      id: seeds the trials of this exercise. It is unique and never changes, so that adding or
        reordering exercises does not change any data.
      name: as in `Clip.action` and in the knowledge graph.
      equipment: where the load is.
      muscles: the two prime movers, on which FLEX would put electrodes.
      loads: lightest, heaviest and step of the load, kg (total, or per hand for dumbbells).
      errors: by name; the same as in the knowledge graph.
      move: makes the posture of a set; see `Draft`.
      bench: the bench that supports the trunk, if any.
      hold: shortest and longest pause at the turning point, s; None for the usual one.
      repetitions: fewest and most of a set; None for as many as the dataset wants.
      one_sided: whether one hand lifts; `equipment` is then that of the right hand.
      lowers_first: whether the first phase lowers the load or the body, where the knowledge graph
        does not say it.
      family: exercises that are held out together, because they are the same movement.
    """

    id: int
    name: str
    equipment: Equipment
    muscles: tuple[str, str]
    loads: tuple[float, float, float]
    errors: dict[str, Error]
    move: Callable[["Draft"], Posture]
    bench: Bench | None = None
    hold: tuple[float, float] | None = None
    repetitions: tuple[int, int] | None = None
    one_sided: bool = False
    lowers_first: bool = False
    family: str = ""


class Draft:
    """A set before its posture is made: subject, tempo, errors, and random numbers.

    All repetitions of a draft are done in the same manner: with the same errors.

    Attributes:
      subject: who.
      length: segment lengths, m.
      tempo: when the repetitions happen.
      time: [T] s.
      rng: for everything that varies.
      weak_side: `left` or `right`, the side that one-sided errors affect.
    """

    def __init__(
        self,
        subject: Subject,
        length: dict[str, float],
        errors: Mapping[str, float],
        tempo: Tempo,
        rng: np.random.Generator,
        weak_side: str = "left",
    ):
        """Keeps the arguments.

        Args:
          subject: who.
          length: segment lengths, m.
          errors: severity by name.
          tempo: when the repetitions happen.
          rng: for everything that varies.
          weak_side: `left` or `right`.
        """
        self.subject, self.length, self.tempo, self.rng = subject, length, tempo, rng
        self.weak_side, self.time = weak_side, tempo.time
        self._errors = errors

    def __len__(self) -> int:
        return len(self.time)

    def severity(self, name: str) -> float:
        """Severity of an error, 0 if it is absent."""
        return self._errors.get(name, 0.0)

    def progress(self, lag: float = 0.0) -> np.ndarray:
        """[T] 0 at rest, 1 at the turning point of the movement; `lag` in s delays it."""
        return self.tempo.progress(self.time - lag)

    def pulse(self, ahead: float = 0.0) -> np.ndarray:
        """[T] a pulse of height 1 while the first phase accelerates, shifted `ahead` s earlier."""
        return self.tempo.pulse(self.time + ahead)

    def sway(self, size: float) -> np.ndarray:
        """[T] random sway; novices sway more."""
        size = size * (1.5 - self.subject.skill)
        return kinematics.sway(self.rng, len(self), POSE_RATE, size)

    def constant(self, value: float = 0.0) -> np.ndarray:
        """[T] a constant."""
        return np.full(len(self), float(value))

    def neutral(self, stance: tuple[float, float] = (0.085, 0.12)) -> Posture:
        """Upright stance with slightly bent knees; `stance` is half its width over height."""
        rng, zero = self.rng, self.constant
        balance = rng.uniform(0.035, 0.06) * self.subject.height / 1.75
        return Posture(
            heading=self.subject.heading + rng.normal(0, 0.04),
            stance=rng.uniform(*stance) * self.subject.height,
            toe_out=np.deg2rad(rng.uniform(5, 18)),
            pelvis_pitch=self.sway(0.006),
            pelvis_roll=self.sway(0.004),
            pelvis_yaw=self.sway(0.006),
            lumbar_flexion=self.sway(0.008),
            lumbar_bend=self.sway(0.006),
            lumbar_turn=self.sway(0.006),
            thoracic=zero(0.02),
            neck=0.02 + self.sway(0.01),
            knee=zero(rng.uniform(0.10, 0.2)),
            caving=zero(),
            forward=balance + self.sway(0.003),
            sideways=self.sway(0.003),
            clavicle={side: zero() for side in ("right", "left")},
        )

    def arm(
        self,
        side: str,
        flexion: np.ndarray,
        abduction: np.ndarray,
        elbow: np.ndarray,
        pronation: float,
        turn: float = 0.0,
        plane: np.ndarray | float = 0.0,
    ) -> ArmAngles:
        """An arm by its angles, rad: flexion after abduction, in a plane turned to the front."""
        sign = 1 if side == "left" else -1
        upper = (
            kinematics.rotation("z", -sign * plane)
            @ kinematics.rotation("y", -flexion)
            @ kinematics.rotation("x", sign * abduction)
            @ kinematics.rotation("z", sign * turn)
        )
        return ArmAngles(
            upper,
            elbow + self.sway(0.012),
            self.constant(pronation) + self.sway(0.01),
            self.constant(0.05) + self.sway(0.01),
        )
