"""Reference texts in the words of a language model, where it leaves their content alone."""

import concurrent.futures
import dataclasses
import re
from collections.abc import Sequence

from video2emg.fkg.graph import Graph
from video2emg.videoqa import extract
from video2emg.videoqa.answerers.endpoint import Endpoint
from video2emg.videoqa.generate import EVALUATE, STANDARD
from video2emg.videoqa.items import Item

_REFINED = (STANDARD, EVALUATE)
_LONGEST = 1024  # tokens
_PLEASE = (
    "Rewrite this text of a coach so that it reads fluently. Keep every fact, every number, the "
    "order, and the exact names of errors and muscles; add nothing. Answer with the text only.\n\n"
)


class Refiner:
    """Rewrites standards and evaluations.

    Attributes:
      kept, rejected: texts that were taken over, and those that changed the content or failed.
    """

    def __init__(self, endpoint: Endpoint, graph: Graph, at_once: int) -> None:
        """Keeps the endpoint."""
        self._endpoint, self._graph, self._at_once = endpoint, graph, at_once
        self.kept = self.rejected = 0

    def __call__(self, items: Sequence[Item]) -> list[Item]:
        """The items, texts rewritten where possible."""
        with concurrent.futures.ThreadPoolExecutor(self._at_once) as pool:
            done = list(pool.map(self._of, items))
        asked = sum(item.question.kind in _REFINED for item in items)
        kept = sum(new is not old for new, old in zip(done, items, strict=True))
        self.kept += kept
        self.rejected += asked - kept
        return done

    def _of(self, item: Item) -> Item:
        if item.question.kind not in _REFINED:
            return item
        message = {"role": "user", "content": _PLEASE + item.key.text}
        answer = self._endpoint.complete([message], _LONGEST)
        text = extract.final(answer.text)
        if answer.problem or not self._same(item, text):
            return item
        return dataclasses.replace(item, key=dataclasses.replace(item.key, text=text))

    def _same(self, item: Item, text: str) -> bool:
        """Whether a text names the same errors and the same numbers."""
        old = item.key.text
        return (
            bool(text)
            and extract.errors(text, self._graph) == extract.errors(old, self._graph)
            and sorted(re.findall(r"\d+", text)) == sorted(re.findall(r"\d+", old))
        )
