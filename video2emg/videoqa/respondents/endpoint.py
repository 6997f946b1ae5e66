"""Chat completions over HTTP: one request in, one answer out, whatever the network does.

Speaks the protocol of OpenAI's `POST /chat/completions`, as vLLM, Ollama and hosted services do.
"""

import dataclasses
import email.utils
import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from video2emg.errors import UserError
from video2emg.videoqa.items import Answer
from video2emg.videoqa.respondents.answer_cache import AnswerCache

KEY = "OPENAI_API_KEY"  # the environment variable; keys come from nowhere else
HOSTED = "https://api.openai.com/v1"

_LARGEST = 8 * 2**20  # bytes of a response that are read
_LONGEST_WAIT = 300.0  # s that a server may ask for
_PASSING = {408, 409, 425, 429}  # statuses worth another try, beside 5xx
_STOPPING = {401, 403, 404}  # statuses that every other request would get too
REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class EndpointSettings:
    """Of an endpoint.

    Attributes:
      model: name that the endpoint knows.
      base_url: up to `/chat/completions`.
      timeout: of one attempt, s.
      attempts: at one request.
      per_minute: requests started at most; 0 for no limit.
      pause: s before the second attempt, doubled before each further one.
      extra_fields: fields added to each request; None removes one.
    """

    model: str
    base_url: str = HOSTED
    timeout: float = 120.0
    attempts: int = 6
    per_minute: float = 0.0
    pause: float = 1.0
    extra_fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"--base_url {self.base_url!r}: expected http://… or https://…")
        if parts.username or parts.password or parts.query:
            raise UserError(f"--base_url: put no secrets into it; the key is read from ${KEY}")
        for name in ("timeout", "attempts"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} of the endpoint must be positive")


class RunStopped(UserError):
    """What stops the whole run, e.g. a key that is not accepted."""


class Endpoint:
    """Thread-safe."""

    def __init__(self, settings: EndpointSettings, cache: AnswerCache) -> None:
        """Reads the key from the environment.

        Args:
          settings: see there.
          cache: answers that need no request, and where new ones go.
        """
        self._settings, self._cache = settings, cache
        self._key = os.environ.get(KEY, "").strip()
        self._rate_limiter = _RateLimiter(settings.per_minute)
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Lets requests under way end, and starts no others."""
        self._stopping.set()

    def complete(self, messages: list[dict[str, Any]], max_tokens: int) -> Answer:
        """The answer to a conversation.

        Failures that may pass are tried again, and in the end told in `Answer.problem`; they are
        not cached, so that another run asks again. Refusals are answers, and are.

        Args:
          messages: as the protocol has them.
          max_tokens: tokens of the answer.

        Raises:
          RunStopped: the endpoint would refuse every request alike.
        """
        settings = self._settings
        body = {"model": settings.model, "messages": messages, "max_tokens": max_tokens}
        body |= {"temperature": 0} | dict(settings.extra_fields)
        body = {name: value for name, value in body.items() if value is not None}
        # The key is no part of it.
        request = {"base_url": settings.base_url, "body": body}
        known = self._cache.get(request)
        if known is not None:
            return known
        trouble = ""
        for attempt in range(settings.attempts):
            if attempt:
                # Full jitter keeps those who failed together from coming back together.
                pause = settings.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
                self._stopping.wait(pause)
            self._rate_limiter.wait(self._stopping)
            if self._stopping.is_set():
                raise RunStopped("stopped; the same command goes on from here")
            try:
                answer = _answer(self._post(body))
            except _TransientError as error:
                trouble = self._without_key(str(error))
                self._rate_limiter.hold(error.wait)
                continue
            except _PermanentError as error:
                return Answer("", self._without_key(str(error)))
            answer = dataclasses.replace(answer, text=self._without_key(answer.text))
            self._cache.put(request, answer)
            return answer
        return Answer("", f"{settings.attempts} attempts failed; the last: {trouble}")

    def _post(self, body: Mapping[str, Any]) -> Any:
        """One attempt; the decoded response."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(
            f"{self._settings.base_url.rstrip('/')}/chat/completions",
            json.dumps(body).encode(),
            headers,
            method="POST",
        )
        deadline = time.monotonic() + self._settings.timeout
        try:
            with self._opener.open(request, timeout=self._settings.timeout) as response:
                text = _read(response, deadline)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error, deadline) from None
        except (http.client.HTTPException, OSError, ValueError) as error:
            # Timeouts, resets, refusals to connect, and responses that end too early.
            reason = getattr(error, "reason", None) or error
            raise _TransientError(f"{type(error).__name__}: {reason}") from None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise _TransientError("the response is not JSON") from None

    def _refused(self, error: urllib.error.HTTPError, deadline: float) -> Exception:
        try:
            told = " ".join(_read(error, deadline).decode("utf-8", "replace").split())[:200]
        except (http.client.HTTPException, OSError):
            told = ""
        said = self._without_key(f"HTTP {error.code}: {told or error.reason}")
        if error.code in _STOPPING:
            return RunStopped(f"{self._settings.base_url}: {said}; is --base_url right, does it know "
                        f"{self._settings.model!r}, and is ${KEY} set?")  # fmt: skip
        if error.code in _PASSING or error.code >= 500:
            return _TransientError(said, _retry_after(error.headers.get("Retry-After")))
        return _PermanentError(said)

    def _without_key(self, text: str) -> str:
        """Servers may repeat the key in what they say."""
        return text.replace(self._key, f"[{KEY}]") if self._key else text


class _TransientError(Exception):
    """Worth another try; `wait` s from now at the earliest, for everybody."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class _PermanentError(Exception):
    """The same request would fail again."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to somebody else; it becomes an error."""

    def redirect_request(self, *args, **kwargs):
        return None


class _RateLimiter:
    """Lets requests start no faster than allowed."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute > 0 else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stopping: threading.Event) -> None:
        """Returns when the next request may start, or all are stopping."""
        with self._lock:
            start = max(self._next, time.monotonic())
            self._next = start + self._gap
        stopping.wait(max(start - time.monotonic(), 0.0))

    def hold(self, seconds: float) -> None:
        """Lets nobody start for a while."""
        if seconds > 0:
            with self._lock:
                self._next = max(self._next, time.monotonic() + seconds)


def _read(response: Any, deadline: float) -> bytes:
    """The whole body. A server that sends a byte now and then does not outlive the deadline."""
    parts, size = [], 0
    while True:
        part = response.read1(2**16)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if size > _LARGEST:
            raise ValueError(f"the response is longer than {_LARGEST} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("the response takes too long")
    if getattr(response, "length", None):  # read1 does not say that bytes are missing
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def _answer(response: Any) -> Answer:
    """What a response says.

    Raises:
      _TransientError: it is not of the protocol.
    """
    try:
        choice = response["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _TransientError("the response is no chat completion") from None
    if isinstance(content, list):  # parts, as some servers send them
        texts = [part.get("text", "") for part in content if isinstance(part, dict)]
        content = "".join(text for text in texts if isinstance(text, str))
    if not isinstance(content, str | None) or not isinstance(refusal, str | None):
        raise _TransientError("the response is no chat completion")
    filtered = choice.get("finish_reason") == "content_filter"
    usage = response.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Answer(
        text=content or refusal or "",
        problem=REFUSED if filtered or (refusal and not content) else "",
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _retry_after(value: str | None) -> float:
    """Seconds from now; the header gives them, or a date."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else 0.0
