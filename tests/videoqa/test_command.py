"""The command `videoqa`, from a dataset to a table."""

import dataclasses
import json

import numpy as np
import pytest

from tests.cli.command import launch
from tests.jobs.test_aqa import tiny_config
from tests.videoqa.chat_server import ChatServer
from video2emg.core.errors import UserError
from video2emg.videoqa import items
from video2emg.videoqa.command import Options, Place, run
from video2emg.videoqa.records import build_records, open_records
from video2emg.videoqa.respondents.endpoint import KEY

SECRET = "sk-test-9876543210"


def ask(tiny_dir, out, model="", aqa_run="", config=pytest.fail, **options):
    defaults = dict(dataset="gymsim/tiny", frames=4, at_once=4, timeout=5.0, attempts=2)
    place = Place(out, str(tiny_dir), run=str(aqa_run))
    return run(Options(model=model, **defaults | options), place, config)


@pytest.fixture(scope="module")
def trained(tiny_dir, tmp_path_factory):
    """Output folder and results of a run that trained its own AQA head."""
    out = tmp_path_factory.mktemp("trained")
    return out, ask(tiny_dir, out, "graph", config=lambda: tiny_config(tiny_dir))


def test_blind_baseline_from_the_command_line(tiny_dir, tmp_path, capsys):
    flags = ("--dataset", "gymsim/tiny", "--model", "blind", "--data_dir", tiny_dir)
    assert launch("videoqa", *flags, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "chance" in printed and "blind" in printed and "oracle" in printed
    results = json.loads((tmp_path / "leaderboard.json").read_text())
    assert results["provenance"]["simulated"] is True
    assert results["test"]["models"]["oracle"]["accuracy"] == 1.0
    assert (tmp_path / "report.html").exists()


def test_without_a_run_one_is_trained_once(trained, tiny_dir, capsys):
    out, results = trained
    models = results["test"]["models"]
    assert list(models) == ["graph", "blind", "majority", "oracle"]
    assert models["graph"]["failed"] < 0.5 and np.isfinite(models["graph"]["mae"])
    assert (out / "aqa" / "results.json").exists()
    capsys.readouterr()
    again = ask(tiny_dir, out, "graph", config=lambda: tiny_config(tiny_dir))
    assert "finished before" in capsys.readouterr().err
    for name in ("accuracy", "mae", "error_f1"):
        assert again["test"]["models"]["graph"][name] == models["graph"][name]


def test_respondents_of_several_runs_are_compared(trained, tiny_dir, tmp_path):
    out, results = trained
    first = ask(tiny_dir, tmp_path, "graph", out / "aqa")
    for name in ("accuracy", "mae", "error_f1"):
        expected = results["test"]["models"]["graph"][name]
        assert first["test"]["models"]["graph"][name] == expected
    with ChatServer(lambda n, body: "A") as server:
        second = ask(tiny_dir, tmp_path, "openai:test", base_url=server.url)
    names = {"graph", "openai:test", "blind", "majority", "oracle"}
    assert set(second["test"]["models"]) == names


def test_endpoint_with_emg_and_pose_in_words(tiny_dir, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    options = dict(context=("emg", "pose"), price=(1.0, 2.0))
    with ChatServer(lambda n, body: f"A {SECRET}") as server:
        results = ask(tiny_dir, tmp_path, "openai:test", base_url=server.url, **options)
        requests = list(server.requests)
        again = ask(tiny_dir, tmp_path, "openai:test", base_url=server.url, **options)
        assert len(server.requests) == len(requests)  # all from the cache
    row = results["test"]["models"]["openai:test + emg + pose"]
    assert row["usage"] == again["test"]["models"]["openai:test + emg + pose"]["usage"]
    assert row["usage"]["prompt_tokens"] == 100 * len(requests)
    assert row["usage"]["cost"] == pytest.approx(len(requests) * (100 * 1.0 + 7 * 2.0) / 1e6)
    texts = [
        part["text"]
        for message in requests[0][1]["messages"][1:]
        for part in message["content"]
        if part["type"] == "text"
    ]
    assert any("muscle activity" in text for text in texts)
    assert any("left knee: 1" in text for text in texts)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()
    assert SECRET not in "".join(capfd.readouterr())


def test_references_are_refined_if_their_content_is_kept(tiny_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def rewrite(n, body):
        text = body["messages"][0]["content"].partition("\n\n")[2]
        return text + " Knee valgus." if n % 2 else f"{text} Well."

    with ChatServer(rewrite) as server:
        options = dict(refine="openai:test", base_url=server.url)
        ask(tiny_dir, tmp_path, **options)
        count = len(server.requests)
        ask(tiny_dir, tmp_path, **options)  # the questions are there already
        assert len(server.requests) == count
    train = items.read(tmp_path / "questions" / "train.jsonl")
    texts = [i.key.text for i in train if i.question.type in ("standard", "evaluate")]
    assert 0 < sum(text.endswith(" Well.") for text in texts) < len(texts)
    claimed = [i for i in train if i.key.text.endswith("Knee valgus.")]
    assert all("knees_caving" in item.key.errors for item in claimed)


def test_records_hold_questions_keys_and_frames(tiny_dir, tmp_path):
    data = tmp_path / "data"  # records are written there too
    data.mkdir()
    (data / "gymsim").symlink_to(tiny_dir / "gymsim")
    ask(data, tmp_path, records=True)
    folder = build_records(tmp_path / "questions", data, 4)
    for split, records in open_records(folder).items():
        expected = items.read(tmp_path / "questions" / f"{split}.jsonl")
        assert len(records) == len(expected)
        for record, item in zip(records, expected, strict=True):
            assert record["id"].decode() == item.question.id
            assert record["answer"].decode() == item.key.text
            assert record["choice"] == (-1 if item.key.choice is None else item.key.choice)
            count = 4 * len(item.question.clips)
            assert len(record["frames"]) == len(record["frame_clip"]) == count
            assert all(frame[:2] == b"\xff\xd8" for frame in record["frames"])
            assert (np.diff(record["frame_time"][:4]) > 0).all()
    with pytest.raises(UserError, match="--frames 5"):
        build_records(tmp_path / "questions", data, 5)


def test_questions_made_from_other_settings_are_refused(tiny_dir, tmp_path):
    ask(tiny_dir, tmp_path)
    with pytest.raises(UserError, match="field seed"):
        ask(tiny_dir, tmp_path, seed=1)
    path = tmp_path / "questions" / "test.jsonl"
    first, *rest = items.read(path)
    items.write(path, [dataclasses.replace(first, subject="somebody"), *rest])
    with pytest.raises(UserError, match="changed since"):
        ask(tiny_dir, tmp_path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dataset": ""}, "--dataset"),
        ({"model": "gpt"}, "--model 'gpt'"),
        ({"model": "openai:"}, "--model openai:"),
        ({"model": "openai:x", "base_url": "x"}, "--base_url"),
        ({"model": "openai:x", "timeout": 0.0}, "--timeout 0"),
        ({"context": ("ecg",)}, "--context"),
        ({"request": "["}, "--request"),
        ({"request": "3"}, "--request"),
        ({"price": (1.0,)}, "--price"),
        ({"refine": "blind"}, "--refine"),
        ({"refine": "openai:"}, "--refine openai:"),
        ({"at_once": 0}, "--at_once 0"),
        ({"attempts": 0}, "--attempts 0"),
        ({"frames": 0}, "--frames 0"),
    ],
)
def test_mistakes_in_options(options, message):
    with pytest.raises(UserError) as error:
        Options(**{"dataset": "gymsim/tiny"} | options).check()
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"dataset": "gymsin"}, {"split": "tset"}])
def test_unknown_datasets_and_splits(options, tiny_dir, tmp_path):
    with pytest.raises(UserError, match=next(iter(options.values()))):
        ask(tiny_dir, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_mistake_on_the_command_line_costs_one_line(tmp_path, capsys):
    flags = ("--dataset", "gymsim", "--price", "x", "--out", tmp_path / "out")
    assert launch("videoqa", *flags) == 2
    error = capsys.readouterr().err
    assert "--price" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
