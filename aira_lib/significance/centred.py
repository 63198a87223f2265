"""Scores counted from a baseline, as DCLM's CORE does, so that 0 is a guess and 1 is all right."""


def centred(score: float, baseline: float) -> float:
    """(score - baseline) / (1 - baseline), of shares; below 0 where a guess is better.

    Raises:
        ValueError: the baseline is all right already.
    """
    if not baseline < 1:
        raise ValueError(f"nothing can be better than a baseline of {baseline}")
    return (score - baseline) / (1 - baseline)
