"""A vision-language model on this machine as respondent, by Hugging Face `transformers`."""

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tqdm
from PIL import Image

from video2emg.core.clip import Clip
from video2emg.core.errors import UserError
from video2emg.videoqa import prompt
from video2emg.videoqa.items import Answer, Question, dialogues
from video2emg.videoqa.respondents.answer_cache import AnswerCache, why_no_answer
from video2emg.videoqa.respondents.chat import MAX_TOKENS


class LocalRespondent:
    """Asks a model in memory, one dialogue after the other, with greedy decoding."""

    def __init__(
        self,
        folder: str,
        get_clip: Callable[[str], Clip],
        settings: prompt.PromptSettings,
        cache: AnswerCache,
        max_tokens: int = 0,
    ) -> None:
        """Loads a model.

        Args:
          folder: with the model and its processor, as `save_pretrained` writes them; or the name of
            a model on the Hugging Face Hub, which is then downloaded.
          get_clip: returns a clip by its id.
          settings: how much of a clip is shown.
          cache: earlier answers.
          max_tokens: of each answer; 0 for a limit by the form of the answer.

        Raises:
          UserError: `transformers` is not installed, or cannot load the model.
        """
        try:
            import torch
            import transformers
        except ImportError:
            raise UserError(
                '--model hf:… needs transformers and torch: pip install ".[videoqa-local]"'
            ) from None
        self._name, self._cache = _identity(folder), cache
        self._get_clip, self._settings, self._max_tokens = get_clip, settings, max_tokens
        self._torch = torch
        try:
            # Code that comes with a model is not executed.
            self._processor = transformers.AutoProcessor.from_pretrained(folder)
            self._model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise UserError(f"--model hf:{folder}: {str(error).splitlines()[0]}") from None
        if getattr(self._processor, "chat_template", None) is None:
            raise UserError(f"--model hf:{folder}: its processor has no chat template")
        self._model.eval()
        if torch.cuda.is_available():
            self._model.to(device="cuda")  # pyright: ignore[reportCallIssue]

    def answer(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """Answers, from the cache where possible."""
        answers: dict[str, Answer] = {}
        for dialogue in tqdm.tqdm(dialogues(questions), desc="asking", unit="dialogue"):
            answers |= self._dialogue(dialogue)
        return answers

    def _dialogue(self, questions: Sequence[Question]) -> dict[str, Answer]:
        messages: list[dict[str, Any]] = []
        content: list[list[Any]] = []  # the messages for the cache, with digests of the pictures
        answers = {}
        turns = prompt.dialogue_turns(questions, self._get_clip, self._settings)
        # Not every chat template has a system message.
        turns[0].insert(0, prompt.SYSTEM)
        for question, parts in zip(questions, turns, strict=True):
            messages.append({"role": "user", "content": [_content(part) for part in parts]})
            content.append(
                [hashlib.sha256(p).hexdigest() if isinstance(p, bytes) else p for p in parts]
            )
            max_tokens = self._max_tokens or MAX_TOKENS[question.form]
            request = {"model": self._name, "content": content, "max_tokens": max_tokens}
            answer = self._cache.get(request)
            if answer is None or why_no_answer(answer.text):
                answer = self._generate(messages, max_tokens)
                if not answer.problem:
                    self._cache.put(request, answer)
            answers[question.id] = answer
            text = answer.text or "(no answer)"
            content.append([text])
            messages.append({"role": "assistant", "content": [{"type": "text", "text": text}]})
        return answers

    def _generate(self, messages: list[dict[str, Any]], max_tokens: int) -> Answer:
        inputs = self._processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._model.device)
        prompt_tokens = inputs["input_ids"].shape[1]
        with self._torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
        completion = tokens[0, prompt_tokens:]
        text = self._processor.decode(completion, skip_special_tokens=True).strip()
        problem = why_no_answer(text, cut_off=len(completion) >= max_tokens)
        return Answer(text, problem, prompt_tokens, len(completion))


def _content(part: prompt.Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "image": Image.open(io.BytesIO(part)).convert("RGB")}


def _identity(folder: str) -> str:
    """The model's name in the cache; for a folder, with the names, sizes and times of its files."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        return folder
    files = sorted(file for file in path.iterdir() if file.is_file())
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{path.name} {hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"
