"""Steps of searches and what each changed: improvements, as the paper counts them, and all attempts beside them.

A step's script is compared with that of the best step before it, not with its parent's: that is how the paper's tables
are made. They hold improvements alone, so that what they say of a feature is conditional on success. The attempts hold
every step that was scored, or failed, while there was a best one to compare it with.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aira_lib.autoresearch.features.alternatives import Value, differ
from aira_lib.autoresearch.features.catalogue import FEATURES, Analysis, analyse
from aira_lib.autoresearch.features.source import Unreadable
from aira_lib.records import Node

NOT_KNOWN = Analysis(features={}, constants={})
"""Of a script that cannot be read."""


@dataclass(frozen=True)
class Event:
    """One step beside the best before it.

    Attributes:
        search: Which search it is of.
        step: Its number in the journal.
        score: Its score (bits per byte; lower is better); None of a failed step.
        best: The best score before it; None where the step is the first that was scored.
        gain: By how much it is better than the best before; None of what is no improvement.
        changed: Of each feature that differs from the best step's, under one condition at least: its value there and
            here, both known.
        constants: Of each other constant that differs: how it was written there and here; empty where it was not.
        unresolved: Features that cannot be compared, for one of the two scripts does not tell, or their conditions
            are others.
        readable: Whether both scripts could be read.
    """

    search: str
    step: int
    score: float | None
    best: float | None
    gain: float | None
    changed: Mapping[str, tuple[Value, Value]]
    constants: Mapping[str, tuple[Value, Value]]
    unresolved: tuple[str, ...]
    readable: bool = True

    @property
    def improves(self) -> bool:
        """Whether it is better than the best before it."""
        return self.gain is not None

    @property
    def solo(self) -> str:
        """The feature that alone of the 27 changed; empty where none or several did, or that cannot be known."""
        return next(iter(self.changed)) if len(self.changed) == 1 and not self.unresolved else ""

    @property
    def one_change(self) -> str:
        """What alone changed, constants counted: a feature or a constant; empty where it was none or several."""
        both = [*self.changed, *self.constants]
        return both[0] if len(both) == 1 and not self.unresolved and self.readable else ""


@dataclass(frozen=True)
class Origin:
    """What a search starts from: the script of the baseline and its score. Without one, the first scored step."""

    code: str
    score: float


def events_of(search: str, nodes: Sequence[Node], origin: Origin | None = None) -> list[Event]:
    """The events of one search, in the order in which its steps were made.

    Args:
        search: Its name.
        nodes: Of its journal; `validation` is the score, lower is better.
        origin: With one, the first improvement is the first step better than it.
    """
    best = None if origin is None else origin.score
    before = NOT_KNOWN if origin is None else analysis_of(origin.code)
    events = []
    for node in nodes:
        score = (
            node.validation if node.good and node.validation is not None and math.isfinite(node.validation) else None
        )
        here = analysis_of(node.code)
        if best is not None:
            gain = best - score if score is not None and score < best else None
            events.append(_event(search, node.step, score, best, gain, before, here))
        elif score is not None:
            events.append(Event(search, node.step, score, None, None, {}, {}, ()))
        if score is not None and (best is None or score < best):
            best, before = score, here
    return events


@lru_cache(maxsize=64)
def analysis_of(code: str) -> Analysis:
    """The features of a script; those of one that cannot be read are not known."""
    try:
        return analyse(code)
    except Unreadable:
        return NOT_KNOWN


def _event(
    search: str, step: int, score: float | None, best: float, gain: float | None, before: Analysis, here: Analysis
) -> Event:
    if not (before.features and here.features):
        return Event(search, step, score, best, gain, {}, {}, tuple(FEATURES), readable=False)
    pairs = {name: (before.features[name].value, here.features[name].value) for name in FEATURES}
    states = {name: differ(*pair) for name, pair in pairs.items()}
    changed = {name: pair for name, pair in pairs.items() if states[name]}
    names = dict.fromkeys([*before.constants, *here.constants])
    written = {name: (before.constants.get(name, ""), here.constants.get(name, "")) for name in names}
    return Event(
        search, step, score, best, gain, changed, {name: pair for name, pair in written.items() if differ(*pair)},
        tuple(name for name, state in states.items() if state is None),
    )  # fmt: skip


def improvements(events: Iterable[Event]) -> list[Event]:
    """Those that are better than the best before."""
    return [event for event in events if event.improves]


def attempts(events: Iterable[Event]) -> list[Event]:
    """Steps that had a best one before them and whose script could be compared with it."""
    return [event for event in events if event.best is not None and event.readable]
