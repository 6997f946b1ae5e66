"""Names for people, and reference answers composed from the texts of the knowledge graph."""

from collections.abc import Sequence

import numpy as np

from video2emg.fkg.feedback import Feedback, Finding
from video2emg.fkg.graph import Action, Graph, KeyStep

_STANDARD = (
    "The standard of the {name}:",
    "This is how the {name} is done well.",
    "A good {name} keeps to the following.",
)
_NO_ERRORS = (
    "No error is seen: every key step keeps to the standard.",
    "The repetition keeps to the standard in every key step; no error is seen.",
    "All key steps are done well, and no error is seen.",
)
_SOME_ERRORS = (
    "Measured against the standard, {count} seen.",
    "Compared with the standard, {count} seen.",
    "The repetition departs from the standard: {count} seen.",
)
_FINDING = (
    "{error} in the key step {step}{moment}.",
    "In the key step {step}{moment}: {error}.",
    "{error}, seen in {step}{moment}.",
)
_MUSCLES = ("Muscles involved: {}.", "This concerns the {}.", "It loads or spares the {}.")
_ADVICE = ("Correction: {}", "To correct it: {}", "What helps: {}")


class PhraseChooser:
    """Chooses among equivalent phrases, at random or always the first."""

    def __init__(self, rng: np.random.Generator | None = None) -> None:
        """Keeps the generator; None always chooses the first phrase."""
        self._rng = rng

    def choose(self, phrases: Sequence[str]) -> str:
        """One of several phrases."""
        if self._rng is None:
            return phrases[0]
        return phrases[int(self._rng.integers(len(phrases)))]


def action_name(action: Action) -> str:
    """Name of an exercise for people."""
    return action.name or to_words(action.id)


def step_name(step: KeyStep) -> str:
    """Name of a key step for people, in lower case."""
    return (step.name or to_words(step.id)).lower()


def error_name(graph: Graph, error: str) -> str:
    """Name of an error type for people."""
    return graph.errors[error].name or to_words(error)


def to_words(name: str) -> str:
    """An id with spaces instead of underscores."""
    return name.replace("_", " ")


def standard(action: Action, phrases: PhraseChooser) -> str:
    """How an exercise is done well, key step by key step."""
    parts = [phrases.choose(_STANDARD).format(name=action_name(action).lower())]
    parts += [action.summary] if action.summary else []
    for step in action.steps:
        phase = f"{step_name(step).capitalize()} ({step.phase})"
        parts.append(f"{phase}: {step.standard}" if step.standard else f"{phase}.")
    return " ".join(parts)


def evaluation(feedback: Feedback, phrases: PhraseChooser) -> str:
    """Errors with their moments, muscles and corrections, the most costly first."""
    if not feedback.findings:
        return phrases.choose(_NO_ERRORS)
    number = len(feedback.findings)
    count = "1 error is" if number == 1 else f"{number} errors are"
    parts = [phrases.choose(_SOME_ERRORS).format(count=count)]
    parts += [_finding(finding, phrases) for finding in feedback.findings]
    return " ".join(parts)


def score(value: float) -> str:
    """A score as an answer."""
    return f"{value:.0f}"


def _finding(finding: Finding, phrases: PhraseChooser) -> str:
    moment = ""
    if finding.start is not None and finding.end is not None:
        moment = f" ({finding.start:.1f}–{finding.end:.1f} s)"
    sentence = phrases.choose(_FINDING).format(
        error=finding.error_name, step=finding.step_name.lower(), moment=moment
    )
    parts = [sentence, finding.meaning]
    if finding.muscles:
        muscles = ", ".join(map(to_words, finding.muscles))
        parts.append(phrases.choose(_MUSCLES).format(muscles))
    if finding.advice:
        parts.append(phrases.choose(_ADVICE).format(" ".join(finding.advice)))
    return " ".join(part for part in parts if part)
