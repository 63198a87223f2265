"""Language-model proxies: BabiStories and DCLM, or their stand-ins, as examples with the next token as target."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from aira_lib.datasets.mad import Examples, Splits
from aira_lib.datasets.stories import STAND_IN as STORIES_STAND_IN
from aira_lib.datasets.stories import story_stream
from aira_lib.datasets.text.sources import documents
from aira_lib.datasets.text.stdlib import STAND_IN as STDLIB_STAND_IN
from aira_lib.datasets.text.stdlib import fresh_of, python_stdlib_documents
from aira_lib.datasets.text.tokens import Ids, Tokenizer, tokenizer_named
from aira_lib.errors import UserError
from aira_lib.records import StandIn
from aira_lib.study.language import PAPER_TRAIN_EXAMPLES, LanguageData, LanguageName

TITLES: dict[LanguageName, str] = {"babistories": "BabiStories", "dclm": "DCLM"}

_PASSAGE = 1_500
_Labelled = Iterator[tuple[bool, str]]


# Compared and hashed by identity: arrays have no equality of their own.
@dataclass(frozen=True, eq=False)
class LanguageSplits:
    """The examples of a language-model proxy.

    Attributes:
        splits: training, validation, test and the whole training pool; inputs and targets [n, seq_len].
        vocab_size: number of token ids.
        words: the tokens by id where tokens are words, else None.
        provenance: what the text is, plain JSON values, with the SHA-256 of the tokens.
    """

    splits: Splits
    vocab_size: int
    words: tuple[str, ...] | None
    provenance: dict[str, Any]


def train_examples(dataset: LanguageName, data: LanguageData) -> int:
    """Training examples, validation included: the section's, or the paper's."""
    return data.train_examples or PAPER_TRAIN_EXAMPLES[dataset]


def stand_in(dataset: LanguageName, data: LanguageData) -> StandIn | None:
    """What stands in for the data set, if something does."""
    if data.paths:
        return None
    what = {"babistories": STORIES_STAND_IN, "dclm": STDLIB_STAND_IN}[dataset].partition(", a stand-in")[0]
    detail = f"{train_examples(dataset, data):,} training and {data.test_examples:,} test windows of {data.seq_len} "
    return StandIn(what=what, instead_of=TITLES[dataset], detail=f"{detail}tokens; tokens are {_tokens(data)}")


@lru_cache(maxsize=2)
def language_splits(dataset: LanguageName, data: LanguageData, validation_fraction: float, seed: int) -> LanguageSplits:
    """The splits of a data set from one seed; a search asks for the same ones for every design.

    Documents are taken once; which of them are test documents depends on their content and the seed, and neither equal
    documents nor parts of one lie in both training and test. The last `validation_fraction` of the training windows are
    held out (paper: 30 %); the document at that cut is the only one that lies in training and validation (of the
    standard library, other passages of a document may).

    Args:
        dataset: which text, or stand-in.
        data: its source, tokens and sizes.
        validation_fraction: share of the training examples.
        seed: an integer of at least 0. It draws the stories of the stand-in, and keys the choice of test documents.

    Raises:
        UserError: the text cannot be read, is too short, or a split would be empty.
    """
    n_train, n_test = train_examples(dataset, data), data.test_examples
    n_validation = check_examples(dataset, data, validation_fraction)
    tokenizer = tokenizer_named(data.tokenizer, data.vocab_size)
    labelled = _labelled(dataset, data, seed, n_test / (n_train + n_test))
    pool, test = _filled(labelled, tokenizer, (n_train * data.seq_len + 1, n_test * data.seq_len + 1), data)
    mapping, words, vocab_size = tokenizer.vocabulary(pool)
    if mapping is not None:
        pool, test = mapping[pool], mapping[test]
    windows, cut = _windows(pool, data.seq_len), n_train - n_validation
    return LanguageSplits(
        splits=Splits(windows[:cut], windows[cut:], _windows(test, data.seq_len), windows),
        vocab_size=vocab_size,
        words=tuple(words) if words else None,
        provenance=_provenance(dataset, data, vocab_size, pool, test),
    )


def check_examples(dataset: LanguageName, data: LanguageData, validation_fraction: float) -> int:
    """The number of validation examples.

    Raises:
        UserError: a split would be empty.
    """
    n_train = train_examples(dataset, data)
    n_validation = round(n_train * validation_fraction)
    if not 0 < n_validation < n_train:
        raise UserError(
            f"{n_train} training examples with validation_fraction {validation_fraction} leave a split empty; "
            "raise proxy.language.train_examples"
        )
    return n_validation


def _provenance(dataset: LanguageName, data: LanguageData, vocab_size: int, pool: Ids, test: Ids) -> dict[str, Any]:
    stands_in = stand_in(dataset, data)
    return {
        "dataset": dataset,
        "source": stands_in.what if stands_in else ", ".join(data.paths),
        "tokens": _tokens(data),
        "vocab_size": vocab_size,
        "train_sha256": hashlib.sha256(pool.tobytes()).hexdigest(),
        "test_sha256": hashlib.sha256(test.tobytes()).hexdigest(),
    }


def _tokens(data: LanguageData) -> str:
    if data.tokenizer == "words":
        return f"words (at most {data.vocab_size:,}, of the training text)"
    return data.tokenizer if data.tokenizer == "bytes" else f"those of the tokenizer {data.tokenizer}"


def _windows(tokens: Ids, seq_len: int) -> Examples:
    """Views of one array: targets are the inputs one token later."""
    return Examples(tokens[:-1].reshape(-1, seq_len), tokens[1:].reshape(-1, seq_len))


def _filled(labelled: _Labelled, tokenizer: Tokenizer, wanted: tuple[int, int], data: LanguageData) -> tuple[Ids, Ids]:
    """Tokens of training and of test documents, each exactly as many as wanted."""
    parts: tuple[list[Ids], list[Ids]] = ([], [])
    have = [0, 0]
    end = np.array([tokenizer.end], dtype=np.int64)
    for is_test, document in labelled:
        if have[is_test] < wanted[is_test]:
            parts[is_test].extend((tokenizer.encode(document), end))
            have[is_test] += len(parts[is_test][-2]) + 1
        if all(held >= needed for held, needed in zip(have, wanted, strict=True)):
            break
    for name, held, needed in zip(("train", "test"), have, wanted, strict=True):
        if held < needed:
            raise UserError(
                f"the text gives {max(held - 1, 0) // data.seq_len:,} {name} windows of {data.seq_len} tokens, "
                f"{needed // data.seq_len:,} are wanted; lower proxy.language.{name}_examples, or add text"
            )
    return np.concatenate(parts[0])[: wanted[0]], np.concatenate(parts[1])[: wanted[1]]


# --- documents, and which of them are for the test --------------------------------------------------------------------


def _labelled(dataset: LanguageName, data: LanguageData, seed: int, share: float) -> _Labelled:
    """Documents, none twice, each with whether it is for the test."""
    if data.test_paths:
        test, train = (documents(paths, data.text_field) for paths in (data.test_paths, data.paths))
        return _once(chain(((True, text) for text in test), ((False, text) for text in train)))
    if data.paths:
        return _once((_drawn(text, seed) < share, text) for text in documents(data.paths, data.text_field))
    if dataset == "babistories":
        return ((_drawn(story, seed) < share, story) for story in story_stream(seed))
    return _once(_stdlib_passages(seed, share))


def _drawn(text: str, seed: int) -> float:
    """A number from 0 to 1 that text and seed fix; whoever has not the seed cannot tell it."""
    return _order(text, seed) / 2**64


def _order(text: str, seed: int) -> int:
    digest = hashlib.sha256(f"{seed} ".encode() + text.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big")


def _once(labelled: Iterable[tuple[bool, str]]) -> _Labelled:
    seen: set[bytes] = set()
    for is_test, text in labelled:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
        if digest not in seen:
            seen.add(digest)
            yield is_test, text


def _stdlib_passages(seed: int, share: float) -> _Labelled:
    """Passages of whole lines in a drawn order, test documents' and training documents' apart.

    Passages, because a file is longer than web pages are: few examples would otherwise come from a few files.
    """
    texts = python_stdlib_documents()
    held_out = [text for text in texts if _drawn(text.decode(), seed) < share]
    chosen = set(held_out)
    learned = [text for text in texts if text not in chosen]
    labelled = [(True, text) for text in fresh_of(held_out, learned)] + [(False, text) for text in learned]
    passages = [(is_test, passage) for is_test, text in labelled for passage in _passages(text.decode())]
    return iter(sorted(passages, key=lambda passage: _order(passage[1], seed)))


def _passages(text: str) -> list[str]:
    made: list[list[str]] = [[]]
    length = 0
    for line in text.splitlines(keepends=True):
        if length + len(line) > _PASSAGE and made[-1]:
            made.append([])
            length = 0
        made[-1].append(line)
        length += len(line)
    return [passage for lines in made if (passage := "".join(lines)).strip()]
