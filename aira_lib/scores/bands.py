"""How hard tasks are: bands by quartiles of rank within a suite, as AIRS-Bench has them, or by stated thresholds."""

from collections.abc import Mapping, Sequence

BANDS = ("easy", "medium", "hard", "expert")


def bands_by_rank(means: Mapping[str, float]) -> dict[str, str]:
    """Bands of the tasks of one suite, a quarter of the ranks each; of equal means the easier band of both.

    Ranks are of this suite alone: in another one the same task may lie in another band.

    Args:
        means: Mean NS over all agents, by task.

    Returns:
        The band of each task; nothing of fewer tasks than there are bands.
    """
    if len(means) < len(BANDS):
        return {}
    easier = {task: sum(other > mean for other in means.values()) for task, mean in means.items()}
    return {task: BANDS[len(BANDS) * rank // len(means)] for task, rank in easier.items()}


def bands_by_threshold(means: Mapping[str, float], thresholds: Sequence[float]) -> dict[str, str]:
    """Bands of tasks by the least mean NS of all bands but the last, from the easiest on.

    Raises:
        ValueError: there are not three thresholds, or they do not fall.
    """
    if len(thresholds) != len(BANDS) - 1 or sorted(set(thresholds), reverse=True) != list(thresholds):
        raise ValueError(f"bands have {len(BANDS) - 1} thresholds that fall, such as 0.75, 0.5, 0.25")
    return {task: BANDS[sum(mean < least for least in thresholds)] for task, mean in means.items()}
