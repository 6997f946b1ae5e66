"""Chat endpoints, asked on a local server that behaves well or badly."""

import email.utils
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.videoqa import chat_program
from tests.videoqa import chat_server as srv
from tests.videoqa.chat_program import make_endpoint, make_question, make_respondent
from tests.videoqa.chat_server import ChatServer
from video2emg.core.errors import UserError
from video2emg.videoqa.respondents.endpoint import KEY, REFUSED, RunStopped

ROOT = pathlib.Path(__file__).parents[2]
SECRET = "sk-test-0123456789"
HELLO = [{"role": "user", "content": "hello"}]
OTHER = [{"role": "user", "content": "other"}]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No proxy before the server, and a key to keep secret."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv(KEY, SECRET)


@pytest.mark.parametrize(
    "failure",
    [
        srv.status(429),
        srv.status(500),
        srv.status(503, Retry_After="0"),
        srv.status(408),
        srv.status(425),
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
    ids=lambda failure: getattr(failure, "__name__", "lambda"),
)
def test_transient_failures_are_retried_a_few_times(failure, tmp_path):
    with ChatServer(lambda n, body: failure if n == 0 else "B") as server:
        endpoint = make_endpoint(server.url, tmp_path)
        assert endpoint.complete(HELLO, 8).text == "B"
        assert len(server.requests) == 2
        server.behave = lambda n, body: failure
        failed = endpoint.complete(OTHER, 8)
        assert failed.text == "" and "3 attempts failed" in failed.problem
        assert "\n" not in failed.problem
        assert len(server.requests) == 5
        # A failure is not cached.
        server.behave = lambda n, body: "C"
        assert endpoint.complete(OTHER, 8).text == "C"


def test_no_server_is_a_failure(tmp_path):
    with ChatServer() as server:
        endpoint = make_endpoint(server.url, tmp_path)
    assert "3 attempts failed" in endpoint.complete(HELLO, 8).problem


def test_a_bad_request_is_not_repeated(tmp_path):
    with ChatServer(lambda n, body: srv.status(400, "too many images")) as server:
        answer = make_endpoint(server.url, tmp_path).complete(HELLO, 8)
        assert answer.problem.startswith("HTTP 400") and "too many images" in answer.problem
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behaviour, text",
    [
        (srv.answers(None, refusal="I cannot judge people."), "I cannot judge people."),
        (srv.answers("", finish_reason="content_filter"), ""),
    ],
)
def test_a_refusal_is_an_answer_and_is_cached(behaviour, text, tmp_path):
    with ChatServer(lambda n, body: behaviour) as server:
        endpoint = make_endpoint(server.url, tmp_path)
        answer = endpoint.complete(HELLO, 8)
        assert answer.problem == REFUSED and answer.text == text
        assert endpoint.complete(HELLO, 8) == answer
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply, problem",
    [
        (srv.answers("", finish_reason="length"), "cut off at max_tokens: raise --answer_tokens"),
        (srv.answers("<think>It is A. But", finish_reason="length"), "cut off at max_tokens"),
        (srv.answers(None, tool_calls=[{"id": "1"}]), "called a tool"),
        (srv.answers(None), "an empty reply"),
    ],
)
def test_a_reply_without_an_answer_is_not_kept(reply, problem, tmp_path):
    with ChatServer(lambda n, body: reply) as server:
        endpoint = make_endpoint(server.url, tmp_path)
        assert problem in endpoint.complete(HELLO, 8).problem
        server.behave = lambda n, body: "B"
        assert endpoint.complete(HELLO, 8) == endpoint.complete(HELLO, 8)
        assert len(server.requests) == 2


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refusal_of_all_requests_stops_the_run(code, tmp_path):
    with ChatServer(lambda n, body: srv.status(code, f"Incorrect key {SECRET}")) as server:
        respondent = make_respondent(make_endpoint(server.url, tmp_path))
        with pytest.raises(RunStopped) as stop:
            respondent.answer([make_question(n) for n in range(40)])
        assert f"HTTP {code}" in str(stop.value) and SECRET not in str(stop.value)
        assert len(server.requests) <= 8  # those that were under way


def test_redirects_are_not_followed_with_the_key(tmp_path):
    with ChatServer() as other, ChatServer() as server:
        server.behave = lambda n, body: srv.status(307, Location=f"{other.url}/chat/completions")
        answer = make_endpoint(server.url, tmp_path).complete(HELLO, 8)
        assert answer.problem.startswith("HTTP 307")
        assert not other.requests


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_delays_all_requests(as_date, tmp_path):
    # A date has whole seconds.
    def retry_after():
        return email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "0.6"

    arrived = []

    def behave(n, body):
        arrived.append(time.monotonic())
        return srv.status(429, Retry_After=retry_after()) if n == 0 else "A"

    with ChatServer(behave) as server:
        respondent = make_respondent(make_endpoint(server.url, tmp_path), at_once=1)
        respondent.answer([make_question(n) for n in range(3)])
    assert arrived[1] - arrived[0] >= (0.9 if as_date else 0.59)


def test_the_rate_of_requests_is_limited(tmp_path):
    arrived = []

    def behave(n, body):
        arrived.append(time.monotonic())
        return "A"

    with ChatServer(behave) as server:
        endpoint = make_endpoint(server.url, tmp_path, per_minute=600.0, timeout=5.0)
        make_respondent(endpoint, at_once=6).answer([make_question(n) for n in range(6)])
    assert arrived[-1] - arrived[0] >= 0.45


def test_the_number_of_concurrent_dialogues_is_limited(tmp_path):
    active, most, lock = 0, 0, threading.Lock()

    def behave(n, body):
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(0.1)
        with lock:
            active -= 1
        return "A"

    with ChatServer(behave) as server:
        endpoint = make_endpoint(server.url, tmp_path, timeout=5.0)
        answers = make_respondent(endpoint, at_once=3).answer([make_question(n) for n in range(9)])
    assert len(answers) == 9 and most == 3


def test_a_dialogue_contains_its_earlier_answers(tmp_path):
    with ChatServer(lambda n, body: f"answer {n}") as server:
        turns = [make_question(n, "together", "text") for n in range(3)]
        make_respondent(make_endpoint(server.url, tmp_path)).answer(turns)
        messages = server.requests[-1][1]["messages"]
    roles = [message["role"] for message in messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    assert answers == ["answer 0", "answer 1"]
    parts = [part for m in messages if m["role"] == "user" for part in m["content"]]
    assert len([part for part in parts if part["type"] == "image_url"]) == 2


def test_tokens_are_counted_and_answers_are_cached_by_model(tmp_path):
    def ask(**settings):
        respondent = make_respondent(make_endpoint(server.url, tmp_path, **settings))
        return respondent.answer([make_question(0)])["q0"]

    with ChatServer() as server:
        answer = ask()
        assert ask() == answer and len(server.requests) == 1
        assert (answer.prompt_tokens, answer.completion_tokens) == (100, 7)
        ask(model="other")
        assert len(server.requests) == 2


def test_a_damaged_cache_file_is_replaced(tmp_path):
    with ChatServer() as server:
        endpoint = make_endpoint(server.url, tmp_path)
        endpoint.complete(HELLO, 8)
        (file,) = tmp_path.rglob("*.json")
        file.write_text(file.read_text()[:-9])
        assert endpoint.complete(HELLO, 8).text == "A"
        assert len(server.requests) == 2


def test_the_key_goes_to_the_server_only(tmp_path, capfd):
    def behave(n, body):
        return f"your key is {SECRET}" if n else srv.status(500, SECRET)

    with ChatServer(behave) as server:
        endpoint = make_endpoint(server.url, tmp_path)
        answer = endpoint.complete(HELLO, 8)
        server.behave = lambda n, body: srv.status(400, f"bad key {SECRET}")
        failed = make_endpoint(server.url, tmp_path, attempts=1).complete(OTHER, 8)
        assert server.requests[0][0]["authorization"] == f"Bearer {SECRET}"
    for text in (answer.text, failed.problem, repr(endpoint), repr(vars(endpoint)["_settings"])):
        assert SECRET not in text
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET not in file.read_text()
    assert SECRET not in "".join(capfd.readouterr())


def test_local_servers_need_no_key(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY)
    with ChatServer() as server:
        assert make_endpoint(server.url, tmp_path).complete(HELLO, 8).text == "A"
        assert "authorization" not in server.requests[0][0]


@pytest.mark.parametrize(
    "url, message",
    [
        ("ftp://x", "http://"),
        ("nowhere", "http://"),
        ("https://me:pass@x/v1", "no secrets"),
        ("https://x/v1?key=1", "no secrets"),
        ("http://[::1/v1", "IPv6"),
        ("http://x:port/v1", "port"),
    ],
)
def test_invalid_base_urls(url, message, tmp_path):
    with pytest.raises(UserError, match=message):
        make_endpoint(url, tmp_path)


def test_request_fields_are_added_and_removed(tmp_path):
    with ChatServer() as server:
        fields = {"max_tokens": None, "max_completion_tokens": 9, "temperature": None, "top_k": 1}
        make_endpoint(server.url, tmp_path, extra_fields=fields).complete(HELLO, 8)
        body = server.requests[0][1]
    assert body == {"model": "test", "messages": HELLO, "max_completion_tokens": 9, "top_k": 1}


def test_only_the_key_is_read_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    for name in ("ORG_ID", "PROJECT_ID", "ADMIN_KEY", "CUSTOM_HEADERS"):
        monkeypatch.setenv(f"OPENAI_{name}", "authorization: secret")
    with ChatServer() as server:
        assert make_endpoint(server.url, tmp_path).complete(HELLO, 8).text == "A"
        headers, body = server.requests[0]
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert "secret" not in str(headers)
    assert body == {"model": "test", "messages": HELLO, "max_tokens": 8, "temperature": 0}


def test_an_invalid_key_is_refused_without_printing_it(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY, "sk-test\n0123")
    with pytest.raises(UserError, match=KEY) as error:
        make_endpoint("http://127.0.0.1:1/v1", tmp_path)
    assert "0123" not in str(error.value)


def test_a_missing_client_costs_one_line(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "video2emg.videoqa.respondents.openai_client", raising=False)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"\.\[videoqa\]"):
        make_endpoint("http://127.0.0.1:1/v1", tmp_path)


def test_a_killed_run_continues_where_it_was(tmp_path):
    killed = threading.Event()

    def behave(n, body):
        if n >= 6 and not killed.is_set():
            killed.wait(60)
            return srv.hangs_up
        return "A"

    command = [sys.executable, "-m", "tests.videoqa.chat_program"]
    with ChatServer(behave) as server:
        first = subprocess.Popen([*command, server.url, str(tmp_path)], cwd=ROOT, env=os.environ)
        deadline = time.monotonic() + 60
        while len(list(tmp_path.rglob("*.json"))) < 6 or len(server.requests) < 9:
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.wait()
        killed.set()
        answers = chat_program.run(server.url, tmp_path)
        assert len(answers) == 12 and not any(answer.problem for answer in answers.values())
        # 6 before the kill, 3 that were under way, and the 6 that were left.
        assert len(server.requests) == 6 + 3 + 6
        assert len(server.served) == 12 and set(server.served.values()) == {1}
    assert not list(tmp_path.rglob("*.tmp")) and len(list(tmp_path.rglob("*.json"))) == 12
