"""The tokens of prompts: those that training would have had for the same text at the beginning of a document."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aira_lib.datasets.shards.byte_pairs import BytePairs, CannotConvert, proven
from aira_lib.datasets.shards.manifest import TokenizerEntry
from aira_lib.datasets.shards.stored import StoredShards
from aira_lib.datasets.shards.tokenizer import ByteTokenizer, TrainedTokenizer, tokenizer_of
from aira_lib.datasets.text.files import clean
from aira_lib.datasets.text_bytes import tokenizer_behind
from aira_lib.errors import UserError
from aira_lib.records import TrainingRun
from aira_lib.study import DataSection


@dataclass(frozen=True, eq=False)
class PromptTokenizer:
    """The tokenizer of a training, for prompts.

    Attributes:
        entry: its name and digest, and the marks that training put before (if any) and behind each document.
        prefix: the token that a prompt begins with: the mark of a beginning; where there is none, the end of the
            document before, unless training kept documents apart, for then that was never seen with what follows.
        before: the token from which the first token of a text is predicted.
        ids: the tokens of a clean text, without marks.
        text: the text of some tokens, marks left out.
    """

    entry: TokenizerEntry
    prefix: int | None
    before: int
    ids: Callable[[str], list[int]]
    text: Callable[[Sequence[int]], str]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without marks; what training takes out of documents is taken out."""
        return self.ids(clean(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, without marks; bytes that are no whole character become U+FFFD."""
        return self.text(tokens)


def prompt_tokenizer(run: TrainingRun, data: DataSection, record: Path | None = None) -> PromptTokenizer:
    """The tokenizer that a run was trained with.

    Args:
        run: the training, whose record says by a digest what its tokenizer was.
        data: the study's text, where the tokenizer of token shards is found.
        record: the folder of the run's record, which holds the tokenizer of a model that was imported.

    Raises:
        UserError: the tokenizer is not the training's, or is not there.
        MissingDependency: a trained tokenizer without the package `tokenizers`.
    """
    if run.data.get("corpus") == "imported":
        return _imported(run, record)
    if (run.data.get("corpus") == "shards") != (data.name == "shards"):
        raise UserError(
            f"pretrain.data: name: {data.name} is not what {run.point.id} was trained on ({_corpus(run)}); give the "
            "data section of its study"
        )
    if data.name != "shards":
        return _made(ByteTokenizer(), ByteTokenizer.entry, run)
    stored = StoredShards(data.shards)
    entry, trained_with = stored.manifest.tokenizer, run.data.get("tokenizer_sha256")
    if entry.digest != trained_with:
        raise UserError(
            f"pretrain.data: the shards in {stored.uri} are of the tokenizer {entry.name} (SHA-256 "
            f"{entry.digest[:12]}...), and {run.point.id} was trained with {run.data.get('tokenizer')} "
            f"({str(trained_with)[:12]}...); name the shards that it was trained on"
        )
    return _made(tokenizer_behind(stored, data.tokenizer), entry, run)


def _corpus(run: TrainingRun) -> str:
    return str(run.data.get("corpus", "text that its record does not name"))


def _imported(run: TrainingRun, record: Path | None) -> PromptTokenizer:
    """That of a model that others trained: marks are those that its own file puts around a text."""
    name, digest = run.data.get("tokenizer"), run.data.get("tokenizer_sha256")
    file = None if record is None or not name else record / str(name)
    if file is None or not file.is_file():
        raise UserError(f"{file or run.point.id}: no tokenizer beside the imported model; import it again with its own")
    tokenizer = tokenizer_of(str(file))
    if tokenizer.entry.digest != digest:
        raise UserError(f"{file}: not the tokenizer that the model was imported with; put that one there")
    entry = tokenizer.entry.model_copy(update={"end": run.data.get("end", tokenizer.entry.end)})
    before = entry.end if entry.begin is None else entry.begin
    return PromptTokenizer(entry, entry.begin, before, _ids_of(tokenizer), _text_of(tokenizer))


def _made(tokenizer: ByteTokenizer | TrainedTokenizer, entry: TokenizerEntry, run: TrainingRun) -> PromptTokenizer:
    before = entry.end if entry.begin is None else entry.begin
    prefix = entry.begin if run.data.get("packing") == "masked" else before
    return PromptTokenizer(entry, prefix, before, _ids_of(tokenizer), _text_of(tokenizer))


def _ids_of(tokenizer: ByteTokenizer | TrainedTokenizer) -> Callable[[str], list[int]]:
    """What gives the ids of a text; tiktoken, many times as fast, where its ids are proven to be the same."""
    if isinstance(tokenizer, ByteTokenizer):
        return lambda text: list(text.encode())
    exact = tokenizer.exact
    try:
        fast = BytePairs(json.loads(tokenizer.file or ""))
    except CannotConvert:
        return exact
    if proven(fast, exact, ()):
        return exact

    def ids(text: str) -> list[int]:
        try:
            found: list[int] = fast.encode(text).tolist()
        except ValueError:
            return exact(text)
        return found

    return ids


def _text_of(tokenizer: ByteTokenizer | TrainedTokenizer) -> Callable[[Sequence[int]], str]:
    kind: Any = np.uint8 if isinstance(tokenizer, ByteTokenizer) else np.int64
    return lambda tokens: tokenizer.decode(np.asarray(tokens, kind))
