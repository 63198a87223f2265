"""What both fakes are made of: an HTTP server in threads of this process, a journal of requests, and faults.

A fault is what networks and servers do: an answer that is lost after its effect (`drop`, after=True) or a request
that is lost before it, a status such as 429 or 500, or whatever a test's own function does between two requests.
"""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One request: its path is decoded, and of each query parameter the last value counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """One answer; with `chunks` it is a stream that ends when the iterator does.

    `upgrade` takes the connection over, for another protocol.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterator[bytes] | None = None
    upgrade: Callable[[BaseHTTPRequestHandler], None] | None = None

    @staticmethod
    def of(value: Any, status: int = 200, **headers: str) -> "Answer":
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        return Answer(status, json.dumps(value).encode(), headers=names)


@dataclass
class Fault:
    """Strikes the next `times` requests whose "METHOD path" the expression is found in."""

    pattern: str
    answer: Answer | None
    after: bool
    times: int

    def strikes(self, request: Request) -> bool:
        return self.times > 0 and re.search(self.pattern, str(request)) is not None


class FakeServer:
    """A server from `with` to its end; `url` is its address.

    Attributes:
        requests: All that arrived, in order, those that a fault struck included.
        before: Called with each request before anything is done for it, in its thread: what it raises is the
            server's death before the effect (the connection ends without an answer).
        after: The same between the effect and the answer.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.before: list[Callable[[Request], None]] = []
        self.after: list[Callable[[Request, Answer], None]] = []
        self._own_routes: list[tuple[str, Callable[[Request], Answer]]] = []
        self._faults: list[Fault] = []
        self._guard = threading.Lock()
        self._connections: set[socket.socket] = set()
        self.stopping = threading.Event()

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self.break_connections()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Answer:
        """What the server does; fakes say what that is."""
        raise NotImplementedError

    def sorry(self, status: int, message: str) -> Answer:
        """An error in the words of this API."""
        return Answer.of({"code": status, "message": message}, status)

    def fail(self, pattern: str, status: int, times: int = 1, retry_after: int | None = None) -> None:
        """Answer the next requests found by an expression, such as "POST .*/jobs$", with a status, and do nothing."""
        answer = self.sorry(status, f"the test says {status}")
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        struck = Answer(answer.status, answer.body, answer.content_type, headers)
        self._faults.append(Fault(pattern, struck, False, times))

    def drop(self, pattern: str, after: bool = True, times: int = 1) -> None:
        """End the connection without an answer: after the effect, or before it."""
        self._faults.append(Fault(pattern, None, after, times))

    def route(self, pattern: str, answer: Callable[[Request], Answer]) -> None:
        """Have a function of the test's own answer all requests whose "METHOD path" an expression is found in."""
        self._own_routes.append((pattern, answer))

    def break_connections(self) -> None:
        """End all connections, watches among them, as a proxy does that is started anew."""
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def count(self, pattern: str) -> int:
        """How many requests arrived whose "METHOD path" an expression is found in."""
        return sum(re.search(pattern, str(request)) is not None for request in list(self.requests))

    def handle(self, request: Request) -> Answer | None:
        """The answer, with faults; None where the connection ends without one."""
        with self._guard:
            self.requests.append(request)
            fault = next((each for each in self._faults if each.strikes(request)), None)
            if fault:
                fault.times -= 1
        if fault and not fault.after:
            return fault.answer
        for hook in self.before:
            hook(request)
        own = next((function for pattern, function in self._own_routes if re.search(pattern, str(request))), None)
        answer = own(request) if own else self.answer(request)
        for later in self.after:
            later(request, answer)
        return None if fault else answer

    @contextmanager
    def connection(self, one: socket.socket) -> Iterator[None]:
        with self._guard:
            self._connections.add(one)
        try:
            yield
        finally:
            with self._guard:
                self._connections.discard(one)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, and hooks that raise, are what tests are about."""


def _handler_of(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with fake.connection(self.connection):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

        def _any(self) -> None:
            answer = fake.handle(_read(self))
            if answer is None:
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            _write(self, answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    return Handler


def _read(handler: BaseHTTPRequestHandler) -> Request:
    parts = urlsplit(handler.path)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    return Request(handler.command, unquote(parts.path), query, dict(handler.headers.items()), body)


def _write(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    if answer.upgrade:
        handler.close_connection = True
        answer.upgrade(handler)
        return
    handler.send_response(answer.status)
    handler.send_header("Content-Type", answer.content_type)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    if answer.chunks is None:
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)
        return
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for chunk in answer.chunks:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        handler.wfile.flush()
    handler.wfile.write(b"0\r\n\r\n")
