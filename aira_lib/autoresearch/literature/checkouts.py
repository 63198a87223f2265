"""Reference code beside the papers: a user's own checkouts, `code/<key>/`, each at the commit that its entry pins."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from aira_lib.autoresearch.literature.entry import Entry
from aira_lib.autoresearch.literature.reading import INFO, Entries
from aira_lib.errors import UserError

CODE, COMMIT = "code", "COMMIT"
MOST_BYTES, MOST_FILES = 64 * 2**20, 5_000
"""Of all checkouts together, as candidates see them."""
_HASH = re.compile(r"[0-9a-f]{40}")
_MOST_REFERENCE = 4_096


def find_checkouts(folder: Path, entries: Entries) -> dict[str, Path]:
    """The checkouts of a folder of literature, by key, each at its commit.

    Raises:
        UserError: one belongs to no entry, is not pinned, or stands at another commit; or there is too much of them.
    """
    root = folder / CODE
    if not root.is_dir():
        return {}
    found = {path.name: path for path in sorted(root.iterdir()) if not path.name.startswith(".")}
    for key, path in found.items():
        _require_pinned(key, path, entries.get(key))
    size, count = 0, 0
    for path in found.values():
        for file in files_of(path):
            size, count = size + file.stat().st_size, count + 1
            if size > MOST_BYTES or count > MOST_FILES:
                raise UserError(
                    f"{root}: more than {MOST_FILES:,} files or {MOST_BYTES // 2**20} MiB up to {path.name}; "
                    "keep the folders that matter"
                )
    return found


def commit_of(checkout: Path) -> str | None:
    """The commit at which a checkout stands, by its .git or its file COMMIT; None: neither says.

    Changes that were not committed are not looked for.
    """
    git = checkout / ".git"
    if git.is_file():  # of a work tree or a submodule
        told = _short(git).removeprefix("gitdir:").strip()
        git = Path(os.path.normpath(checkout / told))
    head = _short(git / "HEAD")
    if not head:
        return _hash(_short(checkout / COMMIT))
    if not head.startswith("ref:"):
        return _hash(head)
    reference = head.removeprefix("ref:").strip()
    common = git / (_short(git / "commondir") or ".")
    for place in (git, common):
        if ".." not in Path(reference).parts and (found := _hash(_short(place / reference))):
            return found
    return _packed(common / "packed-refs", reference)


def lay_checkouts(checkouts: dict[str, Path], place: Path) -> None:
    """Copy checkouts, without what git keeps of them, into a folder that is made: `place/<key>/`."""
    for key, path in checkouts.items():
        for file in files_of(path):
            target = place / key / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def files_of(checkout: Path) -> Iterator[Path]:
    """Its regular files in order; links, .git and compiled Python are left out."""
    for here, folders, names in os.walk(checkout):
        folders[:] = sorted(each for each in folders if each not in (".git", "__pycache__"))
        for name in sorted(names):
            path = Path(here, name)
            if name != ".git" and stat.S_ISREG(path.lstat().st_mode):
                yield path


def _require_pinned(key: str, path: Path, entry: Entry | None) -> None:
    if path.is_symlink() or not path.is_dir():
        raise UserError(f"{path}: no folder; a checkout is one, named by the key of its paper")
    if entry is None:
        raise UserError(f"{path}: no entry of {INFO} has the key {key!r}; add one, or mend the folder's name")
    at = commit_of(path)
    if at is None:
        raise UserError(f"{path}: neither .git nor a file {COMMIT} says its commit; write the 40 digits into {COMMIT}")
    if entry.code is None or entry.code.commit is None:
        raise UserError(f"{path}: stands at {at}, and its entry pins no commit; say code.commit in {INFO}")
    if entry.code.commit != at:
        raise UserError(f"{path}: stands at {at}, and its entry pins {entry.code.commit}; check that one out")


def _packed(path: Path, reference: str) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                commit, _, name = line.strip().partition(" ")
                if name == reference:
                    return _hash(commit)
    except OSError:
        pass
    return None


def _hash(text: str) -> str | None:
    return text.strip() if _HASH.fullmatch(text.strip()) else None


def _short(path: Path) -> str:
    """The start of a small file, without space around it; empty where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_REFERENCE).decode("utf-8", "replace").strip()
    except OSError:
        return ""
