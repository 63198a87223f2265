"""Whether what a model says of a place depends on what comes later, on other rows, or on what it was asked before.

Each row [T] is asked for among rows that are like it up to a place and unlike it from there on. What a causal model
says of places before is the same. Rows with another end and rows as they are are mixed in an order drawn after
training, so that a program cannot tell which is which: the target of a place is another row's token in the one, and
its own in the other.

A dependence on what comes later that shows in a share f of the rows is missed with probability (1 - f) to the power of
the rows that are asked with another end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.autoresearch.bpb import Floats

Tokens = NDArray[np.integer]


@dataclass(frozen=True)
class Altered:
    """Rows with another end.

    Attributes:
        rows: Which rows of the split they are like, [n].
        cuts: From which place on they are unlike these, [n], at least 1.
        tokens: [n, T].
    """

    rows: NDArray[np.int64]
    cuts: NDArray[np.int64]
    tokens: Tokens


def altered_rows(tokens: Tokens, count: int, rng: np.random.Generator) -> Altered:
    """Rows with another end: every other one has that of another row, and the rest one token over and over.

    Of the first kind a program sees text like any other; of the second it sees the exact text before the cut and
    nothing of what follows it, so that what it says of the last place before the cut is an honest prediction.

    Args:
        tokens: [rows, T].
        count: How many to make.
        rng: Nobody else's.
    """
    rows, length = tokens.shape
    like = rng.choice(rows, count, replace=count > rows)
    cuts = rng.integers(1, length, count)
    others = tokens[(like + rng.integers(1, max(2, rows), count)) % rows].copy()
    constant = np.arange(count) % 2 == 1
    others[constant] = tokens[like[constant], cuts[constant] - 1][:, None]
    behind = np.arange(length) >= cuts[:, None]
    return Altered(like, cuts, np.where(behind, others, tokens[like]))


def looks_ahead(whole: Floats, altered: Floats, probes: Altered, tolerance: float) -> str:
    """What tells that a model is not causal; empty where nothing does.

    Args:
        whole: What it costs to say what follows, [rows, T] in nats, of the rows as they are.
        altered: Of the rows with another end, [n, T], for the same tokens to follow: those of the rows as they are.
        probes: Those rows.
        tolerance: In nats.
    """
    before = np.arange(altered.shape[1]) < probes.cuts[:, None]
    gap = np.where(before, np.abs(altered - whole[probes.rows]), 0.0)
    wrong = int(np.count_nonzero(gap > tolerance))
    if not wrong:
        return ""
    rows = int(np.count_nonzero((gap > tolerance).any(axis=1)))
    return (
        f"the model is not causal: what comes later changed its predictions at {wrong:,} of {int(before.sum()):,} "
        f"places before the change, in {rows} of {len(gap)} rows, by up to {gap.max():.3g} nats"
    )


def answers_otherwise(one: Floats, other: Floats, tolerance: float, when: str) -> str:
    """What tells that the same rows were answered in two ways; empty where they were not.

    Args:
        one: [n, T] in nats.
        other: The same rows, asked again.
        tolerance: In nats.
        when: How they were asked the second time.
    """
    gap = np.abs(one - other)
    wrong = int(np.count_nonzero((gap > tolerance).any(axis=1)))
    return f"{wrong} of {len(gap)} rows were answered otherwise {when}, by up to {gap.max():.3g} nats" if wrong else ""
