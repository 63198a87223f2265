"""What an API server of Kubernetes that refuses a request, or cannot be reached, says: as one line for a person."""

from typing import Any

from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line

_LATER = (429, 500, 502, 503, 504)


class Unreachable(UserError):
    """Nobody answers; the same command may get on later."""

    exit_code = 75


class Refused(UserError):
    """The server answered, and did not do it.

    Attributes:
        code: Of HTTP.
        reason: As Kubernetes has it: NotFound (of an object), AlreadyExists, Conflict, Forbidden, Invalid; empty where
            it said none.
    """

    def __init__(self, text: str, code: int, reason: str) -> None:
        super().__init__(text)
        self.code, self.reason = code, reason
        if code in _LATER:
            self.exit_code = Unreachable.exit_code

    @property
    def exists(self) -> bool:
        """Whether there is an object of the name already."""
        return self.code == 409 and self.reason == "AlreadyExists"

    @property
    def conflict(self) -> bool:
        """Whether the object has changed since it was read, or is another one."""
        return self.code == 409 and self.reason == "Conflict"


def refusal(code: int, status: dict[str, Any], host: str) -> Refused:
    """The error of an answer.

    Args:
        code: of HTTP.
        status: the answer: an object `Status`, or what else there was.
        host: which server.
    """
    reason, said = str(status.get("reason") or ""), in_a_line(str(status.get("message") or f"HTTP {code}"))
    if code == 404 and not (status.get("details") or {}).get("name"):  # of no object: the path itself is unknown
        reason = ""
    match code:
        case 401:
            text = f"{host} does not know who asks ({said}); log in again, or give the pod a service account"
        case 403:
            text = f"Kubernetes refuses: {said}; give that right to the one who asks (the roles of charts/aira have it)"
        case 404 if not reason:
            text = f"{host} has no objects of such a kind or version ({said}); install what defines it"
        case _ if code in _LATER:
            text = f"{host} is short of time or broken ({said}); try again later"
        case _:
            text = f"Kubernetes refuses: {said}"
    return Refused(text, code, reason)
