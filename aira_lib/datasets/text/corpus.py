"""A corpus: two byte arrays made of whole documents, and where they come from."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEPARATOR = 0
"""The byte that ends every document; no document contains it."""

VALIDATION_ONE_IN = 10
_REFUSALS = 16


@dataclass(frozen=True)
class Corpus:
    """Text as bytes, each document ended by `SEPARATOR`.

    Attributes:
        train: uint8 [bytes].
        validation: uint8 [bytes]; no document of it is in `train`.
        provenance: what it is made of: plain JSON values, with the SHA-256 of both arrays.
    """

    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    provenance: dict[str, Any]


def goes_to_validation(digest: bytes, one_in: int = VALIDATION_ONE_IN) -> bool:
    """Whether the document with this hash (of at least 8 bytes) is held out: one in ten, or in as many as are given."""
    return int.from_bytes(digest[:8], "big") % one_in == 0


class Part:
    """One split as it fills up to a number of bytes with whole documents.

    A document that no longer fits is passed over for shorter ones; after 16 of those the part counts as full. Only
    when no document fits at all is the first one cut.
    """

    def __init__(self, max_bytes: int | None) -> None:
        self.max_bytes = max_bytes
        self.documents = 0
        self._data = bytearray()
        self._refused = 0
        self._too_long = b""

    @property
    def full(self) -> bool:
        """Whether further documents are not worth offering."""
        return self._refused >= _REFUSALS

    def add(self, document: bytes) -> None:
        """Take the document if it fits."""
        if self.full:
            return
        if self.max_bytes is not None and len(self._data) + len(document) + 1 > self.max_bytes:
            self._refused += 1
            self._too_long = self._too_long or document
            return
        self._data += document
        self._data.append(SEPARATOR)
        self.documents += 1

    def finish(self) -> NDArray[np.uint8]:
        """The bytes of all documents taken."""
        if not self._data and self._too_long and self.max_bytes:
            self._data += self._too_long[: self.max_bytes - 1] + bytes([SEPARATOR])
            self.documents = 1
        return np.frombuffer(bytes(self._data), dtype=np.uint8)


def corpus_of(train: Part, validation: Part, provenance: dict[str, Any]) -> Corpus:
    """Finish both parts and add their sizes and hashes to the provenance."""
    arrays = {"train": train.finish(), "validation": validation.finish()}
    for name, part in (("train", train), ("validation", validation)):
        provenance |= {
            f"{name}_documents": part.documents,
            f"{name}_bytes": len(arrays[name]),
            f"{name}_sha256": hashlib.sha256(arrays[name].tobytes()).hexdigest(),
        }
    return Corpus(arrays["train"], arrays["validation"], provenance)
