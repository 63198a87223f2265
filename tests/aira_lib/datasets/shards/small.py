"""Small token shards in a folder, as `aira data prepare` leaves them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aira_lib.datasets.shards.manifest import Shard, ShardManifest, SplitEntry, TokenizerEntry
from aira_lib.datasets.shards.megatron import Index, dtype_of, token_type, write_index

END = 0
Documents = Sequence[Sequence[int]]


def write_shards(folder: Path, splits: dict[str, Sequence[Documents]], vocab_size: int = 300, **tokenizer: Any) -> Path:
    """Shards of documents, ends included as they are given, and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    kind, entries = token_type(vocab_size), {}
    for split, shards in splits.items():
        made = []
        for number, documents in enumerate(shards):
            name = f"{split}-{number:05d}"
            tokens = np.array([token for document in documents for token in document], dtype_of(kind))
            (folder / f"{name}.bin").write_bytes(tokens.tobytes())
            write_index(folder / f"{name}.idx", Index(kind, np.array([len(each) for each in documents], np.int64)))
            digests = (hashlib.sha256((folder / f"{name}.{end}").read_bytes()).hexdigest() for end in ("bin", "idx"))
            made.append(Shard(name=name, tokens=len(tokens), documents=len(documents), sha256=next(digests),
                              index_sha256=next(digests)))  # fmt: skip
        tokens_in = sum(shard.tokens for shard in made)
        entries[split] = SplitEntry(shards=tuple(made), text_bytes=4 * tokens_in)
    entry = TokenizerEntry(**{"name": "x", "digest": "d" * 64, "vocab_size": vocab_size, "end": END, **tokenizer})
    manifest = ShardManifest(type=kind, tokenizer=entry, splits=entries, source={})
    (folder / "manifest.json").write_text(manifest.json_line())
    return folder


def documents_of_lengths(lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    """Documents of so many tokens from 1 to 299 each, and the end."""
    random = np.random.default_rng(seed)
    return [[*random.integers(1, 300, size=length).tolist(), END] for length in lengths]
