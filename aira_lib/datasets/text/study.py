"""The text that a study names."""

from aira_lib.datasets.text.corpus import Corpus
from aira_lib.datasets.text.files import text_files_corpus
from aira_lib.datasets.text.stdlib import python_stdlib_corpus
from aira_lib.records import StandIn
from aira_lib.study import DataSection


def study_corpus(section: DataSection) -> tuple[Corpus, StandIn | None]:
    """Load the text of a study, and say what it stands in for, if it does.

    Raises:
        UserError: files that are missing or cannot be read as what their names say.
    """
    train, validation = section.max_train_bytes, section.max_validation_bytes
    if section.name == "files":
        paths, field = section.paths, section.text_field
        files = text_files_corpus(*paths, max_train_bytes=train, max_validation_bytes=validation, text_field=field)
        return files, None
    corpus = python_stdlib_corpus(train, validation)
    return corpus, StandIn(
        what="the Python standard library's documentation and source, as bytes",
        instead_of="DCLM-Baseline with the Llama 3 tokenizer",
        detail=f"{len(corpus.train):,} training and {len(corpus.validation):,} validation bytes, "
        f"{corpus.provenance['python']}",
    )
