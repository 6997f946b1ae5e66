"""Flags of `launch.py videoqa`, beside `--data_dir`, `--manual_dir`, `--checkpoint`, `--out`."""

import dataclasses
import json
from typing import Any

from absl import flags

from video2emg.core.errors import UserError

_DATASET = flags.DEFINE_string(
    "dataset", "", "videoqa: the Clip dataset asked about, e.g. gymsim or gymsim/crowd."
)
_MODEL = flags.DEFINE_string(
    "model",
    "",
    "videoqa: who answers: graph | blind | majority | oracle | openai:NAME | hf:FOLDER; else "
    "questions are made only.",
)
_GRAPH = flags.DEFINE_string("graph", "gymsim", "videoqa: knowledge graph, or its YAML file.")
_QA_SEED = flags.DEFINE_integer("qa_seed", 0, "videoqa: of the questions.")
_SPLIT = flags.DEFINE_string("split", "test", "videoqa: the split that is asked about.")
_LIMIT = flags.DEFINE_integer("limit", 0, "videoqa: questions at least, balanced; 0 for all.")
_RECORDS = flags.DEFINE_bool("records", False, "videoqa: also write questions with frames (TFDS).")
_FRAMES = flags.DEFINE_integer("frames", 8, "videoqa: frames shown of each view.")
_VIEWS = flags.DEFINE_list("qa_views", [], "videoqa: views shown; else the first of each clip.")
_CONTEXT = flags.DEFINE_list("context", [], "videoqa: told beside the frames: emg, pose.")
_REFINE = flags.DEFINE_string(
    "refine", "", "videoqa: openai:NAME, which rewrites the reference texts of new questions."
)
_BASE_URL = flags.DEFINE_string(
    "base_url", "", "videoqa: of a chat endpoint; else OpenAI's. The key is in $OPENAI_API_KEY."
)
_AT_ONCE = flags.DEFINE_integer("at_once", 8, "videoqa: dialogues with an endpoint side by side.")
_PER_MINUTE = flags.DEFINE_float("per_minute", 0.0, "videoqa: requests a minute; 0: no limit.")
_TIMEOUT = flags.DEFINE_float("timeout", 120.0, "videoqa: of a request, s.")
_ATTEMPTS = flags.DEFINE_integer("attempts", 6, "videoqa: at each request.")
_TOKENS = flags.DEFINE_integer("answer_tokens", 0, "videoqa: longest answer; 0: by its form.")
_REQUEST = flags.DEFINE_string(
    "request", "{}", "videoqa: JSON, fields added to each request; null removes one."
)
_PRICE = flags.DEFINE_list("price", [], "videoqa: of a million tokens: prompt,answer.")


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags, checked as far as they can be without looking at anything else."""

    dataset: str
    model: str
    graph: str
    seed: int
    split: str
    limit: int
    records: bool
    frames: int
    views: tuple[str, ...]
    context: tuple[str, ...]
    refine: str
    base_url: str
    at_once: int
    per_minute: float
    timeout: float
    attempts: int
    answer_tokens: int
    request: dict[str, Any]
    price: tuple[float, float] | None


def options() -> Options:
    """What the command line says.

    Raises:
      UserError: a flag makes no sense.
    """
    try:
        request = json.loads(_REQUEST.value)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise UserError(f"--request {_REQUEST.value!r}: expected a JSON object")
    price = None
    if _PRICE.value:
        try:
            prompt, answer = map(float, _PRICE.value)
        except ValueError:
            raise UserError("--price: expected two numbers, e.g. --price=2.5,10") from None
        price = prompt, answer
    if not _DATASET.value:
        raise UserError("say what is asked about, e.g. --dataset gymsim; see --help")
    for flag in (_AT_ONCE, _ATTEMPTS, _FRAMES):
        if flag.value < 1:
            raise UserError(f"--{flag.name} {flag.value}: expected one or more")
    return Options(
        dataset=_DATASET.value if "/" in _DATASET.value else f"{_DATASET.value}/default",
        model=_MODEL.value,
        graph=_GRAPH.value,
        seed=_QA_SEED.value,
        split=_SPLIT.value,
        limit=_LIMIT.value,
        records=_RECORDS.value,
        frames=_FRAMES.value,
        views=tuple(_VIEWS.value),
        context=tuple(_CONTEXT.value),
        refine=_REFINE.value,
        base_url=_BASE_URL.value,
        at_once=_AT_ONCE.value,
        per_minute=_PER_MINUTE.value,
        timeout=_TIMEOUT.value,
        attempts=_ATTEMPTS.value,
        answer_tokens=_TOKENS.value,
        request=request,
        price=price,
    )
