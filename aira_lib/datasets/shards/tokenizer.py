"""How documents become the tokens of shards: bytes, or a trained tokenizer with the marks that its file has."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.shards.byte_pairs import BytePairs, CannotConvert, proven, token_bytes
from aira_lib.datasets.shards.manifest import TokenizerEntry
from aira_lib.datasets.shards.megatron import dtype_of, token_type
from aira_lib.datasets.text.corpus import SEPARATOR
from aira_lib.datasets.text.tokens import Trained
from aira_lib.errors import UserError

BYTES: Literal["bytes"] = "bytes"
Engine = Literal["bytes", "tiktoken", "tokenizers"]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Documents as tokens, marks included: ids [tokens] in the type of the shards, lengths int64 [documents]."""

    ids: NDArray[np.generic]
    lengths: NDArray[np.int64]


class ShardTokenizer(Protocol):
    """What `tokenizer_of` gives."""

    @property
    def entry(self) -> TokenizerEntry:
        """What a manifest says of it."""

    @property
    def engine(self) -> Engine:
        """What computes the ids."""

    @property
    def file(self) -> str | None:
        """The text of its ``tokenizer.json``, in canonical form; None for bytes."""

    def encode(self, documents: Sequence[str]) -> Encoded:
        """The tokens of documents, none of which contains `SEPARATOR`."""

    def text_bytes(self, ids: NDArray[np.generic]) -> int:
        """How many bytes of text some tokens stand for; marks stand for none."""

    def decode(self, ids: NDArray[np.generic]) -> str:
        """The text of some tokens, without marks."""


class ByteTokenizer:
    """UTF-8 bytes; the byte 0 ends a document."""

    entry = TokenizerEntry(name=BYTES, digest=hashlib.sha256(b"bytes").hexdigest(), vocab_size=256, end=SEPARATOR)
    engine: Engine = BYTES
    file = None

    def encode(self, documents: Sequence[str]) -> Encoded:
        """See `ShardTokenizer`."""
        whole = ("\0".join(documents) + "\0").encode() if documents else b""
        ids = np.frombuffer(whole, np.uint8)
        ends = np.flatnonzero(ids == SEPARATOR)
        return Encoded(ids, np.diff(ends, prepend=-1).astype(np.int64))

    def text_bytes(self, ids: NDArray[np.generic]) -> int:
        """See `ShardTokenizer`."""
        return int(np.count_nonzero(ids))

    def decode(self, ids: NDArray[np.generic]) -> str:
        """See `ShardTokenizer`."""
        return bytes(np.asarray(ids, np.uint8)).replace(b"\0", b"").decode("utf-8", "replace")


class TrainedTokenizer:
    """A ``tokenizer.json``, whose marks of beginning and end are those that its template puts around a text.

    Where the template puts none behind it, the end is a token of a known name (``<|endoftext|>``, ``<|end_of_text|>``,
    ``</s>``), or one more id than the file has. What looks like a special token in a document is text.

    Args:
        name: of a file, or of a tokenizer on Hugging Face.
        fast: tiktoken's stand-in, if ids are known to be equal.

    Attributes:
        ids: how many its file has; `entry.vocab_size` is one more where that has no token of an end.
    """

    def __init__(self, name: str, fast: BytePairs | None = None) -> None:
        # A process that encodes is one of many: threads of its own would not make them faster.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        trained = Trained(name)
        self._exact, self._fast = trained.loaded, fast
        content = _content(name, self._exact)
        self.file: str | None = _canonical(content)
        begin, end = _marks(self._exact)
        self._exact.encode_special_tokens = True
        # Ids may have gaps: what is free begins behind the highest.
        self.ids = size = 1 + max(self._exact.get_vocab().values(), default=-1)
        end = trained.named_end if end is None else end
        if end is None:
            end, size = size, size + 1
        self.entry = TokenizerEntry(
            name=Path(name).name if Path(name).is_file() else name, digest=digest_of(content), vocab_size=size,
            begin=begin, end=end,
        )  # fmt: skip
        self._dtype = dtype_of(token_type(size))
        self._bytes = token_bytes(content)

    @property
    def engine(self) -> Engine:
        """What computes the ids."""
        return "tiktoken" if self._fast else "tokenizers"

    def encode(self, documents: Sequence[str]) -> Encoded:
        """See `ShardTokenizer`."""
        begin, end = self.entry.begin, np.array([self.entry.end], self._dtype)
        before = [] if begin is None else [np.array([begin], self._dtype)]
        encoded = [ids.astype(self._dtype) for ids in self._ids(documents)]
        lengths = np.array([len(ids) + len(before) + 1 for ids in encoded], np.int64)
        parts = [part for ids in encoded for part in (*before, ids, end)]
        return Encoded(np.concatenate(parts) if parts else np.empty(0, self._dtype), lengths)

    def exact(self, document: str) -> list[int]:
        """The ids of a document by the package `tokenizers`, without marks."""
        ids: list[int] = self._exact.encode(document, add_special_tokens=False).ids
        return ids

    def named(self, token: str) -> int | None:
        """The id of a token by its content, if there is one."""
        found: int | None = self._exact.token_to_id(token)
        return found

    def same(self, document: str) -> bool:
        """Whether both ways to the ids give the same ones."""
        if self._fast is None:
            return True
        return np.array_equal(self._quick(self._fast, document), np.array(self.exact(document), np.uint32))

    def text_bytes(self, ids: NDArray[np.generic]) -> int:
        """See `ShardTokenizer`."""
        if self._bytes is None:
            documents = np.split(ids, np.flatnonzero(ids == self.entry.end) + 1)
            return sum(len(self.decode(document).encode()) for document in documents)
        counts = np.bincount(ids.astype(np.int64), minlength=len(self._bytes))[: len(self._bytes)]
        return int(counts @ np.array([len(each) for each in self._bytes], np.int64))

    def decode(self, ids: NDArray[np.generic]) -> str:
        """See `ShardTokenizer`."""
        if self._bytes is None:
            return str(self._exact.decode(ids.tolist(), skip_special_tokens=True))
        known = self._bytes
        return b"".join(known[place] for place in ids.tolist() if place < len(known)).decode("utf-8", "replace")

    def _ids(self, documents: Sequence[str]) -> Iterable[NDArray[Any]]:
        if self._fast is None:
            found = self._exact.encode_batch_fast(list(documents), add_special_tokens=False)
            return [np.array(each.ids, np.uint32) for each in found]
        return [self._quick(self._fast, document) for document in documents]

    def _quick(self, fast: BytePairs, document: str) -> NDArray[Any]:
        try:
            return fast.encode(document)
        except ValueError:
            return np.array(self.exact(document), np.uint32)


def tokenizer_of(name: str, engine: Engine | None = None) -> ByteTokenizer | TrainedTokenizer:
    """The tokenizer of a name: ``bytes``, a ``tokenizer.json``, or one on Hugging Face.

    Args:
        name: see above.
        engine: what computes the ids, as `quickest` found it; None is the package `tokenizers`.

    Raises:
        UserError: there is none of that name.
        MissingDependency: a trained tokenizer without the package `tokenizers`.
    """
    if name == BYTES:
        return ByteTokenizer()
    exact = TrainedTokenizer(name)
    return TrainedTokenizer(name, BytePairs(json.loads(exact.file or ""))) if engine == "tiktoken" else exact


def quickest(name: str, texts: Iterable[str]) -> tuple[Engine, str]:
    """What computes a tokenizer's ids fastest, proven on hard cases and on some texts; why it is not tiktoken, if so.

    Raises:
        UserError: there is no tokenizer of that name.
        MissingDependency: a trained tokenizer without the package `tokenizers`.
    """
    exact = tokenizer_of(name)
    if isinstance(exact, ByteTokenizer):
        return BYTES, ""
    try:
        fast = BytePairs(json.loads(exact.file or ""))
    except CannotConvert as error:
        return "tokenizers", str(error)
    difference = proven(fast, exact.exact, texts)
    return ("tokenizers", difference) if difference else ("tiktoken", "")


def digest_of(content: object) -> str:
    """SHA-256 (hex) of the canonical JSON of a ``tokenizer.json``, less how it would cut and fill up texts."""
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _canonical(content: object) -> str:
    if isinstance(content, dict):
        content = {**content, "truncation": None, "padding": None}
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _content(name: str, loaded: Any) -> Any:
    """The JSON of a tokenizer, from a file or as the package writes it."""
    try:
        content = json.loads(Path(name).read_text(encoding="utf-8") if Path(name).is_file() else loaded.to_str())
    except ValueError as error:
        raise UserError(f"{name}: not a tokenizer.json ({error})") from None
    return content


def _marks(loaded: Any) -> tuple[int | None, int | None]:
    """What a tokenizer's template puts before and behind a text: one token each, or nothing."""
    inner = loaded.encode("a", add_special_tokens=False).ids
    outer = loaded.encode("a", add_special_tokens=True).ids
    for place in range(len(outer) - len(inner) + 1):
        if outer[place : place + len(inner)] == inner:
            before, behind = outer[:place], outer[place + len(inner) :]
            return (before[-1] if before else None), (behind[0] if behind else None)
    return None, None
