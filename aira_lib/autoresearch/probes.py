"""Whether what a model says of a place depends on what comes later, on other rows, or on what it was asked before.

Each row [T] is asked for among rows that are like it up to a place and unlike it from there on. What a causal model
says of places before is the same. Rows with another end and rows as they are are mixed in an order drawn after
training, so that a program cannot tell which is which: the target of a place is another row's token in the one, and
its own in the other.

A dependence on what comes later that shows in a share f of the rows is missed with probability (1 - f) to the power of
the rows that are asked with another end. Where numbers are rounded coarsely (bf16), a tolerance could hide a little of
the next token; rounding has no sign, so the mean difference at the cuts is looked at, too.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.autoresearch.bpb import Floats

Tokens = NDArray[np.integer]
_EVEN, _ERRORS = 1e-3, 4.0  # nats that are taken for none, and standard errors beyond them: one in 30,000 by chance


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
    """Rows with another end: three of four go on as text does elsewhere, the rest with one token over and over.

    The first kind goes on as some row does behind the same token, with another one than the row itself: the seam is a
    pair of tokens that the text has, so that a program which looks ahead cannot leave off where a seam looks odd. Of
    the second kind a program sees the exact text before the cut and nothing of what follows it.

    Args:
        tokens: [rows, T], at least 2 places.
        count: How many to make.
        rng: Nobody else's.
    """
    rows, length = tokens.shape
    like = rng.permutation(np.resize(rng.permutation(rows), count))
    cuts = rng.integers(1, length, count)
    flat = tokens.reshape(-1)
    altered = tokens[like].copy()
    for number, (row, cut) in enumerate(zip(like, cuts, strict=True)):
        before = tokens[row, cut - 1]
        if number % 4 == 3:
            altered[number, cut:] = before
            continue
        places = 1 + np.flatnonzero((flat[:-1] == before) & (flat[1:] != tokens[row, cut]))
        start = rng.choice(places) if len(places) else rng.integers(len(flat))
        altered[number, cut:] = flat.take(np.arange(start, start + length - cut), mode="wrap")
    return Altered(like, cuts, altered)


def looks_ahead(whole: Floats, altered: Floats, probes: Altered, tolerance: float) -> str:
    """What tells that a model is not causal; empty where nothing does.

    Args:
        whole: What it costs to say what follows, [rows, T] in nats, of the rows as they are.
        altered: Of the rows with another end, [n, T], for the same tokens to follow: those of the rows as they are.
        probes: Those rows.
        tolerance: In nats.
    """
    before = np.arange(altered.shape[1]) < probes.cuts[:, None]
    dearer = altered - whole[probes.rows]
    gap = np.where(before, np.abs(dearer), 0.0)
    wrong = int(np.count_nonzero(gap > tolerance))
    if not wrong:
        return _gains(dearer[np.arange(len(dearer)), probes.cuts - 1])
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


def _gains(dearer: Floats) -> str:
    """What tells that small differences are no rounding: tokens cost less, on the whole, where they can be seen.

    Args:
        dearer: By how much the token at each cut costs more where another one stands in its place, [n] in nats.
    """
    mean = float(dearer.mean())
    error = float(dearer.std()) / math.sqrt(len(dearer))
    if mean <= _EVEN + _ERRORS * error:
        return ""
    return (
        f"the model is not causal: over {len(dearer)} places the next token costs {mean:.3g} nats more, "
        f"with a standard error of {error:.2g}, where another one stands in its place"
    )
