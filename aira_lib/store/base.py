"""What a store is, how its names look, and what it is to hold one of its names alone.

Names are relative POSIX paths of printable characters. A name with a component that ends in ``.tmp`` belongs to a
write in progress: stores refuse and never list such names.
"""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from aira_lib.errors import StoreError

MANIFEST = "manifest.json"
TEMPORARY = ".tmp"
COPYING = ".copying"
"""Ends the name of a mark beside a folder whose files are being copied there, name by name."""
# S3 keys hold at most 1,024 bytes including the store's prefix; file systems hold 255 a component.
MAX_NAME_BYTES = 800
MAX_COMPONENT_BYTES = 255


@dataclass(frozen=True)
class Holder:
    """Who holds a name alone, and since when (UTC)."""

    host: str
    process: int
    since: str

    @classmethod
    def here(cls) -> "Holder":
        """This process, from now on."""
        return cls(platform.node(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def read(cls, content: bytes) -> "Holder | None":
        """What `content` wrote; None for anything else, such as a file that is being written."""
        try:
            fields = json.loads(content)
            return cls(str(fields["host"]), int(fields["process"]), str(fields["since"]))
        except (ValueError, LookupError, TypeError):
            return None

    def content(self) -> dict[str, object]:
        """Plain data that `read` reads."""
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


class Held(Protocol):
    """A name of a store that this process holds alone; see `aira_lib.store.lease`."""

    def lost(self) -> bool:
        """Whether another took it over, as far as is known here; nothing is asked."""

    def confirm(self) -> bool:
        """Ask the store whether it is still held; after True nobody takes it over for as long as it was granted."""

    def take_over(self, folder: str, to: str) -> None:
        """Give the files of an earlier holder's folder another name.

        Where that holder is only silent, not known to be dead, they stay under the old one, too.
        """

    def release(self) -> None:
        """Let others have it."""


class Store(Protocol):
    """Named byte strings. Writes are atomic: a name shows either its old bytes or all of its new ones.

    Every method raises `StoreError`, one line with place and remedy, when the disk or the bucket refuses.
    """

    @property
    def uri(self) -> str:
        """Where the store is, as `open_store` takes it."""

    def shown(self, name: str) -> str:
        """Return where a name is, as a person opens it: a path, or a URI."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a name."""

    def read_from(self, name: str, offset: int) -> bytes:
        """Return the bytes of a name from an offset on; none where it is not longer, or absent."""

    def write(self, name: str, data: bytes) -> None:
        """Set the bytes of a name."""

    def create(self, name: str, data: bytes) -> bool:
        """Set the bytes of a name that has none; False, and nothing happens, where it has some."""

    def put(self, path: Path, name: str) -> None:
        """Copy a local file into the store."""

    def get(self, name: str, path: Path) -> None:
        """Copy out of the store into a local file, which appears whole or not at all."""

    def copy(self, name: str, to: str) -> None:
        """Give the bytes of a name another name, too, without a way over this machine."""

    def list(self, prefix: str = "") -> list[str]:
        """Return all names in a folder and its subfolders, sorted; an absent folder has none."""

    def exists(self, name: str) -> bool:
        """Say whether a name (not a folder) has bytes."""

    def tags(self, prefix: str = "") -> dict[str, str]:
        """Return what changes with the bytes of each name in a folder, or of the one name; nothing is read for it."""

    def age(self, name: str) -> float | None:
        """Return the seconds since a name was written; None where it is absent."""

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the bytes of each name in a folder, or of the one name; nothing is read for it."""

    def remove(self, name: str) -> None:
        """Remove a name or a whole folder, manifests first; removing nothing is fine."""

    def local(self, prefix: str, scratch: Path) -> Path:
        """Return the local folder of a prefix: itself, or below `scratch`, apart from other stores', a copy's place.

        A copy is made by `get` and `put`, which do nothing where they would copy a file onto itself.
        """

    def take(self, name: str, holder: Holder, seconds: float) -> Held | None:
        """Hold a name alone, granted for `seconds` at a time; None while another process holds it."""

    def holder(self, name: str) -> Holder | None:
        """Return who holds a name; None where nobody does, or it does not say."""

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
