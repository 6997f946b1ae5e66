"""Chat completions over HTTP: one answer per request, with retries, a rate limit and a cache.

The protocol is OpenAI's `POST /chat/completions`, which vLLM, Ollama and hosted services offer too.
"""

import dataclasses
import email.utils
import os
import random
import threading
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from video2emg.core.errors import UserError
from video2emg.videoqa.items import Answer
from video2emg.videoqa.respondents.answer_cache import AnswerCache, why_no_answer

KEY = "OPENAI_API_KEY"  # environment variable of the key; it is read from nowhere else
HOSTED = "https://api.openai.com/v1"
REFUSED = "refused"

_MAX_WAIT = 300.0  # longest `Retry-After` that is honoured, s
_TRANSIENT = {408, 409, 425, 429}  # statuses that are worth another attempt, beside 5xx
_STOPPING = {401, 403, 404}  # statuses that every other request would get too


@dataclasses.dataclass(frozen=True)
class EndpointSettings:
    """Settings of an endpoint.

    Attributes:
      model: name that the endpoint knows.
      base_url: address up to `/chat/completions`.
      timeout: of one attempt, s.
      attempts: number of attempts at one request.
      per_minute: most requests started per minute; 0 for no limit.
      pause: s before the second attempt, doubled before each further one.
      extra_fields: fields added to each request; None removes a field.
    """

    model: str
    base_url: str = HOSTED
    timeout: float = 120.0
    attempts: int = 6
    per_minute: float = 0.0
    pause: float = 1.0
    extra_fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.base_url)
        except ValueError as error:
            raise UserError(f"--base_url {self.base_url!r}: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"--base_url {self.base_url!r}: expected http://… or https://…")
        if parts.username or parts.password or parts.query:
            raise UserError(f"--base_url: put no secrets into it; the key is read from ${KEY}")
        for name in ("timeout", "attempts"):
            if getattr(self, name) <= 0:
                raise UserError(f"--{name} {getattr(self, name)}: expected a positive number")


class RunStopped(UserError):
    """Stops the whole run, e.g. because the key is not accepted."""


class TransientError(Exception):
    """A failed attempt that is worth another one."""


class StatusError(Exception):
    """A response with an error status or a redirect."""

    def __init__(self, status: int, body: str, retry_after: str | None) -> None:
        super().__init__(f"HTTP {status}: {body}")
        self.status, self.retry_after = status, retry_after


class Endpoint:
    """Thread-safe."""

    def __init__(self, settings: EndpointSettings, cache: AnswerCache) -> None:
        """Reads the key from the environment.

        Args:
          settings: of the endpoint.
          cache: earlier answers; receives new ones.

        Raises:
          UserError: the client `openai` is not installed, or cannot use the key, the address or the
            proxy of the environment.
        """
        try:
            from video2emg.videoqa.respondents.openai_client import ChatClient
        except ImportError:
            raise UserError(
                'chat endpoints need the client openai: pip install ".[videoqa]"'
            ) from None
        self._settings, self._cache = settings, cache
        self._key = os.environ.get(KEY, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise UserError(f"${KEY}: expected printable ASCII characters only")
        try:
            self._client = ChatClient(settings.base_url, self._key, settings.timeout)
        except Exception as error:  # the client's errors for addresses and proxies share no base
            raise UserError(f"--base_url {settings.base_url!r}: {self._to_line(error)}") from None
        self._limiter = _RateLimiter(settings.per_minute)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Lets current requests end, and starts no others."""
        self._stopping.set()

    def complete(self, messages: list[dict[str, Any]], max_tokens: int) -> Answer:
        """The answer to a conversation.

        Transient failures are retried. If all attempts fail, or the reply holds no answer,
        `Answer.problem` says why, and the answer is not cached, so that the next run asks again. A
        refusal is an answer and is cached.

        Args:
          messages: as in the protocol.
          max_tokens: of the answer.

        Raises:
          RunStopped: the endpoint would refuse all requests.
        """
        settings = self._settings
        fields = {"max_tokens": max_tokens, "temperature": 0} | dict(settings.extra_fields)
        fields = {name: value for name, value in fields.items() if value is not None}
        body = {"model": settings.model, "messages": messages} | fields
        request = {"base_url": settings.base_url, "body": body}  # without the key
        cached = self._cache.get(request)
        if cached is not None and (cached.problem or not why_no_answer(cached.text)):
            return cached
        failure = ""
        for attempt in range(settings.attempts):
            if attempt:
                # Jitter keeps requests that failed together from being repeated together.
                pause = settings.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
                self._stopping.wait(pause)
            self._limiter.wait(self._stopping)
            if self._stopping.is_set():
                raise RunStopped("stopped; the same command continues from here")
            try:
                answer = _to_answer(self._client.post(settings.model, messages, fields))
            except StatusError as error:
                failure = self._to_line(error)
                if error.status in _STOPPING:
                    raise RunStopped(
                        f"{settings.base_url}: {failure}; is --base_url right, does it know "
                        f"{settings.model!r}, and is ${KEY} set?"
                    ) from None
                if error.status not in _TRANSIENT and error.status < 500:
                    return Answer("", failure)
                self._limiter.delay(_retry_after(error.retry_after))
            except TransientError as error:
                failure = self._to_line(error)
            else:
                answer = dataclasses.replace(answer, text=self._redact(answer.text))
                if answer.problem in ("", REFUSED):
                    self._cache.put(request, answer)
                return answer
        return Answer("", f"{settings.attempts} attempts failed; the last: {failure}")

    def _to_line(self, error: Exception) -> str:
        return " ".join(self._redact(str(error)).split())[:250]

    def _redact(self, text: str) -> str:
        """The text without the key, which servers may repeat."""
        return text.replace(self._key, f"[{KEY}]") if self._key else text


class _RateLimiter:
    """Spreads the starts of requests over time."""

    def __init__(self, per_minute: float) -> None:
        self._gap = 60 / per_minute if per_minute > 0 else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stopping: threading.Event) -> None:
        """Returns when the next request may start, or when the run is stopping."""
        with self._lock:
            start = max(self._next, time.monotonic())
            self._next = start + self._gap
        stopping.wait(max(start - time.monotonic(), 0.0))

    def delay(self, seconds: float) -> None:
        """Lets no request start for a while."""
        if seconds > 0:
            with self._lock:
                self._next = max(self._next, time.monotonic() + seconds)


def _to_answer(response: Any) -> Answer:
    """The answer in a decoded response.

    Raises:
      TransientError: the response does not follow the protocol.
    """
    try:
        choice = response["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TransientError("the response is no chat completion") from None
    if isinstance(content, list):  # some servers send parts
        texts = [part.get("text", "") for part in content if isinstance(part, dict)]
        content = "".join(text for text in texts if isinstance(text, str))
    if not isinstance(content, str | None) or not isinstance(refusal, str | None):
        raise TransientError("the response is no chat completion")
    usage = response.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Answer(
        text=content or refusal or "",
        problem=_problem(choice, content or "", refusal or ""),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


def _problem(choice: Mapping[str, Any], content: str, refusal: str) -> str:
    """Why a reply is no answer; empty if it is one."""
    reason = choice.get("finish_reason")
    if reason == "content_filter" or (refusal and not content):
        return REFUSED
    if choice["message"].get("tool_calls") and not content:
        return "called a tool instead of answering"
    return why_no_answer(content, cut_off=reason == "length")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _retry_after(value: str | None) -> float:
    """Seconds from now until the time in a `Retry-After` header, given in seconds or as a date."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), _MAX_WAIT) if seconds == seconds else 0.0
