"""What a folder of token shards holds: ``manifest.json``, written last.

::

    train-00000-000.bin  train-00000-000.idx  train-00000-001.bin  …  validation-00000-000.bin  …
    tokenizer.json  manifest.json

Shards that are made here are named by split, part of the inputs, and number; those of other tools as they are. Beside
them lies the tokenizer, unless tokens are bytes. A split is the concatenation of its shards in the order of the
manifest. Every document ends with the token `end`.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from aira_lib.datasets.shards.megatron import TokenType
from aira_lib.records import Row

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


class TokenizerEntry(Row):
    """What made the tokens.

    `digest` is the SHA-256 of the tokenizer's canonical JSON, that of the text "bytes" for bytes; `begin` the token
    before each document, if any, `end` the one behind it.
    """

    name: str
    digest: str
    vocab_size: int = Field(ge=2)
    begin: int | None = None
    end: int

    @model_validator(mode="after")
    def _has_its_marks(self) -> Self:
        for name, token in (("begin", self.begin), ("end", self.end)):
            if token is not None and not 0 <= token < self.vocab_size:
                raise ValueError(f"{name} {token:,} is none of its {self.vocab_size:,} ids")
        return self


class Shard(Row):
    """One shard: its ``.bin`` is `name`.bin, its index `name`.idx; sizes and digests of both."""

    name: str
    tokens: int = Field(ge=0)
    documents: int = Field(ge=0)
    sha256: str
    index_sha256: str


class SplitEntry(Row):
    """The shards of a split, in order, and the UTF-8 bytes of the text that they hold, without marks of ends."""

    shards: tuple[Shard, ...]
    text_bytes: int = Field(ge=0)

    @property
    def tokens(self) -> int:
        """Tokens of all shards."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def documents(self) -> int:
        """Documents of all shards."""
        return sum(shard.documents for shard in self.shards)


class ShardManifest(Row):
    """What the shards are and where they come from. `source` is plain JSON: paths, text field, counts, digests."""

    version: Literal[1] = 1
    type: TokenType
    tokenizer: TokenizerEntry
    splits: dict[Split, SplitEntry]
    source: dict[str, object]
