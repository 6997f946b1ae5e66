"""Our own model as respondent: it watches the clips, the graph has the words."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from video2emg.aqa.predictions import AQAPredictions
from video2emg.core import emg as emg_lib
from video2emg.core.errors import UserError
from video2emg.data.pipeline import Examples, eval_batches
from video2emg.data.store import ClipSource
from video2emg.fkg.graph import Graph
from video2emg.inference.run import Judge, Run
from video2emg.parallel.hosts import log
from video2emg.videoqa import wording
from video2emg.videoqa.accounts import Account, mean_activity, mean_tilt
from video2emg.videoqa.generate import EVALUATE, RECOGNISE, SCORE, STANDARD
from video2emg.videoqa.items import Answer, Question
from video2emg.videoqa.kinds import BY_NAME
from video2emg.videoqa.prompt import LETTERS


class GraphAnswerer:
    """Answers from accounts of the clips.

    It is wordless where others are not: its texts are made of the graph's by the templates of the
    reference answers, always in their first variant, so that what it shares with the references
    (BLEU, chrF++, ROUGE-L) flatters it beside models that speak for themselves.
    """

    def __init__(self, graph: Graph, accounts: Mapping[str, Account]) -> None:
        """Keeps what is known of each clip.

        Args:
          graph: with texts.
          accounts: by clip id.
        """
        self._graph, self._accounts = graph, accounts

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """One answer for each question."""
        return {question.id: Answer(self._say(question)) for question in questions}

    def _say(self, question: Question) -> str:
        accounts = [self._accounts[clip_id] for clip_id in question.clips]
        if question.form == "choice":
            choice = BY_NAME[question.kind].choose(self._graph, question, accounts)
            if choice is None:
                return "None of these."
            return f"{LETTERS[choice]}. {question.options[choice]}"
        (account,) = accounts
        action, voice = self._graph.action(account.action), wording.Voice()
        say = {
            RECOGNISE: lambda: wording.action_name(action),
            STANDARD: lambda: wording.standard(action, voice),
            EVALUATE: lambda: wording.evaluation(account.feedback_texts(self._graph), voice),
            SCORE: lambda: f"{account.score:.1f}",
        }
        return say[question.kind]()


def watch(run: Run, source: ClipSource, batch: int = 16) -> dict[str, Account]:
    """What a trained run says of every clip of a split, without being told the exercise.

    Args:
      run: with a judge.
      source: the split.
      batch: clips at a time.

    Raises:
      UserError: the run has no judge, or a clip is longer than its window.
    """
    if run.judge is None:
        raise UserError(f"{run.workdir}: a Video→EMG run without a judge; --checkpoint needs the "
                        "workdir of an assessment job (configs/aqa.py)")  # fmt: skip
    # The measured EMG of the clips is not looked at; any reference will do to cut windows.
    examples = Examples(source, run.window, emg_lib.Chain(), _Unit())
    found = {}
    for host in eval_batches(examples, batch):
        for row, account in _accounts(run, run.judge, examples, host):
            if account.clip_id in found:
                raise UserError(f"clip {account.clip_id!r} is longer than the window of "
                                f"{run.window.seconds:g} s of {run.workdir}")  # fmt: skip
            found[account.clip_id] = account
            if row % 500 == 499:
                log(f"{len(found)} of {len(examples)} clips watched")
    return found


def _accounts(
    run: Run, judge: Judge, examples: Examples, host: Mapping[str, np.ndarray]
) -> Iterator[tuple[int, Account]]:
    seen = run.watcher(host)
    asked = dict(seen.aqa_inputs) | {
        name: host[name] for name in ("view", "muscle", "side", "_mask")
    }
    nobody = np.zeros(len(host["_mask"]), np.int32)
    recognised = judge(asked | {"action": nobody}).action
    padded = nobody.copy()
    padded[: len(recognised)] = recognised
    said = judge(asked | {"action": padded})
    for row in np.flatnonzero(host["_mask"]):
        index = int(host["index"][row])
        clip = examples.clip(index)
        account = _account(judge, said, int(row), clip.clip_id, clip.subject, clip.end)
        activity = mean_activity(
            seen.emg[row][:, : len(clip.muscles)],
            run.window.emg_time,
            clip.muscles,
            account.spans,
        )
        tilt = {}
        if seen.pose is not None:
            window = run.window
            tilt = mean_tilt(seen.pose[row], window.frame_time, window.joints, account.spans)
        yield index, dataclasses.replace(account, activity=activity, tilt=tilt)


def _account(
    judge: Judge, said: AQAPredictions, row: int, clip_id: str, subject: str, end: float
) -> Account:
    """A row of a judgement made under the exercise that it recognised."""
    action = judge.graph.action(judge.rubric.actions[said.action[row]])
    pairs = [(step.id, edge.error) for step, edge in action.pairs]
    begins = [float(said.boundary[row, i]) for i in range(len(action.steps))]
    spans = {
        step.id: (begin, stop)
        for step, begin, stop in zip(action.steps, begins, [*begins[1:], end], strict=True)
        if not math.isnan(begin) and stop > begin
    }
    return Account(
        clip_id=clip_id,
        action=action.id,
        subject=subject,
        spans=spans,
        probability={pair: float(said.probability[row, i]) for i, pair in enumerate(pairs)},
        extent={pair: float(said.expected_severity[row, i]) for i, pair in enumerate(pairs)},
        threshold=judge.threshold,
        score=float(said.score[row]),
        activity={},
        tilt={},
    )


class _Unit(emg_lib.Normalisation):
    """Leaves envelopes as they are."""

    def __init__(self) -> None:
        super().__init__("mvc")

    def scale(self, clip):
        return np.ones(len(clip.muscles), np.float32)
