"""What comes out of a candidate's work directory: one declared file, or a measure of how full it is."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from aira_lib.foreign import in_a_line


class ArtefactError(Exception):
    """A declared file that a candidate did not write as it should; the text, one line, is feedback to the agent."""

    def __init__(self, text: str) -> None:
        super().__init__(in_a_line(text))


def collect(workdir: Path, name: str, max_bytes: int) -> bytes:
    """Read a file that a candidate was to write, trusting nothing about it.

    Only a regular file with a single name is read: no symbolic or hard link, directory, device or pipe.

    Args:
        workdir: The candidate's work directory.
        name: A plain file name, without a folder.
        max_bytes: The largest size accepted.

    Raises:
        ArtefactError: there is no such file, it is not a regular file, or it is too large.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not a plain file name")
    try:
        folder = os.open(workdir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        raise ArtefactError("the work directory is gone") from None
    try:
        # O_NONBLOCK: opening a named pipe would otherwise wait for its writer for ever.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise ArtefactError(f"{name} was not written") from None
    except OSError:
        raise ArtefactError(f"{name} is not a readable regular file (links are not followed)") from None
    finally:
        os.close(folder)
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
        os.close(file)
        raise ArtefactError(f"{name} is not a regular file with a single name")
    with open(file, "rb") as opened:
        content = opened.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ArtefactError(f"{name} is larger than {max_bytes} bytes")
    return content


def used_bytes(folder: Path, max_entries: int = 20_000, max_depth: int = 64) -> float:
    """Bytes that the files below a folder occupy; infinity when that cannot be known.

    Nothing is followed. More than `max_entries` files, more than `max_depth` folders within each other, or a folder
    that cannot be opened count as infinitely full: each is a way to hide what is there.
    """
    total, entries = 0, 0
    todo = [(folder, 0)]
    while todo:
        here, depth = todo.pop()
        try:
            with os.scandir(here) as listing:
                for entry in listing:
                    entries += 1
                    if entries > max_entries or depth > max_depth:
                        return float("inf")
                    about = _about(entry)
                    total += about.st_blocks * 512 if about else 0
                    if about and stat.S_ISDIR(about.st_mode):
                        todo.append((Path(entry.path), depth + 1))
        except FileNotFoundError:
            continue
        except OSError:
            return float("inf")
    return total


def _about(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def discard(folder: Path) -> None:
    """Delete a work directory, whatever a candidate made of it: too deep for Python, or without permissions."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(folder)], check=False, capture_output=True)
