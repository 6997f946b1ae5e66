"""A vision-language model on this machine as respondent, through Hugging Face `transformers`."""

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
from video2emg.videoqa.answerers.cache import Cache
from video2emg.videoqa.answerers.chat import LONGEST
from video2emg.videoqa.items import Answer, Question, dialogues


class Local:
    """Asks a model in memory, one dialogue after the other, always its most probable words."""

    def __init__(
        self,
        folder: str,
        clip_of: Callable[[str], Clip],
        sight: prompt.Sight,
        cache: Cache,
        longest: int = 0,
    ) -> None:
        """Loads a model.

        Args:
          folder: of the model and its processor, as `save_pretrained` writes them; or the name of
            one on the Hub, which is then downloaded.
          clip_of: a clip by its id.
          sight: how much of a clip is shown.
          cache: answers that were given before.
          longest: tokens of each answer; 0: by its form.

        Raises:
          UserError: `transformers` is not installed, or cannot load the model.
        """
        try:
            import torch
            import transformers
        except ImportError:
            raise UserError(
                '--model hf:… needs transformers and torch: pip install "video2emg[videoqa-local]"'
            ) from None
        self._name, self._cache = _identity(folder), cache
        self._clip_of, self._sight, self._longest = clip_of, sight, longest
        self._torch = torch
        try:
            # Code that comes with a model is not run.
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
        """Answers, from the cache where they were given before."""
        found: dict[str, Answer] = {}
        for dialogue in tqdm.tqdm(dialogues(questions), desc="asking", unit="dialogue"):
            found |= self._dialogue(dialogue)
        return found

    def _dialogue(self, questions: Sequence[Question]) -> dict[str, Answer]:
        messages: list[dict[str, Any]] = []
        content: list[list[Any]] = []
        found = {}
        turns = prompt.turns(questions, self._clip_of, self._sight)
        # Not every chat template has a system's turn.
        turns[0].insert(0, prompt.SYSTEM)
        for question, parts in zip(questions, turns, strict=True):
            messages.append({"role": "user", "content": [_content(part) for part in parts]})
            content.append([hashlib.sha256(p).hexdigest() if isinstance(p, bytes) else p
                            for p in parts])  # fmt: skip
            longest = self._longest or LONGEST[question.form]
            request = {"model": self._name, "content": content, "longest": longest}
            answer = self._cache.get(request)
            if answer is None:
                answer = self._generate(messages, longest)
                self._cache.put(request, answer)
            found[question.id] = answer
            said = answer.text or "(no answer)"
            content.append([said])
            messages.append({"role": "assistant", "content": [{"type": "text", "text": said}]})
        return found

    def _generate(self, messages: list[dict[str, Any]], longest: int) -> Answer:
        inputs = self._processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._model.device)
        asked = inputs["input_ids"].shape[1]
        with self._torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=longest, do_sample=False)
        fresh = tokens[0, asked:]
        text = self._processor.decode(fresh, skip_special_tokens=True).strip()
        return Answer(text, prompt_tokens=asked, completion_tokens=len(fresh))


def _content(part: prompt.Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "image": Image.open(io.BytesIO(part)).convert("RGB")}


def _identity(folder: str) -> str:
    """The model in the keys of the cache: for a folder, its files' names, sizes and times."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        return folder
    files = sorted(file for file in path.iterdir() if file.is_file())
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{path.name} {hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"
