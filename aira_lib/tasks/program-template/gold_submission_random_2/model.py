"""A design that cannot learn: it sees one fixed number of each row, and not the one that matters."""

import numpy as np


def initial(seed: int) -> dict[str, np.ndarray]:
    """Small random weights."""
    return {"weight": np.random.default_rng(2).normal(size=(1, 2)).astype(np.float32), "bias": np.zeros(2, np.float32)}


def features(inputs: np.ndarray) -> np.ndarray:
    """The sine of a coordinate, many times faster than the rings are wide."""
    return np.sin(90 * inputs[:, :1] + 2)
