"""Text as bytes: corpora split into training and validation."""

from aira_lib.datasets.text.corpus import SEPARATOR, Corpus
from aira_lib.datasets.text.files import text_files_corpus
from aira_lib.datasets.text.stdlib import python_stdlib_corpus

__all__ = [
    "SEPARATOR",
    "Corpus",
    "python_stdlib_corpus",
    "text_files_corpus",
]
