"""Tokens of text: bytes, words, or a trained tokenizer's."""

import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.text.corpus import SEPARATOR
from aira_lib.errors import MissingDependency, UserError

Ids = NDArray[np.int64]

_WORD = re.compile(r"\w+|[^\w\s]|\n")
_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>")


class Tokenizer(Protocol):
    """Turns documents into ids; what it has to learn of the training text it learns at the end, in `vocabulary`."""

    end: int

    def encode(self, document: str) -> Ids:
        """Ids of a document, without the mark of its end."""

    def vocabulary(self, train: Ids) -> tuple[Ids | None, list[str] | None, int]:
        """What ids become (None: they stay), the tokens by id where they are words, and the number of ids."""


class Bytes:
    """UTF-8 bytes; the byte 0, which no document has, ends one."""

    end = SEPARATOR

    def encode(self, document: str) -> Ids:
        """The document's bytes."""
        return np.frombuffer(document.encode(), dtype=np.uint8).astype(np.int64)

    def vocabulary(self, train: Ids) -> tuple[Ids | None, list[str] | None, int]:
        """All bytes."""
        return None, None, 256


class Words:
    """Words, punctuation marks and line ends; the most frequent of the training text, and one id for all others.

    Ids are the order in which words occur until `vocabulary` maps them: 0 the end, 1 any other word, then by falling
    frequency, equals by the alphabet.
    """

    end = 0

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._ids: dict[str, int] = {"<end>": 0}

    def encode(self, document: str) -> Ids:
        """Ids of the document's words."""
        ids = self._ids
        return np.array([ids.setdefault(word, len(ids)) for word in _WORD.findall(document)], dtype=np.int64)

    def vocabulary(self, train: Ids) -> tuple[Ids | None, list[str] | None, int]:
        """The words of the training text, `vocab_size` in all with the two marks."""
        counts = np.bincount(train, minlength=len(self._ids))
        seen = [word for word, place in self._ids.items() if place != self.end and counts[place]]
        kept = sorted(seen, key=lambda word: (-counts[self._ids[word]], word))[: self.vocab_size - 2]
        mapping = np.ones(len(self._ids), dtype=np.int64)
        mapping[self.end] = 0
        mapping[[self._ids[word] for word in kept]] = np.arange(2, len(kept) + 2)
        return mapping, ["<end>", "<other>", *kept], len(kept) + 2


class Trained:
    """A trained tokenizer (of the package `tokenizers`), such as GPT-2's: a tokenizer.json file, or by name.

    Attributes:
        loaded: the package's tokenizer.
        named_end: the id of a token whose name is known to end documents; None: it has none.
        end: the id that ends a document: that one, or one more than the tokenizer has.
    """

    def __init__(self, name: str, others: str = "bytes") -> None:
        """Load it; `others` are the names that would have been valid besides, for the line that refuses this one."""
        self.loaded = _loaded(name, others)
        ends = [found for token in _ENDS if (found := self.loaded.token_to_id(token)) is not None]
        size: int = self.loaded.get_vocab_size()
        self.named_end: int | None = ends[0] if ends else None
        self.end: int = ends[0] if ends else size
        self._size = size if ends else size + 1

    def encode(self, document: str) -> Ids:
        """The tokenizer's ids, without special tokens."""
        return np.array(self.loaded.encode(document, add_special_tokens=False).ids, dtype=np.int64)

    def vocabulary(self, train: Ids) -> tuple[Ids | None, list[str] | None, int]:
        """The tokenizer's own, with a mark for the end if it has none."""
        return None, None, self._size


def _loaded(name: str, others: str) -> Any:
    try:
        from tokenizers import Tokenizer as Loader
    except ModuleNotFoundError:
        raise MissingDependency(f"tokenizer {name!r}", "data") from None
    try:
        loaded = Loader.from_file(name) if Path(name).is_file() else Loader.from_pretrained(name)
    except Exception as error:  # the package raises plain Exception
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise UserError(
            f"tokenizer {name!r} is not {others} or a tokenizer.json file, nor on Hugging Face ({reason})"
        ) from None
    loaded.no_truncation()  # many published files cut texts, and fill them up, at the length of one model
    loaded.no_padding()
    return loaded


def tokenizer_named(name: str, vocab_size: int) -> Tokenizer:
    """The tokenizer of a study's `language.tokenizer`.

    Raises:
        UserError: there is none of that name, or no network to fetch it.
        MissingDependency: a trained tokenizer without the package `tokenizers`.
    """
    if name == "bytes":
        return Bytes()
    return Words(vocab_size) if name == "words" else Trained(name, "bytes, words")
