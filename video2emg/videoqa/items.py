"""Questions, their keys and answers, and the JSONL file of questions.

Respondents receive a `Question` only. The `Key` with the right answer stays with the evaluator.
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

FORMAT = 1  # version of the JSONL format, described in docs/videoqa.md
ABOUT = "about.json"  # description of the question set, beside its JSONL files

AnswerForm = typing.Literal["choice", "text", "number"]
ANSWER_FORMS: tuple[AnswerForm, ...] = typing.get_args(AnswerForm)


@dataclasses.dataclass(frozen=True)
class Question:
    """What a respondent may see.

    Attributes:
      id: unique in its set.
      type: name of the question type; docs/videoqa.md lists them.
      form: form of the answer: one of `options`, free text, or a number from 0 to 100.
      clips: ids of the clips that are shown, in this order.
      text: the question without its options.
      options: options to choose from; empty unless the form is `choice`.
      values: the options as ids of the graph, muscles, joints, changes or seconds, for programs.
      parameters: what the text asks about, for programs: `action`, `step`, `error`, `muscle`.
      dialogue: questions of one dialogue are asked in order, and earlier answers stay in the
        context. Empty for a single question.
    """

    id: str
    type: str
    form: AnswerForm
    clips: tuple[str, ...]
    text: str
    options: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dialogue: str = ""


@dataclasses.dataclass(frozen=True)
class Key:
    """The right answer.

    Attributes:
      text: the reference answer.
      choice: index of the right option; None unless the form is `choice`.
      action: id of the exercise in the (first) clip.
      errors: ids of the error types that are present; for `evaluate` only.
      score: 0-100; for `score` only.
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
      question: what is asked.
      key: the right answer.
      subject: id of the person in the clip; the unit of the bootstrap.
      group: closed questions of one group have the same text and options, and each option is right
        in the same number of them.
    """

    question: Question
    key: Key
    subject: str
    group: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """A respondent's answer to a question.

    Attributes:
      text: untrusted text.
      problem: why there is no answer; empty if there is one.
      prompt_tokens: as counted by the server; 0 if unknown.
      completion_tokens: likewise.
    """

    text: str
    problem: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


def dialogues(questions: Iterable[Question]) -> list[list[Question]]:
    """Groups the questions of each dialogue, in order. Single questions form their own group."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.dialogue or f"\0{question.id}", []).append(question)
    return list(groups.values())


def fingerprint(items: Sequence[Item]) -> str:
    """16 hexadecimal digits that change with any question or key."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(_to_line(item).encode())
    return digest.hexdigest()[:16]


def write(path: Path, items: Sequence[Item]) -> None:
    """Writes one item per line, atomically."""
    write_text(path, "".join(_to_line(item) + "\n" for item in items))


def read(path: Path) -> list[Item]:
    """Reads what `write` wrote.

    Raises:
      UserError: the file is damaged; the message names the line and the field.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    items: dict[str, Item] = {}
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        try:
            item = _from_json(json.loads(line), where)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON ({error})") from None
        if item.question.id in items:
            raise UserError(f"{where}, field id: {item.question.id!r} appears twice")
        items[item.question.id] = item
    return list(items.values())


def _to_line(item: Item) -> str:
    question, key = (dataclasses.asdict(part) for part in (item.question, item.key))
    value = {"format": FORMAT, "subject": item.subject, "group": item.group}
    return json.dumps(value | {"question": question, "key": key}, ensure_ascii=False)


def _from_json(value: Any, where: str) -> Item:
    top = _check_fields(
        value, {"format": int, "subject": str, "group": str, "question": dict, "key": dict}, where
    )
    if top["format"] != FORMAT:
        raise UserError(f"{where}, field format: {top['format']}, expected {FORMAT}")
    question = _question_from_json(top["question"], where)
    key_types = {
        "text": str,
        "choice": int | None,
        "action": str,
        "errors": list,
        "score": int | float | None,
    }
    fields = _check_fields(top["key"], key_types, f"{where}, key")
    fields["errors"] = _check_texts(fields["errors"], f"{where}, key.errors")
    key = Key(**fields)
    if question.form == "choice" and (
        key.choice is None or not 0 <= key.choice < len(question.options)
    ):
        raise UserError(f"{where}, key.choice: {key.choice} is not the index of an option")
    if question.form == "number" and (key.score is None or not 0 <= key.score <= 100):
        raise UserError(f"{where}, key.score: {key.score}, expected 0-100")
    return Item(question, key, top["subject"], top["group"])


def _question_from_json(value: dict[str, Any], where: str) -> Question:
    texts = {"id": str, "type": str, "form": str, "text": str, "dialogue": str, "parameters": dict}
    lists = {"clips": list, "options": list, "values": list}
    fields = _check_fields(value, texts | lists, f"{where}, question")
    for name in lists:
        fields[name] = _check_texts(fields[name], f"{where}, question.{name}")
    if fields["form"] not in ANSWER_FORMS:
        raise UserError(f"{where}, question.form: {fields['form']!r} is not one of {ANSWER_FORMS}")
    _check_texts(list(fields["parameters"].values()), f"{where}, question.parameters")
    question = Question(**fields)
    if not question.clips:
        raise UserError(f"{where}, question.clips: a question needs a clip")
    if question.form == "choice" and (
        len(question.options) < 2 or len(question.values) != len(question.options)
    ):
        raise UserError(f"{where}, question.options: expected two or more, and as many values")
    return question


def _check_fields(value: Any, types: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The entries of a mapping that has exactly these fields with these types."""
    if not isinstance(value, dict) or set(value) != set(types):
        raise UserError(f"{where}: expected the fields {', '.join(types)}")
    for name, expected in types.items():
        if not isinstance(value[name], expected) or isinstance(value[name], bool):
            raise UserError(f"{where}, field {name}: unexpected {value[name]!r:.60}")
    return dict(value)


def _check_texts(values: list[Any], where: str) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise UserError(f"{where}: expected texts")
    return tuple(values)
