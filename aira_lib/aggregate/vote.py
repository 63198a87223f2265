"""Layer-wise vote: Composer's N_c aggregation.

A design is built layer by layer: layer i is the primitive with the most weight among the members whose previous c
layers equal those already chosen. c = 0 is an independent vote at every layer (N_0, Composer's best), c = "all"
follows whole prefixes. The papers leave ties and empty matches open; here a tie goes to the primitive of the fittest
member among the tied, and an empty match falls back to the longest shorter context that has members.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aira_lib.architecture.pattern import Layers


@dataclass(frozen=True)
class Vote:
    """What was chosen, and at each layer the share of the weight that each primitive had."""

    layers: Layers
    shares: tuple[dict[str, float], ...]

    @property
    def agreement(self) -> tuple[float, ...]:
        """The winner's share at each layer, 0 to 1."""
        return tuple(share[layer] for share, layer in zip(self.shares, self.layers, strict=True))


def vote(members: Sequence[Layers], weights: Sequence[float], context: int | Literal["all"] = 0) -> Vote:
    """Vote layer by layer.

    Args:
        members: designs of equal length, fittest first (the order breaks ties).
        weights: one positive weight a member.
        context: how many previous layers a voter must share with the design so far.

    Raises:
        ValueError: no members, unequal lengths, or weights that do not match.
    """
    if not members or len({len(m) for m in members}) != 1 or len(weights) != len(members):
        raise ValueError("a vote needs members of one length and a weight for each")
    chosen: list[str] = []
    shares: list[dict[str, float]] = []
    for index in range(len(members[0])):
        voters = _voters(members, chosen, index if context == "all" else min(context, index))
        share = _share([(members[v][index], weights[v]) for v in voters])
        shares.append(share)
        # dict keeps insertion order, which is the members' order: max takes the fittest of the tied.
        chosen.append(max(share, key=lambda p: round(share[p], 12)))
    return Vote(tuple(chosen), tuple(shares))


def _voters(members: Sequence[Layers], chosen: list[str], context: int) -> list[int]:
    end = len(chosen)
    for length in range(context, -1, -1):
        wanted = tuple(chosen[end - length :])
        matching = [v for v, m in enumerate(members) if m[end - length : end] == wanted]
        if matching:
            return matching
    return []


def _share(ballots: Sequence[tuple[str, float]]) -> dict[str, float]:
    total = sum(weight for _, weight in ballots)
    share: dict[str, float] = {}
    for primitive, weight in ballots:
        share[primitive] = share.get(primitive, 0.0) + weight / total
    return share
