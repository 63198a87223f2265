"""Stretching and stacking against the paper's own 1B patterns, and their properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.architecture.cost import params
from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import scale_named
from aira_lib.extrapolate.depth import layers_for_scale, stack, stretch

bases = st.lists(st.sampled_from(["A", "M", "Mb"]), min_size=1, max_size=16).map(tuple)


# Tables 8 and 9 (1B rows whose pattern has the printed number of layers), from the base patterns of section 6.
@pytest.mark.parametrize(
    ("base", "pattern"),
    [
        ("5(2A-M)-A", "6A-3M-6A-3M-6A-3M-6A-3M-6A-3M-3A"),
        ("2A-M-3(A-M)-2A-M-4A", "6A-3M-3A-3M-3A-3M-3A-3M-6A-3M-12A"),
        ("2Mb-M-11Mb-2M", "4Mb-2M-22Mb-4M"),
        ("3(2Mb-M-A)-2(Mb-M)", "3(4Mb-2M-2A)-2(2Mb-2M)"),
        ("2Mb-M-Mb-3(M-Mb-M-A)", "4Mb-2M-2Mb-3(2M-2Mb-2M-2A)"),
        ("5(Mb-M-A)-M", "5(2Mb-2M-2A)-2M"),
    ],
)
def test_stretch_gives_the_papers_1b_patterns(base: str, pattern: str) -> None:
    wanted = parse(pattern)
    assert stretch(parse(base), len(wanted)) == wanted


@pytest.mark.parametrize(
    ("base", "pattern"),
    [
        ("2A-4M", "4(2A-4M)-A-2M"),
        ("2A-4M", "8(2A-4M)-A-2M"),
        ("5(2A-M)-A", "3(5(2A-M)-A)"),
        ("5(Mb-M-A)-M", "2(5(Mb-M-A)-M)"),
    ],
)
def test_stack_gives_the_papers_patterns(base: str, pattern: str) -> None:
    wanted = parse(pattern)
    assert stack(parse(base), len(wanted)) == wanted


@given(bases, st.integers(1, 60))
def test_both_have_the_length_asked_for_and_keep_the_order_of_blocks(base: tuple[str, ...], n: int) -> None:
    assert len(stretch(base, n)) == len(stack(base, n)) == n
    positions = [i * len(base) // n for i in range(n)]
    assert positions == sorted(positions)


@given(bases)
def test_the_base_at_its_own_depth_is_itself(base: tuple[str, ...]) -> None:
    assert stretch(base, len(base)) == stack(base, len(base)) == base


@given(bases.filter(lambda b: len(b) > 1), st.integers(2, 4))
def test_whole_multiples_repeat_layers_or_copies(base: tuple[str, ...], k: int) -> None:
    assert stretch(base, k * len(base)) == tuple(layer for layer in base for _ in range(k))
    assert stack(base, k * len(base)) == base * k


@given(st.lists(st.sampled_from(["A", "M", "Mb"]), min_size=16, max_size=16).map(tuple))
def test_no_other_depth_is_nearer_to_the_target(base: tuple[str, ...]) -> None:
    scale = scale_named("350M", 3)
    chosen = layers_for_scale(lambda n: stretch(base, n), scale)
    target = scale.target_params
    assert target is not None
    distance = abs(params(chosen, scale)[0] - target)
    assert all(abs(params(stretch(base, n), scale)[0] - target) >= distance for n in range(1, 120))
