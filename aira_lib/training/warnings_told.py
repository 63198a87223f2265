"""Warnings of rank 0, such as that a checkpoint is damaged, carried to the process that a person sees."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aira_lib.training.told_names import WARNINGS


class _Writer(logging.Handler):
    def __init__(self, path: Path) -> None:
        super().__init__(logging.WARNING)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        line = json.dumps({"logger": record.name, "level": record.levelno, "text": record.getMessage()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@contextmanager
def warnings_told(folder: Path) -> Iterator[None]:
    """Write this program's warnings of the block into a folder, beside standard error, where they stand in any case."""
    logging.basicConfig(format="%(message)s")  # without it they would no longer be printed once there is a handler
    logger, writer = logging.getLogger("aira_lib"), _Writer(folder / WARNINGS)
    logger.addHandler(writer)
    try:
        yield
    finally:
        logger.removeHandler(writer)


def repeater(folder: Path) -> Callable[[], None]:
    """A function that warns here of what was written into a folder since its last call."""
    offset = 0

    def repeat() -> None:
        nonlocal offset
        if not (folder / WARNINGS).exists():
            return
        with (folder / WARNINGS).open("rb") as file:
            file.seek(offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        offset += len(whole)
        for entry in map(json.loads, whole.splitlines()):
            logging.getLogger(entry["logger"]).log(entry["level"], "%s", entry["text"])

    return repeat
