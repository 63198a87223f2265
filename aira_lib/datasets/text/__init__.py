"""Text as bytes: corpora split into training and validation, and batches that are pure functions of a step."""

from aira_lib.datasets.text.corpus import SEPARATOR, Corpus
from aira_lib.datasets.text.files import text_files_corpus
from aira_lib.datasets.text.stdlib import python_stdlib_corpus
from aira_lib.datasets.text.windows import batches

__all__ = [
    "SEPARATOR",
    "Corpus",
    "batches",
    "python_stdlib_corpus",
    "text_files_corpus",
]
