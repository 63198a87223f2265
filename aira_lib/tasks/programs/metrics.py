"""Scores of predictions that a program.yaml may name, such as `aira_lib.tasks.programs.metrics:accuracy`.

A scoring function takes predictions [n, ...] and labels [n, ...], and returns one number. Of predictions that it cannot
score it raises a ValueError, whose text is feedback to the agent.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of rows (0 to 1) whose largest score is that of their class; of equal ones the first counts.

    Args:
        predictions: Scores [n, classes], or classes [n].
        labels: Classes [n], whole numbers from 0.
    """
    classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
    return float(np.mean(classes == labels))


def mean_squared_error(predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean over all numbers of the squared difference.

    Args:
        predictions: Numbers [n, ...].
        labels: Numbers of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if predictions.shape != labels.shape:
        raise ValueError(f"predictions have the shape {predictions.shape}, labels {labels.shape}")
    return float(np.mean((predictions.astype(np.float64) - labels) ** 2))
