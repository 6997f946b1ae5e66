"""A local server of chat completions that can be told to misbehave."""

import collections
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Callable


class ChatServer:
    """Answers `POST /v1/chat/completions` in threads of its own.

    Attributes:
      behave: (number of the request from 0, its body) -> the text of an answer, or a function of
        the handler that sends the response.
      requests: (headers, body) of all requests, in order of arrival.
      served: number of complete responses by digest of the body.
    """

    def __init__(self, behave: Callable[[int, dict], object] = lambda n, body: "A") -> None:
        self.behave = behave
        self.requests: list[tuple[dict, dict]] = []
        self.served: collections.Counter = collections.Counter()
        self._lock = threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with owner._lock:
                    number = len(owner.requests)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    owner.requests.append((headers, body))
                if self.path != "/v1/chat/completions" or not well_formed(body):
                    return status(400, "not a chat completion")(self)
                self.body = body
                do = owner.behave(number, body)
                try:
                    (do if callable(do) else answers(str(do)))(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client is gone

            def send(self, code: int, payload: bytes, headers: dict | None = None) -> None:
                self.send_response(code)
                for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
                self.wfile.flush()
                if code == 200:
                    with owner._lock:
                        owner.served[digest(self.body)] += 1

            def log_message(self, format, *args):
                """Prints nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "ChatServer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def well_formed(body: dict) -> bool:
    """Whether a request follows the protocol: roles, contents, data URLs of JPEG images."""
    if not isinstance(body.get("model"), str) or not body.get("messages"):
        return False
    for message in body["messages"]:
        if message.get("role") not in ("system", "user", "assistant"):
            return False
        content = message.get("content")
        for part in [] if isinstance(content, str) else content:
            if part["type"] == "text" and isinstance(part["text"], str):
                continue
            url = part.get("image_url", {}).get("url", "")
            if part["type"] != "image_url" or not url.startswith("data:image/jpeg;base64,/9j/"):
                return False
    return body["messages"][-1]["role"] == "user"


def digest(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def completion(text: str | None, **message) -> bytes:
    """A complete response, as hosted services send it."""
    finish = message.pop("finish_reason", "stop")
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "test",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"role": "assistant", "content": text} | message,
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
        }
    ).encode()


# Behaviours: functions of the handler, or functions that return one.


def answers(text: str | None, **message):
    return lambda handler: handler.send(200, completion(text, **message))


def status(code: int, message: str = "no", **headers: str):
    error = json.dumps({"error": {"message": message, "type": "test", "code": None}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(code, error, named)


def raw(payload: bytes):
    return lambda handler: handler.send(200, payload)


def cut_off(handler) -> None:
    """Promises more bytes than it sends."""
    payload = completion("A")
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(payload)))
    handler.end_headers()
    handler.wfile.write(payload[: len(payload) // 2])
    handler.close_connection = True


def cut_off_chunks(handler) -> None:
    """Ends in the middle of a chunked response."""
    payload = completion("A")[:40]
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(f"{len(payload):x}\r\n".encode() + payload + b"\r\n")
    handler.wfile.flush()
    handler.close_connection = True


def silent(handler) -> None:
    """Sends nothing for longer than the timeout of the tests."""
    time.sleep(1.0)
    handler.close_connection = True


def drips(handler) -> None:
    """Sends a byte now and then, so that no single read times out."""
    payload = completion("A")
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(payload)))
    handler.end_headers()
    for byte in payload:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.1)


def hangs_up(handler) -> None:
    """Closes the connection without a response."""
    handler.close_connection = True
    handler.connection.close()
