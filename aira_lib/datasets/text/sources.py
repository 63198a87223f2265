"""Documents of the texts that a study names: local files and folders, S3, and Hugging Face data sets."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from aira_lib.datasets.text.files import documents_of, text_files
from aira_lib.errors import MissingDependency, UserError
from aira_lib.store import open_store

_HUB = re.compile(r"hf://(?P<name>[^/@\s]+/[^/@\s]+)(/(?P<config>[^/@\s]+))?(@(?P<split>[^/@\s]+))?")


def documents(paths: Sequence[str], text_field: str = "text") -> Iterator[str]:
    """The documents of all paths, in order, read no further than they are asked for.

    Args:
        paths: a file or folder, ``s3://bucket/key`` (one object, or all below a prefix, by name), or
            ``hf://OWNER/NAME[/CONFIG][@SPLIT]`` (split: train), each of the kinds of `aira_lib.datasets.text.files`.
        text_field: the field or column that holds the text.

    Raises:
        UserError: nothing is there, or it cannot be read as what its name says.
        MissingDependency: a Hugging Face data set without the package `datasets`.
    """
    for path in paths:
        if path.startswith("s3://"):
            yield from _from_s3(path, text_field)
        elif path.startswith("hf://"):
            yield from hub_documents(path, text_field, 0, 1)
        else:
            yield from documents_of(text_files(Path(path).expanduser()), text_field)


def _from_s3(uri: str, text_field: str) -> Iterator[str]:
    """One object at a time lies on the disk, in a temporary folder."""
    store = open_store("/".join(uri.split("/")[:3]))
    for name, _ in objects(uri):
        with tempfile.TemporaryDirectory(prefix="aira-text-") as folder:
            file = Path(folder) / Path(name).name
            store.get(name, file)
            yield from documents_of([file], text_field)


def objects(uri: str) -> list[tuple[str, str]]:
    """Names and tags of the objects that a URI names: itself, or the text files below it, by name.

    Raises:
        UserError: there are none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    store, key = open_store(f"s3://{bucket}"), key.strip("/")
    if key and store.exists(key):
        return [(key, store.tags(key)[key])]
    found = sorted(store.tags(key).items())
    if not found:
        raise UserError(f"{uri}: there is no such object, and none below that prefix")
    return [(name, tag) for name, tag in found if text_files(Path(name), must_exist=False)]


def hub_parts(uri: str) -> tuple[str, str | None, str]:
    """Name, configuration and split of a Hugging Face data set.

    Raises:
        UserError: the URI is not of that form.
    """
    named = _HUB.fullmatch(uri)
    if named is None:
        raise UserError(f"{uri}: a Hugging Face data set is written hf://OWNER/NAME[/CONFIG][@SPLIT]")
    return named["name"], named["config"], named["split"] or "train"


def hub_parts_at_once(uri: str) -> int:
    """Into how many parts a Hugging Face data set divides, which can be read side by side.

    Raises:
        UserError: there is none of that name.
        MissingDependency: the package `datasets` is not installed.
    """
    return int(getattr(_hub_rows(uri), "num_shards", 1))


def hub_documents(uri: str, text_field: str, part: int, parts: int) -> Iterator[str]:
    """The texts of one of the parts of a Hugging Face data set, in order, as they are.

    Raises:
        UserError: it cannot be read, or has no such column.
        MissingDependency: the package `datasets` is not installed.
    """
    rows = _hub_rows(uri)
    try:
        for row in rows if parts == 1 else rows.shard(num_shards=parts, index=part):
            if not isinstance(row.get(text_field), str):
                raise UserError(f"{uri}: no text in column {text_field!r}; columns: {', '.join(row)}")
            yield row[text_field]
    except (OSError, ValueError) as error:
        raise _unreadable(uri, error) from None


def _hub_rows(uri: str) -> Any:
    name, config, split = hub_parts(uri)
    try:
        load_dataset = import_module("datasets").load_dataset
    except ModuleNotFoundError:
        raise MissingDependency(f"reading {uri}", "eval") from None
    try:
        return load_dataset(name, config, split=split, streaming=True)
    except (OSError, ValueError) as error:
        raise _unreadable(uri, error) from None


def _unreadable(uri: str, error: Exception) -> UserError:
    return UserError(f"{uri}: cannot be read ({(str(error).splitlines() or ['no reason given'])[0]})")
