"""Requests to the API of Kubeflow Pipelines: JSON over HTTP, with a token, patience for reading, and one line an error.

Reading is repeated by urllib3 while the server is busy or away; writing is sent once, for only the caller knows what a
second time would do (see `aira_lib.cluster.runs`). urllib3 comes with boto3, so that every image has it.
"""

import json
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line

if TYPE_CHECKING:
    import urllib3

RETRY = 75
"""Exit code where nothing is to be mended, and the same command may get on when it is started again."""

_LATER = 429
_BUSY = (_LATER, 500, 502, 503, 504)
READS = 6
"""How often reading is tried again."""

BACKOFF = 0.5
"""Seconds of the pauses between repeated reads: 0, then twice as many, and each twice as long as the one before."""

_SECONDS = 60.0  # of one request: the server compiles a pipeline and makes its Workflow in it


class KubeflowError(UserError):
    """What the API refused; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Unanswered(UserError):
    """Nobody knows whether a request was carried out: its answer was lost, or says that the server failed.

    Attributes:
        sent: False: it never reached the server, or that turned it away for now.
    """

    exit_code = RETRY

    def __init__(self, message: str, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class Rest:
    """An API at an address.

    Args:
        address: such as http://ml-pipeline.kubeflow.svc.cluster.local:8888.
        token: File with a bearer token, read for each request since it is exchanged now and then; one that does not
            exist is not sent.
        reads: How often reading is tried again.
    """

    def __init__(self, address: str, token: Path, reads: int = READS) -> None:
        self._address, self._token, self._reads = address.rstrip("/"), token, reads

    def read(self, path: str, query: Mapping[str, str] = {}) -> Any:
        """What a GET gives, as plain data; None: there is no such thing.

        Raises:
            KubeflowError: it is refused.
            Unanswered: the server is away, or fails again and again.
        """
        import urllib3

        repeat = urllib3.Retry(self._reads, status_forcelist=_BUSY, backoff_factor=BACKOFF, raise_on_status=False)
        status, answer = self._send("GET", path + (f"?{urlencode(query)}" if query else ""), None, repeat)
        return None if status == 404 else self._read(status, answer, f"GET {path}")

    def write(self, path: str, content: Any = None) -> Any:
        """What one POST gives, as plain data.

        Raises:
            KubeflowError: it is refused, and was not carried out.
            Unanswered: nobody knows whether it was.
        """
        body = None if content is None else json.dumps(content).encode()
        status, answer = self._send("POST", path, body, False)
        return self._read(status, answer, f"POST {path}")

    @cached_property
    def _pool(self) -> "urllib3.PoolManager":
        import urllib3

        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # not a line for each read that is repeated
        return urllib3.PoolManager(timeout=urllib3.Timeout(connect=10.0, read=_SECONDS))

    def _send(
        self, method: Literal["GET", "POST"], path: str, body: bytes | None, repeat: "urllib3.Retry | Literal[False]"
    ) -> tuple[int, bytes]:
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, MaxRetryError

        try:
            answer = self._pool.request(
                method, self._address + path, body=body, headers=self._headers(), retries=repeat, redirect=False
            )
        except LocationValueError:
            raise UserError(f"{self._address}: no address of Kubeflow Pipelines; mend kubeflow.api") from None
        except HTTPError as error:
            cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            # A new connection that fails (a name that is not known, a closed port) is a kind of ConnectTimeoutError.
            raise Unanswered(
                f"{self._address}: Kubeflow Pipelines does not answer ({in_a_line(_reason(cause), 200)}); "
                "see that kubeflow.api is its address, then start the same command again",
                sent=not isinstance(cause, ConnectTimeoutError),
            ) from None
        return answer.status, answer.data

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            return {**headers, "Authorization": f"Bearer {self._token.read_text(encoding='utf-8').strip()}"}
        except FileNotFoundError:
            return headers
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self._token}: no token can be read there ({error}); mend kubeflow.token") from None

    def _read(self, status: int, answer: bytes, what: str) -> Any:
        """An answer as plain data.

        Raises:
            KubeflowError, Unanswered: as it says.
        """
        if status < 300:
            try:
                return json.loads(answer or b"{}")
            except ValueError:
                raise KubeflowError(
                    f"{self._address}: {what}: an answer that is no JSON; is it Kubeflow Pipelines?", status
                ) from None
        line = f"{self._address}: {what}: {status} {in_a_line(_said(answer))}"
        if status == _LATER:
            raise Unanswered(f"{line}; the server is busy: start the same command again later", sent=False)
        if status >= 500:
            raise Unanswered(f"{line}; start the same command again")
        raise KubeflowError(f"{line}{_REMEDIES.get(status, '')}", status)


_REMEDIES = {
    302: "; a login stands before it: name the address within the cluster as kubeflow.api",
    401: "; the token is not taken: it has to be of audience pipelines.kubeflow.org",
    403: "; give this service account that right (charts/aira has the roles)",
}


def _reason(error: BaseException) -> str:
    """Without the addresses of objects that urllib3 puts in."""
    return str(error).rpartition(">: ")[2] or type(error).__name__


def _said(answer: bytes) -> str:
    """The message of an error: google.rpc.Status, as the gateway writes it, or whatever a proxy says."""
    text = answer.decode("utf-8", "replace")
    try:
        said = json.loads(text)
        return str(said.get("message") or said.get("error") or text)
    except (ValueError, AttributeError):
        return text
