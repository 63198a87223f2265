"""Folders of shards as they are found: with a manifest, or those of other tools without; and whether they are whole."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from aira_lib.datasets.shards.manifest import Shard, ShardManifest
from aira_lib.datasets.shards.megatron import Index, TokenType, map_tokens, read_index
from aira_lib.datasets.shards.part import PARTS_FOLDER
from aira_lib.datasets.shards.tokenizer import BYTES, ByteTokenizer, TrainedTokenizer, digest_of, tokenizer_of
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.store import Store, place_of
from aira_lib.store.base import MANIFEST
from aira_lib.store.files import file_entry

TOKENIZER_FILE = "tokenizer.json"
BIN, IDX = ".bin", ".idx"
_MOST_SHOWN = 200  # characters of what is wrong with a manifest


@dataclass(frozen=True)
class ForeignShard:
    """A shard of another tool: its name, and what its index says."""

    name: str
    index: Index


def read_manifest(store: Store) -> ShardManifest:
    """The manifest of a folder of shards.

    Raises:
        UserError: there is none, or it is not one.
    """
    shown = place_of(store.uri)
    if not store.exists(MANIFEST):
        raise UserError(f"{shown}: {_why_none(store)}")
    try:
        return ShardManifest.model_validate_json(store.read(MANIFEST))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        reason = in_a_line(": ".join(filter(None, [".".join(map(str, first["loc"])), said])), _MOST_SHOWN)
        raise UserError(
            f"{store.shown(MANIFEST)}: not a manifest of token shards ({reason}); put a whole copy there, or make the "
            "shards again with aira data prepare"
        ) from None


def _why_none(store: Store) -> str:
    names = store.list()
    if any(name.startswith(f"{PARTS_FOLDER}/") for name in names):
        return "its shards are not all made; run the same aira data prepare again"
    if any(name.endswith(IDX) for name in names):
        return "shards without a manifest; aira data adopt gives them one"
    return "no token shards there; aira data prepare makes them"


def foreign_shards(store: Store) -> list[ForeignShard]:
    """The shards of a folder without a manifest, by name. Their indexes are read, and the sizes of their tokens.

    Raises:
        UserError: there are none; an index is damaged, or is not that of the tokens beside it.
    """
    sizes = store.sizes()
    names = sorted(name.removesuffix(IDX) for name in sizes if name.endswith(IDX))
    if not names:
        alone = f"; say with --tokens what the {BIN} files hold" if any(name.endswith(BIN) for name in sizes) else ""
        raise UserError(f"{place_of(store.uri)}: no token shards there (no {IDX} files with their {BIN}){alone}")
    return [_foreign(store, name, sizes.get(name + BIN)) for name in names]


def _foreign(store: Store, name: str, size: int | None) -> ForeignShard:
    with local_copy(store, name + IDX) as file:
        index = read_index(file)
    expected = index.tokens * np.dtype(index.type).itemsize
    if size != expected:
        there = "is missing" if size is None else f"has {size:,} bytes"
        raise UserError(f"{store.shown(name + BIN)}: {there}, where its index tells of {expected:,}")
    return ForeignShard(name, index)


def verify(store: Store, manifest: ShardManifest) -> Iterator[tuple[str, str]]:
    """Check every file of a folder: its name, and what is wrong with it (nothing where it is whole)."""
    sizes = store.sizes()
    for split in manifest.splits.values():
        for shard in split.shards:
            whole = True
            for name, digest in ((shard.name + BIN, shard.sha256), (shard.name + IDX, shard.index_sha256)):
                wrong = _wrong(store, name, digest) if name in sizes else "missing"
                whole = whole and not wrong
                yield name, wrong
            if whole:  # what its manifest says of whole files may be false all the same
                yield shard.name, _disagreement(store, shard, manifest.type)
    if manifest.tokenizer.name != BYTES and TOKENIZER_FILE in sizes:
        yield TOKENIZER_FILE, _wrong_tokenizer(store, manifest.tokenizer.digest)


def _wrong_tokenizer(store: Store, digest: str) -> str:
    try:
        found = digest_of(json.loads(store.read(TOKENIZER_FILE)))
    except ValueError:
        return "damaged: it is no JSON"
    return "" if found == digest else f"not what made the shards: its SHA-256 is {found[:12]}..., not {digest[:12]}..."


def _wrong(store: Store, name: str, digest: str) -> str:
    with local_copy(store, name) as path:
        return _not_its_hash(path, digest)


def _not_its_hash(path: Path, digest: str) -> str:
    found = file_entry(path, path.name).sha256
    return "" if found == digest else f"damaged: its SHA-256 is {found[:12]}..., not {digest[:12]}..."


def _disagreement(store: Store, shard: Shard, type_: TokenType) -> str:
    try:
        with local_copy(store, shard.name + IDX) as file:
            index = read_index(file)
    except UserError as error:
        return str(error)
    same = (index.tokens, len(index.lengths), index.type) == (shard.tokens, shard.documents, type_)
    return "" if same else f"its index has {index.tokens:,} tokens in {len(index.lengths):,} documents as {index.type}"


@contextmanager
def local_copy(store: Store, name: str) -> Iterator[Path]:
    """A file of a store as a local one while the block runs."""
    if store.uri.startswith("file://"):
        yield Path(place_of(store.uri)) / name
        return
    with tempfile.TemporaryDirectory(prefix="aira-shards-") as folder:
        path = Path(folder) / Path(name).name
        store.get(name, path)
        yield path


@contextmanager
def opened_shard(
    store: Store, name: str, type_: TokenType, whole: Shard | None = None
) -> Iterator[tuple[NDArray[np.generic], NDArray[np.int64]]]:
    """The tokens of a shard [tokens], and the lengths of its documents [documents], while the block runs.

    Args:
        store: the folder.
        name: of the shard.
        type_: of its tokens.
        whole: what the manifest says of it, if both files shall be compared with that first.

    Raises:
        UserError: a file is missing or damaged, or they do not belong to each other.
    """
    with local_copy(store, name + BIN) as tokens, local_copy(store, name + IDX) as file:
        for path, digest in ((tokens, whole.sha256), (file, whole.index_sha256)) if whole else ():
            if path.is_file() and (wrong := _not_its_hash(path, digest)):
                raise UserError(f"{store.shown(path.name)}: {wrong}; put a whole copy there, or make the shards again")
        index, ids = read_index(file), map_tokens(tokens, type_)
        if (index.type, index.tokens) != (type_, len(ids)):
            raise UserError(
                f"{store.shown(name + IDX)}: not the index of its {BIN}, which has {len(ids):,} {type_} tokens"
            )
        yield ids, index.lengths


def tokenizer_in(store: Store, manifest: ShardManifest) -> ByteTokenizer | TrainedTokenizer | None:
    """The tokenizer that lies beside shards; None where none does, or it is another.

    Raises:
        MissingDependency: it is a trained one, and the package `tokenizers` is not installed.
    """
    if manifest.tokenizer.name == BYTES:
        return ByteTokenizer()
    if not store.exists(TOKENIZER_FILE):
        return None
    with local_copy(store, TOKENIZER_FILE) as file:
        found = tokenizer_of(str(file))
    return found if found.entry.digest == manifest.tokenizer.digest else None
