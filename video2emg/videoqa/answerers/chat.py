"""A model behind a chat endpoint as respondent: dialogues side by side, turns in order."""

import base64
import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tqdm

from video2emg.core.clip import Clip
from video2emg.videoqa import prompt
from video2emg.videoqa.answerers.endpoint import Endpoint
from video2emg.videoqa.items import Answer, Question, dialogues

# Tokens of an answer by its form; models that think first need more (`--answer_tokens`).
LONGEST: Mapping[str, int] = {"choice": 32, "number": 32, "text": 512}


class Chat:
    """Asks an endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        clip_of: Callable[[str], Clip],
        sight: prompt.Sight,
        at_once: int = 8,
        longest: int = 0,
    ) -> None:
        """Keeps the endpoint.

        Args:
          endpoint: where it is.
          clip_of: a clip by its id; called by several threads.
          sight: how much of a clip is shown.
          at_once: dialogues side by side.
          longest: tokens of each answer; 0: by its form.
        """
        self._endpoint, self._clip_of, self._sight = endpoint, clip_of, sight
        self._at_once, self._longest = at_once, longest

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """Answers, or what kept the endpoint from giving them.

        Raises:
          Stop: the endpoint refuses everything; what was answered is in the cache.
        """
        found: dict[str, Answer] = {}
        waiting = dialogues(questions)
        with concurrent.futures.ThreadPoolExecutor(self._at_once) as pool:
            jobs = [pool.submit(self._dialogue, dialogue) for dialogue in waiting]
            try:
                done = concurrent.futures.as_completed(jobs)
                for job in tqdm.tqdm(done, total=len(jobs), desc="asking", unit="dialogue"):
                    found |= job.result()
            except BaseException:
                self._endpoint.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return found

    def _dialogue(self, questions: Sequence[Question]) -> dict[str, Answer]:
        messages: list[dict[str, Any]] = [{"role": "system", "content": prompt.SYSTEM}]
        found = {}
        turns = prompt.turns(questions, self._clip_of, self._sight)
        for question, parts in zip(questions, turns, strict=True):
            messages.append({"role": "user", "content": [_content(part) for part in parts]})
            answer = self._endpoint.complete(messages, self._longest or LONGEST[question.form])
            found[question.id] = answer
            messages.append({"role": "assistant", "content": answer.text or "(no answer)"})
        return found


def _content(part: prompt.Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = "data:image/jpeg;base64," + base64.b64encode(part).decode()
    return {"type": "image_url", "image_url": {"url": url}}
