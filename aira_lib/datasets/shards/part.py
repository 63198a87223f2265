"""One part of the inputs becomes shards of its own: what a process does, whatever others do at the same time."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from aira_lib.datasets.shards.inputs import Piece, documents_of_piece
from aira_lib.datasets.shards.manifest import Shard, Split
from aira_lib.datasets.shards.megatron import token_type
from aira_lib.datasets.shards.tokenizer import (
    ByteTokenizer,
    Encoded,
    Engine,
    ShardTokenizer,
    TrainedTokenizer,
    tokenizer_of,
)
from aira_lib.datasets.shards.writer import ShardWriter, workplace
from aira_lib.datasets.text.corpus import goes_to_validation
from aira_lib.errors import UserError
from aira_lib.records import Row
from aira_lib.store import open_store

PARTS_FOLDER = "parts"

_BATCH_CHARACTERS = 1 << 20
_BATCH_DOCUMENTS = 1 << 12
_CHECK_ONE_IN = 512
_RECENT = 1 << 16
_MOST_SEEN = 1 << 24


@dataclass(frozen=True)
class Part:
    """What a process needs to know of its part.

    Attributes:
        number: of the part; the names of its shards begin with it.
        pieces: what it reads.
        output: URI of the store that shall have the shards.
        tokenizer: its name, as `tokenizer_of` takes it.
        digest: of the tokenizer, which must still be that.
        engine: what computes the ids.
        text_field: the field or column that holds the text.
        shard_tokens: most tokens of a shard.
        validation_one_in: one document in so many is held out by a hash of its content; 0: none.
        validation_tokens: tokens after which further ones are left out; None: no limit.
    """

    number: int
    pieces: tuple[Piece, ...]
    output: str
    tokenizer: str
    digest: str
    engine: Engine
    text_field: str
    shard_tokens: int
    validation_one_in: int
    validation_tokens: int | None


class PartRecord(Row):
    """What became of a part: shards and text bytes by split, and how many documents there were.

    `text_sha256` is the digest of the digests of its documents, in order, duplicates included.
    """

    shards: dict[Split, tuple[Shard, ...]]
    text_bytes: dict[Split, int]
    documents_read: int
    duplicates: int
    left_out: int
    text_sha256: str


class Seen:
    """Which 64-bit keys came before: exact for the first 16 million, at 8 bytes each; later ones count as new."""

    def __init__(self, most: int = _MOST_SEEN) -> None:
        self._most, self._recent = most, set[int]()
        self._sorted = np.empty(0, np.uint64)

    def new(self, key: int) -> bool:
        """Whether a key comes for the first time."""
        if key in self._recent:
            return False
        if len(self._sorted):
            at = int(self._sorted.searchsorted(np.uint64(key)))
            if at < len(self._sorted) and int(self._sorted[at]) == key:
                return False
        if len(self._recent) + len(self._sorted) < self._most:
            self._recent.add(key)
        if len(self._recent) >= _RECENT:
            merged = np.concatenate([self._sorted, np.fromiter(self._recent, np.uint64, len(self._recent))])
            merged.sort()
            self._sorted, self._recent = merged, set()
        return True


@dataclass
class _Batch:
    """Documents of one split that are encoded together, and their bytes."""

    texts: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


@dataclass
class _Count:
    documents: int = 0
    duplicates: int = 0
    left_out: int = 0
    train_bytes: int = 0
    validation_bytes: int = 0


def record_name(number: int) -> str:
    """The name in the store of the record of a part, which is written when its shards are there."""
    return f"{PARTS_FOLDER}/{number:05}.json"


def write_part(part: Part, advance: Callable[[int], None]) -> PartRecord:
    """Read a part, write its shards and then its record.

    Args:
        part: see there.
        advance: told the bytes of input that were read since it was last told.

    Raises:
        UserError: a document cannot be read, or tiktoken's ids turn out to differ.
        StoreError: disk or bucket refuse.
    """
    store, tokenizer = open_store(part.output), _tokenizer(part.tokenizer, part.digest, part.engine)
    type_, count, whole = token_type(tokenizer.entry.vocab_size), _Count(), hashlib.sha256()
    with (
        workplace(store) as folder,
        ShardWriter(store, folder, f"train-{part.number:05}", type_, part.shard_tokens) as train,
        ShardWriter(store, folder, f"validation-{part.number:05}", type_, part.shard_tokens) as validation,
    ):
        for batch, held_out in _batches(part, tokenizer, count, whole, advance):
            encoded = tokenizer.encode(held_out.texts)
            kept = _within(encoded, validation.tokens, part.validation_tokens)
            count.left_out += len(held_out.texts) - len(kept.lengths)
            count.validation_bytes += sum(held_out.sizes[: len(kept.lengths)])
            validation.add(kept)
            count.train_bytes += sum(batch.sizes)
            train.add(tokenizer.encode(batch.texts))
    record = PartRecord(
        shards={"train": tuple(train.shards), "validation": tuple(validation.shards)},
        text_bytes={"train": count.train_bytes, "validation": count.validation_bytes},
        documents_read=count.documents, duplicates=count.duplicates, left_out=count.left_out,
        text_sha256=whole.hexdigest(),
    )  # fmt: skip
    store.write(record_name(part.number), record.json_line().encode())
    return record


def _batches(
    part: Part, tokenizer: ShardTokenizer, count: _Count, whole: "hashlib._Hash", advance: Callable[[int], None]
) -> Iterator[tuple[_Batch, _Batch]]:
    """Documents of both splits, in order, as many as are encoded at once; equal ones are taken once."""
    seen, one_in = Seen(), part.validation_one_in
    train, validation, characters = _Batch(), _Batch(), 0
    for piece in part.pieces:
        told = 0
        for text, read in documents_of_piece(piece, part.text_field):
            data = text.encode()
            digest = hashlib.sha256(data).digest()
            whole.update(digest)
            count.documents += 1
            key = int.from_bytes(digest[:8], "big")
            if not seen.new(key):
                count.duplicates += 1
                continue
            if key % _CHECK_ONE_IN == 1:
                _check(tokenizer, text)
            chosen = validation if one_in and goes_to_validation(digest, one_in) else train
            chosen.texts.append(text)
            chosen.sizes.append(len(data))
            characters += len(text)
            if characters >= _BATCH_CHARACTERS or len(train.texts) + len(validation.texts) >= _BATCH_DOCUMENTS:
                yield train, validation
                train, validation, characters = _Batch(), _Batch(), 0
                advance(read - told)
                told = read
        advance(piece.bytes - told)
    yield train, validation


def _within(encoded: Encoded, before: int, most: int | None) -> Encoded:
    """The first documents, as long as there were fewer than the most tokens before each."""
    if most is None:
        return encoded
    ends = before + np.cumsum(encoded.lengths)
    kept = int(np.count_nonzero(ends - encoded.lengths < most))
    return Encoded(encoded.ids[: int(encoded.lengths[:kept].sum())], encoded.lengths[:kept])


def _check(tokenizer: ShardTokenizer, text: str) -> None:
    """Compare ids once more on a document here and there."""
    if not isinstance(tokenizer, TrainedTokenizer) or tokenizer.same(text):
        return
    raise UserError(
        f"tokenizer {tokenizer.entry.name}: tiktoken gives other ids than its own package for {text[:40]!r}; "
        "prepare with --engine tokenizers in another folder"
    )


@lru_cache(maxsize=1)
def _tokenizer(name: str, digest: str, engine: Engine) -> ByteTokenizer | TrainedTokenizer:
    found = tokenizer_of(name, engine)
    if found.entry.digest != digest:
        raise UserError(f"tokenizer {name}: has changed since this preparation began; give it back its content")
    return found
