"""The JSONL file of questions."""

import json

import pytest

from video2emg.core.errors import UserError
from video2emg.videoqa.items import dialogues, fingerprint, read, write


def test_round_trip(items, tmp_path):
    path = tmp_path / "test.jsonl"
    write(path, items["test"])
    assert read(path) == items["test"]
    assert fingerprint(read(path)) == fingerprint(items["test"])


def test_dialogues_are_complete_and_in_order(items):
    groups = dialogues(item.question for item in items["test"])
    assert sum(map(len, groups)) == len(items["test"])
    long = [group for group in groups if len(group) > 1]
    types = ["recognise", "standard", "evaluate", "score"]
    assert long and all([question.type for question in group] == types for group in long)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda line: line.pop("key"), "expected the fields"),
        (lambda line: line.update(format=2), "field format: 2"),
        (lambda line: line["question"].update(form="essay"), "question.form"),
        (lambda line: line["question"].update(options=["a"]), "question.options"),
        (lambda line: line["question"].update(clips=[]), "question.clips"),
        (lambda line: line["question"].update(clips=[3]), "question.clips"),
        (lambda line: line["question"].update(text=3), "field text"),
        (lambda line: line["key"].update(choice=9), "key.choice"),
        (lambda line: line["key"].update(choice=True), "field choice"),
        (lambda line: line["key"].update(errors="x"), "field errors"),
    ],
)
def test_messages_name_line_and_field(change, message, items, tmp_path):
    path = tmp_path / "test.jsonl"
    write(path, [item for item in items["test"] if item.key.choice is not None][:2])
    first, second = path.read_text().splitlines()
    value = json.loads(second)
    change(value)
    path.write_text(f"{first}\n{json.dumps(value)}\n")
    with pytest.raises(UserError, match=r"test\.jsonl, line 2") as error:
        read(path)
    assert message in str(error.value)


def test_duplicates_and_unreadable_files_are_refused(items, tmp_path):
    path = tmp_path / "test.jsonl"
    write(path, [items["test"][0]] * 2)
    with pytest.raises(UserError, match="line 2, field id"):
        read(path)
    path.write_text("{")
    with pytest.raises(UserError, match="line 1: not JSON"):
        read(path)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "missing.jsonl")
