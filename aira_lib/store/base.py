"""What a store is, how its names look and how one is opened from a URI.

Names are relative POSIX paths of printable characters. A name with a component that ends in ``.tmp`` belongs to a
write in progress: stores refuse and never list such names.
"""

import re
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from aira_lib.errors import StoreError, nearest

MANIFEST = "manifest.json"
TEMPORARY = ".tmp"
SCHEMES = ("file", "s3")
# S3 keys hold at most 1,024 bytes including the store's prefix; file systems hold 255 a component.
MAX_NAME_BYTES = 800
MAX_COMPONENT_BYTES = 255


class Store(Protocol):
    """Named byte strings. Writes are atomic: a name shows either its old bytes or all of its new ones.

    Every method raises `StoreError`, one line with place and remedy, when the disk or the bucket refuses.
    """

    @property
    def uri(self) -> str:
        """Where the store is, as `open_store` takes it."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a name."""

    def write(self, name: str, data: bytes) -> None:
        """Set the bytes of a name."""

    def put(self, path: Path, name: str) -> None:
        """Copy a local file into the store."""

    def get(self, name: str, path: Path) -> None:
        """Copy out of the store into a local file, which appears whole or not at all."""

    def list(self, prefix: str = "") -> list[str]:
        """Return all names in a folder and its subfolders, sorted; an absent folder has none."""

    def exists(self, name: str) -> bool:
        """Say whether a name (not a folder) has bytes."""

    def remove(self, name: str) -> None:
        """Remove a name or a whole folder, manifests first; removing nothing is fine."""

    def folder(self, prefix: str) -> Path | None:
        """Return the local folder that a prefix is, or None where the store is not a file system."""

    def check(self) -> None:
        """Fail now rather than hours later: write and remove a probe."""


def is_temporary(name: str) -> bool:
    """Say whether a name belongs to a write in progress."""
    return any(part.endswith(TEMPORARY) for part in name.split("/"))


def safe_name(*parts: str) -> str:
    """Join parts to a name that means the same in every store.

    Raises:
        StoreError: a part is absolute, climbs with ``..``, is empty, too long, temporary or not printable.
    """
    name = "/".join(parts)
    components = name.split("/")
    if not name.isprintable() or "\\" in name:
        problem = "has a backslash or a character that does not print"
    elif any(part in ("", ".", "..") for part in components):
        problem = "is not a relative path without '.', '..' and empty parts"
    elif is_temporary(name):
        problem = f"ends in {TEMPORARY}, which marks writes in progress"
    elif len(name.encode()) > MAX_NAME_BYTES or any(len(part.encode()) > MAX_COMPONENT_BYTES for part in components):
        problem = f"is longer than {MAX_NAME_BYTES} bytes, or {MAX_COMPONENT_BYTES} in one part"
    else:
        return name
    shown = name if len(name) <= 80 else name[:77] + "..."
    raise StoreError(f"store name {shown!r} {problem}; choose another name")


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
    if scheme[1] not in SCHEMES:
        raise StoreError(f"store {uri!r}: unknown scheme {scheme[1]!r}{nearest(scheme[1], SCHEMES)}")
    parts = urlsplit(uri)
    if scheme[1] == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise StoreError(f"store {uri!r}: a file URI has three slashes and an absolute path, file:///path")
        return _file_store(Path(unquote(parts.path)), uri)
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
