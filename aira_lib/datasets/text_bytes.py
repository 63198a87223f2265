"""How many bytes of text the tokens of shards stand for: what bits per byte are counted by."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.shards.folder import TOKENIZER_FILE, tokenizer_in
from aira_lib.datasets.shards.stored import StoredShards
from aira_lib.datasets.shards.tokenizer import BYTES, ByteTokenizer, TrainedTokenizer, digest_of, tokenizer_of
from aira_lib.errors import UserError
from aira_lib.records import BytesBy


@dataclass(frozen=True, eq=False)
class TextBytes:
    """Counts bytes of text.

    Attributes:
        by: in which way; see `aira_lib.records.Score`.
        count: the bytes that tokens [any shape] stand for.
    """

    by: BytesBy
    count: Callable[[NDArray[Any]], float]


TOKENS_ARE_BYTES = TextBytes("tokens", np.size)


def text_bytes_of(stored: StoredShards, tokenizer: str = "") -> TextBytes:
    """How the bytes of the held-out text of shards are counted: exactly where their tokenizer is known.

    Args:
        stored: the shards.
        tokenizer: ``bytes``, or the path of the ``tokenizer.json`` that made them; without, one that lies beside them
            is taken. It is loaded at the first count.

    Raises:
        UserError: it is no such file, or another than the shards'.
    """
    if tokenizer:
        _require(tokenizer, stored)
    if stored.manifest.tokenizer.name == BYTES:
        return TOKENS_ARE_BYTES
    if tokenizer or stored.store.exists(TOKENIZER_FILE):
        loaded = cache(lambda: tokenizer_behind(stored, tokenizer))
        return TextBytes("tokenizer", lambda tokens: loaded().text_bytes(tokens.ravel()))
    stored.shards("validation")
    split = stored.manifest.splits["validation"]
    return TextBytes("average", lambda tokens: tokens.size * split.text_bytes / max(split.tokens, 1))


def tokenizer_behind(stored: StoredShards, tokenizer: str = "") -> ByteTokenizer | TrainedTokenizer:
    """The tokenizer that made shards; arguments as of `text_bytes_of`.

    Raises:
        UserError: what is named, or lies beside the shards, is another, or none.
        MissingDependency: a trained tokenizer without the package `tokenizers`.
    """
    if tokenizer:
        _require(tokenizer, stored)
        return tokenizer_of(str(Path(tokenizer).expanduser()))
    beside = tokenizer_in(stored.store, stored.manifest)
    if beside is None:
        place = stored.store.shown(TOKENIZER_FILE)
        raise UserError(f"{place}: not the tokenizer that made the shards beside it; put that one there")
    return beside


def _require(tokenizer: str, stored: StoredShards) -> None:
    made_by, path = stored.manifest.tokenizer, Path(tokenizer).expanduser()
    try:
        found = ByteTokenizer.entry.digest if tokenizer == BYTES else _digest_in(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no JSON"
        raise UserError(
            f"tokenizer: {path}: not a tokenizer.json ({reason}); name the file that made the shards"
        ) from None
    if found != made_by.digest:
        raise UserError(
            f"tokenizer: {tokenizer}: not what made the shards in {stored.uri} ({made_by.name}, SHA-256 "
            f"{made_by.digest[:12]}..., not {found[:12]}...); name that one, or make shards with this one"
        )


def _digest_in(path: Path) -> str:
    return digest_of(json.loads(path.read_text(encoding="utf-8")))
