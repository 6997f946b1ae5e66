"""Asks a server questions about a small clip; also a program of its own, to be killed.

python -m tests.videoqa.asker <base URL> <folder of the cache>
"""

import io
import pathlib
import sys

import numpy as np
from PIL import Image

from video2emg.core.clip import Clip
from video2emg.videoqa.answerers.cache import Cache
from video2emg.videoqa.answerers.chat import Chat
from video2emg.videoqa.answerers.endpoint import Endpoint, Settings
from video2emg.videoqa.items import Question
from video2emg.videoqa.prompt import Sight


def clip(clip_id: str) -> Clip:
    """Four grey frames."""
    frames = []
    for level in (0, 80, 160, 240):
        memory = io.BytesIO()
        Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(memory, "JPEG")
        frames.append(memory.getvalue())
    return Clip(
        clip_id=clip_id, dataset="test", subject="s", action="squat", views=("front",),
        frames=frames, frame_view=np.zeros(4, np.int32), frame_time=np.arange(4) / 2,
    )  # fmt: skip


def question(n: int, dialogue: str = "", form="choice") -> Question:
    options = ("Yes", "No") if form == "choice" else ()
    return Question(f"q{n}", "error", form, ("clip",), f"Question {n}?", options, options, {},
                    dialogue)  # fmt: skip


def endpoint(url: str, folder: pathlib.Path, **settings) -> Endpoint:
    """Impatient."""
    chosen = dict(model="test", base_url=url, timeout=0.4, attempts=3, pause=0.01)
    return Endpoint(Settings(**chosen | settings), Cache(folder))


def chat(end: Endpoint, at_once: int = 4) -> Chat:
    return Chat(end, clip, Sight(2), at_once)


if __name__ == "__main__":
    patient = endpoint(sys.argv[1], pathlib.Path(sys.argv[2]), timeout=60.0)
    said = chat(patient, at_once=3).answer([question(n) for n in range(12)])
    print(len(said), sum(bool(answer.problem) for answer in said.values()))
