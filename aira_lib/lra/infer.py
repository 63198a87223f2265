"""Answers of a trained model: float32 logits of all rows, in batches of one shape, filled up with repeated rows.

Pairs are answered in two passes: all documents are encoded, first ones and second ones apart and each in an order of
its own where one is asked for, and only then the encodings are classified.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from aira_lib.lra.data.tokens import Ids
from aira_lib.lra.interface import told_of
from aira_lib.lra.program import Program, Variables
from aira_lib.lra.refused import Refused

Logits = npt.NDArray[np.float32]


class Answerer:
    """A program compiled for batches of one size, for any variables."""

    def __init__(self, program: Program, batch: int) -> None:
        self._program, self._batch = program, batch
        self._answer = jax.jit(program.answer)
        self._encode = jax.jit(program.encode)
        self._classify = jax.jit(program.classify)

    def __call__(self, variables: Variables, inputs: Sequence[Ids], permuted: int | None = None) -> Logits:
        """Logits of rows, float32 [n, classes].

        Args:
            variables: Of the model.
            inputs: Ids, int32 [n, L]: one array, or two for pairs.
            permuted: A seed by which rows are answered in another order, pairs' documents each in their own; answers
                come in the order of `inputs` all the same, and may not depend on it.

        Raises:
            Refused: the code failed, or a logit is not finite.
        """
        length, rows = self._program.configuration.max_length, len(inputs[0])
        cut = [fitted(each, length) for each in inputs]
        orders = _orders(rows, len(cut) + 1, permuted)
        with told_of(self._program.submission.path):
            logits: Logits
            if self._program.dual:
                encoded = [
                    self._all(self._encode, variables, order, each) for order, each in zip(orders, cut, strict=False)
                ]
                logits = self._all(self._classify, variables, orders[-1], *encoded)
            else:
                logits = self._all(self._answer, variables, orders[-1], *cut)
        _check_finite(logits)
        return logits

    def _all(self, function: Callable[..., Any], variables: Variables, order: Ids, *arrays: npt.NDArray[Any]) -> Any:
        """The function's values of all rows, computed in an order and given in that of the arrays."""
        found = []
        for start in range(0, len(order), self._batch):
            here = order[start : start + self._batch]
            filled = np.concatenate([here, np.repeat(here[-1:], self._batch - len(here))])
            found.append(jax.device_get(function(variables, *(each[filled] for each in arrays)))[: len(here)])
        values = np.concatenate(found)
        placed = np.empty_like(values)
        placed[order] = values
        return placed


def fitted(inputs: Ids, length: int) -> Ids:
    """Rows of a length: cut behind, or filled up with 0."""
    rows, found = inputs.shape
    if found >= length:
        return np.asarray(inputs[:, :length], np.int32)
    return np.concatenate([inputs, np.zeros((rows, length - found), np.int32)], axis=1)


def save_logits(path: Path, logits: Logits) -> None:
    """Write logits as an npy file without pickles."""
    np.save(path, logits.astype(np.float32, copy=False), allow_pickle=False)


def _orders(rows: int, count: int, permuted: int | None) -> list[Ids]:
    if permuted is None:
        return [np.arange(rows, dtype=np.int32)] * count
    generator = np.random.default_rng(permuted)
    return [generator.permutation(rows).astype(np.int32) for _ in range(count)]


def _check_finite(logits: Logits) -> None:
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise Refused(
            f"logits of {len(wrong):,} of {len(logits):,} rows are not finite, the first of them row {wrong[0]}"
        )
