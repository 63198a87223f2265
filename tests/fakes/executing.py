"""pods/exec of the fake Kubernetes API: a WebSocket as of v4.channel.k8s.io, behind it a real process of this machine.

    with FakeKubernetes(("aira-sandbox",)) as cluster:
        executing = Executing(cluster)            # pods run at once, and commands in them are processes here
        executing.wrapper = [...]                 # words in front of each command
        executing.before = lambda pod: ...        # called when a command is to start in a pod
        executing.cut()                           # breaks the connections; the processes go on, as on real nodes
        executing.processes                       # all that were started

As on a real cluster a command ends with its container only: when its pod is deleted, or its connection is closed, which
closes its stdin where the runtime does that.
"""

import base64
import hashlib
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.http import Answer, Request
from tests.fakes.kubernetes import FakeKubernetes

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PATTERN = r"GET /api/v1/namespaces/[^/]+/pods/[^/]+/exec$"


class Executing:
    def __init__(self, cluster: FakeKubernetes) -> None:
        self.cluster = cluster
        self.wrapper: list[str] = []
        self.before: Callable[[str], None] = lambda pod: None
        self.commands: list[list[str]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.runs = True
        self._connections: list[Any] = []
        cluster.route(_PATTERN, self._answer)
        cluster.after.append(self._kubelet)

    def cut(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(2)

    def close(self) -> None:
        self.runs = False  # a request may still be under way
        for process in list(self.processes.values()):
            process.kill()
            process.wait()

    def _kubelet(self, request: Request, answer: Answer) -> None:
        """Have pods run that were created, and end with all their processes when they are deleted."""
        if request.method == "POST" and request.path.endswith("/pods") and answer.status == 201 and self.runs:
            made = json.loads(answer.body)["metadata"]
            self.cluster.pod_status(made["namespace"], made["name"], "Running")
        elif request.method == "DELETE" and (process := self.processes.get(request.path.rpartition("/")[2])):
            process.kill()

    def _answer(self, request: Request) -> Answer:
        namespace, pod = request.path.split("/")[4], request.path.split("/")[6]
        found = self.cluster.get("pods", namespace, pod)
        if found is None:
            status = {"kind": "Status", "reason": "NotFound", "message": f'pods "{pod}" not found', "code": 404}
            return Answer.of(status, 404)
        self.before(pod)
        return Answer(upgrade=lambda handler: self._serve(handler, pod))

    def _serve(self, handler: BaseHTTPRequestHandler, pod: str) -> None:
        self._connections.append(handler.connection)
        key = handler.headers["Sec-WebSocket-Key"] + _GUID
        handler.send_response(101)
        handler.send_header("Upgrade", "websocket")
        handler.send_header("Connection", "Upgrade")
        handler.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        handler.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        handler.end_headers()
        handler.wfile.flush()
        command = parse_qs(urlsplit(handler.path).query)["command"]
        self.commands.append(command)
        words = [sys.executable if word == "python" else word for word in command]
        process = subprocess.Popen(
            [*self.wrapper, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self.processes[pod] = process
        one = threading.Lock()
        threads = [
            threading.Thread(target=_out, args=(handler, one, channel, stream), daemon=True)
            for channel, stream in ((1, process.stdout), (2, process.stderr))
        ]
        threads.append(threading.Thread(target=_in, args=(handler, process), daemon=True))
        for thread in threads:
            thread.start()
        code = process.wait()
        for thread in threads[:2]:
            thread.join()
        with suppress(OSError, ValueError):
            _send(handler, one, 3, json.dumps(_status(code)).encode())
            handler.wfile.write(b"\x88\x02\x03\xe8")
            handler.wfile.flush()


def _status(code: int) -> dict[str, Any]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    shown = str(code if code > 0 else 128 - code)
    causes = [{"reason": "ExitCode", "message": shown}]
    message = f"command terminated with non-zero exit code: exit status {shown}"
    return {"status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}


def _out(handler: BaseHTTPRequestHandler, one: threading.Lock, channel: int, stream: Any) -> None:
    with suppress(OSError, ValueError):
        while data := stream.read(32_768):
            _send(handler, one, channel, data)


def _in(handler: BaseHTTPRequestHandler, process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with suppress(OSError, ValueError, struct.error):
        while (message := _message(handler)) is not None:
            if message[:1] == b"\0":
                left = memoryview(message)[1:]
                while left:
                    left = left[process.stdin.write(left) :]
    with suppress(OSError):
        process.stdin.close()


def _send(handler: BaseHTTPRequestHandler, one: threading.Lock, channel: int, data: bytes) -> None:
    content = bytes([channel]) + data
    head = struct.pack(">BBH", 0x82, 126, len(content)) if len(content) < 1 << 16 else None
    assert head
    with one:
        handler.wfile.write(head + content)
        handler.wfile.flush()


def _message(handler: BaseHTTPRequestHandler) -> bytes | None:
    """The next message of the client, whose frames are masked; None at its end."""
    kind, length = struct.unpack(">BB", handler.rfile.read(2))
    length &= 0x7F
    if length == 126:
        length = struct.unpack(">H", handler.rfile.read(2))[0]
    elif length == 127:
        length = struct.unpack(">Q", handler.rfile.read(8))[0]
    mask = handler.rfile.read(4)
    data = handler.rfile.read(length)
    if len(data) < length or kind & 0x0F == 8:
        return None
    whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return whole.to_bytes(length, "big")
