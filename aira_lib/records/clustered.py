"""The error of a mean loss that the choice of held-out documents makes.

Tokens of one document hang together, and so do windows cut from it: documents are the independent units. A mean over
tokens is a ratio of two sums over documents, and its variance is that of what each document adds to it, to first order
(the "clustered" or "sandwich" estimate).
"""

import math
from collections.abc import Sequence


def document_error(sums: Sequence[float], tokens: Sequence[int]) -> float | None:
    """Standard error of the mean over all tokens; None with fewer than two documents.

    Args:
        sums: of each document's losses, or of their differences between two models on the same tokens.
        tokens: how many each document has, at least one.
    """
    documents, total = len(sums), sum(tokens)
    if documents < 2:
        return None
    mean = math.fsum(sums) / total
    squares = math.fsum((each - mean * n) ** 2 for each, n in zip(sums, tokens, strict=True))
    return math.sqrt(squares * documents / (documents - 1)) / total
