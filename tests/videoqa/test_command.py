"""`launch.py videoqa`, from a dataset to a table."""

import dataclasses
import json

import numpy as np
import pytest

from tests.cli.command import launch
from tests.jobs.test_aqa import tiny_config
from tests.videoqa.server import ChatServer
from video2emg.core.errors import UserError
from video2emg.data.datasets.videoqa import build_records, open_records
from video2emg.videoqa import command, items
from video2emg.videoqa.answerers.endpoint import KEY
from video2emg.videoqa.flags import Options

SECRET = "sk-test-9876543210"


def options(model="", **changes):
    fields = dict(
        dataset="gymsim/tiny", model=model, graph="gymsim", seed=0, split="test", limit=0,
        records=False, frames=4, views=(), context=(), refine="", base_url="", at_once=4,
        per_minute=0.0, timeout=5.0, attempts=2, answer_tokens=0, request={}, price=None,
    )  # fmt: skip
    return Options(**fields | changes)


def ask(tiny_dir, out, model="", checkpoint="", config=None, **changes):
    place = command.Place(out, str(tiny_dir), checkpoint=str(checkpoint))
    return command.run(options(model, **changes), place, config or pytest.fail)


def test_the_blind_baseline_from_the_command_line(tiny_dir, tmp_path, capsys):
    flags = ("--dataset", "gymsim/tiny", "--model", "blind", "--data_dir", tiny_dir)
    assert launch("videoqa", *flags, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "chance" in printed and "blind" in printed and "oracle" in printed
    found = json.loads((tmp_path / "leaderboard.json").read_text())
    assert found["provenance"]["simulated"] is True
    assert found["test"]["models"]["oracle"]["accuracy"] == 1.0
    assert (tmp_path / "report.html").exists()


def test_ours_with_a_trained_judge_stands_beside_the_baselines(tiny_dir, judge_dir, tmp_path):
    found = ask(tiny_dir, tmp_path, "graph", judge_dir)
    models = found["test"]["models"]
    assert list(models) == ["graph", "blind", "majority", "oracle"]
    assert models["graph"]["failed"] < 0.5 and np.isfinite(models["graph"]["mae"])
    # A second respondent joins the first.
    with ChatServer(lambda n, body: "A") as server:
        found = ask(tiny_dir, tmp_path, "openai:test", base_url=server.url)
    assert set(found["test"]["models"]) == {"graph", "openai:test", "blind", "majority", "oracle"}


def test_a_judge_is_trained_where_none_is_at_hand(tiny_dir, tmp_path, capsys):
    found = ask(tiny_dir, tmp_path, "graph", config=lambda: tiny_config(tiny_dir))
    assert "graph" in found["test"]["models"]
    assert (tmp_path / "judge" / "results.json").exists()
    capsys.readouterr()
    again = ask(tiny_dir, tmp_path, "graph", config=lambda: tiny_config(tiny_dir))
    assert "finished before" in capsys.readouterr().err
    for name in ("accuracy", "mae", "error_f1"):
        assert again["test"]["models"]["graph"][name] == found["test"]["models"]["graph"][name]


def test_an_endpoint_with_emg_and_pose_told(tiny_dir, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ChatServer(lambda n, body: f"A {SECRET}") as server:
        found = ask(tiny_dir, tmp_path, "openai:test", base_url=server.url,
                    context=("emg", "pose"), price=(1.0, 2.0))  # fmt: skip
        texts = [
            part["text"]
            for message in server.requests[0][1]["messages"][1:]
            for part in message["content"]
            if part["type"] == "text"
        ]
        asked = len(server.requests)
        again = ask(tiny_dir, tmp_path, "openai:test", base_url=server.url,
                    context=("emg", "pose"), price=(1.0, 2.0))  # fmt: skip
        assert len(server.requests) == asked
    row = found["test"]["models"]["openai:test + emg + pose"]
    assert row["usage"] == again["test"]["models"]["openai:test + emg + pose"]["usage"]
    assert row["usage"]["prompt_tokens"] == 100 * asked
    assert row["usage"]["cost"] == pytest.approx(asked * (100 * 1.0 + 7 * 2.0) / 1e6)
    assert any("muscle activity" in text for text in texts)
    assert any("left knee: 1" in text for text in texts)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()
    assert SECRET not in "".join(capfd.readouterr())


def test_references_are_refined_where_their_content_stays(tiny_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def rewrite(n, body):
        text = body["messages"][0]["content"].partition("\n\n")[2]
        return text + " Knee valgus." if n % 2 else f"{text} Well."

    with ChatServer(rewrite) as server:
        changes = dict(refine="openai:test", base_url=server.url)
        ask(tiny_dir, tmp_path, **changes)
        asked = len(server.requests)
        ask(tiny_dir, tmp_path, **changes)  # made before
        assert len(server.requests) == asked
    found = items.read(tmp_path / "questions" / "train.jsonl")
    texts = [i.key.text for i in found if i.question.kind in ("standard", "evaluate")]
    assert 0 < sum(text.endswith(" Well.") for text in texts) < len(texts)
    claimed = [i for i in found if i.key.text.endswith("Knee valgus.")]
    assert all("knees_caving" in item.key.errors for item in claimed)


def test_records_hold_questions_keys_and_frames(tiny_dir, tmp_path):
    data = tmp_path / "data"  # records go there too
    data.mkdir()
    (data / "gymsim").symlink_to(tiny_dir / "gymsim")
    ask(data, tmp_path, records=True)
    folder = build_records(tmp_path / "questions", data, 4)
    for split, records in open_records(folder).items():
        wanted = items.read(tmp_path / "questions" / f"{split}.jsonl")
        assert len(records) == len(wanted)
        for record, item in zip(records, wanted, strict=True):
            assert record["id"].decode() == item.question.id
            assert record["answer"].decode() == item.key.text
            assert record["choice"] == (-1 if item.key.choice is None else item.key.choice)
            assert (
                len(record["frames"]) == 4 * len(item.question.clips) == len(record["frame_clip"])
            )
            assert all(frame[:2] == b"\xff\xd8" for frame in record["frames"])
            assert (np.diff(record["frame_time"][:4]) > 0).all()
    with pytest.raises(UserError, match="--frames 5"):
        build_records(tmp_path / "questions", data, 5)


def test_questions_about_something_else_are_refused(tiny_dir, tmp_path):
    ask(tiny_dir, tmp_path)
    with pytest.raises(UserError, match="field seed"):
        ask(tiny_dir, tmp_path, seed=1)
    path = tmp_path / "questions" / "test.jsonl"
    first, *rest = items.read(path)
    items.write(path, [dataclasses.replace(first, subject="somebody"), *rest])
    with pytest.raises(UserError, match="changed since"):
        ask(tiny_dir, tmp_path)


@pytest.mark.parametrize(
    "flags, says",
    [
        ([], "--dataset"),
        (["--dataset", "gymsim/tiny", "--model", "gpt"], "--model 'gpt'"),
        (["--dataset", "gymsim/tiny", "--model", "openai:"], "which model"),
        (["--dataset", "gymsim/tiny", "--model", "openai:x", "--base_url", "x"], "--base_url"),
        (["--dataset", "gymsim/tiny", "--model", "blind", "--context", "ecg"], "--context"),
        (["--dataset", "gymsim/tiny", "--model", "blind", "--request", "["], "--request"),
        (["--dataset", "gymsim/tiny", "--model", "blind", "--price", "1"], "--price"),
        (["--dataset", "gymsin", "--model", "blind"], "gymsin"),
    ],
)
def test_mistakes_cost_one_line(flags, says, tmp_path, capsys):
    assert launch("videoqa", *flags, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
