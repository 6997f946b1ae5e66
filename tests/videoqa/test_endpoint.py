"""Chat endpoints against a real server on loopback, whatever it does."""

import email.utils
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import openai
import pytest

from tests.videoqa import asker
from tests.videoqa import server as srv
from tests.videoqa.asker import chat, question
from tests.videoqa.server import ChatServer
from video2emg.core.errors import UserError
from video2emg.videoqa import extract
from video2emg.videoqa.answerers.endpoint import KEY, REFUSED, Settings, Stop

ROOT = pathlib.Path(__file__).parents[2]
SECRET = "sk-test-0123456789"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No proxy between us and the server, and a key to keep secret."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv(KEY, SECRET)


def endpoint(server, folder, **settings):
    return asker.endpoint(server.url, folder, **settings)


@pytest.mark.parametrize(
    "trouble",
    [
        srv.status(429),
        srv.status(500),
        srv.status(503, Retry_After="0"),
        srv.status(408),
        srv.cut_off,
        srv.cut_off_chunks,
        srv.hangs_up,
        srv.silent,
        srv.drips,
        srv.raw(b"<html>gateway</html>"),
        srv.raw(b'{"choices": []}'),
        srv.raw(b'{"choices": [{"message": {"content": 7}}]}'),
        srv.raw(b"[" * 100_000),
        srv.raw(b"null"),
    ],
    ids=lambda trouble: getattr(trouble, "__name__", "lambda"),
)
def test_trouble_is_tried_again_and_given_up_in_the_end(trouble, tmp_path):
    with ChatServer(lambda n, body: trouble if n == 0 else "B") as server:
        end = endpoint(server, tmp_path)
        assert end.complete(HELLO, 8).text == "B"
        assert len(server.requests) == 2
        server.behave = lambda n, body: trouble
        failed = end.complete([{"role": "user", "content": "other"}], 8)
        assert failed.text == "" and "3 attempts failed" in failed.problem
        assert len(server.requests) == 5
        # A failure is not remembered as an answer.
        server.behave = lambda n, body: "C"
        assert end.complete([{"role": "user", "content": "other"}], 8).text == "C"


def test_nobody_at_home_is_a_failure(tmp_path):
    with ChatServer() as server:
        gone = endpoint(server, tmp_path)
    assert "3 attempts failed" in gone.complete(HELLO, 8).problem


def test_a_request_that_is_wrong_is_not_repeated(tmp_path):
    with ChatServer(lambda n, body: srv.status(400, "too many images")) as server:
        answer = endpoint(server, tmp_path).complete(HELLO, 8)
        assert answer.problem.startswith("HTTP 400") and "too many images" in answer.problem
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "does, text",
    [
        (srv.says(None, refusal="I cannot judge people."), "I cannot judge people."),
        (srv.says("", finish_reason="content_filter"), ""),
    ],
)
def test_a_refusal_is_an_answer_that_is_kept(does, text, tmp_path):
    with ChatServer(lambda n, body: does) as server:
        end = endpoint(server, tmp_path)
        assert end.complete(HELLO, 8) == end.complete(HELLO, 8)
        assert end.complete(HELLO, 8).problem == REFUSED
        assert end.complete(HELLO, 8).text == text
        assert len(server.requests) == 1


@pytest.mark.parametrize("code", [401, 403, 404])
def test_what_everybody_would_be_refused_stops_the_run(code, tmp_path):
    with ChatServer(lambda n, body: srv.status(code, f"Incorrect key {SECRET}")) as server:
        with pytest.raises(Stop) as stop:
            chat(endpoint(server, tmp_path)).answer([question(n) for n in range(40)])
        assert f"HTTP {code}" in str(stop.value) and SECRET not in str(stop.value)
        assert len(server.requests) <= 8  # those that were under way


def test_a_redirect_does_not_carry_the_key_away(tmp_path):
    with ChatServer() as thief, ChatServer() as server:
        server.behave = lambda n, body: srv.status(307, Location=f"{thief.url}/chat/completions")
        assert endpoint(server, tmp_path).complete(HELLO, 8).problem.startswith("HTTP 307")
        assert not thief.requests


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_holds_everybody_back(dated, tmp_path):
    def after():
        return email.utils.formatdate(time.time() + 2, usegmt=True) if dated else "0.6"

    arrived = []

    def behave(n, body):
        arrived.append(time.monotonic())
        return srv.status(429, Retry_After=after()) if n == 0 else "A"

    with ChatServer(behave) as server:
        chat(endpoint(server, tmp_path), at_once=1).answer([question(n) for n in range(3)])
    # A date has whole seconds.
    assert arrived[1] - arrived[0] >= (0.9 if dated else 0.59)


def test_requests_start_no_faster_than_allowed(tmp_path):
    arrived = []

    def behave(n, body):
        arrived.append(time.monotonic())
        return "A"

    with ChatServer(behave) as server:
        end = endpoint(server, tmp_path, per_minute=600.0, timeout=5.0)
        chat(end, at_once=6).answer([question(n) for n in range(6)])
    assert arrived[-1] - arrived[0] >= 0.45


def test_dialogues_run_side_by_side_and_no_more_than_asked(tmp_path):
    now, most, lock = [0], [0], threading.Lock()

    def behave(n, body):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.1)
        with lock:
            now[0] -= 1
        return "A"

    with ChatServer(behave) as server:
        answers = chat(endpoint(server, tmp_path, timeout=5.0), at_once=3).answer(
            [question(n) for n in range(9)]
        )
    assert len(answers) == 9 and most[0] == 3


def test_a_dialogue_remembers_its_own_answers(tmp_path):
    with ChatServer(lambda n, body: f"answer {n}") as server:
        turns = [question(n, "together", "text") for n in range(3)]
        chat(endpoint(server, tmp_path)).answer(turns)
        last = server.requests[-1][1]["messages"]
    roles = [message["role"] for message in last]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [m["content"] for m in last if m["role"] == "assistant"] == ["answer 0", "answer 1"]
    asked = [part for m in last if m["role"] == "user" for part in m["content"]]
    pictures = [part for part in asked if part["type"] == "image_url"]
    assert len(pictures) == 2


def test_tokens_are_counted_and_answers_asked_for_once(tmp_path):
    with ChatServer() as server:
        first = chat(endpoint(server, tmp_path)).answer([question(0)])
        again = chat(endpoint(server, tmp_path)).answer([question(0)])
        assert first == again and len(server.requests) == 1
        assert (first["q0"].prompt_tokens, first["q0"].completion_tokens) == (100, 7)
        chat(endpoint(server, tmp_path, model="other")).answer([question(0)])
        assert len(server.requests) == 2


def test_a_damaged_cache_is_asked_again(tmp_path):
    with ChatServer() as server:
        end = endpoint(server, tmp_path)
        end.complete(HELLO, 8)
        (file,) = tmp_path.rglob("*.json")
        file.write_text(file.read_text()[:-9])
        assert end.complete(HELLO, 8).text == "A"
        assert len(server.requests) == 2


def test_the_key_goes_to_the_server_and_nowhere_else(tmp_path, capfd):
    with ChatServer(lambda n, body: f"your key is {SECRET}" if n else srv.status(500, SECRET)) as s:
        end = endpoint(s, tmp_path)
        answer = end.complete(HELLO, 8)
        failing = endpoint(s, tmp_path, attempts=1)
        s.behave = lambda n, body: srv.status(400, f"bad key {SECRET}")
        failed = failing.complete([{"role": "user", "content": "x"}], 8)
        assert s.requests[0][0]["authorization"] == f"Bearer {SECRET}"
    for text in (answer.text, failed.problem, repr(end), repr(vars(end)["_settings"])):
        assert SECRET not in text
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET not in file.read_text()
    assert SECRET not in "".join(capfd.readouterr())


def test_local_servers_need_no_key(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY)
    with ChatServer() as server:
        assert endpoint(server, tmp_path).complete(HELLO, 8).text == "A"
        assert "authorization" not in server.requests[0][0]


@pytest.mark.parametrize(
    "url, says",
    [("ftp://x", "http://"), ("nowhere", "http://"), ("https://me:pass@x/v1", "no secrets"),
     ("https://x/v1?key=1", "no secrets")],
)  # fmt: skip
def test_base_urls_that_make_no_sense(url, says):
    with pytest.raises(UserError, match=says):
        Settings("test", url)


def test_fields_are_added_and_removed(tmp_path):
    with ChatServer() as server:
        more = {"max_tokens": None, "max_completion_tokens": 9, "temperature": None, "seed": 1}
        endpoint(server, tmp_path, more=more).complete(HELLO, 8)
        body = server.requests[0][1]
    assert {"max_completion_tokens": 9, "seed": 1}.items() <= body.items()
    assert not {"max_tokens", "temperature"} & set(body)


def test_the_official_client_says_and_hears_the_same(tmp_path):
    """The same answer from the same server, and the same body for the same messages."""
    with ChatServer(lambda n, body: "B. No") as server:
        ours = chat(endpoint(server, tmp_path)).answer([question(0)])["q0"]
        body = server.requests[0][1]
        client = openai.OpenAI(api_key=SECRET, base_url=server.url)
        theirs = client.chat.completions.create(**body)
        assert server.requests[1][1] == body
        assert server.requests[1][0]["authorization"] == server.requests[0][0]["authorization"]
        assert theirs.choices[0].message.content == ours.text
        assert theirs.usage.prompt_tokens == ours.prompt_tokens
        assert extract.choice(ours.text, ("Yes", "No")) == 1
        server.behave = lambda n, body: srv.says(None, refusal="no")
        refused = client.chat.completions.create(**body)
        assert refused.choices[0].message.refusal == "no"
        server.behave = lambda n, body: srv.status(429)
        with pytest.raises(openai.RateLimitError):
            client.with_options(max_retries=0).chat.completions.create(**body)


def test_killed_and_started_again_nothing_is_lost_or_repeated(tmp_path):
    held = threading.Event()

    def behave(n, body):
        if n >= 6 and not held.is_set():
            held.wait(60)
            return srv.hangs_up  # whoever asked is dead
        return "A"

    command = [sys.executable, "-m", "tests.videoqa.asker"]
    with ChatServer(behave) as server:
        arguments = [*command, server.url, str(tmp_path)]
        first = subprocess.Popen(arguments, cwd=ROOT, env=os.environ)
        until = time.monotonic() + 60
        while len(list(tmp_path.rglob("*.json"))) < 6 or len(server.requests) < 9:
            assert time.monotonic() < until and first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.wait()
        held.set()
        done = subprocess.run(arguments, cwd=ROOT, env=os.environ, capture_output=True, text=True)
        assert done.stdout.split() == ["12", "0"], done.stderr
        # 6 before the kill, 3 under way when it came, and what was left.
        assert len(server.requests) == 6 + 3 + 6
        assert len(server.served) == 12 and set(server.served.values()) == {1}
    assert not list(tmp_path.rglob("*.tmp")) and len(list(tmp_path.rglob("*.json"))) == 12
