"""How far a study is and how long it will take, from made-up progress."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from aira_lib.agents.telling import hearing, wait_aloud
from aira_lib.console import duration
from aira_lib.flow.estimates import SECONDS_TO_START
from aira_lib.local import display as display_module
from aira_lib.local import search_run
from aira_lib.local.display import Display, tally
from aira_lib.local.outlook import Outlook, sizes_of
from aira_lib.local.rates import Rates, rates_here
from aira_lib.local.run import LocalRun, outlook_of
from aira_lib.planning.estimate import estimate
from aira_lib.settings import Settings
from aira_lib.track.progress import Progress
from aira_lib.watch.searches import Watched
from tests.builders import node, tiny_study


def test_the_estimate_counts_what_the_study_asks_for() -> None:
    rows = {row.stage: row for row in estimate(tiny_study())}
    assert (rows["search"].units, rows["search"].size) == (3, 7)
    assert rows["pretrain"].units == rows["evaluate"].units == 4
    assert rows["pretrain"].flops == pytest.approx(4 * 8192 * 1_013_760, rel=0.2)


def outlook(**other: Any) -> Outlook:
    return Outlook(estimate(tiny_study()), sizes_of(tiny_study()), **other)


def test_a_long_search_weighs_more_than_a_short_one() -> None:
    search = outlook().plan[0]
    short = [Progress("search", "one-shot-offline.s0", 1, 1, status="done")]
    long = [Progress("search", "greedy-offline.s0", 3, 3, status="done")]
    assert outlook().fraction(short, search) == pytest.approx(1 / 7)
    assert outlook().fraction(long, search) == pytest.approx(3 / 7)


def test_what_was_there_already_is_done() -> None:
    """A resumed run showed "search 50 %, 4 of 4": records that are found report no steps."""
    names = sizes_of(tiny_study())
    found = [Progress("search", name, status="reused") for name in names]
    assert outlook().fraction(found, outlook().plan[0]) == 1.0
    some = [Progress("search", "greedy-offline.s0", status="reused"), Progress("search", "greedy-offline.s1", 1.5, 3)]
    assert outlook().fraction(some, outlook().plan[0]) == pytest.approx(4.5 / 7)


def test_fewer_points_than_planned_are_a_whole_stage() -> None:
    known = outlook(known_units={"pretrain": 2})
    pretrain = next(stage for stage in known.plan if stage.stage == "pretrain")
    done = [Progress("pretrain", f"p{n}", 1, 1, status="done") for n in range(2)]
    assert known.units(pretrain) == 2
    assert known.fraction(done, pretrain) == 1.0
    assert known.seconds_left([]) < outlook().seconds_left([])


def run_of(rate: float, workers: int = 1) -> Iterator[tuple[float, list[Progress]]]:
    """A whole run whose units take `rate` times their estimate, with the seconds that are really left."""
    plan = outlook().plan
    names = {stage.stage: [f"u{n}" for n in range(stage.units)] for stage in plan} | {
        "search": [*sizes_of(tiny_study())]
    }
    jobs = []
    for stage in plan:
        whole = sum(sizes_of(tiny_study()).values()) if stage.stage == "search" else stage.units
        for name in names[stage.stage]:
            size = sizes_of(tiny_study()).get(name, 1.0) if stage.stage == "search" else 1.0
            jobs.append((stage.stage, name, rate * stage.seconds * size / whole - SECONDS_TO_START))
    total = sum(seconds + SECONDS_TO_START for *_, seconds in jobs)
    now, done = 1000.0, list[Progress]()
    for stage_name, name, seconds in jobs:
        now += SECONDS_TO_START
        begun = now
        for tenth in range(1, 10):
            at = begun + seconds * tenth / 10
            yield total - (at - 1000.0), [*done, Progress(stage_name, name, tenth, 10, "", begun, at)]
        now = begun + seconds
        done.append(Progress(stage_name, name, 10, 10, "", begun, now, "done"))
        yield total - (now - 1000.0), list(done)


@pytest.mark.parametrize("rate", [2.0, 7.0])
def test_a_second_run_knows_how_long_it_takes(rate: float, tmp_path: Path) -> None:
    """The time left went 3, 13, 9, 4 minutes: it was drawn from the first steps alone, by the plan's assumptions."""
    first = outlook(rates=Rates(tmp_path / "rates.json", "here"))
    for _, units in run_of(rate):
        first.look(units)
    first.rates.save()
    second, last = outlook(rates=Rates(tmp_path / "rates.json", "here")), float("inf")
    assert second.in_words([]).endswith(" left")
    begun = second.seconds_left([])
    for left, units in run_of(rate):
        second.look(units)
        said = second.seconds_left(units)
        assert said == pytest.approx(left, rel=0.1, abs=0.05 * begun)
        assert said <= last + 0.05 * begun, "the time left grows"
        last = said
    assert second.seconds_left(units) == 0.0


def test_a_first_run_comes_near_the_truth_as_it_goes() -> None:
    first, seen = outlook(), list[float]()
    assert first.in_words([]).endswith(" left, estimated")
    for left, units in run_of(5.0):
        first.look(units)
        seen.append(first.seconds_left(units) / left if left > 1 else 1.0)
    assert max(abs(ratio - 1) for ratio in seen[len(seen) // 4 :]) < 0.25


def test_a_search_takes_no_longer_than_its_hours() -> None:
    names = list(sizes_of(tiny_study()))
    plan = outlook().plan[:1]
    endless = Outlook(plan, sizes_of(tiny_study()), 2, Rates(), dict.fromkeys(names, 60.0))
    endless.rates.learn("search", 1e6)
    assert endless.seconds_left([]) == 90.0  # three searches, two at once
    one = Progress("search", names[0], 0.1, 10, "", 1000.0, 1040.0)
    assert endless.left_of_searches([one]) == {names[0]: 20.0}
    assert endless.seconds_left([one]) == 70.0
    ended = [Progress("search", name, status="reused") for name in names[1:]]
    assert endless.seconds_left([one, *ended]) == 20.0


def test_searches_alone_say_the_time_left_as_a_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They judged by their last steps alone, whatever this machine had taken before."""
    run = LocalRun(tiny_study(), Settings(store=str(tmp_path / "runs"), scratch=tmp_path / "scratch"), 2, None)
    known = rates_here(run.study, run.settings, run.workers)
    known.learn("search", 1e4)
    known.save()
    names = list(sizes_of(run.study))
    units = [Progress("search", names[0], 1, 3, "", 1000.0, 1001.0)]
    search = outlook_of(run)
    search.plan = search.plan[:1]
    search.look(units)
    monkeypatch.setattr(search_run, "_SECONDS_BETWEEN_LINES", 0.0)
    console = Console(file=io.StringIO(), width=400)
    show = search_run._Show(run, console, None)
    show([Watched(names[0], (node(0, "M", 0.5, seconds=1.0),), 3, False, 0.0, 24.0)], units)
    line = console.file.getvalue()  # type: ignore[attr-defined]
    assert line.rstrip().endswith(search.in_words(units))
    assert "s left" not in line, "by its one step it would be seconds"
    left = search.left_of_searches(units)[names[0]]
    assert left == pytest.approx(
        search.seconds_left([*units, *(Progress("search", n, status="reused") for n in names[1:])])
    )


def test_rates_are_of_one_setting_and_survive_what_happens_to_their_file(tmp_path: Path) -> None:
    file = tmp_path / "scratch" / "rates.json"
    rates = Rates(file, "2 at once")
    for rate in (1.0, 3.0, 2.0):
        rates.learn("search", rate)
    assert rates.of("search") == 2.0
    rates.save()
    assert Rates(file, "2 at once").of("search") == 2.0
    assert Rates(file, "1 at once").of("search") is None
    assert Rates(file, "2 at once", {"search": 1e5}).of("search") is None, "seconds say nothing of days"
    assert Rates(file, "2 at once").of("report") is None
    for damage in ("", "[]", "{", '{"search 2 at once": 3}', '{"search 2 at once": ["x"]}'):
        file.write_text(damage)
        assert Rates(file, "2 at once").of("search") is None
        again = Rates(file, "2 at once")
        again.learn("search", 4.0)
        again.save()
        assert Rates(file, "2 at once").of("search") == 4.0


def test_a_pipe_is_told_whole_steps_and_that_a_model_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    display = Display(Console(file=said, width=200), outlook())
    monkeypatch.setattr(display_module, "HEARTBEAT_SECONDS", -1.0)
    display.show([Progress("search", "greedy-offline.s0", 0.733333, 10.0, "training")])
    assert "greedy-offline.s0 0 of 10 " in said.getvalue()
    with hearing(lambda line: display.show([Progress("search", "greedy-offline.s0", 2.0, 10.0, line)])):
        wait_aloud(0.0)
        wait_aloud(0.0)
    assert said.getvalue().count("greedy-offline.s0: waiting for the model: it failed or was busy") == 1


def test_endings_are_counted_by_stage() -> None:
    units = [Progress("search", "a", status="done"), Progress("search", "b", status="reused"), Progress("report", "c")]
    assert tally(units)["search"] == {"done": 1, "reused": 1, "failed": 0}
    assert tally(units)["report"] == {"done": 0, "reused": 0, "failed": 0}


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (420, "7 min"), (11_520, "3.2 h"), (1_036_800, "12 days")])
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
