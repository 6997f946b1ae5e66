"""Respondents: baselines, our own model, chat endpoints, local models."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from video2emg.videoqa.items import Answer, Question


@runtime_checkable
class Respondent(Protocol):
    """Answers questions."""

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """An answer for each question, by question id."""
        ...
