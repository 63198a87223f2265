"""Real text that every Python carries: the source of its standard library and the help topics of `pydoc`.

It stands in for DCLM-Baseline where no network is. One file, or one help topic, is a document. Left out: packages that
were added to Python, tests, what the installation generated about itself, and tables of character codes (`encodings`).

Nothing of validation is in training: documents are split by a hash of their name, of documents with equal content only
one stays, and a validation document is dropped when more than half of its lines of 30 characters and more occur in
training documents, whatever the byte limits. So the validation text does not depend on `max_train_bytes`.
"""

import ast
import hashlib
import os
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from aira_lib.datasets.text.corpus import SEPARATOR, Corpus, Part, corpus_of, goes_to_validation
from aira_lib.errors import UserError

STAND_IN = "The Python standard library's source and help topics, a stand-in for DCLM-Baseline."

_SKIPPED_FOLDERS = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test", "encodings"}
_SKIPPED_FILES = {"sitecustomize.py", "usercustomize.py"}
_SKIPPED_PREFIXES = ("config-", "_sysconfigdata")  # generated for this installation
_TOPICS = "pydoc_data/topics.py"
_LINE = 30
_MOST_SHARED = 0.5


def python_stdlib_corpus(max_train_bytes: int, max_validation_bytes: int, root: Path | None = None) -> Corpus:
    """The standard library as a corpus, the same for one Python installation whatever its place.

    Args:
        max_train_bytes: size limit of training; filled with whole documents (see `corpus.Part`).
        max_validation_bytes: size limit of validation.
        root: the library's folder; None is that of the running Python.

    Raises:
        UserError: the library is not there as source files (a zipped or frozen Python).
    """
    folder = Path(root or sysconfig.get_path("stdlib"))
    documents = sorted(_documents(folder))
    kept = _distinct(documents)
    learned = [text for name, text in kept if not goes_to_validation(name)]
    held_out = [text for name, text in kept if goes_to_validation(name)]
    fresh = fresh_of(held_out, learned)
    if not learned or not fresh:
        raise _not_here(folder)
    train, validation = Part(max_train_bytes), Part(max_validation_bytes)
    for part, texts in ((train, learned), (validation, fresh)):
        for text in texts:
            part.add(text)
    provenance = {
        "corpus": "python-stdlib",
        "stand_in": STAND_IN,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "files": len(documents),
        "duplicates_dropped": len(documents) - len(kept),
        "near_duplicates_dropped": len(held_out) - len(fresh),
    }
    return corpus_of(train, validation, provenance)


def python_stdlib_documents(root: Path | None = None) -> list[bytes]:
    """All distinct documents of the library, in the order of a hash of their names.

    Raises:
        UserError: the library is not there as source files (a zipped or frozen Python).
    """
    folder = Path(root or sysconfig.get_path("stdlib"))
    kept = _distinct(sorted(_documents(folder)))
    if not kept:
        raise _not_here(folder)
    return [text for _, text in kept]


def fresh_of(held_out: list[bytes], learned: list[bytes]) -> list[bytes]:
    """The held-out documents of which at most half of the telling lines occur in learned ones."""
    lines = {line for text in learned for line in _telling_lines(text)}
    return [text for text in held_out if _shared(text, lines) <= _MOST_SHARED]


def _distinct(documents: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Of documents with equal content one each, in the order of the names' hashes."""
    return sorted({hashlib.sha256(text).digest(): (name, text) for name, text in documents}.values())


def _not_here(folder: Path) -> UserError:
    return UserError(
        f"{folder}: the Python standard library is not here as source files (.py); "
        "use a Python that is not zipped or frozen"
    )


def _documents(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    """Each document with the hash of its name, which orders documents and splits them."""
    for path in source_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            text = path.read_bytes()
            text.decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        for part, content in _topics(text).items() if name == _TOPICS else ((name, text),):
            if content.strip() and SEPARATOR not in content:
                yield hashlib.sha256(part.encode()).digest(), content


def source_files(folder: Path) -> Iterator[Path]:
    """The files of the library that are documents, in no order."""
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS and not _generated(name)]
        for name in files:
            if name.endswith(".py") and name not in _SKIPPED_FILES and not _generated(name):
                yield Path(here, name)


def _generated(name: str) -> bool:
    return name.startswith(_SKIPPED_PREFIXES)


def _topics(source: bytes) -> dict[str, bytes]:
    """The help topics of `pydoc_data/topics.py`, one dictionary literal, by a name each; itself if it is not one."""
    try:
        topics = ast.literal_eval(ast.parse(source).body[-1].value)  # type: ignore[attr-defined]
        return {f"{_TOPICS}#{name}": text.encode() for name, text in topics.items()}
    except (SyntaxError, IndexError, AttributeError, ValueError):
        return {_TOPICS: source}


def _telling_lines(text: bytes) -> list[bytes]:
    """The lines long enough to tell one document from another."""
    return [line for line in map(bytes.strip, text.splitlines()) if len(line) >= _LINE]


def _shared(text: bytes, lines: set[bytes]) -> float:
    """The share of a document's telling lines that are among `lines`."""
    telling = _telling_lines(text)
    return sum(line in lines for line in telling) / max(1, len(telling))
