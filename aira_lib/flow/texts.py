"""Texts that stand for more than they hold: a study, or a list of records, which lies in the store.

A pipeline carries such a text where it would carry the thing itself: the URI of a file, ``#``, and the SHA-256 of what
the file holds, in hexadecimal digits. Kubernetes bounds what a run may say of itself, and a list of all trainings of a
study is beyond it. Files are named by their digest and written once; whoever reads one finds what was written, or a
refusal.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from aira_lib.errors import StoreError, UserError
from aira_lib.flow.stage import LISTS, STUDIES
from aira_lib.store import open_store
from aira_lib.store.base import safe_name
from aira_lib.study import Study, canonical_json
from aira_lib.study.reading import parse_study

_REFERENCE = re.compile(r"(\S+)#([0-9a-f]{64})")
_DIGITS = 12
"""Of the digest, in the file's name."""


def write_study(study: Study, store: str) -> str:
    """Keep a study in a store; the text that stands for it, which ends in the study's digest.

    Args:
        study: the study.
        store: where: a folder, file:// or s3://.

    Raises:
        StoreError: store or disk refuse.
    """
    return _write(canonical_json(study), study, STUDIES, store)


def read_study(text: str, store: str | None = None) -> Study:
    """The study that a text stands for, or is: `write_study`'s, or JSON.

    Args:
        text: the text.
        store: the one in which it has to be; None: any.

    Raises:
        UserError: it is neither or no study, the file is not there or not what was written, or in another store.
    """
    if text.lstrip().startswith("{"):
        return parse_study(_plain("the study", text), "the study")
    return parse_study(_plain(text, _read(text, "study", store)), text.partition("#")[0])


def write_list(records: Sequence[str], study: Study, store: str) -> str:
    """Keep a list of URIs of a study's records in a store; the text that stands for it.

    It names them as they are called within the store: wherever that is moved or mounted, the list is the same.

    Raises:
        StoreError: one is not in the store, or store or disk refuse.
    """
    root = f"{open_store(store).uri}/"
    if other := next((uri for uri in records if not uri.startswith(root)), None):
        raise StoreError(f"record {other} is not in the store {root[:-1]}; name the store that holds it")
    return _write(json.dumps([uri[len(root) :] for uri in records], indent=0), study, LISTS, store)


def is_list(text: str) -> bool:
    """Whether a text stands for a list, rather than being the URI of a record."""
    named = _REFERENCE.fullmatch(text)
    return bool(named) and f"/{LISTS}/" in text


def read_list(text: str, store: str) -> list[str]:
    """The URIs in a list that a text of `write_list` stands for.

    Args:
        text: the text.
        store: the one in which it has to be.

    Raises:
        UserError: it is no such text, the file is not there or another than was written, or it is in another store.
    """
    root = open_store(store).uri
    return [f"{root}/{name}" for name in _plain(text, _read(text, "list of records", store))]


def _write(content: str, study: Study, folder: str, store: str) -> str:
    opened, data = open_store(store), content.encode()
    digest = hashlib.sha256(data).hexdigest()
    name = safe_name(study.name, folder, f"{digest[:_DIGITS]}.json")
    if not opened.create(name, data) and opened.read(name) != data:
        raise StoreError(f"{opened.shown(name)}: not what was written there; remove it, then run the same command")
    return f"{opened.uri}/{name}#{digest}"


def _read(text: str, what: str, store: str | None) -> str:
    named = _REFERENCE.fullmatch(text.strip())
    if not named:
        shown = text if len(text) <= 200 else f"{text[:197]}..."
        raise UserError(f"{what} {shown!r}: give JSON, or URI#SHA-256 as the run that wrote it printed it")
    uri, digest = named.groups()
    place = open_store(store).uri if store is not None else uri.rpartition("/")[0]
    if not uri.startswith(f"{place}/"):
        raise UserError(f"{what} {uri} is not in the store {place}; name the store that holds it, or write it there")
    data = open_store(place).read(uri[len(place) + 1 :])
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise UserError(
            f"{what} {uri}: its SHA-256 is {found[:_DIGITS]}..., not {digest[:_DIGITS]}... as the text says; write it "
            "again, or give the text that belongs to it"
        )
    return data.decode("utf-8", "replace")


def _plain(source: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source.partition('#')[0]}: not JSON ({str(error)[:200]})") from None
