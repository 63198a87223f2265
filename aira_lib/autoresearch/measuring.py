"""The score of a training script: its time, the causality of its model, and bits per byte; `measure` of program.yaml.

All rows are asked for in at least two processes that see tokens and weights alone, in an order drawn after training.
Each process is asked for some of the rows, for others of them with another end (see `aira_lib.autoresearch.probes`),
for a few that another process is asked for, and at its end for a few early ones again. No process sees a row both as
it is and with another end: it could tell the cut by comparing the two.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.asking import Arrays, Ask, Measurement, NotValid
from aira_lib.autoresearch.bpb import Floats, bits_per_byte, nats_of
from aira_lib.autoresearch.probes import Tokens, altered_rows, answers_otherwise, looks_ahead

TOKENS = "tokens.npy"
Setting = bool | int | float | str
_LATE = "the training took longer than its budget"
_DEPENDS = "predictions depend on more than the text before them"
_AGAIN, _ELSEWHERE = 8, 16


@dataclass(frozen=True)
class _Rows:
    """Rows to ask for: their tokens, and the tokens whose costs are wanted, both [n, T]."""

    tokens: Tokens
    following: Tokens

    def __getitem__(self, places: NDArray[np.int64]) -> "_Rows":
        return _Rows(self.tokens[places], self.following[places])


def measure(
    ask: Ask, inputs: Arrays, labels: NDArray[Any], rng: np.random.Generator, settings: Mapping[str, Setting]
) -> Measurement:
    """Score a trained model.

    Args:
        ask: Gives logits [n, T, vocabulary] of tokens [n, T].
        inputs: `tokens.npy` [rows, T].
        labels: [rows, T, 2]: the token that follows, and its UTF-8 bytes.
        rng: For the order and the probes.
        settings: `budget_seconds`, `clock` (wall or cpu), `compile_allowance_seconds`, `count` (honest or paper),
            `paper_allowance_seconds`, `probe_rows` and `tolerance` (nats).

    Raises:
        NotValid: the budget was passed, or a probe found something.
    """
    _require_in_time(ask.measures, settings)
    tokens = np.asarray(inputs[TOKENS])
    following, sizes = labels[..., 0], labels[..., 1]
    probes = altered_rows(tokens, int(settings.get("probe_rows", 128)), rng)
    like = np.concatenate([np.arange(len(tokens)), probes.rows, _repeated(len(tokens), probes.rows, rng)])
    repeated = like[len(tokens) + len(probes.rows) :]
    rows = _Rows(np.concatenate([tokens, probes.tokens, tokens[repeated]]), following[like])
    tolerance = float(settings.get("tolerance", 1e-3))
    costs = _costs(ask, rows, _processes(like, len(tokens), ask.most_rows, rng), rng, tolerance)
    whole, altered, elsewhere = np.split(costs, [len(tokens), len(like) - len(repeated)])
    _require(answers_otherwise(whole[repeated], elsewhere, tolerance, "in another process, among other rows"))
    _require(looks_ahead(whole, altered, probes, tolerance))
    found = bits_per_byte(whole, sizes)
    return Measurement(found.value, {"bpb_stderr": found.standard_error, "bytes": found.bytes, "tokens": found.tokens})


def _repeated(rows: int, altered: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows to ask two processes for as they are: where there are enough, such as have no other end."""
    plain = np.setdiff1d(np.arange(rows), altered)
    return rng.permutation(plain if len(plain) >= min(_ELSEWHERE, rows) else rows)[:_ELSEWHERE]


def _processes(like: NDArray[np.int64], rows: int, most: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
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
    return [part for half in halves if len(half) for part in np.array_split(half, -(-len(half) // room))]


def _costs(
    ask: Ask, rows: _Rows, processes: Sequence[NDArray[np.int64]], rng: np.random.Generator, tolerance: float
) -> Floats:
    """What tokens that follow cost in each row, [n, T], with early rows of each process asked again at its end."""
    found = np.empty(rows.tokens.shape)
    for places in processes:
        early = places[: max(1, len(places) // 4)]
        early = rng.choice(early, min(_AGAIN, len(early), ask.most_rows - len(places)), replace=False)
        costs = _asked(ask, rows[np.concatenate([places, early])])
        found[places] = costs[: len(places)]
        told = answers_otherwise(found[early], costs[len(places) :], tolerance, "when they were asked again")
        _require(told and f"{told}; a model must not learn from what it is asked, and must draw nothing at random")
    return found


def _asked(ask: Ask, rows: _Rows) -> Floats:
    return nats_of(ask({TOKENS: rows.tokens}), rows.following)


def _require(found: str) -> None:
    if found:
        raise NotValid(found, _DEPENDS)


def _require_in_time(measured: Mapping[str, float], settings: Mapping[str, Setting]) -> None:
    """Refuse a training that took longer than it may, by the harness's clock: from its start to its end.

    The original leaves its first steps, and all that is before them, uncounted, which only the script itself can tell
    apart from what counts; what stops it in the end is that whoever runs it gives up after twice the budget. With
    `count: paper` that is so here: a script counts as it likes within `paper_allowance_seconds` on top of the budget,
    by default as much again. Such scores compare with none that were counted.
    """
    budget, paper = float(settings.get("budget_seconds", math.inf)), settings.get("count", "honest") == "paper"
    allowance = ("paper_allowance_seconds", budget) if paper else ("compile_allowance_seconds", 0)
    beside = float(settings.get(*allowance))
    cpu = settings.get("clock") == "cpu" and "train_cpu_seconds" in measured
    used = measured["train_cpu_seconds" if cpu else "train_seconds"]
    if used > budget + beside:
        clocks = {"seconds": "train_seconds", "cpu seconds": "train_cpu_seconds"}
        both = ", ".join(f"{name} {measured[key]:.1f}" for name, key in clocks.items() if key in measured)
        of_it = f", {beside:g} s of it for start-up and first steps (count: paper)" if paper else ""
        raise NotValid(
            f"the training took {used:.1f} s of {'processor' if cpu else 'wall'} time, from its start to its end, and "
            f"{budget + beside:g} s are allowed{of_it} ({both}); imports, compilation and the writing of weights "
            "count, too", _LATE,
        )  # fmt: skip
