"""Asks a chat server questions about a small clip; also a program of its own, to be killed.

python -m tests.videoqa.chat_program <base URL> <folder of the cache>
"""

import io
import pathlib
import sys

import numpy as np
from PIL import Image

from video2emg.core.clip import Clip
from video2emg.videoqa.items import Answer, Question
from video2emg.videoqa.prompt import PromptSettings
from video2emg.videoqa.respondents.answer_cache import AnswerCache
from video2emg.videoqa.respondents.chat import ChatRespondent
from video2emg.videoqa.respondents.endpoint import Endpoint, EndpointSettings


def make_clip(clip_id: str) -> Clip:
    """Four grey frames."""
    frames = []
    for level in (0, 80, 160, 240):
        memory = io.BytesIO()
        Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(memory, "JPEG")
        frames.append(memory.getvalue())
    return Clip(
        clip_id=clip_id,
        dataset="test",
        subject="s",
        action="squat",
        views=("front",),
        frames=frames,
        frame_view=np.zeros(4, np.int32),
        frame_time=np.arange(4) / 2,
    )


def make_question(n: int, dialogue: str = "", form="choice") -> Question:
    options = ("Yes", "No") if form == "choice" else ()
    return Question(
        id=f"q{n}",
        type="error",
        form=form,
        clips=("clip",),
        text=f"Question {n}?",
        options=options,
        values=options,
        dialogue=dialogue,
    )


def make_endpoint(url: str, folder: pathlib.Path, **settings) -> Endpoint:
    """An endpoint with short timeouts and pauses."""
    defaults = dict(model="test", base_url=url, timeout=0.4, attempts=3, pause=0.01)
    return Endpoint(EndpointSettings(**defaults | settings), AnswerCache(folder))


def make_respondent(endpoint: Endpoint, at_once: int = 4) -> ChatRespondent:
    return ChatRespondent(endpoint, make_clip, PromptSettings(2), at_once)


def run(url: str, folder: pathlib.Path) -> dict[str, Answer]:
    """Answers to twelve questions, asked patiently, three at a time."""
    endpoint = make_endpoint(url, folder, timeout=60.0)
    return make_respondent(endpoint, at_once=3).answer([make_question(n) for n in range(12)])


if __name__ == "__main__":
    run(sys.argv[1], pathlib.Path(sys.argv[2]))
