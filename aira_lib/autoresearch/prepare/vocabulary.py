"""Byte pairs learned from the training text, and how many bytes of text each token stands for.

A token's bytes are those that its merges join. They are not found by decoding it alone: a token that is a part of a
character would decode to U+FFFD, three bytes, and bits per byte would come out too low.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.autoresearch.prepare.profiles import RESERVED
from aira_lib.datasets.shards.byte_pairs import BytePairs, CannotConvert, proven, token_bytes
from aira_lib.datasets.shards.tokenizer import digest_of
from aira_lib.errors import MissingDependency, UserError

# As GPT-4's text is split, with runs of at most two digits.
SPLIT = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
LONGEST = 10_000
"""Characters of a document that the vocabulary is learned from."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Byte pairs with reserved tokens behind them.

    Attributes:
        file: the content of a ``tokenizer.json``, without the reserved tokens.
        size: of the vocabulary, reserved tokens included.
        raw: what each token stands for; reserved ones for nothing.
    """

    file: dict[str, Any]
    size: int
    raw: tuple[bytes, ...]
    pairs: BytePairs

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the tokenizer."""
        return digest_of(self.file)

    @property
    def byte_counts(self) -> NDArray[np.int32]:
        """Bytes of text of each token, int32 [size]."""
        return np.array([len(each) for each in self.raw], np.int32)

    def encode(self, document: str) -> NDArray[np.uint16]:
        """A document's tokens, uint16 [n], which stand for exactly its UTF-8 bytes.

        Raises:
            UserError: they do not, or it has a run of spaces that cannot be split.
        """
        try:
            ids = self.pairs.encode(document)
        except ValueError:
            raise UserError(f"a document beginning {document[:40]!r} has too long a run of spaces; drop it") from None
        stood_for, held = int(self.byte_counts[ids].sum()), len(document.encode())
        if stood_for != held:
            raise UserError(
                f"a document of {held:,} bytes became tokens of {stood_for:,}: bits per byte would be wrong"
            )
        return ids.astype(np.uint16)

    def decode(self, ids: Iterable[int]) -> bytes:
        """The bytes that tokens stand for."""
        return b"".join(self.raw[each] for each in ids)


def learned(documents: Iterable[str], size: int, most_bytes: int) -> Vocabulary:
    """Learn a vocabulary.

    Args:
        documents: The training text, of which each document's first 10,000 characters are used.
        size: Of the vocabulary with its four reserved tokens.
        most_bytes: Of text, after which no further document is read.

    Raises:
        UserError: the text has too few pairs.
        MissingDependency: the packages of the extra `data` are not installed.
    """
    try:
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    except ModuleNotFoundError:
        raise MissingDependency("preparing Autoresearch", "data") from None
    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - RESERVED, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(_beginnings(documents, most_bytes), trainer)
    return vocabulary_of(json.loads(made.to_str()), size, lambda text: made.encode(text).ids)


def vocabulary_of(file: dict[str, Any], size: int, exact: Any = None) -> Vocabulary:
    """The vocabulary of a ``tokenizer.json``, checked against `exact` (text to ids) where that is given.

    Raises:
        UserError: it has another number of tokens than the vocabulary needs, or its ids cannot be computed here.
    """
    raw = token_bytes(file) or []
    if len(raw) != size - RESERVED or not all(raw):
        raise UserError(
            f"the vocabulary has {len(raw):,} tokens, and {size - RESERVED:,} with text are needed beside {RESERVED} "
            "reserved ones: the training text is too short for so many"
        )
    try:
        pairs = BytePairs(file)
    except CannotConvert as error:
        raise UserError(f"the vocabulary cannot be used: {error}") from None
    if exact is not None and (difference := proven(pairs, exact, [])):
        raise UserError(f"the vocabulary's ids depend on what computes them: {difference}")
    return Vocabulary(file, size, (*raw, *[b""] * RESERVED), pairs)


def _beginnings(documents: Iterable[str], most_bytes: int) -> Iterator[str]:
    read = 0
    for document in documents:
        if read >= most_bytes:
            return
        beginning = document[:LONGEST]
        read += len(beginning.encode())
        yield beginning
