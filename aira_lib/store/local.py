"""A store on a file system: a name is a file in a folder."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.errors import StoreError
from aira_lib.store.base import MANIFEST, TEMPORARY, Held, Holder, is_temporary, safe_name
from aira_lib.store.files import disk_errors, make_folder, replacing, sync_file, write_file
from aira_lib.store.flock import holder_of, take_lock


class FileStore:
    """A folder as a store: a name is a file in it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def uri(self) -> str:
        """The folder as a file URI."""
        return self.root.as_uri()

    def shown(self, name: str) -> str:
        """Return the path of a file."""
        return str(self._path(name))

    def read(self, name: str) -> bytes:
        """Return the bytes of a name."""
        with self._present(name) as path:
            return path.read_bytes()

    def read_from(self, name: str, offset: int) -> bytes:
        """Return the bytes of a name from an offset on."""
        path = self._path(name)
        try:
            with disk_errors(path), path.open("rb") as file:
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return b""

    def write(self, name: str, data: bytes) -> None:
        """Set the bytes of a name."""
        write_file(self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Set the bytes of a name that has none."""
        path = self._path(name)
        temporary = path.parent / f".{secrets.token_hex(8)}{TEMPORARY}"
        with disk_errors(path):
            write_file(temporary, data)
            try:
                _name_first(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
        sync_file(path)
        return True

    def put(self, path: Path, name: str) -> None:
        """Copy a local file into the store; a file that is already there is only made durable."""
        target = self._path(name)
        with disk_errors(target):
            if target.exists() and target.samefile(path):
                return sync_file(target)
        with path.open("rb") as source, replacing(target) as handle:
            shutil.copyfileobj(source, handle, 1 << 20)

    def get(self, name: str, path: Path) -> None:
        """Copy a name into a local file."""
        with self._present(name) as source_path:
            if path.exists() and path.samefile(source_path):
                return
            with source_path.open("rb") as source, replacing(path) as handle:
                shutil.copyfileobj(source, handle, 1 << 20)

    def copy(self, name: str, to: str) -> None:
        """Give a file another name, too: files of a store are replaced and never changed."""
        target = self._path(to)
        temporary = target.parent / f".{secrets.token_hex(8)}{TEMPORARY}"
        make_folder(target.parent)
        with self._present(name) as source, disk_errors(target):
            try:
                _name_first(source, temporary)
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)  # two names of one file are not replaced by each other
        sync_file(target)

    def list(self, prefix: str = "") -> list[str]:
        """Return all names in a folder, sorted."""
        top = self._path(prefix) if prefix else self.root
        with disk_errors(top):
            files = [Path(folder, file) for folder, _, names in os.walk(top, onerror=_unless_absent) for file in names]
        names = (file.relative_to(self.root).as_posix() for file in files)
        return sorted(name for name in names if not is_temporary(name))

    def tags(self, prefix: str = "") -> dict[str, str]:
        """Return size and times of change of each file."""
        found = self._found(prefix)
        return {name: f"{at.st_size} {at.st_ino} {at.st_mtime_ns} {at.st_ctime_ns}" for name, at in found.items()}

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each file."""
        return {name: at.st_size for name, at in self._found(prefix).items()}

    def _found(self, prefix: str) -> dict[str, os.stat_result]:
        names = [prefix] if prefix and self.exists(prefix) else self.list(prefix)
        return {name: self._path(name).stat() for name in names}

    def exists(self, name: str) -> bool:
        """Say whether a name is a file."""
        with disk_errors(self._path(name)):
            return self._path(name).is_file()

    def remove(self, name: str) -> None:
        """Remove a file or a folder, manifests first: a removal cut short leaves no record that looks finished."""
        path = self._path(name)
        with disk_errors(path):
            if path.is_file():
                path.unlink()
            elif path.is_dir():
                for manifest in sorted(path.rglob(MANIFEST)):
                    manifest.unlink()
                shutil.rmtree(path)

    def local(self, prefix: str, scratch: Path) -> Path:
        """Return the folder itself."""
        return self._path(prefix)

    def take(self, name: str, holder: Holder, seconds: float) -> Held | None:
        """Hold a file alone; see `aira_lib.store.flock`. The kernel knows when its holder is dead: no time counts."""
        return take_lock(self.root, name, holder)

    def holder(self, name: str) -> Holder | None:
        """Return who holds a file."""
        with disk_errors(self._path(name)):
            return holder_of(self._path(name))

    def age(self, name: str) -> float | None:
        """Return the seconds since a file was written."""
        try:
            with disk_errors(self._path(name)):
                return max(0.0, time.time() - self._path(name).stat().st_mtime)
        except FileNotFoundError:
            return None

    def check(self) -> None:
        """Write and remove a probe."""
        name = f"probe-{secrets.token_hex(8)}"
        self.write(name, b"probe")
        self.remove(name)

    def _path(self, name: str) -> Path:
        return self.root / safe_name(name)

    @contextmanager
    def _present(self, name: str) -> Iterator[Path]:
        path = self._path(name)
        try:
            with disk_errors(path):
                yield path
        except FileNotFoundError:
            raise StoreError(f"{path}: no such file in the store; was the record removed or moved?") from None


def _name_first(source: Path, target: Path) -> None:
    """Give a file a second name, which must be free; where the file system has no such names, its content once more."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        with source.open("rb") as content, target.open("xb") as handle:
            shutil.copyfileobj(content, handle)


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
