"""A store on a file system, and the two things it rests on: files that appear whole, and disk errors in one line."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from aira_lib.errors import StoreError, from_os_error
from aira_lib.store.base import MANIFEST, TEMPORARY, is_temporary, safe_name


@contextmanager
def disk_errors(place: str | Path) -> Iterator[None]:
    """Turn what a disk refuses into one line; other errors pass, for they are bugs.

    Raises:
        StoreError: no space, no permission, a read-only disk and their kin inside the block.
    """
    try:
        yield
    except OSError as error:
        mendable = from_os_error(error, place)
        if mendable is None:
            raise
        raise mendable from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path` at the end of the block, on disk and whole; else nothing changes.

    Raises:
        StoreError: the disk refuses.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{secrets.token_hex(8)}{TEMPORARY}"
        try:
            with temporary.open("xb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole local file, atomically and durably.

    Raises:
        StoreError: the disk refuses.
    """
    with replacing(path) as handle:
        handle.write(data)


class FileStore:
    """A folder as a store: a name is a file in it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def uri(self) -> str:
        """The folder as a file URI."""
        return self.root.as_uri()

    def read(self, name: str) -> bytes:
        """Return the bytes of a name."""
        with self._present(name) as path:
            return path.read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Set the bytes of a name."""
        write_file(self._path(name), data)

    def put(self, path: Path, name: str) -> None:
        """Copy a local file into the store; a file that is already there is only made durable."""
        target = self._path(name)
        with disk_errors(target):
            if target.exists() and target.samefile(path):
                return _sync_file(target)
        with path.open("rb") as source, replacing(target) as handle:
            shutil.copyfileobj(source, handle, 1 << 20)

    def get(self, name: str, path: Path) -> None:
        """Copy a name into a local file."""
        with self._present(name) as source_path:
            if path.exists() and path.samefile(source_path):
                return
            with source_path.open("rb") as source, replacing(path) as handle:
                shutil.copyfileobj(source, handle, 1 << 20)

    def list(self, prefix: str = "") -> list[str]:
        """Return all names in a folder, sorted."""
        top = self._path(prefix) if prefix else self.root
        with disk_errors(top):
            files = [Path(folder, file) for folder, _, names in os.walk(top, onerror=_unless_absent) for file in names]
        names = (file.relative_to(self.root).as_posix() for file in files)
        return sorted(name for name in names if not is_temporary(name))

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

    def folder(self, prefix: str) -> Path | None:
        """Return the folder itself."""
        return self._path(prefix)

    def check(self) -> None:
        """Write and remove a probe."""
        name = f"probe-{secrets.token_hex(8)}"
        try:
            self.write(name, b"probe")
        except FileNotFoundError:
            raise StoreError(f"{self.root}: this folder cannot be made; choose another folder") from None
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


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _sync_file(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    # A rename is durable once its folder is; where folders cannot be opened (Windows) there is nothing to do.
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
