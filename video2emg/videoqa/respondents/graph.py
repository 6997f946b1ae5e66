"""Our own model as respondent: it watches the clips, and the graph provides the texts."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from video2emg.aqa.predictions import AQAPredictions
from video2emg.core import emg as emg_lib
from video2emg.core import vocabulary
from video2emg.core.clip import Clips
from video2emg.core.errors import UserError
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.repetitions import Repetitions
from video2emg.fkg.graph import Graph
from video2emg.inference.run import Run, TrainedAQAHead
from video2emg.parallel.hosts import log
from video2emg.videoqa import wording
from video2emg.videoqa.generate import EVALUATE, RECOGNISE, SCORE, STANDARD
from video2emg.videoqa.items import Answer, Question
from video2emg.videoqa.prompt import LETTERS
from video2emg.videoqa.question_types import BY_NAME
from video2emg.videoqa.repetition_records import (
    RepetitionRecord,
    mean_activity,
    mean_tilt,
    peak_moments,
)


class GraphRespondent:
    """Answers from records of the clips.

    Its texts come from the templates of the reference answers, always in their first wording. This
    raises its BLEU, chrF++ and ROUGE-L above those of models that write their own texts.
    """

    def __init__(self, graph: Graph, repetitions: Mapping[str, RepetitionRecord]) -> None:
        """Keeps the records.

        Args:
          graph: with texts.
          repetitions: records by clip id.
        """
        self._graph, self._repetitions = graph, repetitions

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """One answer for each question."""
        return {question.id: Answer(self._text(question)) for question in questions}

    def _text(self, question: Question) -> str:
        repetitions = [self._repetitions[clip_id] for clip_id in question.clips]
        if question.form == "choice":
            question_type = BY_NAME[question.type]
            choice = question_type.select_option(self._graph, question, repetitions)
            if choice is None:
                return "None of these."
            return f"{LETTERS[choice]}. {question.options[choice]}"
        (repetition,) = repetitions
        action, phrases = self._graph.action(repetition.action), wording.PhraseChooser()
        texts = {
            RECOGNISE: lambda: wording.action_name(action),
            STANDARD: lambda: wording.standard(action, phrases),
            EVALUATE: lambda: wording.evaluation(repetition.to_feedback(self._graph), phrases),
            SCORE: lambda: f"{repetition.score:.1f}",
        }
        return texts[question.type]()


def predict_records(run: Run, clips: Clips, batch: int = 16) -> dict[str, RepetitionRecord]:
    """Predictions of a trained run for every repetition of a split. It is not told the exercise.

    Args:
      run: an assessment run.
      clips: the split.
      batch: number of repetitions per batch.

    Returns:
      Records by clip id.

    Raises:
      UserError: the run has no AQA head, or a clip is longer than its window.
    """
    if run.aqa_head is None:
        raise UserError(
            f"{run.workdir}: a Video→EMG run without an AQA head; --run needs the workdir of an "
            "assessment job (configs/aqa.py)"
        )
    # Measured EMG is not used. Cutting windows needs some reference, and any will do.
    repetitions = Repetitions(clips, run.window.seconds)
    examples = Examples(repetitions, run.window, emg_lib.Chain(), _UnitReference())
    records = {}
    for host in eval_batches(examples, batch):
        for row, record in _batch_records(run, run.aqa_head, examples, host):
            if record.clip_id in records:
                raise UserError(
                    f"clip {record.clip_id!r} is longer than the window of "
                    f"{run.window.seconds:g} s of {run.workdir}"
                )
            records[record.clip_id] = record
            if row % 500 == 499:
                log(f"{len(records)} of {len(examples)} clips watched")
    return records


def _batch_records(
    run: Run, head: TrainedAQAHead, examples: Examples, host: Mapping[str, np.ndarray]
) -> Iterator[tuple[int, RepetitionRecord]]:
    """(index of the example, its record) for each clip of a batch."""
    outputs = run.forward(host)
    inputs = dict(outputs.aqa_inputs)
    inputs |= {name: host[name] for name in ("view", "muscle", "side", "_mask")}
    # The head first recognises the exercise, and then assesses by it.
    placeholder = np.zeros(len(host["_mask"]), np.int32)
    recognised = head(inputs | {"action": placeholder}).action
    action = placeholder.copy()
    action[: len(recognised)] = recognised
    predictions = head(inputs | {"action": action})
    for row in np.flatnonzero(host["_mask"]):
        index = int(host["index"][row])
        clip = examples.clip(index)
        record = _to_record(head, predictions, int(row), clip.clip_id, clip.subject, clip.end)
        activity = mean_activity(
            outputs.emg[row][:, : len(clip.muscles)],
            run.window.emg_time,
            clip.muscles,
            record.spans,
        )
        window, tilt, moments = run.window, {}, {}
        if outputs.pose is not None:
            tilt = mean_tilt(outputs.pose[row], window.frame_time, window.joints, record.spans)
        if outputs.torque is not None:
            torque = outputs.torque[row]
            moments = peak_moments(torque, window.frame_time, vocabulary.DOFS, record.spans)
        yield (
            index,
            dataclasses.replace(record, activity=activity, tilt=tilt, moments=moments),
        )


def _to_record(
    head: TrainedAQAHead,
    predictions: AQAPredictions,
    row: int,
    clip_id: str,
    subject: str,
    end: float,
) -> RepetitionRecord:
    """The record of one row of the predictions, for the exercise that the head recognised."""
    action = head.graph.action(head.rubric.actions[predictions.action[row]])
    step_errors = [(step.id, edge.error) for step, edge in action.pairs]
    begins = [float(predictions.boundary[row, i]) for i in range(len(action.steps))]
    spans = {
        step.id: (begin, stop)
        for step, begin, stop in zip(action.steps, begins, [*begins[1:], end], strict=True)
        if not math.isnan(begin) and stop > begin
    }
    return RepetitionRecord(
        clip_id=clip_id,
        action=action.id,
        subject=subject,
        spans=spans,
        probability={
            pair: float(predictions.probability[row, i]) for i, pair in enumerate(step_errors)
        },
        severity={
            pair: float(predictions.expected_severity[row, i]) for i, pair in enumerate(step_errors)
        },
        threshold=head.threshold,
        score=float(predictions.score[row]),
        activity={},
        tilt={},
        moments={},
    )


class _UnitReference(emg_lib.Normalisation):
    """Leaves envelopes as they are."""

    def __init__(self) -> None:
        super().__init__("mvc")

    def scale(self, clip):
        return np.ones(len(clip.muscles), np.float32)
