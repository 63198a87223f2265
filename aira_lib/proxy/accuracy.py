"""Two accuracies over the scored positions: of tokens, and mad-lab's average over classes."""

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.mad import IGNORE

Tokens = NDArray[np.int64]


def token_accuracy(predictions: Tokens, targets: Tokens) -> float:
    """Share of the targets that are not IGNORE and are predicted.

    Raises:
        ValueError: no position is scored.
    """
    scored = targets != IGNORE
    if not scored.any():
        raise ValueError("accuracy of no scored position")
    return float((predictions[scored] == targets[scored]).mean())


def macro_accuracy(predictions: Tokens, targets: Tokens) -> float:
    """Mean over classes of the share of a class's targets that are predicted, as torchmetrics averages by default.

    A class that is predicted but never a target counts as 0; a class that is neither does not count. mad-lab
    reports this number as its accuracy.

    Raises:
        ValueError: no position is scored.
    """
    scored = targets != IGNORE
    if not scored.any():
        raise ValueError("accuracy of no scored position")
    predicted, wanted = predictions[scored], targets[scored]
    classes = int(max(predicted.max(), wanted.max())) + 1
    hits = np.bincount(wanted[predicted == wanted], minlength=classes)
    support = np.bincount(wanted, minlength=classes)
    seen = (support > 0) | (np.bincount(predicted, minlength=classes) > 0)
    return float((hits[seen] / np.maximum(support[seen], 1)).mean())
