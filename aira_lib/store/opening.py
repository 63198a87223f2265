"""How a store is opened from a URI."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aira_lib.errors import StoreError, nearest
from aira_lib.registry import Registry
from aira_lib.store.base import Store, safe_name

STORES: Registry[Callable[[str], Store]] = Registry("store scheme")
"""What opens a URI, by its scheme: a store of your own is added here (see `aira_lib.registry`)."""


def open_store(uri: str) -> Store:
    """Open a store: ``runs``, ``/abs/path``, ``file:///abs/path`` or ``s3://bucket/prefix``.

    S3 takes endpoint, region and credentials where boto3 does (AWS_ENDPOINT_URL, AWS_PROFILE, ...). Nothing is
    created or contacted yet: `Store.check` does that.

    Raises:
        StoreError: the scheme is unknown, or the URI names no folder or bucket.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", uri)
    if not scheme:
        return _file_store(Path(uri).expanduser(), uri)
    if scheme[1] not in STORES:
        raise StoreError(f"store {uri!r}: unknown scheme {scheme[1]!r}{nearest(scheme[1], STORES)}")
    return STORES.named(scheme[1])(uri)


def _open_file(uri: str) -> Store:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise StoreError(f"store {uri!r}: a file URI has three slashes and an absolute path, file:///path")
    return _file_store(Path(unquote(parts.path)), uri)


def _open_s3(uri: str) -> Store:
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise StoreError("store s3://...@...: keys do not belong in a URI; set AWS_ACCESS_KEY_ID, or AWS_PROFILE")
    if not parts.netloc or parts.query or parts.fragment:
        raise StoreError(f"store {uri!r}: an S3 store is written s3://bucket/prefix")
    from aira_lib.store.s3 import S3Store  # boto3 takes half a second to import

    prefix = parts.path.strip("/")
    return S3Store(parts.netloc, safe_name(prefix) if prefix else "")


def _file_store(path: Path, uri: str) -> Store:
    from aira_lib.store.local import FileStore

    if not uri.strip():
        raise StoreError("store '': an empty text names no folder; name one such as runs")
    return FileStore(path)


def place_of(uri: str) -> str:
    """A URI as a person opens it: of a folder or file here its path, as a shell takes it."""
    return unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri


STORES.add("file", _open_file)
STORES.add("s3", _open_s3)
