"""The pose of one recording, as windows for a model that reads poses."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.core import body_frame
from video2emg.core.batch import Window
from video2emg.core.equipment import PLACES, load_shares
from video2emg.data.film_pose import FilmPose
from video2emg.inference.prediction import Movement
from video2emg.pose.angles import MOVING_KINDS, moving_angles

LOAD_NOT_TOLD = (
    "the load or its place is not told (--load, --equipment): the EMG is relative effort, not % MVC"
)


def knows_load(action: str, equipment: str, load: float | None) -> bool:
    """Whether it is told how much is lifted, and where.

    Args:
      action: the exercise, which often names the equipment; empty if it is not told.
      equipment: a name of `core.equipment.EQUIPMENT`; empty if it is not told.
      load: kg; None if it is not told.
    """
    shares = load_shares(action, equipment)
    return shares is not None and (load is not None or not shares.any())


@dataclasses.dataclass(frozen=True)
class PoseInput:
    """A pose on the clock of its film, with what was told of the body and the load.

    Attributes:
      pose: of `data.film_pose`; refused times are masked.
      window: input window of the model.
      height: of the person, m; NaN if it is not told.
      load: kg; None if it is not told.
      equipment: a name of `core.equipment.EQUIPMENT`; empty if it is not told.
      action: the exercise, which often names the equipment; empty if it is not told.
    """

    pose: FilmPose
    window: Window
    height: float = math.nan
    load: float | None = None
    equipment: str = ""
    action: str = ""

    @property
    def sources(self) -> Mapping[str, Path]:
        """The films, by their number."""
        return {f"camera_{n}": film.path for n, film in enumerate(self.pose.films, 1)}

    @property
    def complete(self) -> bool:
        """Whether every view of the model is there; it has none."""
        return True

    @property
    def knows_load(self) -> bool:
        """Whether it is told how much is lifted, and where."""
        return knows_load(self.action, self.equipment, self.load)

    @property
    def warnings(self) -> Iterator[str]:
        """What is wrong with the film, and what was not told, a sentence each."""
        gated = self.pose.gated
        if gated.refused:
            yield gated.refused
        for film in self.pose.films:
            yield from film.warnings
        yield from (f"not used: {span}" for span in gated.spans)
        yield from self.pose.remarks
        if not self.knows_load:
            yield LOAD_NOT_TOLD

    @property
    def end(self) -> float:
        """S at which the last instant ends."""
        times, rate = self.pose.track.times, self.pose.track.rate
        return float(times[-1] + 1 / rate) if len(times) > 1 else 0.0

    @property
    def seconds(self) -> float:
        """Duration, s."""
        return self.end

    @property
    def window_starts(self) -> list[float]:
        """Starts of windows that cover the pose, s."""
        return self.window.starts(self.seconds)

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Start and end of each repetition, s; none if the movement is no exercise."""
        gated = self.pose.gated
        return [] if gated.refused else list(gated.repeated.spans)

    def read_window(self, start: float, end: float = math.inf) -> dict[str, Any]:
        """Reads one window.

        Args:
          start: of the window, s.
          end: instants from this one on are masked, s.

        Returns:
          `pose`, `held`, `height` and their masks, of `core.batch.FIELDS`.
        """
        track, times = self.pose.track, start + self.window.frame_time
        joints, known = track.sampled(times)
        known &= (times < end)[:, None]
        pose, mask, _ = body_frame.canonical_pose(track.names, joints, known, self.window.joints)
        shares = load_shares(self.action, self.equipment)
        return {
            "pose": pose,
            "pose_mask": mask,
            "held": np.zeros(len(PLACES), np.float32) if shares is None else shares,
            "held_mask": np.bool_(shares is not None),
            "height": np.float32(np.nan_to_num(self.height)),
            "height_mask": np.bool_(math.isfinite(self.height)),
        }

    def known(self, time: np.ndarray) -> np.ndarray:
        """[N] whether the pose is known at these instants, s."""
        return self.pose.track.seen_at(time).mean(1) > 0.5

    def movement(self, start: float, end: float) -> Movement | None:
        """How far and how fast the joint that moves most moves in a repetition."""
        track, repeated = self.pose.track, self.pose.gated.repeated
        within = (track.times >= start) & (track.times <= end)
        if not repeated.angle or within.sum() < 3:
            return None
        angles = moving_angles(track.joints[within], track.names)
        k = MOVING_KINDS.index(repeated.angle)
        left, right = (angles[:, k + side * len(MOVING_KINDS)] for side in (0, 1))
        turn = next((t for t in repeated.turns if start <= t <= end), math.nan)
        return Movement(
            joint=repeated.angle,
            left=_range(left),
            right=_range(right),
            first_half=turn - start,
            second_half=end - turn,
        )


def _range(angle: np.ndarray) -> float:
    """Range of an angle, degrees; NaN if it is hardly seen."""
    known = angle[np.isfinite(angle)]
    return float(np.ptp(known)) if 2 * len(known) > len(angle) else math.nan
