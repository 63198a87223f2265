"""Ceilings of readings that see words and no order: a bag of words (naive Bayes), and words that two texts share."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.rows import Row

_WORD = re.compile(rb"[\w']+")
_LEARNED_FROM, _ASKED = 5_000, 2_000
"""Rows of training and test that are read: ceilings are known to a percent then, within seconds."""


def words_of(text: bytes) -> list[bytes]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def majority(train: Sequence[Row], test: Sequence[Row]) -> Ceiling:
    """Always the most frequent class of training."""
    counts = Counter(row.label for row in train)
    answer = min(counts, key=lambda label: (-counts[label], label))
    return _ceiling("majority", [answer] * len(test), test)


def bag_of_words(train: Sequence[Row], test: Sequence[Row]) -> Ceiling:
    """Naive Bayes over how often each word occurs, with one virtual occurrence of each; for one text a row."""
    learned, asked = train[:_LEARNED_FROM], test[:_ASKED]
    counts: dict[int, Counter[bytes]] = {label: Counter() for label in sorted({row.label for row in learned})}
    for row in learned:
        counts[row.label].update(words_of(row.texts[0]))
    known = set().union(*counts.values())
    totals = {label: found.total() + len(known) for label, found in counts.items()}
    prior = Counter(row.label for row in learned)

    def answer(row: Row) -> int:
        seen = [word for word in words_of(row.texts[0]) if word in known]
        return max(
            counts,
            key=lambda label: (
                math.log(prior[label]) - len(seen) * math.log(totals[label])
                + sum(math.log(counts[label][word] + 1) for word in seen)
            ),
        )  # fmt: skip

    return _ceiling("bag of words", [answer(row) for row in asked], asked)


def word_overlap(train: Sequence[Row], test: Sequence[Row]) -> Ceiling:
    """Whether two texts share more of their words than a threshold that fits training best."""
    learned, asked = train[:_LEARNED_FROM], test[:_ASKED]
    shares = np.array([_shared(row) for row in learned])
    labels = np.array([row.label for row in learned])
    order = np.argsort(shares, kind="stable")
    # With the threshold before the i-th: right are the zeros below it, and the ones from it on.
    zeros = np.concatenate([[0], np.cumsum(labels[order] == 0)])
    ones = np.concatenate([[0], np.cumsum(labels[order] == 1)])
    best = int(np.argmax(zeros + ones[-1] - ones))
    threshold = float(np.append(shares[order], np.inf)[best])
    return _ceiling("word overlap", [int(_shared(row) >= threshold) for row in asked], asked)


def _shared(row: Row) -> float:
    """The share that two texts' words have in common, of all that either has."""
    one, other = (set(words_of(text)) for text in row.texts)
    return len(one & other) / max(1, len(one | other))


def _ceiling(name: str, answers: Sequence[int], rows: Sequence[Row]) -> Ceiling:
    right = sum(answer == row.label for answer, row in zip(answers, rows, strict=True))
    return Ceiling(name=name, accuracy=right / len(rows), examples=len(rows))
