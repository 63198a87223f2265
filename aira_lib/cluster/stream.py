"""The streams of a command that is executed in a running container, over a WebSocket through the API server.

Kubernetes' protocol v4.channel.k8s.io: the first byte of each message names a stream, 0 stdin, 1 stdout, 2 stderr, 3
how the command ended. stdin cannot be closed by itself, and a connection that hangs is told by its silence alone: both
are for whoever speaks over it. Needs `get` and `create` of pods/exec.
"""

import json
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import PODS, Object
from aira_lib.cluster.refusals import Unreachable, refusal
from aira_lib.foreign import in_a_line

CONNECT_SECONDS = 30.0
WRITE_SECONDS = 120.0
"""Within which the other side has to take a message."""

PIECE = 1 << 16
"""Bytes of stdin in each message."""

_PROTOCOL = "v4.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ENDED = range(4)
_KEPT = 4_000  # bytes of stderr


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code; None: the connection broke, or the server says in `why` that it did."""

    code: int | None
    why: str = ""


class Stream:
    """One command from `with` to its end; leaving it closes the connection, which need not end the command.

    Attributes:
        ended: How it ended, once it has.
        stderr: The end of what it said there.
    """

    def __init__(self, kubernetes: Kubernetes, pod: str, container: str, command: Sequence[str]) -> None:
        """Execute a command.

        Raises:
            Refused: the server does not.
            Unreachable: nobody answers.
        """
        query = [("command", word) for word in command] + [("container", container)]
        query += [(name, "true") for name in ("stdin", "stdout", "stderr")]
        path = f"{PODS.path(kubernetes.namespace, pod, 'exec')}?{urlencode(query)}"
        self.ended: Ended | None = None
        self.stderr = b""
        self._socket = _connected(kubernetes, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.shutdown()

    def write(self, data: bytes) -> bool:
        """Give bytes to its stdin; False where it has ended."""
        from websocket import WebSocketException

        self._socket.settimeout(WRITE_SECONDS)
        for begin in range(0, len(data), PIECE):
            try:
                self._socket.send_binary(bytes([_STDIN]) + data[begin : begin + PIECE])
            except (WebSocketException, OSError):
                return False
        return True

    def read(self, seconds: float) -> bytes:
        """What comes from its stdout; nothing where nothing has come for some seconds, or where it has `ended`."""
        from websocket import ABNF, WebSocketException, WebSocketTimeoutException

        if self.ended:
            return b""
        self._socket.settimeout(max(0.01, seconds))
        try:
            kind, frame = self._socket.recv_data_frame(control_frame=True)
        except WebSocketTimeoutException:
            return b""
        except (WebSocketException, OSError) as error:
            self.ended = Ended(None, in_a_line(str(error), 200))
            return b""
        if kind == ABNF.OPCODE_CLOSE:
            self.ended = Ended(None, "the connection was closed")
        elif kind in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
            return self._taken(frame.data[0], frame.data[1:])
        return b""

    def _taken(self, stream: int, data: bytes) -> bytes:
        if stream == _STDOUT:
            return data
        if stream == _STDERR:
            self.stderr = (self.stderr + data)[-_KEPT:]
        elif stream == _ENDED:
            self.ended = _ended(data)
        return b""


def _ended(data: bytes) -> Ended:
    """The object `Status` in which the server tells how a command ended."""
    with suppress(ValueError, KeyError, TypeError):
        status = json.loads(data)
        if status["status"] == "Success":
            return Ended(0)
        causes = (status.get("details") or {}).get("causes") or ()
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        return Ended(int(codes[0]) if codes else None, in_a_line(str(status.get("message", "")), 200))
    return Ended(None, in_a_line(data.decode("utf-8", "replace"), 200))


def _connected(kubernetes: Kubernetes, path: str) -> Any:
    from kubernetes.stream.ws_client import websocket_proxycare
    from websocket import WebSocket, WebSocketBadStatusException, WebSocketException

    configuration, host = kubernetes.connection.client.configuration, kubernetes.connection.host
    headers: dict[str, str] = {}
    kubernetes.connection.client.update_params_for_auth(headers, [], ["BearerToken"])
    options: dict[str, Any] = {
        "header": [f"{name}: {value}" for name, value in headers.items()],
        "subprotocols": [_PROTOCOL],
        "timeout": CONNECT_SECONDS,
    }
    if configuration.proxy or configuration.proxy_headers:
        options = websocket_proxycare(options, configuration, None, None)
    connection: Any = WebSocket(sslopt=_encryption(configuration), skip_utf8_validation=True)
    try:
        connection.connect(f"ws{host.removeprefix('http')}{path}", **options)
    except WebSocketBadStatusException as error:
        raise refusal(error.status_code, _status(error.resp_body), host) from None
    except (WebSocketException, OSError) as error:
        raise Unreachable(f"{host} cannot be reached ({in_a_line(str(error), 200)}); try again later") from None
    return connection


def _encryption(configuration: Any) -> dict[str, Any]:
    options = {
        "cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE,
        "ca_certs": configuration.ssl_ca_cert,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
        "check_hostname": configuration.verify_ssl and configuration.assert_hostname is not False,
    }
    return {name: value for name, value in options.items() if value is not None}


def _status(body: bytes | None) -> Object:
    with suppress(ValueError):
        found = json.loads(body or b"")
        if isinstance(found, dict):
            return found
    return {"message": in_a_line((body or b"").decode("utf-8", "replace"))}
