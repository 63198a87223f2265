"""Counts over events: of features, toggles, categories and transitions (the paper's Tables 19 to 21), and chances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from aira_lib.autoresearch.features.alternatives import Plain, side_by_side
from aira_lib.autoresearch.features.catalogue import CATEGORIES, FEATURES, TOGGLES
from aira_lib.autoresearch.features.events import Event, attempts, improvements
from aira_lib.scores.interval import Interval
from aira_lib.scores.submissions import valid_submission_rate


@dataclass(frozen=True)
class Gains:
    """Gains of some improvements: how many, their median, mean and largest. None where there is none."""

    count: int
    median: float | None = None
    mean: float | None = None
    best: float | None = None


@dataclass(frozen=True)
class FeatureCount:
    """A row of Table 19, and beside it what all attempts say.

    Attributes:
        feature: Its name.
        gains: Of improvements that changed it.
        solo: Of improvements that changed it alone of the 27.
        tried: Attempts that changed it.
        chance: The share of these that improved, with Wilson's interval; None where none changed it.
        unresolved: Attempts in which it cannot be compared.
    """

    feature: str
    gains: Gains
    solo: Gains
    tried: int
    chance: Interval | None
    unresolved: int


@dataclass(frozen=True)
class ToggleCount:
    """A row of Table 20: improvements that switched it on, those that switched it off, which helped more.

    One that switches it on under one condition and off under another counts as neither.
    """

    feature: str
    added: Gains
    removed: Gains
    chance_added: Interval | None
    chance_removed: Interval | None

    @property
    def verdict(self) -> str:
        """By the larger median, as the paper's; empty where it never changed in an improvement."""
        on, off = self.added.median, self.removed.median
        if on is None or off is None:
            return "" if on is off else "add only" if off is None else "remove only"
        return "equal" if on == off else "add helps more" if on > off else "remove helps more"


def gains_of(events: Sequence[Event]) -> Gains:
    """The gains of those events that are improvements."""
    found = [event.gain for event in events if event.gain is not None]
    return Gains(len(found), median(found), fmean(found), max(found)) if found else Gains(0)


def chance_of(events: Sequence[Event]) -> Interval | None:
    """The share of attempts that improve, with Wilson's interval of 95 %."""
    return valid_submission_rate([(len(improvements(events)), len(events))]) if events else None


def feature_counts(events: Sequence[Event]) -> list[FeatureCount]:
    """Table 19: all 27, those with the largest median gain first, those never changed last."""
    tried = attempts(events)
    rows = []
    for name in FEATURES:
        own = [event for event in tried if name in event.changed]
        alone = [event for event in own if event.solo == name]
        rows.append(
            FeatureCount(
                name, gains_of(own), gains_of(alone), len(own), chance_of(own),
                sum(name in event.unresolved for event in tried),
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: -1.0 if row.gains.median is None else row.gains.median, reverse=True)


def toggle_counts(events: Sequence[Event]) -> list[ToggleCount]:
    """Table 20: the 18 toggles by name."""
    tried = attempts(events)
    rows = []
    for name in sorted(TOGGLES):
        switched = [(event, _to(event, name)) for event in tried if name in event.changed]
        added = [event for event, to in switched if to == {True}]
        removed = [event for event, to in switched if to == {False}]
        rows.append(ToggleCount(name, gains_of(added), gains_of(removed), chance_of(added), chance_of(removed)))
    return rows


def _to(event: Event, name: str) -> set[Plain]:
    """What a feature became, under whichever conditions it changed."""
    return {after for _, after in went(event, name)}


def went(event: Event, name: str) -> list[tuple[Plain, Plain]]:
    """From what to what a feature changed, under whichever conditions it did: mostly one pair, none of what did not."""
    pairs = side_by_side(*event.changed[name]) if name in event.changed else []
    return list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))


def category_counts(events: Sequence[Event]) -> list[tuple[str, Gains, int, Interval | None]]:
    """Table 21: of each category the gains of improvements that changed any of its features, attempts, their chance."""
    return _grouped(events, [(name, _in(name)) for name in CATEGORIES])


def _in(category: str) -> Callable[[Event], bool]:
    return lambda event: any(FEATURES[name].category == category for name in event.changed)


def transition_counts(
    events: Sequence[Event], feature: str = "mlp_type"
) -> list[tuple[str, Gains, int, Interval | None]]:
    """From which value to which a feature went, the most frequent first; by conditions it may be several at once."""
    pairs = dict.fromkeys(pair for event in attempts(events) for pair in went(event, feature))
    rows = _grouped(events, [(f"{a} to {b}", _went(feature, (a, b))) for a, b in pairs])
    return sorted(rows, key=lambda row: (row[1].count, row[2]), reverse=True)


def _went(feature: str, pair: tuple[object, object]) -> Callable[[Event], bool]:
    return lambda event: pair in went(event, feature)


def constant_counts(events: Sequence[Event]) -> list[tuple[str, Gains, int, Interval | None]]:
    """Constants beside the 27 that changed, the most tried first."""
    names = dict.fromkeys(name for event in attempts(events) for name in event.constants)
    rows = _grouped(events, [(name, _wrote(name)) for name in names])
    return sorted(rows, key=lambda row: row[2], reverse=True)


def _wrote(name: str) -> Callable[[Event], bool]:
    return lambda event: name in event.constants


def one_change_counts(events: Sequence[Event]) -> list[tuple[str, Gains, int, Interval | None]]:
    """What was the only change of an attempt, feature or constant, the most tried first."""
    names = dict.fromkeys(event.one_change for event in attempts(events) if event.one_change)
    rows = _grouped(events, [(name, _alone(name)) for name in names])
    return sorted(rows, key=lambda row: row[2], reverse=True)


def _alone(name: str) -> Callable[[Event], bool]:
    return lambda event: event.one_change == name


def _grouped(
    events: Sequence[Event], groups: Sequence[tuple[str, Callable[[Event], bool]]]
) -> list[tuple[str, Gains, int, Interval | None]]:
    tried = attempts(events)
    own = [(name, [event for event in tried if holds(event)]) for name, holds in groups]
    return [(name, gains_of(of), len(of), chance_of(of)) for name, of in own]
