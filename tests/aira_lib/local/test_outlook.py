"""How far a study is and how long it will take, from made-up progress."""

import pytest

from aira_lib.console import duration
from aira_lib.local.display import Outlook, tally
from aira_lib.planning.estimate import estimate
from aira_lib.track.progress import Progress
from tests.builders import tiny_study


def test_the_estimate_counts_what_the_study_asks_for() -> None:
    rows = {row.stage: row for row in estimate(tiny_study())}
    assert (rows["search"].units, rows["search"].size) == (3, 7)
    assert rows["pretrain"].units == rows["evaluate"].units == 4
    assert rows["pretrain"].flops == pytest.approx(4 * 8192 * 1_013_760, rel=0.2)


def test_a_long_search_weighs_more_than_a_short_one() -> None:
    outlook = Outlook(estimate(tiny_study()))
    search = outlook.plan[0]
    short = [Progress("search", "one-shot-offline.s0", 1, 1, status="done")]
    long = [Progress("search", "greedy-offline.s0", 3, 3, status="done")]
    assert outlook.fraction(short, search) == pytest.approx(1 / 7)
    assert outlook.fraction(long, search) == pytest.approx(3 / 7)


def test_time_left_falls_to_nothing_and_ignores_what_was_there() -> None:
    outlook = Outlook(estimate(tiny_study()), started=0.0)
    assert outlook.seconds_left([]) is None
    half = [Progress("search", f"s{i}", 3.5, 3.5, status="done") for i in range(2)]
    all_done = [Progress(row.stage, f"u{i}", 1, 1, status="done") for row in outlook.plan for i in range(row.size)]
    left = outlook.seconds_left(half)
    assert left is not None
    assert left > 0
    assert outlook.seconds_left(all_done) == pytest.approx(0, abs=1e-6)
    reused = [Progress(row.stage, f"u{i}", 1, 1, status="reused") for row in outlook.plan for i in range(row.size)]
    assert outlook.seconds_left(reused) is None


def test_endings_are_counted_by_stage() -> None:
    units = [Progress("search", "a", status="done"), Progress("search", "b", status="reused"), Progress("report", "c")]
    assert tally(units)["search"] == {"done": 1, "reused": 1, "failed": 0}
    assert tally(units)["report"] == {"done": 0, "reused": 0, "failed": 0}


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (420, "7 min"), (11_520, "3.2 h"), (1_036_800, "12 days")])
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
