"""Two accuracies over the scored positions: of tokens, and mad-lab's average over classes; each with its interval.

Tokens of one example hang together (a model that misses a key misses all that follows from it), so examples are the
independent unit. The variance between examples gives the number of independent answers that the tokens are worth, and
Wilson's interval for that number holds near 0 and 1, too, where a bootstrap over examples has no width.
"""

import math

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.mad import IGNORE
from aira_lib.records import Accuracies, Estimate

Tokens = NDArray[np.int64]
_Z = 1.959963984540054  # of a two-sided 95 % interval


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


def accuracies(predictions: Tokens, targets: Tokens) -> Accuracies:
    """Both accuracies of predictions and targets [examples, positions], with 95 % intervals.

    Raises:
        ValueError: no position is scored.
    """
    token, macro = token_accuracy(predictions, targets), macro_accuracy(predictions, targets)
    hits, support, classes = _by_example_and_class(predictions, targets)
    scored = support.sum(axis=1) > 0
    hits, support = hits[scored], support[scored]
    total = support.sum(axis=0)
    share = hits.sum(axis=0) / np.maximum(total, 1)
    # What each example adds to the error of a ratio (of sums of hits and sums of tokens), to first order.
    of_token = (hits.sum(axis=1) - token * support.sum(axis=1)) / total.sum()
    of_macro = ((hits - share * support) / np.maximum(total, 1)).sum(axis=1) / classes
    tokens = int(total.sum())
    return Accuracies(token=_estimate(token, of_token, tokens), macro=_estimate(macro, of_macro, tokens))


def _by_example_and_class(predictions: Tokens, targets: Tokens) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Hits and targets [examples, classes], and how many classes count."""
    scored = targets != IGNORE
    width = int(max(predictions[scored].max(), targets[scored].max())) + 1
    rows = np.broadcast_to(np.arange(len(targets))[:, None], targets.shape)

    def counted(chosen: NDArray[np.bool_], classes: Tokens) -> NDArray[np.int64]:
        flat = np.bincount(rows[chosen] * width + classes[chosen], minlength=len(targets) * width)
        return flat.reshape(len(targets), width)

    hits, support = counted(scored & (predictions == targets), targets), counted(scored, targets)
    seen = (support.sum(axis=0) > 0) | (counted(scored, predictions).sum(axis=0) > 0)
    return hits, support, int(seen.sum())


def _estimate(value: float, influence: NDArray[np.float64], tokens: int) -> Estimate:
    """Wilson's interval for as many independent answers as the influences of the examples allow for."""
    examples = len(influence)
    variance = float((influence**2).sum()) * examples / max(examples - 1, 1)
    spread = value * (1 - value)
    worth = min(spread / variance, tokens) if variance > 0 and spread > 0 else float(examples)
    worth = max(worth, 1.0)
    middle = (value + _Z**2 / (2 * worth)) / (1 + _Z**2 / worth)
    half = _Z / (1 + _Z**2 / worth) * math.sqrt(spread / worth + _Z**2 / (4 * worth**2))
    return Estimate(value=value, low=min(value, max(0.0, middle - half)), high=max(value, min(1.0, middle + half)))
