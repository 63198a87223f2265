"""An entry of the store: an evaluation, what determined it, and who made it where; as bytes that check themselves."""

import hashlib
from typing import Any

from pydantic import ValidationError

from aira_lib.records import Evaluation, Row

_HEAD = '{"sha256": "'
_MIDDLE = '", "entry": '
_BODY = len(_HEAD) + 64 + len(_MIDDLE)


class Provenance(Row):
    """Where and when an evaluation was made.

    `machine` is a digest of the host's name: it tells machines apart, and stores that are passed on name none.
    """

    asked_by: str
    created: str
    machine: str
    device: str
    threads: int
    versions: dict[str, str] = {}


class StoredEvaluation(Row):
    """One entry. `settings` is a digest; the settings themselves lie once in the store, under that name.

    `evaluation.seconds` is what its training took.
    """

    key: str
    design: str
    layers: tuple[str, ...]
    dataset: str
    lower_is_better: bool = False
    settings: str
    seed: int
    code: str
    platform: dict[str, str]
    evaluation: Evaluation
    made: Provenance

    @property
    def goodness(self) -> float:
        """Validation fitness, the larger the better; minus infinity where there is none."""
        score = self.evaluation.validation
        return float("-inf") if score is None else -score if self.lower_is_better else score


class Damaged(ValueError):
    """Bytes that are not what was written."""


def encode(entry: StoredEvaluation) -> bytes:
    """The entry as JSON that begins with the SHA-256 of its rest."""
    body = entry.json_line().strip().encode()
    return f"{_HEAD}{hashlib.sha256(body).hexdigest()}{_MIDDLE}".encode() + body + b"}\n"


def decode(data: bytes, key: str) -> StoredEvaluation:
    """The entry of a key.

    Raises:
        Damaged: the bytes are cut, changed, or those of another key; the text says which.
    """
    body = data[_BODY:-2]
    expected = f"{_HEAD}{hashlib.sha256(body).hexdigest()}{_MIDDLE}".encode()
    if data[:_BODY] != expected or not data.endswith(b"}\n"):
        raise Damaged("its checksum is wrong")
    try:
        entry = StoredEvaluation.model_validate_json(body)
    except ValidationError as error:
        first: dict[str, Any] = dict(error.errors()[0])
        raise Damaged(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if entry.key != key:
        raise Damaged("it is the entry of another key")
    return entry
