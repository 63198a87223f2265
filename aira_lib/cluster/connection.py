"""Requests to an API server of Kubernetes, each with a limit of time, tried again where that may help.

What a server that is short of time answers (429, 500, 502, 503, 504) and connections that break are tried again for
`PATIENCE` seconds, so a request may have been carried out though its first answer was lost. Nothing here has a thread.
The package `kubernetes` (extra `kfp`) finds the server and logs in; its models are not used.
"""

import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aira_lib.cluster.kinds import Object
from aira_lib.cluster.refusals import Unreachable, refusal
from aira_lib.errors import MissingDependency, UserError
from aira_lib.foreign import in_a_line

PATIENCE = 60.0
"""Seconds for which a request is tried again."""

CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
MERGE = "application/merge-patch+json"
"""How a change of some fields is written: null removes one."""

_AGAIN = (429, 500, 502, 503, 504)
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Connection:
    """One server, as one user of it.

    Attributes:
        client: A `kubernetes.client.ApiClient`; what needs more than requests (`kubernetes.stream`) takes it, too.
        patience: Seconds for which a request is tried again.
    """

    client: Any
    patience: float = PATIENCE

    @property
    def host(self) -> str:
        """Address of the server."""
        return str(self.client.configuration.host).rstrip("/")

    def close(self) -> None:
        """Close what is open."""
        self.client.rest_client.pool_manager.clear()

    def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Object | None = None,
        content: str = "application/json",
    ) -> Object:  # fmt: skip
        """Ask for something, or for a change; the object that is answered.

        Args:
            method: of HTTP.
            path: from the host on.
            query: what follows it.
            body: an object.
            content: what it is: itself, or a change (`MERGE`).

        Raises:
            Refused: the server does not.
            UserError: it cannot be reached, or is none of Kubernetes.
        """
        data = self.text(method, path, query, body, content)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UserError(f"{self.host}{path} answers with something that is no object; is it a Kubernetes API?")
        return found

    def text(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Object | None = None,
        content: str = "application/json",
    ) -> bytes:  # fmt: skip
        """The same, of which the answer need not be an object."""
        data: bytes = self._answer(method, path, query, body, content).data
        return data

    def lines(self, path: str, query: Mapping[str, Any], seconds: float) -> Iterator[bytes]:
        """Lines of an answer as they come, until it ends or breaks.

        Args:
            path: from the host on.
            query: what follows it.
            seconds: after which the server, as it was asked, ends it.
        """
        from urllib3.exceptions import HTTPError

        answer = self._answer("GET", path, query, read=seconds + READ_SECONDS, whole=False)
        try:
            with suppress(HTTPError):
                yield from _whole_lines(answer.stream(65536, decode_content=True))
        finally:
            answer.close()  # there may be more to come: the connection cannot serve another request
            answer.release_conn()

    def _answer(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Object | None = None,
        content: str = "application/json", read: float = READ_SECONDS, whole: bool = True,
    ) -> Any:  # fmt: skip
        """A good answer, read to its end on demand."""
        from urllib3.exceptions import HTTPError, SSLError

        end, pause = time.monotonic() + self.patience, FIRST_PAUSE
        while True:
            wait: float | None = None
            try:
                answer = self._sent(method, path, query, body, content, read, whole)
                if answer.status < 300:
                    return answer
                problem: UserError = refusal(answer.status, _status(answer.data), self.host)
                if answer.status not in _AGAIN:
                    raise problem
                wait = _wait_said(answer.headers.get("Retry-After"))
            except SSLError as error:
                raise UserError(f"{self.host}: {in_a_line(str(error), 200)}; is it the right cluster?") from None
            except HTTPError as error:
                problem = Unreachable(f"{self.host} cannot be reached ({in_a_line(str(error), 200)}); try again later")
            # Up to the whole pause at random: many that were refused together do not come back together.
            wait = random.uniform(pause / 2, pause) if wait is None else wait
            if time.monotonic() + wait > end:
                raise problem
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _sent(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Object | None, content: str, read: float,
        whole: bool,
    ) -> Any:  # fmt: skip
        from urllib3 import Timeout

        headers = {"Accept": "application/json, */*", "User-Agent": "aira"}
        self.client.update_params_for_auth(headers, [], ["BearerToken"])
        if body is not None:
            headers["Content-Type"] = content
        return self.client.rest_client.pool_manager.request(
            method,
            f"{self.host}{path}" + (f"?{urlencode(query)}" if query else ""),
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            timeout=Timeout(connect=CONNECT_SECONDS, read=read),
            preload_content=whole,
            retries=False,
            redirect=False,
        )


def log_in() -> tuple[Connection, str]:
    """Connect to the cluster that KUBECONFIG names, that this pod runs in, or that ~/.kube/config names: the first.

    Returns:
        The connection, and the namespace of that configuration, or of this pod.

    Raises:
        UserError: there is no cluster, or its configuration cannot be used.
        MissingDependency: the package `kubernetes` is not installed.
    """
    try:
        from kubernetes import client, config
    except ModuleNotFoundError:
        raise MissingDependency("a Kubernetes cluster", "kfp") from None
    configuration = client.Configuration()
    # Named here, for the package looks at the variable when it is imported, and no more.
    file = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    inside = "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG")
    try:
        if inside:
            config.load_incluster_config(client_configuration=configuration)
            namespace = _NAMESPACE.read_text(encoding="utf-8").strip() if _NAMESPACE.exists() else ""
        else:
            config.load_kube_config(file, client_configuration=configuration, persist_config=False)
            namespace = config.list_kube_config_contexts(file)[1]["context"].get("namespace", "")
    except (config.ConfigException, OSError) as error:
        where = "this pod" if inside else file
        raise UserError(
            f"no Kubernetes cluster: {where}: {in_a_line(str(error), 200)}; let KUBECONFIG name a configuration"
        ) from None
    return Connection(client.ApiClient(configuration)), namespace or "default"


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that have their end: what a broken connection cut off is none."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)


def _status(data: bytes) -> Object:
    """The object `Status` of an answer that refuses, or what else there was in its place."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": in_a_line(data.decode(errors="replace"))}


def _wait_said(header: str | None) -> float | None:
    """Seconds that a server asks to wait for."""
    return float(header) if header and header.isdigit() else None
