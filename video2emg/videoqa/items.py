"""A question, what is right, and the file both are kept in.

Whoever answers is handed a `Question`; the `Key` stays with the examiner.
"""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from video2emg.core.errors import UserError
from video2emg.core.files import write_text

FORMAT = 1  # of the JSONL; docs/videoqa.md describes it
ABOUT = "about.json"  # beside the JSONL files: what they are about

Form = typing.Literal["choice", "text", "number"]
FORMS: tuple[Form, ...] = typing.get_args(Form)


@dataclasses.dataclass(frozen=True)
class Question:
    """What anybody may see.

    Attributes:
      id: unique in its set.
      kind: see docs/videoqa.md.
      form: of the answer: one of `options`, free text, or a number from 0 to 100.
      clips: ids of the clips shown, in this order.
      text: of the question, without its options.
      options: to choose from; empty but for `choice`.
      values: the same for machines: ids of the graph, muscles or seconds.
      ask: for machines, what the text asks about: `action`, `step`, `error`, `muscle`.
      dialogue: questions of one dialogue are asked one after the other, answers kept in mind; empty
        for a question by itself.
    """

    id: str
    kind: str
    form: Form
    clips: tuple[str, ...]
    text: str
    options: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    ask: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dialogue: str = ""


@dataclasses.dataclass(frozen=True)
class Key:
    """What is right.

    Attributes:
      text: the reference answer.
      choice: place in the options; None but for `choice`.
      action: id of the exercise in the (first) clip.
      errors: ids of the error types that are made (`evaluate` only).
      score: 0-100 (`score` only).
    """

    text: str
    choice: int | None = None
    action: str = ""
    errors: tuple[str, ...] = ()
    score: float | None = None


@dataclasses.dataclass(frozen=True)
class Item:
    """A question with its key.

    Attributes:
      question, key: see there.
      subject: whose clip it is; the unit of the bootstrap.
      group: closed questions of one group have the same text and options, and each option is right
        in the same number of them.
    """

    question: Question
    key: Key
    subject: str
    group: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What somebody said to a question.

    Attributes:
      text: data, never trusted.
      problem: why there is none; empty if there is.
      prompt_tokens, completion_tokens: as counted by whoever served it; 0 where nobody counts.
    """

    text: str
    problem: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


def dialogues(questions: Iterable[Question]) -> list[list[Question]]:
    """Questions that are asked together, in order; each other one by itself."""
    found: dict[str, list[Question]] = {}
    for question in questions:
        found.setdefault(question.dialogue or f"\0{question.id}", []).append(question)
    return list(found.values())


def fingerprint(items: Sequence[Item]) -> str:
    """16 hexadecimal digits that change with any question or key."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(_line(item).encode())
    return digest.hexdigest()[:16]


def write(path: Path, items: Sequence[Item]) -> None:
    """Writes one item a line, in one step."""
    write_text(path, "".join(_line(item) + "\n" for item in items))


def read(path: Path) -> list[Item]:
    """Reads what `write` wrote.

    Raises:
      UserError: naming the line and the field.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    found: dict[str, Item] = {}
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        try:
            item = _item(json.loads(line), where)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON ({error})") from None
        if item.question.id in found:
            raise UserError(f"{where}, field id: {item.question.id!r} is there twice")
        found[item.question.id] = item
    return list(found.values())


def _line(item: Item) -> str:
    question, key = (dataclasses.asdict(part) for part in (item.question, item.key))
    value = {"format": FORMAT, "subject": item.subject, "group": item.group}
    return json.dumps(value | {"question": question, "key": key}, ensure_ascii=False)


def _item(value: Any, where: str) -> Item:
    top = _fields(value, {"format": int, "subject": str, "group": str, "question": dict,
                          "key": dict}, where)  # fmt: skip
    if top["format"] != FORMAT:
        raise UserError(f"{where}, field format: {top['format']}, expected {FORMAT}")
    texts = {"id": str, "kind": str, "form": str, "text": str, "dialogue": str, "ask": dict}
    lists = {"clips": list, "options": list, "values": list}
    asked = _fields(top["question"], texts | lists, f"{where}, question")
    for name in lists:
        asked[name] = _texts(asked[name], f"{where}, question.{name}")
    if asked["form"] not in FORMS:
        raise UserError(f"{where}, question.form: {asked['form']!r} is not one of {FORMS}")
    _texts(list(asked["ask"].values()), f"{where}, question.ask")
    key = _fields(
        top["key"],
        {"text": str, "choice": int | None, "action": str, "errors": list,
         "score": int | float | None},
        f"{where}, key",
    )  # fmt: skip
    key["errors"] = _texts(key["errors"], f"{where}, key.errors")
    question, key = Question(**asked), Key(**key)
    if not question.clips:
        raise UserError(f"{where}, question.clips: a question needs a clip")
    if question.form == "choice":
        if len(question.options) < 2 or len(question.values) != len(question.options):
            raise UserError(f"{where}, question.options: expected two or more, and as many values")
        if key.choice is None or not 0 <= key.choice < len(question.options):
            raise UserError(f"{where}, key.choice: {key.choice} is no place in the options")
    if question.form == "number" and (key.score is None or not 0 <= key.score <= 100):
        raise UserError(f"{where}, key.score: {key.score}, expected 0-100")
    return Item(question, key, top["subject"], top["group"])


def _fields(value: Any, types: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The entries of a mapping that has these, of these types, and no others."""
    if not isinstance(value, dict) or set(value) != set(types):
        raise UserError(f"{where}: expected the fields {', '.join(types)}")
    for name, kind in types.items():
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise UserError(f"{where}, field {name}: unexpected {value[name]!r:.60}")
    return dict(value)


def _texts(values: list[Any], where: str) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise UserError(f"{where}: expected texts")
    return tuple(values)
