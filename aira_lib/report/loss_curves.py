"""Loss curves of real runs: means over windows of steps, averaged over seeds, with the seeds' range."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aira_lib.report.inputs import LossCurve

Floats = NDArray[np.float64]

POINTS = 240
"""So many points has a curve at most."""


@dataclass(frozen=True)
class Smooth:
    """A curve [points] over seeds: tokens, FLOPs, and of the loss (nats a token) its mean and range over seeds."""

    tokens: Floats
    flops: Floats
    mean: Floats
    low: Floats
    high: Floats
    window: int
    seeds: int

    def late(self, share: float, windows: int) -> "Smooth":
        """What follows a share of the tokens, with so many windows made one."""
        late = np.flatnonzero(self.tokens > share * self.tokens[-1])
        starts = np.arange(0, len(late), windows)
        sizes = np.diff([*starts, len(late)])
        made = self._of(lambda column: np.add.reduceat(column[late], starts) / sizes if len(late) else column[late])
        return replace(made, window=self.window * windows)

    def where(self, kept: NDArray[np.bool_]) -> "Smooth":
        """Some of its points."""
        return self._of(lambda column: column[kept])

    def _of(self, change: Callable[[Floats], Floats]) -> "Smooth":
        columns = (self.tokens, self.flops, self.mean, self.low, self.high)
        tokens, flops, mean, low, high = map(change, columns)
        return replace(self, tokens=tokens, flops=flops, mean=mean, low=low, high=high)


def smoothed(curves: Sequence[LossCurve]) -> Smooth | None:
    """Means over windows of equally many steps, over the runs of one design and budget that differ in their seed.

    A window of a run that has no finite loss is left out of the mean and of the range; None where none is left.
    """
    longest = max((len(curve.loss) for curve in curves), default=0)
    if not longest:
        return None
    window = math.ceil(longest / POINTS)
    whole = max(curves, key=lambda curve: len(curve.loss))
    losses = np.full((len(curves), math.ceil(longest / window)), np.nan)
    for row, curve in zip(losses, curves, strict=True):
        means = _windows(curve.loss, window)
        row[: len(means)] = means
    finite = np.isfinite(losses)
    kept = np.asarray(finite.any(axis=0))
    if not kept.any():
        return None
    flops = whole.flops if len(whole.flops) else np.full(longest, np.nan)
    smooth = Smooth(
        tokens=_windows(whole.tokens, window),
        flops=_windows(flops, window),
        mean=np.where(finite, losses, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1),
        low=np.where(finite, losses, np.inf).min(axis=0),
        high=np.where(finite, losses, -np.inf).max(axis=0),
        window=window * whole.window,
        seeds=len(curves),
    )
    return smooth.where(kept)


def decimated(columns: Mapping[str, Sequence[float]], steps: int) -> LossCurve:
    """A loss curve as it is recorded, one row a step, in windows that make at most `POINTS` of the planned steps.

    Args:
        columns: `step`, `tokens`, `flops`, `loss` and others.
        steps: of the whole run; one that diverged has fewer, and the same windows.
    """
    window = math.ceil(steps / POINTS)
    last = columns["step"][window - 1 :: window]
    whole = len(columns["step"]) % window
    step = [int(each) for each in [*last, *(columns["step"][-1:] if whole else [])]]
    tokens, flops, loss = (_windows(columns[name], window).tolist() for name in ("tokens", "flops", "loss"))
    return LossCurve(step, tokens, loss, flops, window)


def _windows(values: Sequence[float] | Floats, window: int) -> Floats:
    """Means over windows of what is finite in them; NaN of a window without any."""
    numbers = np.asarray(values, dtype=np.float64)
    starts = np.arange(0, len(numbers), window)
    finite = np.isfinite(numbers)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.add.reduceat(np.where(finite, numbers, 0.0), starts) / np.add.reduceat(finite.astype(np.float64), starts)
        )


def window_sentence(curves: Sequence[Smooth]) -> str:
    """How the curves were smoothed."""
    windows = sorted({curve.window for curve in curves})
    if len(windows) == 1:
        steps = f"{windows[0]:,} step{'s' * (windows[0] > 1)}"
    else:
        steps = f"{windows[0]:,} to {windows[-1]:,} steps, longer in longer runs"
    seeds = max(curve.seeds for curve in curves)
    over = ", averaged over seeds; the band is their range" if seeds > 1 else "; there is one seed"
    return f"Every point is the mean over a window of {steps}{over}."
