"""A real HTTP server that speaks OpenAI's chat completions and can fail in every way that providers fail."""

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

# Looked for, not imported: each process that collects tests would import it, for seconds.
WITH_LITELLM = pytest.mark.skipif(not find_spec("litellm"), reason="litellm is not installed (extra agents)")
KEY = "sk-planted-key"
BIG = 10_000_000
SLOW = 30.0  # seconds; far more than a test's limit on a call
FAULTS = ("429", "500", "503", "cut", "garbage", "broken json", "no choices", "empty choices", "null", "error in 200")
"""What another attempt may not meet; "slow" and "trickle" besides, which take a call's time to be noticed."""


COUNTED = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}

Plan = Callable[[int, str], "str | bytes | tuple[int, dict[str, Any]]"]
"""Of a request's number and prompt: a fault's name, a whole answer, or a status and the error that comes with it."""


def completion(
    content: str | None, finish: str = "stop", usage: dict[str, Any] | None = COUNTED, **message: str
) -> bytes:
    """A whole answer; `message` are further parts of the message."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "local", "choices": [choice]}
    return json.dumps(answer if usage is None else {**answer, "usage": usage}).encode()


class FaultyServer(http.server.ThreadingHTTPServer):
    """`plan` says for each request what to do: a fault's name, or what to answer."""

    daemon_threads = True

    def __init__(self, plan: Plan) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = plan
        self.requests: list[dict[str, Any]] = []
        self.in_flight = self.most_in_flight = 0
        self.lock, self.over = threading.Lock(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # a client that gave up


@contextmanager
def faulty_server(plan: Plan) -> Iterator[FaultyServer]:
    """Serve; `plan` gets a request's number, from 0, and its prompt."""
    with FaultyServer(plan) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(request)
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
        try:
            with contextlib.suppress(OSError):
                self._answer(self.server.plan(number, request["messages"][0]["content"]))
        finally:
            with self.server.lock:
                self.server.in_flight -= 1

    def _answer(self, what: str | bytes | tuple[int, dict[str, Any]]) -> None:
        if isinstance(what, bytes):
            return self._send(200, what)
        if isinstance(what, tuple):
            return self._send(what[0], json.dumps({"error": what[1]}).encode())
        match what:
            case "429":
                self._send(429, _error("slow down"), {"Retry-After": "7"})
            case "401" | "500" | "503":
                self._send(int(what), _error("it broke"))
            case "too long":
                self._send(
                    400, _error("This model's maximum context length is 8192 tokens.", "context_length_exceeded")
                )
            case "slow":
                self.server.over.wait(SLOW)
            case "trickle":
                self._head(200, 10_000)
                while not self.server.over.is_set():  # a byte now and then, for ever
                    self.wfile.write(b" ")
                    time.sleep(0.02)
            case "cut":
                self._head(200, 10_000)
                self.wfile.write(b'{"id": "1", "choices": [{"mess')
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            case "garbage":
                self._send(200, b"<html>502 Bad Gateway " + KEY.encode(), {"Content-Type": "text/html"})
            case _:
                bodies = {"broken json": b'{"choices": [', "no choices": b'{"id": "1"}', "null": b"null"}
                bodies["empty choices"] = completion("").replace(b'"choices": [{', b'"choices": [], "other": [{')
                bodies["error in 200"] = b'{"error": {"message": "overloaded ' + KEY.encode() + b'", "code": 502}}'
                self._send(200, bodies[what])

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers)
        self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(length),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()


def _error(message: str, code: str = "other") -> bytes:
    return json.dumps({"error": {"message": f"{message} (your key is {KEY})", "code": code}}).encode()
