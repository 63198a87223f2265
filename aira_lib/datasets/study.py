"""The text that a study pretrains on and is scored on: what it is, and its tokens."""

from dataclasses import dataclass
from typing import Any

from aira_lib.architecture.scales import Scale
from aira_lib.datasets.batches import ArraySource, Batches, Packing, TokenSource
from aira_lib.datasets.text import SEPARATOR, Corpus, python_stdlib_corpus, text_files_corpus
from aira_lib.records import StandIn
from aira_lib.study import DataSection

BYTES = 256


@dataclass(frozen=True, eq=False)
class StudyText:
    """The text of a study.

    Attributes:
        train: what is trained on.
        validation: what is held out; no document of it is in `train`.
        provenance: what it is made of, plain JSON values, with digests of the tokens.
        packing: how documents share a window.
        stand_in: what it stands in for, if it does.
    """

    train: TokenSource
    validation: TokenSource
    provenance: dict[str, Any]
    packing: Packing = "across"
    stand_in: StandIn | None = None

    def batches(self, scale: Scale, seed: int) -> Batches:
        """What a training at a scale reads.

        Raises:
            UserError: the text is shorter than a window.
        """
        return Batches(self.train, scale.seq_len, scale.tokens_per_step // scale.seq_len, seed, self.packing)


def study_text(section: DataSection) -> StudyText:
    """The text of a study.

    Raises:
        UserError: files that are missing or cannot be read as what their names say.
    """
    train, validation = section.max_train_bytes, section.max_validation_bytes
    if section.name == "files":
        paths, field = section.paths, section.text_field
        return _of_bytes(
            text_files_corpus(*paths, max_train_bytes=train, max_validation_bytes=validation, text_field=field), None
        )
    corpus = python_stdlib_corpus(train, validation)
    stands_in = StandIn(
        what="the Python standard library's documentation and source, as bytes",
        instead_of="DCLM-Baseline with the Llama 3 tokenizer",
        detail=f"{len(corpus.train):,} training and {len(corpus.validation):,} validation bytes, "
        f"{corpus.provenance['python']}",
    )
    return _of_bytes(corpus, stands_in)


def _of_bytes(corpus: Corpus, stand_in: StandIn | None) -> StudyText:
    train, validation = (ArraySource(part, BYTES, SEPARATOR) for part in (corpus.train, corpus.validation))
    return StudyText(train, validation, corpus.provenance, stand_in=stand_in)
