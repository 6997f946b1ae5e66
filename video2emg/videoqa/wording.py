"""How things are said: names of the graph, and reference answers composed of its texts."""

from collections.abc import Sequence

import numpy as np

from video2emg.fkg.feedback import Feedback, Finding
from video2emg.fkg.graph import Action, Graph, KeyStep

_STANDARD = (
    "The standard of the {name}:",
    "This is how the {name} is done well.",
    "A good {name} keeps to the following.",
)
_NOTHING = (
    "No error is seen: every key step keeps to the standard.",
    "The repetition keeps to the standard in every key step; no error is seen.",
    "All key steps are done well, and no error is seen.",
)
_SOME = (
    "Measured against the standard, {count} seen.",
    "Compared with the standard, {count} seen.",
    "The repetition departs from the standard: {count} seen.",
)
_FINDING = (
    "{error} in the key step {step}{moment}.",
    "In the key step {step}{moment}: {error}.",
    "{error}, seen in {step}{moment}.",
)
_INVOLVED = ("Muscles involved: {}.", "This concerns the {}.", "It loads or spares the {}.")
_ADVICE = ("Correction: {}", "To correct it: {}", "What helps: {}")


class Voice:
    """Chooses among ways to say the same; without a generator always the first."""

    def __init__(self, rng: np.random.Generator | None = None) -> None:
        """Keeps the generator."""
        self._rng = rng

    def pick(self, ways: Sequence[str]) -> str:
        """One of several."""
        return ways[0] if self._rng is None else ways[int(self._rng.integers(len(ways)))]


def action_name(action: Action) -> str:
    """For people."""
    return action.name or plain(action.id)


def step_name(step: KeyStep) -> str:
    """For people."""
    return (step.name or plain(step.id)).lower()


def error_name(graph: Graph, error: str) -> str:
    """For people."""
    return graph.errors[error].name or plain(error)


def plain(name: str) -> str:
    """An id of words joined by underscores as words."""
    return name.replace("_", " ")


def standard(action: Action, voice: Voice) -> str:
    """How an exercise is done well, key step by key step."""
    parts = [voice.pick(_STANDARD).format(name=action_name(action).lower())]
    parts += [action.summary] if action.summary else []
    for step in action.steps:
        phase = f"{step_name(step).capitalize()} ({step.phase})"
        parts.append(f"{phase}: {step.standard}" if step.standard else f"{phase}.")
    return " ".join(parts)


def evaluation(words: Feedback, voice: Voice) -> str:
    """What was done wrong, when, what it involves and what corrects it; largest loss first."""
    if not words.findings:
        return voice.pick(_NOTHING)
    count = len(words.findings)
    some = "1 error is" if count == 1 else f"{count} errors are"
    parts = [voice.pick(_SOME).format(count=some)]
    for found in words.findings:
        parts.append(_finding(found, voice))
    return " ".join(parts)


def score(value: float) -> str:
    """A score as an answer."""
    return f"{value:.0f}"


def _finding(found: Finding, voice: Voice) -> str:
    moment = ""
    if found.start is not None and found.end is not None:
        moment = f" ({found.start:.1f}–{found.end:.1f} s)"
    said = voice.pick(_FINDING).format(
        error=found.error_name, step=found.step_name.lower(), moment=moment
    )
    parts = [said, found.meaning]
    if found.muscles:
        parts.append(voice.pick(_INVOLVED).format(", ".join(map(plain, found.muscles))))
    if found.advice:
        parts.append(voice.pick(_ADVICE).format(" ".join(found.advice)))
    return " ".join(part for part in parts if part)
