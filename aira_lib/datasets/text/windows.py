"""Windows of a token array, random ones for a training step."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aira_lib.errors import UserError

Windows = tuple[NDArray[np.int64], NDArray[np.int64]]


def batches(data: NDArray[Any], seq_len: int, batch: int, step: int, seed: int) -> Windows:
    """The training batch of one step: a pure function of its arguments, so that training resumes without state.

    Args:
        data: token ids [tokens], of any integer type; may be a memory map.
        seq_len: tokens of a window.
        batch: number of windows; their places are uniform and independent.
        step: the step, from 0.
        seed: the run's seed, at least 0.

    Returns:
        Inputs and targets, int64 [batch, seq_len]; a target is the token after its input.

    Raises:
        UserError: the data is shorter than one window.
    """
    require_a_window(data, seq_len)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, step])))
    return windows_at(data, rng.integers(len(data) - seq_len, size=batch), seq_len)


def windows_at(data: NDArray[Any], starts: NDArray[np.int64], seq_len: int) -> Windows:
    """Inputs and targets of windows that begin at the given places [n], int64 [n, seq_len] each."""
    tokens = data[starts[:, None] + np.arange(seq_len + 1)].astype(np.int64)
    return tokens[:, :-1].copy(), tokens[:, 1:].copy()


def require_a_window(data: NDArray[Any], seq_len: int) -> None:
    """Check that the data has a window.

    Raises:
        UserError: it is shorter.
    """
    if len(data) <= seq_len:
        raise UserError(
            f"the text has {len(data):,} tokens, too few for windows of seq_len {seq_len}; "
            "raise the corpus's byte limits or lower seq_len"
        )
