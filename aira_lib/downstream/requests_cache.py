"""Answers of a model to requests, kept on disk: a second evaluation of the same checkpoint computes nothing.

The harness's own cache asks for a request alone, and gives one model the answers of another. Here a file holds those of
one model: its name is a digest of all that determines them (see `identity_of`).
"""

import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from aira_lib.architecture.scales import Scale
from aira_lib.device import Precision
from aira_lib.downstream.tokens import PromptTokenizer
from aira_lib.identity import computes, versions_of
from aira_lib.models.language_model import LanguageModel
from aira_lib.store.files import make_folder
from aira_lib.study import digest

MOST_BYTES = 1 << 30
"""Of all files of a folder: some ten million answers. Those that were used longest ago go first."""

VERSION = 1
"""Raised when the same model would answer the same requests otherwise."""

_ENDING = ".sqlite"
_PAGE = 4096
_TABLE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB, sum INTEGER) WITHOUT ROWID"
_AT_ONCE = 500  # keys of a query; any SQLite takes 999
_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What a model answers to a request.

    Attributes:
        value: log-likelihood in nats, or text.
        greedy: whether each token of a continuation was the likeliest.
        lost: tokens at the beginning of the prompt for which the model's context had no room.
    """

    value: float | str
    greedy: bool = False
    lost: int = 0


def key_of(kind: str, arguments: Collection[Any]) -> bytes:
    """What a request is known by, 32 bytes: its kind and its arguments, plain JSON values."""
    return hashlib.sha256(json.dumps([kind, *arguments], sort_keys=True).encode()).digest()


def identity_of(model: LanguageModel, scale: Scale, tokens: PromptTokenizer, precision: Precision, context: int) -> str:
    """A digest (SHA-256, hex) of all that determines a model's answers: weights, design, tokens, precision, code.

    The weights count as they are in memory: they are those of the checkpoint that was in fact read.
    """
    weights = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        weights.update(memoryview(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()))
    return digest(
        {
            "weights": weights.hexdigest(), "scale": scale.model_dump(mode="json"),
            "layers": [str(layer.primitive.symbol) for layer in model.backbone.layers],  # type: ignore[union-attr]
            "precision": precision, "context": context, **computes(),
            "tokens": [tokens.entry.digest, tokens.prefix, tokens.before, tokens.entry.end],
            "code": {**versions_of("models"), "answers": VERSION},
        }
    )  # fmt: skip


class RequestsCache:
    """The answers of one model, in a file of a folder that may hold those of others.

    A transaction is there as a whole or not at all, however the process ends, and an answer whose checksum is wrong is
    none. Where the disk refuses, or the bound is reached, a warning says that answers are no longer kept.

    Args:
        folder: of the files.
        identity: see `identity_of`.
        most_bytes: that the files of the folder have at most.

    Raises:
        StoreError: the folder cannot be made.
    """

    def __init__(self, folder: Path, identity: str, most_bytes: int = MOST_BYTES) -> None:
        make_folder(folder)
        self.path = folder / f"{identity[:32]}{_ENDING}"
        self._most = most_bytes
        self._file = self._opened()
        _trim(folder, self.path, most_bytes)

    def found(self, keys: Collection[bytes]) -> dict[bytes, Answer]:
        """The answers that are known, by key."""
        wanted, known = list(keys), dict[bytes, Answer]()
        try:
            for first in range(0, len(wanted), _AT_ONCE):
                known |= self._found(wanted[first : first + _AT_ONCE])
        except sqlite3.Error as error:
            self._give_up(error)
        return known

    def keep(self, answers: Mapping[bytes, Answer]) -> None:
        """Keep answers by key: all of them, or none."""
        if self._file is None:
            return
        texts = ((key, json.dumps(answer).encode()) for key, answer in answers.items())
        rows = ((key, text, _sum(key, text)) for key, text in texts)
        try:
            with self._file:
                self._file.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _found(self, keys: list[bytes]) -> dict[bytes, Answer]:
        if self._file is None:
            return {}
        places = ",".join("?" * len(keys))
        rows = self._file.execute(f"SELECT key, answer, sum FROM answers WHERE key IN ({places})", keys).fetchall()
        whole = ((key, text) for key, text, sum_ in rows if isinstance(text, bytes) and sum_ == _sum(key, text))
        return {key: Answer(*json.loads(text)) for key, text in whole}

    def _opened(self) -> sqlite3.Connection | None:
        """The file; a damaged one is made anew."""
        for _ in range(2):
            try:
                file = sqlite3.connect(self.path, timeout=20)
                file.execute(f"PRAGMA max_page_count = {self._most // _PAGE}")
                file.execute("PRAGMA synchronous = NORMAL")
                with file:
                    file.execute(_TABLE)
                self.path.touch()  # by which `_trim` knows what was used last
                return file
            except (sqlite3.Error, OSError) as error:
                problem = error
                if not _is_damage(error):
                    break
                _log.warning("%s: damaged (%s); its answers are computed anew", self.path, error)
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)
        _log.warning("%s: %s; answers are not kept", self.path, problem)
        return None

    def _give_up(self, error: sqlite3.Error) -> None:
        """Go on without the file, which is removed where it is damaged."""
        _log.warning("%s: %s; answers are no longer kept", self.path, error)
        self.close()
        if _is_damage(error):
            with suppress(OSError):
                self.path.unlink(missing_ok=True)


def _is_damage(error: Exception) -> bool:
    """Whether the file itself is broken; OperationalError is about the disk, a lock, or a limit."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def _sum(key: bytes, text: bytes) -> int:
    return zlib.crc32(key + text)


def _trim(folder: Path, own: Path, most_bytes: int) -> None:
    """Remove the files that were used longest ago, as long as there are too many bytes; not one's own."""
    with suppress(OSError):
        files = sorted(((path.stat(), path) for path in folder.glob(f"*{_ENDING}")), key=lambda each: each[0].st_mtime)
        total = sum(found.st_size for found, _ in files)
        for found, path in files:
            if total > most_bytes and path != own:
                path.unlink(missing_ok=True)
                total -= found.st_size
