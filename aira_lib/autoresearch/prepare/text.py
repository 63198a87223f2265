"""The documents: of parquet shards where they are, else botocore's (see services.py), the labelled stand-in.

Two shards are hidden: the last one by name is validation, as in the original, and the one before it the test, which
nobody is scored on while a search goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aira_lib.autoresearch.prepare.services import STAND_IN, service_documents, services_identity
from aira_lib.contents import file_digest
from aira_lib.datasets.text.files import documents_of
from aira_lib.errors import UserError

TRAIN_SHARDS = 10
_LEAST_SHARDS = 3
_BEGINNING = 4_000
"""Characters of a held-out document of the stand-in that are scored, so that a small shard is of many of them."""
_ORIGINAL = "the shards of the original, which are web text"


@dataclass(frozen=True)
class Texts:
    """Where documents come from.

    Attributes:
        source: in words.
        instead_of: what it stands in for; "" for real shards.
        shards: parquet files: those to train on, the test's, and validation's; empty for the stand-in.
    """

    source: str
    instead_of: str = ""
    shards: tuple[Path, ...] = ()

    def contents(self) -> list[str]:
        """What determines the documents, for a key."""
        return [file_digest(path) for path in self.shards] if self.shards else [services_identity()]


def texts_in(folder: Path | None, train_shards: int = TRAIN_SHARDS) -> Texts:
    """The text of a folder with parquet shards (column `text`), or the stand-in where no folder is named.

    Args:
        folder: With shards; None for the stand-in.
        train_shards: How many are trained on, from the first by name.

    Raises:
        UserError: there is no such folder, or it has fewer than three shards.
    """
    if folder is None:
        return Texts(STAND_IN, _ORIGINAL)
    found = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    if len(found) < _LEAST_SHARDS:
        raise UserError(
            f"{folder}: {len(found)} parquet shards, and three are needed: one to train on and two hidden ones; "
            "put them there, or leave `shards` out for the stand-in"
        )
    *train, test, validation = found
    chosen = (*train[:train_shards], test, validation)
    return Texts(f"{len(chosen)} parquet shards, {validation.name} the validation", "", chosen)


def documents(texts: Texts, split: str, most_bytes: int) -> Iterator[str]:
    """The documents of a split, whole, in order.

    Args:
        texts: Where they come from.
        split: train, validation or test.
        most_bytes: Of text, after which no further document begins.

    Raises:
        UserError: a shard cannot be read, or has no column `text`.
    """
    read = 0
    for document in _of_shards(texts.shards, split) if texts.shards else _of_services(split):
        if read >= most_bytes:
            return
        read += len(document.encode())
        yield document


def _of_shards(shards: tuple[Path, ...], split: str) -> Iterator[str]:
    *train, test, validation = shards
    return documents_of({"train": train, "test": [test], "validation": [validation]}[split])


def _of_services(split: str) -> Iterator[str]:
    most = None if split == "train" else _BEGINNING
    yield from (each[:most] for each in _services()[split])


@lru_cache(1)
def _services() -> dict[str, list[str]]:
    return service_documents()
