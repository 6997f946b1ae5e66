"""A language model rewrites reference texts. Only rewrites with the same content are kept."""

import concurrent.futures
import dataclasses
import re
from collections.abc import Sequence

from video2emg.fkg.graph import Graph
from video2emg.videoqa import extract
from video2emg.videoqa.generate import EVALUATE, STANDARD
from video2emg.videoqa.items import Item
from video2emg.videoqa.respondents.endpoint import Endpoint

_REFINED_TYPES = (STANDARD, EVALUATE)
_MAX_TOKENS = 1024
_INSTRUCTION = (
    "Rewrite this text of a coach so that it reads fluently. Keep every fact, every number, the "
    "order, and the exact names of errors and muscles; add nothing. Answer with the text only.\n\n"
)


class Refiner:
    """Rewrites the reference texts of standards and evaluations.

    Attributes:
      accepted: number of texts that were replaced.
      rejected: number of texts whose rewrite failed or changed the content.
    """

    def __init__(self, endpoint: Endpoint, graph: Graph, at_once: int) -> None:
        """Keeps the endpoint.

        Args:
          endpoint: the language model.
          graph: for the names of errors.
          at_once: number of concurrent requests.
        """
        self._endpoint, self._graph, self._at_once = endpoint, graph, at_once
        self.accepted = self.rejected = 0

    def __call__(self, items: Sequence[Item]) -> list[Item]:
        """The items, with rewritten texts where possible."""
        with concurrent.futures.ThreadPoolExecutor(self._at_once) as pool:
            refined = list(pool.map(self._refine, items))
        candidates = sum(item.question.type in _REFINED_TYPES for item in items)
        accepted = sum(new is not old for new, old in zip(refined, items, strict=True))
        self.accepted += accepted
        self.rejected += candidates - accepted
        return refined

    def _refine(self, item: Item) -> Item:
        if item.question.type not in _REFINED_TYPES:
            return item
        message = {"role": "user", "content": _INSTRUCTION + item.key.text}
        answer = self._endpoint.complete([message], _MAX_TOKENS)
        text = extract.final_answer(answer.text)
        if answer.problem or not self._has_same_content(item.key.text, text):
            return item
        return dataclasses.replace(item, key=dataclasses.replace(item.key, text=text))

    def _has_same_content(self, old: str, new: str) -> bool:
        """Whether both texts name the same errors and the same numbers."""
        return (
            bool(new)
            and extract.errors(new, self._graph) == extract.errors(old, self._graph)
            and sorted(re.findall(r"\d+", new)) == sorted(re.findall(r"\d+", old))
        )
