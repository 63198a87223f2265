"""The text that a study names."""

from aira_lib.datasets.text.corpus import Corpus
from aira_lib.datasets.text.files import text_files_corpus
from aira_lib.datasets.text.stdlib import python_stdlib_corpus
from aira_lib.records import StandIn
from aira_lib.spec import DataSection


def study_corpus(section: DataSection) -> tuple[Corpus, StandIn | None]:
    """Load the text of a study, and say what it stands in for, if it does.

    Raises:
        UserError: files that are missing or cannot be read as what their names say.
    """
    limits = {"max_train_bytes": section.max_train_bytes, "max_validation_bytes": section.max_validation_bytes}
    if section.name == "files":
        return text_files_corpus(*section.paths, **limits, text_field=section.text_field), None
    corpus = python_stdlib_corpus(**limits)
    return corpus, StandIn(
        what="the Python standard library's documentation and source, as bytes",
        instead_of="DCLM-Baseline with the Llama 3 tokenizer",
        detail=f"{len(corpus.train):,} training and {len(corpus.validation):,} validation bytes, "
        f"{corpus.provenance['python']}",
    )
