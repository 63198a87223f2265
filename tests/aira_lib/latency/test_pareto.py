"""Fronts against the definition, and when there is none."""

from hypothesis import given
from hypothesis import strategies as st

from aira_lib.significance.pareto import AGREE, Timed, latency_front, pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


def dominated(one: tuple[float, float], by: tuple[float, float]) -> bool:
    return all(theirs <= mine for mine, theirs in zip(one, by, strict=True)) and by != one


@given(POINTS)
def test_on_the_front_is_what_nothing_dominates(points: list[tuple[int, int]]) -> None:
    found = pareto_front(points)
    assert {*found} == {n for n, one in enumerate(points) if not any(dominated(one, other) for other in points)}
    assert [points[n] for n in found] == sorted(points[n] for n in found)


def test_a_front_of_designs_goes_by_the_whole() -> None:
    designs = [
        Timed("slow and best", 2.0, 1.05, 1.0),
        Timed("quick", 3.0, 0.1, 0.105),
        Timed("dominated", 3.1, 0.105, 0.11),
        Timed("between", 2.5, 0.5, 0.5),
    ]
    assert latency_front(designs) == (("quick", "between", "slow and best"), "")


def test_a_front_says_why_there_is_none() -> None:
    fine = Timed("fine", 2.0, 1.0, 1.0)
    assert latency_front([fine, Timed("off", 1.0, 0.85, 1.0)]) == (
        (), "the sum of blocks is not within 10 % of the whole for off (−15.0 %)"
    )  # fmt: skip
    assert latency_front([fine, Timed("off", 1.0, 0.95, 1.0, ratio=1.2)]).refusal.endswith("for off (+20.0 %)")
    assert latency_front([fine, Timed("steady", 1.0, 0.7, 1.0, ratio=0.97)]).names == ("steady",)
    assert "huge could not be measured as a whole" in latency_front([fine, Timed("huge", 1.0, 1.0, None)]).refusal
    assert "no design" in latency_front([]).refusal
    many = [Timed(f"d{number}", 1.0, 2.0, 1.0) for number in range(9)]
    assert latency_front(many).refusal.endswith("d0 (+100.0 %), d1 (+100.0 %), d2 (+100.0 %) and 6 more")


@given(st.floats(0.5, 1.5))
def test_within_the_bound_and_no_further(ratio: float) -> None:
    front = latency_front([Timed("one", 1.0, ratio, 1.0)])
    assert bool(front.names) == (abs(ratio - 1) < AGREE) == (not front.refusal)
