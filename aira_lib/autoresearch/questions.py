"""What it costs a model to say what follows in rows of text, and whether it could have known more than came before.

All rows are asked for in at least two processes that see tokens and weights alone, in an order drawn after training.
Each process is asked for some of the rows, for others of them with another end (see `aira_lib.autoresearch.probes`),
for a few that another process is asked for, and at its end for a few early ones again. No process sees a row both as
it is and with another end: it could tell the cut by comparing the two. For the same reason they are asked one after the
other: two that run at once could tell each other what they see, however well they are kept apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aira_lib.asking import Ask
from aira_lib.autoresearch.bpb import Floats, nats_of
from aira_lib.autoresearch.probes import Tokens, altered_rows, answers_otherwise, looks_ahead

TOKENS = "tokens.npy"
PROBE_ROWS = 128
TOLERANCE = 1e-3
"""How far the costs of the same token may lie apart, in nats: sums in another order round otherwise."""
_AGAIN, _ELSEWHERE = 8, 16


@dataclass(frozen=True)
class Rows:
    """Rows to ask for: their tokens, and the tokens whose costs are wanted, both [n, T]."""

    tokens: Tokens
    following: Tokens

    def __getitem__(self, places: NDArray[np.int64]) -> "Rows":
        return Rows(self.tokens[places], self.following[places])


@dataclass(frozen=True)
class Answers:
    """What it costs to say what follows, [n, T] in nats, and what tells that the model knew more; empty: nothing."""

    nats: Floats
    wrong: str


def answers_of(
    ask: Ask, rows: Rows, rng: np.random.Generator, probe_rows: int = PROBE_ROWS, tolerance: float = TOLERANCE
) -> Answers:
    """Ask for rows and probe the model with them.

    Args:
        ask: Gives logits [n, T, vocabulary] of `tokens.npy` [n, T], by a process each call.
        rows: All of them.
        rng: For the order and the probes; nobody else's.
        probe_rows: How many rows are asked for with another end.
        tolerance: In nats.
    """
    count = len(rows.tokens)
    probes = altered_rows(rows.tokens, probe_rows, rng)
    like = np.concatenate([np.arange(count), probes.rows, _repeated(count, probes.rows, rng)])
    repeated = like[count + len(probes.rows) :]
    every = Rows(np.concatenate([rows.tokens, probes.tokens, rows.tokens[repeated]]), rows.following[like])
    nats, wrong = np.empty(every.tokens.shape), list[str]()
    for places in _processes(like, count, ask.most_rows, rng):
        nats[places], told = _asked(ask, every, places, rng, tolerance)
        wrong.append(told)
    whole, altered, elsewhere = np.split(nats, [count, len(like) - len(repeated)])
    wrong.append(answers_otherwise(whole[repeated], elsewhere, tolerance, "in another process, among other rows"))
    wrong.append(looks_ahead(whole, altered, probes, tolerance))
    return Answers(whole, next(filter(None, wrong), ""))


def _repeated(rows: int, altered: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows to ask two processes for as they are: where there are enough, such as have no other end."""
    plain = np.setdiff1d(np.arange(rows), altered)
    return rng.permutation(plain if len(plain) >= min(_ELSEWHERE, rows) else rows)[:_ELSEWHERE]


def _processes(like: NDArray[np.int64], rows: int, most: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Which places each process is asked for, mixed: what is like a row not by that which is asked for the row itself.

    Args:
        like: The row that each place is like; the first `rows` places are the rows themselves.
        rows: How many there are.
        most: Places of one process.
        rng: For who is asked for what.
    """
    home = rng.permutation(np.arange(rows) % 2)
    second = home[like] ^ (np.arange(len(like)) >= rows)
    room = max(1, most - min(_AGAIN, most // 4))
    halves = [rng.permutation(np.flatnonzero(second == each)) for each in (0, 1)]
    for half in halves:
        if len(half):
            yield from np.array_split(half, -(-len(half) // room))


def _asked(
    ask: Ask, rows: Rows, places: NDArray[np.int64], rng: np.random.Generator, tolerance: float
) -> tuple[Floats, str]:
    """What one process answers for its places, early ones asked again at its end, and what is wrong with that."""
    early = np.arange(max(1, len(places) // 4))
    early = rng.choice(early, min(_AGAIN, len(early), ask.most_rows - len(places)), replace=False)
    asked = rows[np.concatenate([places, places[early]])]
    nats = nats_of(ask({TOKENS: asked.tokens}), asked.following)
    first, again = nats[: len(places)], nats[len(places) :]
    told = answers_otherwise(first[early], again, tolerance, "when they were asked again")
    return first, told and f"{told}; a model must not learn from what it is asked, and must draw nothing at random"
