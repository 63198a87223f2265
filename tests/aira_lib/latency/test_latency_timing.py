"""Timing with clocks that are made up: what is measured when, how often, and what a drift does to it."""

import gc
import statistics
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aira_lib.latency.timing import LEAST, SAMPLE_SECONDS, WARM_UP, interleaved, spread


@pytest.fixture(autouse=True, scope="module")
def _little_garbage() -> Iterator[None]:
    """All that a long session of tests holds need not be looked through for each example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)
        yield


class Case:
    """A call that takes so many seconds, by a clock that knows it."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, 0

    def __call__(self) -> None:
        self.calls += 1


class Drifting:
    """A clock of a machine that gets slower with each second that it computes."""

    def __init__(self, slower: float = 0.0) -> None:
        self.now, self.slower = 0.0, slower
        self.asked: list[tuple[Callable[[], object], int]] = []

    def seconds(self, call: Callable[[], object], times: int) -> float:
        assert isinstance(call, Case)
        for _ in range(times):
            call()
        took = call.seconds * times * (1 + self.slower * self.now)
        self.now += call.seconds * times
        self.asked.append((call, times))
        return took


def test_a_drift_of_the_machine_meets_all_cases_alike() -> None:
    """One case after the other, the last one would look three times as slow as it is beside the first."""
    cases = {name: Case(0.1) for name in "abcd"}
    found = interleaved(cases, Drifting(slower=0.25), 20, 1e9)
    medians = [spread(samples).median for samples in found.values()]
    assert max(medians) / min(medians) < 1.06
    whole = interleaved({"early": Case(0.1)}, clock := Drifting(slower=0.25), 20, 1e9)
    late = interleaved({"late": Case(0.1)}, clock, 20, 1e9)
    assert spread(late["late"]).median / spread(whole["early"]).median > 1.3


def test_short_calls_are_made_many_times_a_sample_and_count_as_one() -> None:
    short, long = Case(SAMPLE_SECONDS / 10), Case(SAMPLE_SECONDS * 10)
    clock = Drifting()
    found = interleaved({"short": short, "long": long}, clock, 4, 1e9)
    assert {times for call, times in clock.asked[2 * WARM_UP :] if call is short} == {10}
    assert {times for call, times in clock.asked if call is long} == {1}
    assert list(found["short"].values()) == pytest.approx([short.seconds] * 4)
    assert long.calls == WARM_UP + 4


@settings(max_examples=40)
@given(
    seconds=st.floats(0.5, 50), limit=st.floats(0.1, 500), repeats=st.integers(1, 40), other=st.floats(0.001, 0.1)
)  # fmt: skip
def test_a_slow_case_has_fewer_samples_spread_over_the_rounds(
    seconds: float, limit: float, repeats: int, other: float
) -> None:
    found = interleaved({"slow": Case(seconds), "quick": Case(other)}, Drifting(), repeats, limit)
    number = len(found["slow"])
    assert min(LEAST, repeats) <= number <= repeats
    assert number * seconds <= limit * (1 + 1e-9) or number == min(LEAST, repeats)
    steps = [later - earlier for earlier, later in zip([-1, *found["slow"]], found["slow"], strict=False)]
    assert max(steps) - min(steps) <= 1  # as even as whole rounds can be
    assert max(found["slow"]) == repeats - 1


def test_each_case_is_first_and_last_now_and_then() -> None:
    clock, cases = Drifting(), {name: Case(1.0) for name in "abc"}
    interleaved(cases, clock, 6, 1e9)
    rounds = [clock.asked[start : start + 3] for start in range(3 * WARM_UP, len(clock.asked), 3)]
    assert {next(n for n, c in cases.items() if c is each[0][0]) for each in rounds} == {*"abc"}
    assert {next(n for n, c in cases.items() if c is each[-1][0]) for each in rounds} == {*"abc"}
    assert all(len({id(call) for call, _ in each}) == 3 for each in rounds)


def test_what_is_told_ends_at_all() -> None:
    told = list[tuple[float, float]]()
    interleaved({"a": Case(1.0), "b": Case(0.5)}, Drifting(), 3, 1e9, lambda *so_far: told.append(so_far))
    assert len(told) == 6
    assert told == sorted(told)
    assert told[-1][0] == pytest.approx(told[-1][1])


@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=30))
def test_median_and_quartiles(values: list[float]) -> None:
    found = spread(values)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    assert found[:3] == pytest.approx((median, low, high), abs=1e-9)
    assert found.samples == len(values)


def test_no_garbage_is_collected_within_and_all_is_as_before_after_it() -> None:
    seen = list[bool]()

    class Watching(Drifting):
        def seconds(self, call: Callable[[], object], times: int) -> float:
            seen.append(gc.isenabled())
            if len(seen) == 5:
                raise RuntimeError("a call fails")
            return super().seconds(call, times)

    with pytest.raises(RuntimeError, match="a call fails"):
        interleaved({"a": Case(1.0)}, Watching(), 3, 1e9)
    assert seen == [False] * 5
    assert gc.isenabled()
