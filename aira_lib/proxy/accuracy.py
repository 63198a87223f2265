"""Accuracies over the scored positions: of tokens, averaged over classes, and the latter as mad-lab logs it.

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
MAD_LAB_BATCH = 128
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

    A class that is predicted but never a target counts as 0; a class that is neither does not count. mad-lab computes
    it batch by batch, see `macro_by_batch`.

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


def macro_by_batch(predictions: Tokens, targets: Tokens) -> float:
    """What mad-lab logs as its accuracy: `macro_accuracy` of each batch of 128 examples, averaged by their sizes.

    In a batch rare classes are fewer and predicted ones more often without a target, so it is another number than that
    of all examples together. Batches without a scored position do not count.

    Raises:
        ValueError: no position is scored.
    """
    parts = [part for part in _batches(len(targets)) if (targets[part] != IGNORE).any()]
    if not parts:
        raise ValueError("accuracy of no scored position")
    each = [macro_accuracy(predictions[part], targets[part]) for part in parts]
    return float(np.average(each, weights=[len(targets[part]) for part in parts]))


def _batches(examples: int) -> list[slice]:
    return [slice(start, start + MAD_LAB_BATCH) for start in range(0, examples, MAD_LAB_BATCH)]


def accuracies(predictions: Tokens, targets: Tokens) -> Accuracies:
    """All accuracies of predictions and targets [examples, positions], with 95 % intervals.

    Raises:
        ValueError: no position is scored.
    """
    token = token_accuracy(predictions, targets)
    scored = (targets != IGNORE).any(axis=1)
    right, wanted = ((predictions == targets) & (targets != IGNORE))[scored].sum(axis=1), (targets != IGNORE)[scored]
    tokens = int(wanted.sum())
    # What each example adds to the error of a ratio (of sums of hits and sums of tokens), to first order.
    of_token = (right - token * wanted.sum(axis=1)) / tokens
    of_macro = _influence_on_macro(predictions[scored], targets[scored])
    batches = [part for part in _batches(len(targets)) if scored[part].any()]
    counted = sum(len(targets[part]) for part in batches)
    by_batch = [
        _influence_on_macro(predictions[part][scored[part]], targets[part][scored[part]]) * len(targets[part]) / counted
        for part in batches
    ]
    return Accuracies(
        token=_estimate(token, of_token, tokens),
        macro=_estimate(macro_accuracy(predictions, targets), of_macro, tokens),
        macro_by_batch=_estimate(macro_by_batch(predictions, targets), np.concatenate(by_batch), tokens),
    )


def _influence_on_macro(predictions: Tokens, targets: Tokens) -> NDArray[np.float64]:
    """[examples], each with a scored position: what each adds to the error of their macro accuracy, to first order."""
    hits, support, classes = _by_example_and_class(predictions, targets)
    total = support.sum(axis=0)
    share = hits.sum(axis=0) / np.maximum(total, 1)
    return np.asarray(((hits - share * support) / np.maximum(total, 1)).sum(axis=1) / classes)


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
