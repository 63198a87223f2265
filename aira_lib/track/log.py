"""The log that a stage writes beside its results: one JSON line an event, appended whole, readable at any moment.

A stage that was interrupted appends to the same log and may measure a step again: readers keep the last value of a
metric at a step. The log does not know MLflow (see `aira_lib.track.mlflow_sync`).
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from aira_lib.store.files import disk_errors

Kind = Literal["params", "metrics", "tags", "artifact", "status"]
RunStatus = Literal["running", "finished", "failed"]


@dataclass(frozen=True)
class Event:
    """One line of a log. `time` is in milliseconds since the epoch; `step` belongs to metrics alone."""

    kind: Kind
    time: int
    values: dict[str, Any]
    step: int = 0


class TrackLog:
    """Appends events to a log file; a line that a crash tore is cut off first. Implements `work.MetricLog`."""

    def __init__(self, path: Path) -> None:
        """Open a log, new or to go on with.

        Args:
            path: the file, such as ``<workspace>/track.jsonl``.

        Raises:
            StoreError: the disk refuses.
        """
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(path)

    def params(self, values: dict[str, object]) -> None:
        """Log what was chosen: flat names, written once a run."""
        self._append("params", {name: _plain(value) for name, value in values.items()})

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Log what was measured at a step; values may be infinite or not numbers."""
        # JSON has no NaN and no infinity: they are written as text, which float() reads back.
        texts = {name: value if abs(value) < float("inf") else str(value) for name, value in _floats(values).items()}
        self._append("metrics", texts, step)

    def tags(self, values: dict[str, str]) -> None:
        """Log what the run is."""
        self._append("tags", {name: str(value) for name, value in values.items()})

    def artifact(self, path: Path) -> None:
        """Attach a file, by reference: relative to the log where it lies beside or below it."""
        folder, path = self.path.absolute().parent, path.absolute()
        inside = path.is_relative_to(folder)
        self._append("artifact", {"path": path.relative_to(folder).as_posix() if inside else str(path)})

    def status(self, status: RunStatus) -> None:
        """Log how the run is: running, finished or failed."""
        self._append("status", {"status": status})

    def _append(self, kind: Kind, values: Mapping[str, object], step: int | None = None) -> None:
        event = {"kind": kind, "time": time.time_ns() // 1_000_000, "step": step, "values": values}
        if step is None:
            del event["step"]
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        with disk_errors(self.path):
            # One write a line: a reader sees whole lines, and a crash tears at most the last.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Read the whole lines of a log from a byte offset on.

    Returns:
        The events, and the offset after the last whole line. Both start anew when the log is shorter than `offset`
        (it was begun again); an absent log has no events. Damaged lines are passed over.
    """
    try:
        with path.open("rb") as handle:
            offset = handle.seek(0 if offset > os.fstat(handle.fileno()).st_size else offset)
            data = handle.read()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    events = (_event(line) for line in whole.splitlines())
    return [event for event in events if event], offset + len(whole)


def read_metrics(path: Path) -> dict[str, dict[int, float]]:
    """Read all metrics of a log: name -> step -> value, the last one logged at each step."""
    metrics: dict[str, dict[int, float]] = {}
    for event in read_events(path)[0]:
        if event.kind == "metrics":
            for name, value in event.values.items():
                metrics.setdefault(name, {})[event.step] = value
    return metrics


def _event(line: bytes) -> Event | None:
    try:
        fields = json.loads(line)
        event = Event(fields["kind"], int(fields["time"]), dict(fields["values"]), int(fields.get("step", 0)))
        if event.kind not in get_args(Kind):
            return None
        return Event(event.kind, event.time, _floats(event.values), event.step) if event.kind == "metrics" else event
    except (ValueError, TypeError, LookupError):
        return None


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | str) or value is None else str(value)


def _cut_torn_line(path: Path) -> None:
    """Shorten a file to its last newline, reading from its end."""
    if not path.exists():
        return
    with path.open("r+b") as handle:
        end = handle.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - 65536)
            handle.seek(start)
            newline = handle.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < end:
            handle.truncate(position)
