"""The log survives crashes and resumes; a reader may follow it while it grows."""

import json
import math
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aira_lib.errors import StoreError
from aira_lib.track.log import TrackLog, read_events, read_metrics
from aira_lib.work import MetricLog


def test_everything_comes_back(tmp_path: Path) -> None:
    log: MetricLog = TrackLog(tmp_path / "new" / "track.jsonl")
    log.params({"width": 64, "lr": 3e-4, "layers": ("A", "M"), "tied": True})
    log.metrics({"loss": 1.5, "designs": 3}, step=7)
    log.tags({"aira.stage": "search"})
    log.artifact(tmp_path / "new" / "figures" / "a.svg")
    log.artifact(tmp_path / "elsewhere.html")
    events, end = read_events(tmp_path / "new" / "track.jsonl")
    assert [(e.kind, e.values) for e in events] == [
        ("params", {"width": 64, "lr": "0.0003", "layers": "('A', 'M')", "tied": True}),
        ("metrics", {"loss": 1.5, "designs": 3.0}),
        ("tags", {"aira.stage": "search"}),
        ("artifact", {"path": "figures/a.svg"}),
        ("artifact", {"path": str(tmp_path / "elsewhere.html")}),
    ]
    assert events[1].step == 7
    assert end == (tmp_path / "new" / "track.jsonl").stat().st_size
    assert read_events(tmp_path / "absent.jsonl", 10) == ([], 0)


def test_the_file_is_strict_json_for_any_number(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    TrackLog(path).metrics({"nan": math.nan, "up": math.inf, "down": -math.inf, "huge": 1e308}, step=0)

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(path.read_text(), parse_constant=refuse)
    values = {name: steps[0] for name, steps in read_metrics(path).items()}
    assert math.isnan(values.pop("nan"))
    assert values == {"up": math.inf, "down": -math.inf, "huge": 1e308}


def test_a_step_that_is_measured_again_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    for step in range(5):
        TrackLog(path).metrics({"loss": 1.0 / (step + 1)}, step)
    resumed = TrackLog(path)
    for step in range(3, 8):
        resumed.metrics({"loss": 10.0 + step}, step)
    assert read_metrics(path)["loss"] == {0: 1.0, 1: 0.5, 2: 1 / 3, **{s: 10.0 + s for s in range(3, 8)}}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10_000), note=st.text(max_size=50))
def test_a_torn_line_is_cut_off_and_whole_ones_stay(tmp_path: Path, cut: int, note: str) -> None:
    path = tmp_path / "track.jsonl"
    path.unlink(missing_ok=True)
    log = TrackLog(path)
    log.tags({"note": note})
    for step in range(8):
        log.metrics({"loss": float(step)}, step)
    data = path.read_bytes()
    cut %= len(data) + 1
    path.write_bytes(data[:cut])
    whole = data[:cut].count(b"\n")
    before, offset = read_events(path)
    assert len(before) == whole
    TrackLog(path).metrics({"after": 1.0}, 99)
    assert [e.step for e in read_events(path, offset)[0]] == [99]
    assert len(read_events(path)[0]) == whole + 1


def test_long_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    TrackLog(path).tags({"a": "b"})
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)
    TrackLog(path)
    assert path.read_bytes() == whole
    path.write_bytes(b"x" * 200_000)
    TrackLog(path)
    assert path.read_bytes() == b""


def test_following_a_growing_file(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    log = TrackLog(path)
    offset, seen = 0, []
    for step in range(10):
        log.metrics({"loss": 0.0}, step)
        with path.open("ab") as handle:
            handle.write(b'{"kind": "metr')  # what a reader may see of a line in the making
        events, offset = read_events(path, offset)
        seen += [event.step for event in events]
        log = TrackLog(path)
    assert seen == list(range(10))
    path.write_bytes(path.read_bytes()[: offset // 2])
    TrackLog(path)
    assert [e.step for e in read_events(path, offset)[0]] == list(range(read_metrics(path)["loss"].__len__()))


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    path.write_text(
        'nonsense\n[]\n{"kind": "new", "time": 1, "values": {}}\n{"kind": "metrics", "time": 1, "values": 3}\n'
    )
    TrackLog(path).metrics({"loss": 1.0}, 4)
    assert [event.step for event in read_events(path)[0]] == [4]


def test_killed_while_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    for _ in range(10):
        child = os.fork()
        if child == 0:
            log, step = TrackLog(path), 0
            while True:
                log.metrics({f"metric-{i}": float(step) for i in range(50)}, step)
                step += 1
        size = path.stat().st_size if path.exists() else 0
        while not path.exists() or path.stat().st_size < size + 20_000:
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    TrackLog(path)
    assert path.read_bytes().endswith(b"\n")
    assert all(len(json.loads(line)["values"]) == 50 for line in path.read_text().splitlines())


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        TrackLog(tmp_path / "file" / "track.jsonl")
