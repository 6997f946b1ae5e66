"""Annotations of a clip as label fields of an example."""

import dataclasses

import numpy as np

from video2emg.core.batch import Example
from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.fkg.rubric import Rubric


@dataclasses.dataclass(frozen=True)
class Labels:
    """Turns a clip's annotations into label fields; `Examples` adds them to every example.

    Attributes:
      rubric: the knowledge graph's tables; A actions, P key steps, E pairs of step and error.
      rate: of the Q instants at which the key step is labelled, Hz.
      seconds: length of the window.
    """

    rubric: Rubric
    rate: float
    seconds: float

    @property
    def time(self) -> np.ndarray:
        """[Q] s from the start of the window, the middle of each instant's interval."""
        return (np.arange(round(self.seconds * self.rate)) + 0.5) / self.rate

    def __call__(self, clip: Clip, start: float) -> Example:
        """The label fields (`core.batch.FIELDS`) of the window from `start` s on the clip's clock.

        Raises:
          UserError: labels of another graph or version, or an action, key step or error that the
            graph does not have.
        """
        rubric = self.rubric
        where, graph = f"clip {clip.clip_id!r}", f"graph {rubric.version}"
        if clip.provenance.get("graph", rubric.version) != rubric.version:
            raise UserError(
                f"{where}: labelled with graph {clip.provenance['graph']!r}, not "
                f"{rubric.version!r}; labels of one version have no meaning in another"
            )
        if clip.action not in rubric.actions:
            known = ", ".join(rubric.actions)
            raise UserError(f"{where}, field action: {clip.action!r} is not in {graph} ({known})")
        action = rubric.actions.index(clip.action)
        steps, pairs = rubric.steps[action], rubric.pairs[action]
        severity = np.zeros(rubric.weight.shape[1], np.float32)
        for step, error, value in clip.errors:
            if (step, error) not in pairs:
                raise UserError(
                    f"{where}, field errors: {error!r} at {step!r} is not an error of "
                    f"{clip.action!r} in {graph}"
                )
            severity[pairs.index((step, error))] = value
        time = start + self.time
        phase, phase_mask = np.zeros(len(time), np.int32), np.zeros(len(time), bool)
        boundary = np.full(rubric.step.shape[1], np.nan, np.float32)
        for step, begin, end in clip.phases:
            if step not in steps:
                raise UserError(
                    f"{where}, field phases: {step!r} is not a key step of {clip.action!r} in "
                    f"{graph}"
                )
            inside = (time >= begin) & (time < end)
            phase[inside], phase_mask[inside] = steps.index(step), True
            boundary[steps.index(step)] = begin - start
        return {
            "action": np.array(action, np.int32),
            "severity": severity,
            "error_mask": rubric.weight[action] > 0,
            "score": np.array(np.nan_to_num(clip.score), np.float32),
            "score_mask": np.array(np.isfinite(clip.score)),
            "phase": phase,
            "phase_mask": phase_mask,
            "boundary": boundary,
        }

    def mirror(self, example: Example) -> Example:
        """The fields that a left-right flip changes: errors of one side become the other's."""
        return {"severity": example["severity"][self.rubric.mirror[example["action"]]]}
