"""The file of questions."""

import json

import pytest

from video2emg.core.errors import UserError
from video2emg.videoqa import items


def test_what_is_written_is_read(asked, tmp_path):
    path = tmp_path / "test.jsonl"
    items.write(path, asked["test"])
    assert items.read(path) == asked["test"]
    assert items.fingerprint(items.read(path)) == items.fingerprint(asked["test"])


def test_dialogues_are_whole_and_in_order(asked):
    found = items.dialogues(item.question for item in asked["test"])
    assert sum(map(len, found)) == len(asked["test"])
    together = [d for d in found if len(d) > 1]
    assert together and all(
        [q.kind for q in d] == ["recognise", "standard", "evaluate", "score"] for d in together
    )


@pytest.mark.parametrize(
    "change, says",
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
def test_mistakes_name_line_and_field(change, says, asked, tmp_path):
    path = tmp_path / "test.jsonl"
    chosen = [item for item in asked["test"] if item.key.choice is not None][:2]
    items.write(path, chosen)
    first, second = path.read_text().splitlines()
    value = json.loads(second)
    change(value)
    path.write_text(f"{first}\n{json.dumps(value)}\n")
    with pytest.raises(UserError, match=r"test\.jsonl, line 2") as error:
        items.read(path)
    assert says in str(error.value)


def test_no_json_and_twice_the_same(asked, tmp_path):
    path = tmp_path / "test.jsonl"
    items.write(path, [asked["test"][0]] * 2)
    with pytest.raises(UserError, match="line 2, field id"):
        items.read(path)
    path.write_text("{")
    with pytest.raises(UserError, match="line 1: not JSON"):
        items.read(path)
    with pytest.raises(UserError, match="cannot be read"):
        items.read(tmp_path / "missing.jsonl")
