"""The layer-wise vote against its definition, written out slowly."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.aggregate.vote import vote

designs = st.lists(
    st.lists(st.sampled_from(["A", "M", "Mb"]), min_size=5, max_size=5).map(tuple), min_size=1, max_size=12
)


@given(designs, st.sampled_from([0, 1, 2, "all"]))
def test_equals_the_definition(members: list[tuple[str, ...]], context: int | str) -> None:
    result = vote(members, [1.0] * len(members), context)  # type: ignore[arg-type]
    for index, layer in enumerate(result.layers):
        wanted = index if context == "all" else min(int(context), index)
        voters: list[tuple[str, ...]] = []
        while not voters:
            prefix = result.layers[index - wanted : index]
            voters = [m for m in members if m[index - wanted : index] == prefix]
            wanted -= 1
        votes = Counter(m[index] for m in voters)
        assert votes[layer] == max(votes.values())
        tied = {p for p, n in votes.items() if n == max(votes.values())}
        assert layer == next(m[index] for m in voters if m[index] in tied)
        assert result.agreement[index] == pytest.approx(votes[layer] / len(voters))


@given(designs)
def test_whole_context_follows_a_member(members: list[tuple[str, ...]]) -> None:
    assert vote(members, [1.0] * len(members), "all").layers in members


def test_weight_beats_number() -> None:
    assert vote([("M",), ("A",), ("A",)], [0.6, 0.2, 0.2]).layers == ("M",)


def test_independent_vote_can_leave_the_archive() -> None:
    members = [("A", "M", "M"), ("A", "A", "A"), ("M", "M", "A")]
    assert vote(members, [1.0] * 3).layers == ("A", "M", "A")


@pytest.mark.parametrize(("members", "weights"), [([], []), ([("A",), ("A", "M")], [1, 1]), ([("A",)], [1, 2])])
def test_refuses_what_cannot_vote(members: list[tuple[str, ...]], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="members of one length"):
        vote(members, weights)
