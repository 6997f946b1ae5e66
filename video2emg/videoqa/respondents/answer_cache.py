"""Answers on disk by the content of their requests, so that an interrupted run loses nothing.

Each answer is a JSON file of its own, written atomically. It can be read and deleted by hand.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from video2emg.core.files import write_text
from video2emg.videoqa import extract
from video2emg.videoqa.items import Answer

_FORMAT = 1


class AnswerCache:
    """One file for each answered request. Safe for several threads and processes.

    Attributes:
      hits: number of requests that were answered from the cache.
    """

    def __init__(self, folder: Path) -> None:
        """Files go into `folder`, which is created with the first of them."""
        self._folder = folder
        self.hits = 0

    def path(self, request: Any) -> Path:
        """File of the answer to a JSON-serialisable request."""
        text = json.dumps(request, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.json"

    def get(self, request: Any) -> Answer | None:
        """The stored answer; None if it is missing or damaged."""
        try:
            value = json.loads(self.path(request).read_text(encoding="utf-8"))
            if value.pop("format") != _FORMAT:
                return None
            answer = Answer(**value)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        self.hits += 1
        return answer

    def put(self, request: Any, answer: Answer) -> None:
        """Stores an answer atomically."""
        value = {"format": _FORMAT} | dataclasses.asdict(answer)
        write_text(self.path(request), json.dumps(value, ensure_ascii=False))


def why_no_answer(text: str, cut_off: bool = False) -> str:
    """Why a model's text is no answer, so that it is not kept; empty if it is one."""
    if extract.final_answer(text):
        return ""
    return "cut off at max_tokens: raise --answer_tokens" if cut_off else "an empty reply"
