"""How long calls take: warmed up, each round all of them in another order, so that a drift meets all alike.

A machine gets slower as it gets warm, and others use it now and then. What is measured in blocks of time, one call
after the other, compares hours of the day.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import numpy as np
import torch

Call = Callable[[], object]
SAMPLE_SECONDS = 2e-2
"""Of one sample at least: a shorter call is made several times in a row, for a clock has its own cost and noise."""
WARM_UP = 3
"""Calls before any that counts: compilers, tables and allocators set themselves up in them."""
LEAST = 3
"""Samples of a case that takes longer than it may: fewer have no quartiles."""


class Clock(Protocol):
    """What measures time."""

    def seconds(self, call: Call, times: int) -> float:
        """Seconds that so many calls in a row take together."""


class WallClock:
    """Of calls that are done when they return."""

    def seconds(self, call: Call, times: int) -> float:
        """Seconds that so many calls in a row take together."""
        began = time.perf_counter()
        for _ in range(times):
            call()
        return time.perf_counter() - began


class CudaClock:
    """Of calls that launch kernels on the current stream: by events on the device, not by when they are launched."""

    def seconds(self, call: Call, times: int) -> float:
        """Seconds that so many calls in a row take together."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        begin.record()
        for _ in range(times):
            call()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3


class Spread(NamedTuple):
    """Seconds, or a share: the median and the quartiles around it."""

    median: float
    low: float
    high: float
    samples: int


def spread(samples: Mapping[int, float] | list[float]) -> Spread:
    """Median and quartiles of samples; of one sample all three are that."""
    values = list(samples.values()) if isinstance(samples, Mapping) else samples
    low, median, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return Spread(median, low, high, len(values))


def interleaved(
    cases: Mapping[str, Call],
    clock: Clock,
    repeats: int,
    limit: float,
    tell: Callable[[float, float], None] = lambda done, total: None,
) -> dict[str, dict[int, float]]:
    """Seconds of a call of each case, by the number of the round in which it was measured.

    Args:
        cases: what to call, by name.
        clock: what measures it.
        repeats: samples of each case, and rounds.
        limit: seconds that one case may take after its warm-up: it then has fewer samples, `LEAST` at least, spread
            evenly over the rounds.
        tell: told seconds done and in all, as foreseen, after each sample.
    """
    with _no_collection():
        once = {name: _warm(call, clock) for name, call in cases.items()}
        times = {name: max(1, math.ceil(SAMPLE_SECONDS / max(seconds, 1e-9))) for name, seconds in once.items()}
        counts = {name: _samples(once[name] * times[name], repeats, limit) for name in cases}
        total, done = sum(once[name] * times[name] * counts[name] for name in cases), 0.0
        found: dict[str, dict[int, float]] = {name: {} for name in cases}
        for number in range(repeats):
            for name in _order(list(cases), number):
                if not _takes_part(number, counts[name], repeats):
                    continue
                found[name][number] = clock.seconds(cases[name], times[name]) / times[name]
                done += once[name] * times[name]
                tell(done, total)
    return found


def _warm(call: Call, clock: Clock) -> float:
    """Seconds of the fastest of the first calls but the very first."""
    return min([clock.seconds(call, 1) for _ in range(WARM_UP)][1:])


def _samples(seconds: float, repeats: int, limit: float) -> int:
    """How many samples of so many seconds a case gets."""
    return max(min(LEAST, repeats), min(repeats, int(limit / max(seconds, 1e-9))))


def _takes_part(number: int, samples: int, rounds: int) -> bool:
    """Whether a case with so many samples has one in a round: they are spread evenly."""
    return (number + 1) * samples // rounds > number * samples // rounds


def _order(names: list[str], number: int) -> list[str]:
    """Another first one each round; in every second round the other way round."""
    first = number // 2 % len(names)
    turned = names[first:] + names[:first]
    return turned[::-1] if number % 2 else turned


@contextmanager
def _no_collection() -> Iterator[None]:
    """Within, Python does not look for garbage on its own, as in `timeit`."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
