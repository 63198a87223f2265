"""What lies in a work directory before a candidate starts there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

PROGRAM = "candidate.py"


def lay_out(code: str, workdir: Path, readonly: Mapping[str, Path], copies: bool) -> None:
    """Write the program and what it reads: copies, or empty files and folders on which that will be mounted."""
    for name, source in readonly.items():
        target = workdir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if copies:
            _copy_protected(source, target)
        elif source.is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.touch()
    (workdir / PROGRAM).write_bytes(code.encode("utf-8", "replace"))


def _copy_protected(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o444)
