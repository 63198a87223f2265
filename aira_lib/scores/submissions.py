"""The valid submission rate (VSR): the share of runs that submitted something valid in the end."""

from collections.abc import Sequence

from aira_lib.scores.interval import Interval

_Z = 1.959963984540054  # of the 95 % interval


def valid_submission_rate(counts: Sequence[tuple[int, int]]) -> Interval:
    """Mean over tasks of the share of valid runs, with Wilson's interval.

    The interval is that of one share of as many runs as give the mean of the tasks' shares its error: n of a single
    task, and of several with n_t runs each T^2 / sum(1 / n_t). A bootstrap of runs would know a rate of 100 % for sure.

    Args:
        counts: Of each task the number of valid runs and that of all runs.

    Raises:
        ValueError: there is no task, or one without runs.
    """
    if not counts or any(not 0 <= valid <= runs or not runs for valid, runs in counts):
        raise ValueError(f"a rate is of tasks with runs, of which some are valid, not of {list(counts)}")
    rate = sum(valid / runs for valid, runs in counts) / len(counts)
    n = len(counts) ** 2 / sum(1 / runs for _, runs in counts)
    centre = (rate + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * (rate * (1 - rate) / n + _Z**2 / (4 * n**2)) ** 0.5
    return Interval(rate, max(0.0, centre - half), min(1.0, centre + half))
