"""What a text is, for keys of records: contents and not paths, found without reading a token."""

import hashlib
import platform
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from aira_lib.contents import file_digest
from aira_lib.datasets.text.files import kind_of, text_files
from aira_lib.datasets.text.sources import hub_parts, objects
from aira_lib.datasets.text.stdlib import source_files
from aira_lib.errors import MissingDependency, UserError
from aira_lib.study import DataSection, LanguageData


def text_contents(paths: Sequence[str]) -> list[list[str]]:
    """What each file of some paths holds, in the order in which they are read: how it is read, and its digest.

    Of an S3 object it is the tag that changes with its bytes; of a Hugging Face data set the commit.

    Raises:
        UserError: nothing is there.
    """
    return [each for path in paths for each in _contents(path)]


def data_identity(section: DataSection) -> dict[str, Any]:
    """What determines the text of pretraining.

    Raises:
        UserError: there are no such files.
    """
    limits = {"train_bytes": section.max_train_bytes, "validation_bytes": section.max_validation_bytes}
    if section.name == "python-stdlib":
        return {**limits, "text": stdlib_identity()}
    return {**limits, "text": text_contents(section.paths), "text_field": section.text_field}


def language_identity(name: str, data: LanguageData, seed: int) -> dict[str, Any]:
    """What determines the tokens of a language-model proxy, but for how many of them are examples.

    Raises:
        UserError: there are no such files.
    """
    tokens = {"tokenizer": _tokenizer(data.tokenizer), "seed": seed}
    if data.tokenizer == "words":
        tokens["vocab_size"] = data.vocab_size
    if data.paths:
        texts = {"text": text_contents(data.paths), "test": text_contents(data.test_paths)}
        return {**tokens, **texts, "text_field": data.text_field}
    return {**tokens, "text": "stories" if name == "babistories" else stdlib_identity()}


@cache
def stdlib_identity() -> str:
    """The running Python: its version, and the digest of the names and sizes of its library's source files."""
    folder = Path(sysconfig.get_path("stdlib"))
    files = sorted((path.relative_to(folder).as_posix(), path.stat().st_size) for path in source_files(folder))
    digest = hashlib.sha256(repr(files).encode()).hexdigest()
    return f"{platform.python_implementation()} {platform.python_version()} {digest}"


def _contents(path: str) -> list[list[str]]:
    if path.startswith("s3://"):
        return [[kind_of(Path(name)), tag] for name, tag in objects(path)]
    if path.startswith("hf://"):
        return [["hf", _commit(path)]]
    return [[kind_of(file), file_digest(file)] for file in text_files(Path(path).expanduser())]


@cache
def _commit(uri: str) -> str:
    """The commit of a data set, its configuration and split. What is in the local cache alone counts by its name."""
    name, config, split = hub_parts(uri)
    try:
        sha = import_module("huggingface_hub").HfApi().dataset_info(name).sha
    except ModuleNotFoundError:
        raise MissingDependency(f"reading {uri}", "eval") from None
    except Exception as error:  # the package raises what its HTTP client does
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{uri}: which version it has cannot be found out ({reason}); try again with network, or name files"
        ) from None
    return f"{name} {config} {split} {sha}"


def _tokenizer(name: str) -> str:
    """A file by its content; a name on Hugging Face stands for what it names."""
    return file_digest(Path(name)) if Path(name).is_file() else name
