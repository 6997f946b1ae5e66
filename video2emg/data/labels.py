"""What annotators say of a clip, as arrays on a window's clock."""

import dataclasses

import numpy as np

from video2emg.core.batch import Example
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.fkg.rubric import Rubric


@dataclasses.dataclass(frozen=True)
class Labels:
    """Turns a clip's annotations into targets; give it to `Examples` to have them in every cut.

    Attributes:
      rubric: the graph's tables; A actions, P key steps, E pairs.
      rate: Q / seconds instants per second at which the key step is asked, Hz.
      seconds: length of the window.
    """

    rubric: Rubric
    rate: float
    seconds: float

    @property
    def time(self) -> np.ndarray:
        """[Q] s from the start of the window, the middle of each instant."""
        return (np.arange(round(self.seconds * self.rate)) + 0.5) / self.rate

    def __call__(self, clip: Clip, start: float) -> Example:
        """The targets of the window that starts at `start` s on the clip clock.

        Returns:
          action [] int32; severity [E] in [0, 1], 0 where an error is not made, and error_mask [E]
          true on the pairs of the action; score [] and score_mask []; phase [Q] int32, which of
          the action's key steps, and phase_mask [Q] true within one; boundary [P] s from the start
          of the window, where each key step begins, NaN where it is unknown.

        Raises:
          UserError: labels of another graph or version, or an action, key step or error that the
            graph does not have.
        """
        rubric = self.rubric
        where = f"clip {clip.clip_id!r}"
        if clip.provenance.get("graph", rubric.version) != rubric.version:
            raise UserError(
                f"{where}: labelled with graph {clip.provenance['graph']!r}, not "
                f"{rubric.version!r}; weights and errors of one version mean nothing "
                "under another"
            )
        if clip.action not in rubric.actions:
            raise UserError(
                f"{where}, field action: {clip.action!r} is not in graph "
                f"{rubric.version} ({', '.join(rubric.actions)})"
            )
        action = rubric.actions.index(clip.action)
        steps, pairs = rubric.steps[action], rubric.pairs[action]
        severity = np.zeros(rubric.weight.shape[1], np.float32)
        for step, error, value in clip.errors:
            if (step, error) not in pairs:
                raise UserError(
                    f"{where}, field errors: {error!r} at {step!r} is not an error of "
                    f"{clip.action!r} in graph {rubric.version}"
                )
            severity[pairs.index((step, error))] = value
        time = start + self.time
        phase, inside = np.zeros(len(time), np.int32), np.zeros(len(time), bool)
        boundary = np.full(rubric.step.shape[1], np.nan, np.float32)
        for step, begin, end in clip.phases:
            if step not in steps:
                raise UserError(
                    f"{where}, field phases: {step!r} is not a key step of "
                    f"{clip.action!r} in graph {rubric.version}"
                )
            within = (time >= begin) & (time < end)
            phase[within], inside[within] = steps.index(step), True
            boundary[steps.index(step)] = begin - start
        return {
            "action": np.array(action, np.int32),
            "severity": severity,
            "error_mask": rubric.weight[action] > 0,
            "score": np.array(np.nan_to_num(clip.score), np.float32),
            "score_mask": np.array(np.isfinite(clip.score)),
            "phase": phase,
            "phase_mask": inside,
            "boundary": boundary,
        }

    def mirror(self, example: Example) -> Example:
        """What a left-right flip changes: errors with a side become those of the other side."""
        return {"severity": example["severity"][self.rubric.mirror[example["action"]]]}
