"""The text that a study pretrains on and is scored on: what it is, and its tokens."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aira_lib.architecture.scales import Scale
from aira_lib.datasets.batches import ArraySource, Batches, Packing, TokenSource
from aira_lib.datasets.shards.manifest import SPLITS
from aira_lib.datasets.shards.source import ShardSource
from aira_lib.datasets.shards.stored import StoredShards
from aira_lib.datasets.text import SEPARATOR, Corpus, python_stdlib_corpus, text_files_corpus
from aira_lib.datasets.text.identity import stdlib_identity, text_contents
from aira_lib.datasets.text_bytes import TOKENS_ARE_BYTES, TextBytes, text_bytes_of
from aira_lib.errors import UserError
from aira_lib.records import StandIn
from aira_lib.study import DataSection
from aira_lib.study.study import KINDS_OF_TOKENS

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class StudyText:
    """The text of a study.

    Attributes:
        train: what is trained on.
        validation: what is held out; no document of it is in `train`.
        provenance: what it is made of, plain JSON values, with digests of the tokens.
        text_bytes: counts the bytes of text that tokens of `validation` stand for.
        packing: how documents share a window.
        at_once: shards that are read at a time; None: all.
        stand_in: what it stands in for, if it does.
    """

    train: TokenSource
    validation: TokenSource
    provenance: dict[str, Any]
    text_bytes: TextBytes
    packing: Packing = "across"
    at_once: int | None = None
    stand_in: StandIn | None = None

    def batches(self, scale: Scale, seed: int, progress: Progress = lambda done, total, what: None) -> Batches:
        """What a training at a scale reads; token shards are then here, as far as they are read at a time.

        Raises:
            UserError: the text has more kinds of tokens than the scale, is shorter than a window, or cannot be fetched.
        """
        require_fit(self.train, scale)
        rows = scale.tokens_per_step // scale.seq_len
        batches = Batches(self.train, scale.seq_len, rows, seed, self.packing, self.at_once)
        if isinstance(self.train, ShardSource):
            if self.packing == "masked":
                self.train.require_ends()
            if not self.at_once:
                self.train.fetch(progress)
        return batches

    def read_in(self, batches: Batches, steps: int) -> dict[str, Any]:
        """The provenance of a training of so many steps: of the text, and how often it was read, how."""
        at_once = {"shards_at_once": self.at_once} if self.at_once else {}
        return {**self.provenance, "packing": self.packing, **at_once, "epochs": batches.epochs(steps)}


def study_text(section: DataSection) -> StudyText:
    """The text of a study.

    Raises:
        UserError: files that are missing, are damaged or cannot be read as what their names say.
    """
    if section.name == "shards":
        return _of_shards(section)
    train, validation = section.max_train_bytes, section.max_validation_bytes
    if section.name == "files":
        paths, field = section.paths, section.text_field
        files = text_files_corpus(*paths, max_train_bytes=train, max_validation_bytes=validation, text_field=field)
        return _of_bytes(section, files, None)
    corpus = python_stdlib_corpus(train, validation)
    stands_in = StandIn(
        what="the Python standard library's documentation and source, as bytes",
        instead_of="DCLM-Baseline with the Llama 3 tokenizer",
        detail=f"{len(corpus.train):,} training and {len(corpus.validation):,} validation bytes, "
        f"{corpus.provenance['python']}",
    )
    return _of_bytes(section, corpus, stands_in)


def scored_identity(section: DataSection) -> dict[str, Any]:
    """What determines what is scored, and how its bytes are counted, for keys of records.

    Raises:
        UserError: there are no such files, or a tokenizer is not that of the shards.
    """
    if section.name != "shards":
        return data_identity(section)
    return {**data_identity(section), "bytes_by": text_bytes_of(StoredShards(section.shards), section.tokenizer).by}


def data_identity(section: DataSection) -> dict[str, Any]:
    """What determines what is read in pretraining, for keys of records; no token is read for it.

    Raises:
        UserError: there are no such files.
    """
    changed = {
        key: value
        for key in ("packing", "shards_at_once")
        if (value := getattr(section, key)) != DataSection.model_fields[key].default
    }
    if section.name == "shards":
        return {"shards": StoredShards(section.shards).contents, **changed}
    changed |= {"train_bytes": section.max_train_bytes, "validation_bytes": section.max_validation_bytes}
    if section.name == "python-stdlib":
        return {**changed, "text": stdlib_identity()}
    return {**changed, "text": text_contents(section.paths), "text_field": section.text_field}


def check_shards(section: DataSection, scales: Iterable[Scale]) -> None:
    """Refuse token shards that are not there, are those of another tokenizer, or do not fit a scale.

    Raises:
        UserError: one line for the first of it.
    """
    stored = StoredShards(section.shards)
    stored.check()
    text_bytes_of(stored, section.tokenizer)
    sources = {split: ShardSource(stored, split, section.shards_at_once) for split in SPLITS}
    for scale in scales:
        for split, source in sources.items():
            require_fit(source, scale, held_out=split == "validation")


def require_fit(source: TokenSource, scale: Scale, held_out: bool = False) -> None:
    """Refuse a text that a scale cannot be trained on, or not be scored on.

    Args:
        source: the text.
        scale: see above.
        held_out: whether it is the validation split of shards.

    Raises:
        UserError: it has more kinds of tokens than the scale, windows do not fill a step, or it is shorter than one.
    """
    if source.vocab_size > scale.vocab_size:
        raise UserError(
            f"scale {scale.name}: vocab_size {scale.vocab_size:,} is smaller than the {source.vocab_size:,} kinds of "
            "tokens of the text; raise it"
        )
    if scale.tokens_per_step % scale.seq_len:
        raise UserError(
            f"scale {scale.name}: tokens_per_step {scale.tokens_per_step:,} is not a multiple of seq_len "
            f"{scale.seq_len:,}; change one of them"
        )
    if source.n_tokens <= scale.seq_len:
        text, more = "the text", "give it more text"
        if held_out:
            text, more = "the held-out text", "make shards anew with a smaller --validation-one-in (0 holds out none),"
        raise UserError(
            f"scale {scale.name}: {text} has {source.n_tokens:,} tokens, too few for windows of seq_len "
            f"{scale.seq_len:,}; {more} or lower seq_len"
        )


def _of_bytes(section: DataSection, corpus: Corpus, stand_in: StandIn | None) -> StudyText:
    train, validation = (ArraySource(part, KINDS_OF_TOKENS, SEPARATOR) for part in (corpus.train, corpus.validation))
    return StudyText(train, validation, corpus.provenance, TOKENS_ARE_BYTES, packing=section.packing, stand_in=stand_in)


def _of_shards(section: DataSection) -> StudyText:
    stored = StoredShards(section.shards)
    tokenizer = stored.manifest.tokenizer
    provenance: dict[str, Any] = {
        "corpus": "shards",
        "contents_sha256": stored.contents,
        "tokenizer": tokenizer.name,
        "tokenizer_sha256": tokenizer.digest,
        "vocab_size": tokenizer.vocab_size,
    }
    for split in SPLITS:
        stored.shards(split)
        entry = stored.manifest.splits[split]
        provenance |= {
            f"{split}_tokens": entry.tokens,
            f"{split}_documents": entry.documents,
            f"{split}_text_bytes": entry.text_bytes,
        }
    train, validation = (ShardSource(stored, split, section.shards_at_once) for split in SPLITS)
    counted = text_bytes_of(stored, section.tokenizer)
    return StudyText(train, validation, provenance, counted, section.packing, section.shards_at_once)
