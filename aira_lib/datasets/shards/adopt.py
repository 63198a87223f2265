"""A manifest for shards that another tool wrote: Megatron's preprocessing, datatrove, and what converts to theirs."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.shards.folder import IDX, TOKENIZER_FILE, ForeignShard, foreign_shards, local_copy, opened_shard
from aira_lib.datasets.shards.manifest import SPLITS, Shard, ShardManifest, Split, SplitEntry
from aira_lib.datasets.shards.megatron import TokenType
from aira_lib.datasets.shards.plain import index_plain
from aira_lib.datasets.shards.tokenizer import ByteTokenizer, TrainedTokenizer, tokenizer_of
from aira_lib.errors import UserError
from aira_lib.store import Store, place_of
from aira_lib.store.base import MANIFEST
from aira_lib.store.files import file_entry

_HELD_OUT = {"valid", "validation", "val", "test", "dev", "eval"}
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class _Measured:
    """A shard, its bytes of text, and how many of its documents begin with the mark of a beginning."""

    shard: Shard
    text_bytes: int
    begun: int


def adopt(
    store: Store,
    tokenizer_name: str,
    validation: Sequence[str] = (),
    end: str | None = None,
    tokens: TokenType | None = None,
    tell: Callable[[str], None] = lambda name: None,
) -> ShardManifest:
    """Read all shards of a folder once and write their manifest, and the tokenizer beside it.

    Args:
        store: the folder; it has ``.bin`` files and no manifest.
        tokenizer_name: that made the tokens, as `tokenizer_of` takes it.
        validation: names or patterns of the shards that are held out; none: those whose names say so.
        end: the token that ends documents, where it is not the one that the tokenizer's file names.
        tokens: the type of those in files without an ``.idx``, which is then written; None: all have one.
        tell: told the name of each shard before it is read.

    Raises:
        UserError: there are no shards, a file is damaged, ids lie outside the vocabulary, or a document has no end.
        MissingDependency: a trained tokenizer without the package `tokenizers`.
    """
    shown = place_of(store.uri)
    if store.exists(MANIFEST):
        raise UserError(f"{shown}: has a manifest already; aira data inspect shows what it says")
    tokenizer = tokenizer_of(tokenizer_name)
    entry = tokenizer.entry.model_copy(update={"end": _end(tokenizer, end)})
    if tokens is not None:
        index_plain(store, tokens, entry.end)
    found = foreign_shards(store)
    type_, splits = _one_type(shown, found), _splits(shown, [shard.name for shard in found], validation)
    _keep_tokenizer(store, tokenizer)
    measured = dict[str, _Measured]()
    for shard in found:
        tell(shard.name)
        measured[shard.name] = _measure(store, shard, type_, tokenizer, entry.end)
    documents = sum(each.shard.documents for each in measured.values())
    if sum(each.begun for each in measured.values()) != documents:
        entry = entry.model_copy(update={"begin": None})
    manifest = ShardManifest(
        type=type_, tokenizer=entry, source={"made_by": "aira data adopt"},
        splits={split: _entry(measured, splits[split]) for split in SPLITS},
    )  # fmt: skip
    store.write(MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
    return manifest


def _entry(measured: dict[str, _Measured], names: Sequence[str]) -> SplitEntry:
    chosen = [measured[name] for name in names]
    return SplitEntry(
        shards=tuple(each.shard for each in chosen), text_bytes=sum(each.text_bytes for each in chosen)
    )  # fmt: skip


def _one_type(shown: str, shards: Sequence[ForeignShard]) -> TokenType:
    types = sorted({shard.index.type for shard in shards})
    if len(types) > 1:
        raise UserError(
            f"{shown}: its shards have tokens of several types ({', '.join(types)}); keep them in folders apart"
        )
    return types[0]


def _splits(shown: str, names: Sequence[str], validation: Sequence[str]) -> dict[Split, list[str]]:
    """The names of the shards of each split."""
    for pattern in validation:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(
                f"--validation {pattern}: no shard of {shown} has such a name; it has {', '.join(names[:5])}"
            )
    held_out = [name for name in names if _held_out(name, validation)]
    train = [name for name in names if name not in held_out]
    if not train:
        raise UserError(f"{shown}: all its shards are held out, so none is left for training; see --validation")
    return {"train": train, "validation": held_out}


def _held_out(name: str, validation: Sequence[str]) -> bool:
    if validation:
        return any(fnmatchcase(name, pattern) for pattern in validation)
    return not _HELD_OUT.isdisjoint(re.split(r"[^a-z]+", name.lower()))


def _end(tokenizer: ByteTokenizer | TrainedTokenizer, end: str | None) -> int:
    if end is None:
        return tokenizer.entry.end
    found = tokenizer.named(end) if isinstance(tokenizer, TrainedTokenizer) else None
    if found is None:
        raise UserError(f"--end {end}: the tokenizer {tokenizer.entry.name} has no such token")
    return found


def _keep_tokenizer(store: Store, tokenizer: ByteTokenizer | TrainedTokenizer) -> None:
    """Lay the tokenizer beside the shards; another one that lies there already is not replaced."""
    if tokenizer.file is None:
        return
    if store.exists(TOKENIZER_FILE):
        with local_copy(store, TOKENIZER_FILE) as file:
            there = tokenizer_of(str(file)).entry.digest
        if there != tokenizer.entry.digest:
            raise UserError(
                f"{store.shown(TOKENIZER_FILE)}: another tokenizer than {tokenizer.entry.name}; name that one"
            )
        return
    store.write(TOKENIZER_FILE, tokenizer.file.encode())


def _measure(
    store: Store, foreign: ForeignShard, type_: TokenType, tokenizer: ByteTokenizer | TrainedTokenizer, end: int
) -> _Measured:
    name, entry = foreign.name, tokenizer.entry
    with opened_shard(store, name, type_) as (ids, lengths):
        _check_ends(store.shown(name), ids, lengths, end)
        digest, text_bytes = hashlib.sha256(), 0
        for chunk in _chunks(ids, lengths):
            if len(chunk) and not 0 <= int(chunk.min()) <= int(chunk.max()) < entry.vocab_size:
                raise UserError(
                    f"{store.shown(name)}: has the id {int(chunk.max()):,}, and the tokenizer {entry.name} has "
                    f"{entry.vocab_size:,} ids; name the tokenizer that made these tokens"
                )
            digest.update(np.ascontiguousarray(chunk).data.cast("B"))
            text_bytes += tokenizer.text_bytes(chunk)
        starts = np.cumsum(lengths) - lengths
        begun = 0 if entry.begin is None else int(np.count_nonzero(ids[starts] == entry.begin))
    with local_copy(store, name + IDX) as index:
        index_digest = file_entry(index, name).sha256
    shard = Shard(
        name=name, tokens=int(lengths.sum()), documents=len(lengths), sha256=digest.hexdigest(),
        index_sha256=index_digest,
    )  # fmt: skip
    return _Measured(shard, text_bytes, begun)


def _check_ends(shown: str, ids: NDArray[np.generic], lengths: NDArray[np.int64], end: int) -> None:
    if not lengths.all():
        raise UserError(f"{shown}: document {int(np.argmin(lengths)):,} has no tokens, not even its end")
    wrong = np.flatnonzero(ids[np.cumsum(lengths) - 1] != end)
    if len(wrong):
        raise UserError(
            f"{shown}: {len(wrong):,} of {len(lengths):,} documents do not end with the token {end}; name the one that "
            "ends them with --end, or write them anew with an end of documents"
        )


def _chunks(ids: NDArray[np.generic], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.generic]]:
    """All tokens, in runs of whole documents of about four million."""
    ends, start = np.cumsum(lengths), 0
    while start < len(ids):
        stop = int(ends[min(int(np.searchsorted(ends, start + _AT_ONCE)), len(ends) - 1)])
        yield ids[start:stop]
        start = stop
