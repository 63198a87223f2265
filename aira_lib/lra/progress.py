"""How far a training is: a line of JSON for programs, in `progress.jsonl`, and a line of text for people."""

import json
import math
from collections.abc import Callable
from pathlib import Path

PROGRESS = "progress.jsonl"


class Progress:
    """Lines of one training, in a folder. One that goes on after an interruption adds to those that are there."""

    def __init__(self, folder: Path, steps: int, tell: Callable[[str], None] = print) -> None:
        self._path, self._steps, self._tell = folder / PROGRESS, steps, tell

    def say(self, step: int, **values: float | str) -> None:
        """Report what was measured after so many steps; what is not finite is written as text, for JSON has no name."""
        line = {"step": step, "steps": self._steps, **{name: _plain(value) for name, value in values.items()}}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        shown = ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in values.items())
        self._tell(f"step {step:,} of {self._steps:,}: {shown}")


def _plain(value: float | str) -> float | str:
    return value if isinstance(value, str) or math.isfinite(value) else str(value)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
