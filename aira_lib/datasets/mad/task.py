"""What all MAD tasks share: settings that are also the generator, and the form of examples."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.errors import UserError
from aira_lib.study import MADTaskName

IGNORE = -100
"""Target of a position that is not scored (PyTorch's default `ignore_index`)."""

SplitName = Literal["train", "validation", "test"]
Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Instances of a task: `inputs` and `targets`, both int64 [n, L]; a target of `IGNORE` is not scored."""

    inputs: Tokens
    targets: Tokens

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> "Examples":
        return Examples(self.inputs[rows], self.targets[rows])


@dataclass(frozen=True)
class MADTask(ABC):
    """One MAD task at one difficulty.

    Attributes:
        vocab_size: number of token ids, special tokens included.
        seq_len: mad-lab's sequence length; `length` is the length of a row of inputs.
    """

    name: ClassVar[MADTaskName]
    rows_may_repeat: ClassVar[bool] = False

    vocab_size: int = 16
    seq_len: int = 128

    @property
    def length(self) -> int:
        """Length L of a row of inputs and of targets."""
        return self.seq_len

    @abstractmethod
    def draw(self, n: int, rng: np.random.Generator, split: SplitName) -> Examples:
        """Draw n independent instances; `aira_lib.datasets.mad.generate` is the public way."""

    def _require(self, holds: bool, problem: str) -> None:
        """Refuse settings that the task's definition cannot meet.

        Raises:
            UserError: `holds` is false; the line says what and how to mend it.
        """
        if not holds:
            raise UserError(f"MAD task {self.name}: {problem}; see proxy.difficulty.{self.name} in the study")


def next_token(tokens: Tokens, answers: Tokens, split: SplitName) -> Examples:
    """Shift whole sequences [n, L + 1] into inputs and targets [n, L], as the recall tasks do.

    Training is plain language modelling: the target of every position is the next token. Validation and test score
    only the marked answers (`answers` holds the token where it is an answer, else `IGNORE`).
    """
    targets = tokens if split == "train" else answers
    return Examples(tokens[:, :-1], targets[:, 1:])


def first_occurrence(codes: Tokens) -> NDArray[np.intp]:
    """For every entry of each row of `codes` [n, S], the column at which its value first occurs in that row."""
    order = np.argsort(codes, axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    begins = np.zeros(codes.shape, dtype=np.intp)
    begins[:, 1:] = np.where(ordered[:, 1:] != ordered[:, :-1], np.arange(1, codes.shape[1]), 0)
    group_start = np.maximum.accumulate(begins, axis=1)
    first = np.empty(codes.shape, dtype=np.intp)
    # A stable sort keeps equal values in column order, so a group opens with its first column.
    np.put_along_axis(first, order, np.take_along_axis(order, group_start, axis=1), axis=1)
    return first
