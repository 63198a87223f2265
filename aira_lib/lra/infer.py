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
        *orders, last = _orders(len(inputs[0]), 1 + len(inputs), permuted)
        if self._program.dual:
            pairs = zip(inputs, orders, strict=True)
            return self.classify(variables, *(self.encode(variables, each, order) for each, order in pairs), order=last)
        logits: Logits = self._all(self._answer, variables, last, self._fitted(inputs[0]))
        return _finite(logits)

    def encode(self, variables: Variables, inputs: Ids, order: Ids | None = None) -> npt.NDArray[Any]:
        """Encodings of documents, [n, d], computed in an order; for whoever answers pairs in processes apart."""
        found: npt.NDArray[Any] = self._all(self._encode, variables, order, self._fitted(inputs))
        return found

    def classify(self, variables: Variables, *encoded: npt.NDArray[Any], order: Ids | None = None) -> Logits:
        """Logits of pairs from the encodings of both, float32 [n, classes]."""
        logits: Logits = self._all(self._classify, variables, order, *encoded)
        return _finite(logits)

    def _fitted(self, inputs: Ids) -> Ids:
        return fitted(inputs, self._program.configuration.max_length)

    def _all(
        self, function: Callable[..., Any], variables: Variables, order: Ids | None, *arrays: npt.NDArray[Any]
    ) -> Any:
        """The function's values of all rows, computed in an order and given in that of the arrays."""
        order = np.arange(len(arrays[0]), dtype=np.int32) if order is None else order
        found = []
        for start in range(0, len(order), self._batch):
            here = order[start : start + self._batch]
            filled = np.concatenate([here, np.repeat(here[-1:], self._batch - len(here))])
            with told_of(self._program.submission.path):
                values = jax.device_get(function(variables, *(each[filled] for each in arrays)))
            found.append(values[: len(here)])
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


def save_floats(path: Path, values: npt.NDArray[Any]) -> None:
    """Write logits or encodings as an npy file of float32 without pickles."""
    np.save(path, values.astype(np.float32, copy=False), allow_pickle=False)


def _orders(rows: int, count: int, permuted: int | None) -> list[Ids] | list[None]:
    if permuted is None:
        return [None] * count
    generator = np.random.default_rng(permuted)
    return [generator.permutation(rows).astype(np.int32) for _ in range(count)]


def _finite(logits: Logits) -> Logits:
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise Refused(
            f"logits of {len(wrong):,} of {len(logits):,} rows are not finite, the first of them row {wrong[0]}"
        )
    return logits
