"""Selective copying: repeat the content tokens of a sequence in order, leaving out the blanks between them.

A row is: content tokens with blanks inserted before them (each blank before a content token drawn uniformly, so the
last of this part is content), the copy token, and as many blanks as there are tokens to copy. The targets of those
last blanks are the content in order; nothing else is scored, in training as in test. mad-lab draws the blanks' places
from NumPy's global generator; here they come from the generator at hand, as all else.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aira_lib.datasets.mad.task import IGNORE, Examples, MADTask, SplitName
from aira_lib.study import MADTaskName


@dataclass(frozen=True)
class SelectiveCopying(MADTask):
    """Selective copying at mad-lab's baseline: 16 of 14 content symbols in a row of 256.

    Attributes:
        n_tokens_to_copy: number of content tokens.
    """

    name: ClassVar[MADTaskName] = "selective-copying"

    seq_len: int = 256
    n_tokens_to_copy: int = 16

    def __post_init__(self) -> None:
        least = 2 * self.n_tokens_to_copy + 2
        self._require(self.vocab_size >= 3, f"vocab_size {self.vocab_size} is too small: at least 3")
        self._require(self.n_tokens_to_copy >= 1, f"n_tokens_to_copy {self.n_tokens_to_copy} must be at least 1")
        self._require(
            self.seq_len >= least,
            f"seq_len {self.seq_len} is too short to copy {self.n_tokens_to_copy} tokens: at least {least}, "
            f"or n_tokens_to_copy at most {max(1, (self.seq_len - 2) // 2)}",
        )

    @property
    def blank(self) -> int:
        """The id of a blank."""
        return self.vocab_size - 2

    @property
    def copy(self) -> int:
        """The id that asks for the copy."""
        return self.vocab_size - 1

    def draw(self, n: int, rng: np.random.Generator, split: SplitName) -> Examples:
        """Draw n instances."""
        copied = self.n_tokens_to_copy
        n_blanks = self.seq_len - 2 * copied - 1
        content = rng.integers(self.blank, size=(n, copied))
        blanks_before = np.cumsum(rng.multinomial(n_blanks, np.full(copied, 1 / copied), size=n), axis=1)
        inputs = np.full((n, self.seq_len), self.blank)
        np.put_along_axis(inputs, blanks_before + np.arange(copied), content, axis=1)
        inputs[:, -copied - 1] = self.copy
        targets = np.full((n, self.seq_len), IGNORE)
        targets[:, -copied:] = content
        return Examples(inputs, targets)
