"""Answers on disk, by the content of what was asked: a stop loses nothing that was answered."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from video2emg.core.files import write_text
from video2emg.videoqa.items import Answer

_FORMAT = 1


class Cache:
    """One file for each request that was answered.

    Attributes:
      hits: requests that did not have to be made.
    """

    def __init__(self, folder: Path) -> None:
        """Files go into `folder`, which is made when the first is written."""
        self._folder = folder
        self.hits = 0

    def path(self, request: Any) -> Path:
        """Where the answer to a JSON-able request is kept."""
        text = json.dumps(request, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.json"

    def get(self, request: Any) -> Answer | None:
        """The answer, if there is a whole one."""
        try:
            value = json.loads(self.path(request).read_text(encoding="utf-8"))
            if value.pop("format") != _FORMAT:
                return None
            found = Answer(**value)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # not there, or damaged: it is asked again and overwritten
        self.hits += 1
        return found

    def put(self, request: Any, answer: Answer) -> None:
        """Keeps an answer; readers see all of it or nothing."""
        value = {"format": _FORMAT} | dataclasses.asdict(answer)
        write_text(self.path(request), json.dumps(value, ensure_ascii=False))
