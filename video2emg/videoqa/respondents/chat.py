"""A model behind a chat endpoint as respondent."""

import base64
import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tqdm

from video2emg.core.clip import Clip
from video2emg.videoqa import prompt
from video2emg.videoqa.items import Answer, Question, dialogues
from video2emg.videoqa.respondents.endpoint import Endpoint

# Tokens of an answer by its form. Models that reason first need more (`--answer_tokens`).
MAX_TOKENS: Mapping[str, int] = {"choice": 32, "number": 32, "text": 512}


class ChatRespondent:
    """Asks an endpoint. Dialogues run concurrently; the turns of a dialogue in order."""

    def __init__(
        self,
        endpoint: Endpoint,
        get_clip: Callable[[str], Clip],
        settings: prompt.PromptSettings,
        at_once: int = 8,
        max_tokens: int = 0,
    ) -> None:
        """Keeps the endpoint.

        Args:
          endpoint: where the model is served.
          get_clip: returns a clip by its id; called by several threads.
          settings: how much of a clip is shown.
          at_once: number of concurrent dialogues.
          max_tokens: of each answer; 0 for a limit by the form of the answer.
        """
        self._endpoint, self._get_clip, self._settings = endpoint, get_clip, settings
        self._at_once, self._max_tokens = at_once, max_tokens

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """An answer, or the reason why there is none, for each question.

        Raises:
          RunStopped: the endpoint refuses all requests. Earlier answers are in the cache.
        """
        answers: dict[str, Answer] = {}
        with concurrent.futures.ThreadPoolExecutor(self._at_once) as pool:
            jobs = [pool.submit(self._dialogue, dialogue) for dialogue in dialogues(questions)]
            try:
                done = concurrent.futures.as_completed(jobs)
                for job in tqdm.tqdm(done, total=len(jobs), desc="asking", unit="dialogue"):
                    answers |= job.result()
            except BaseException:
                self._endpoint.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return answers

    def _dialogue(self, questions: Sequence[Question]) -> dict[str, Answer]:
        messages: list[dict[str, Any]] = [{"role": "system", "content": prompt.SYSTEM}]
        answers = {}
        turns = prompt.dialogue_turns(questions, self._get_clip, self._settings)
        for question, parts in zip(questions, turns, strict=True):
            messages.append({"role": "user", "content": [_content(part) for part in parts]})
            max_tokens = self._max_tokens or MAX_TOKENS[question.form]
            answer = self._endpoint.complete(messages, max_tokens)
            answers[question.id] = answer
            messages.append({"role": "assistant", "content": answer.text or "(no answer)"})
        return answers


def _content(part: prompt.Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = "data:image/jpeg;base64," + base64.b64encode(part).decode()
    return {"type": "image_url", "image_url": {"url": url}}
