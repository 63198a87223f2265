"""What calls use: as it is counted, else an estimate that is marked as one."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.agents.usage import added, estimated, tokens_of

NAMES = ("prompt_tokens", "completion_tokens", "total_tokens")
ANYTHING = st.sampled_from([None, 0, 1, 5, 10, -3, 2.5, math.nan, math.inf, "7", True])


@pytest.mark.parametrize(
    ("counted", "tokens", "is_estimate"),
    [
        ((100, 20, 120), (100, 20, 120), False),
        ((100, 20, None), (100, 20, 120), False),
        ((100, 20, 150), (100, 20, 150), False),  # hidden reasoning
        ((100, 20, 0), (100, 20, 120), True),
        ((100, 20, 119), (100, 20, 120), True),
        ((0, 0, 0), (100, 20, 120), True),
        ((None, None, None), (100, 20, 120), True),
        ((None, None, 70), (70, 0, 70), True),
        ((None, None, 130), (100, 30, 130), True),
        ((0, 20, 20), (100, 20, 120), True),
        ((90, 0, 90), (90, 20, 110), True),
        ((-1, math.nan, math.inf), (100, 20, 120), True),
    ],
)
def test_what_is_counted_and_what_is_not(
    counted: tuple[float | None, ...], tokens: tuple[float, ...], is_estimate: bool
) -> None:
    usage = tokens_of(SimpleNamespace(**dict(zip(NAMES, counted, strict=True))), asked=300, said=60)
    assert tuple(usage[name] for name in NAMES) == tokens
    assert usage.get("estimated") == (1.0 if is_estimate else None)


@given(ANYTHING, ANYTHING, ANYTHING, st.integers(0, 1_000), st.integers(0, 1_000))
def test_no_count_hides_a_call(prompt: object, completion: object, total: object, asked: int, said: int) -> None:
    counts = SimpleNamespace(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total)
    usage = tokens_of(counts, asked, said)
    assert all(math.isfinite(usage[name]) and usage[name] >= 0 for name in NAMES)
    assert usage["total_tokens"] >= usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["total_tokens"] > 0 or asked + said == 0


def test_an_estimate_is_of_characters() -> None:
    assert estimated(50, 100) == {
        "prompt_tokens": 17.0, "completion_tokens": 33.0, "total_tokens": 50.0, "estimated": 1.0,
    }  # fmt: skip


def test_usages_add_up() -> None:
    assert added({"calls": 1.0, "estimated": 1.0}, {"calls": 2.0, "estimated": 1.0}) == {"calls": 3.0, "estimated": 1.0}
    assert added({}, {"calls": 1.0}) == {"calls": 1.0}
