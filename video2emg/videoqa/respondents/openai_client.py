"""The official `openai` client with limits on what a server can make it do (extra `videoqa`).

Retries are left to `Endpoint`: they also cover malformed responses, wait together, and can be
stopped.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

import openai

from video2emg.videoqa.respondents.endpoint import StatusError, TransientError

_MAX_BYTES = 8 * 2**20  # of a response


class ChatClient:
    """Sends one request at a time to a chat endpoint; thread-safe."""

    def __init__(self, base_url: str, key: str, timeout: float) -> None:
        """Opens no connection yet.

        Args:
          base_url: address up to `/chat/completions`.
          key: sent to this address only; empty for none.
          timeout: of one request, s.
        """
        # The client would also take these from the environment.
        omit = openai.Omit()
        self._headers: dict[str, str | openai.Omit] = {
            "Authorization": f"Bearer {key}" if key else omit,
            "OpenAI-Organization": omit,
            "OpenAI-Project": omit,
        }
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=base_url,
            timeout=timeout,
            max_retries=0,
            http_client=_LimitedHttpClient(timeout),
        )

    def post(self, model: str, messages: list[Any], fields: Mapping[str, Any]) -> Any:
        """The decoded response to one request.

        Args:
          model: name that the endpoint knows.
          messages: as in the protocol.
          fields: all other fields of the request.

        Raises:
          StatusError: the status of the response is not 2xx.
          TransientError: no response in time, or none that can be decoded.
        """
        try:
            response = self._client.chat.completions.with_raw_response.create(
                model=model, messages=messages, extra_body=fields, extra_headers=self._headers
            )
        except openai.APIStatusError as error:
            response = error.response
            body = response.text.strip() or response.reason_phrase
            raise StatusError(
                response.status_code, body, response.headers.get("retry-after")
            ) from None
        except (openai.APIConnectionError, OSError, ValueError) as error:
            cause = error.__cause__ or error
            raise TransientError(f"{type(cause).__name__}: {cause}") from None
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            raise TransientError("the response is not JSON") from None


class _LimitedHttpClient(openai.DefaultHttpxClient):
    """Follows no redirects, and limits the duration and size of a response.

    A redirect would carry the key to another server. The timeouts of the base class hold for single
    reads, so a server that sends a byte now and then would never time out.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._limit_s = timeout

    def send(self, request: Any, **options: Any) -> Any:
        """The response with its whole body; an error response may lose its body."""
        deadline = time.monotonic() + self._limit_s
        options.update(stream=True, follow_redirects=False)
        response = super().send(request, **options)
        try:
            content = _read(response, deadline)
        except Exception:
            if response.is_success:
                raise
            content = b""
        finally:
            response.close()
        names = {"content-type", "retry-after"} & set(response.headers)
        headers = {name: response.headers[name] for name in names}
        return type(response)(
            response.status_code, headers=headers, content=content, request=request
        )


def _read(response: Any, deadline: float) -> bytes:
    """The whole decoded body.

    Raises:
      TimeoutError: it takes longer than the deadline.
      ValueError: it is too long.
    """
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > _MAX_BYTES:
            raise ValueError(f"the response is longer than {_MAX_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("the response takes too long")
    return bytes(content)
