"""The tables of `aira features`: the paper's Tables 19 to 21 from own journals, and what they cannot say."""

from collections.abc import Mapping, Sequence

from aira_lib.autoresearch.features import counting
from aira_lib.autoresearch.features.alternatives import change, written
from aira_lib.autoresearch.features.catalogue import FEATURES, Analysis
from aira_lib.autoresearch.features.counting import Gains
from aira_lib.autoresearch.features.events import Event, improvements
from aira_lib.report.columns import Column, Row, Table
from aira_lib.scores.interval import Interval

_GAINS = (
    Column("count", "Count"),
    Column("median_gain", "Median", spec=".4f"),
    Column("mean_gain", "Mean", spec=".4f"),
    Column("best_gain", "Best", spec=".4f"),
)
_TRIED = (
    Column("tried", "Attempts"),
    Column("p_improve", "P(improve | changed)", spec=".2f"),
    Column("low", "from", spec=".2f"),
    Column("high", "to", spec=".2f"),
)
_NAME = Column("feature", "Feature", style="name")


def _gains(gains: Gains) -> Row:
    return {
        "count": gains.count, "median_gain": gains.median, "mean_gain": gains.mean, "best_gain": gains.best,
    }  # fmt: skip


def _tried(tried: int, chance: Interval | None) -> Row:
    value, low, high = chance or (None, None, None)
    return {"tried": tried, "p_improve": value, "low": low, "high": high}


def _chance(name: str, chance: Interval | None) -> Row:
    value, low, high = chance or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def features_table(events: Sequence[Event]) -> Table:
    """Table 19, with attempts beside improvements."""
    rows: list[Row] = [
        {"feature": each.feature, "category": FEATURES[each.feature].category} | _gains(each.gains)
        | {"solo": each.solo.count, "solo_median_gain": each.solo.median}
        | _tried(each.tried, each.chance) | {"unresolved": each.unresolved}
        for each in counting.feature_counts(events)
    ]  # fmt: skip
    columns = [
        _NAME, Column("category", "Category", style="name"), *_GAINS, Column("solo", "Solo"),
        Column("solo_median_gain", "Solo median", spec=".4f"), *_TRIED, Column("unresolved", "Unresolved"),
    ]  # fmt: skip
    caption = (
        "Gains of improvements that changed a feature (the paper's Table 19); solo: the only one of the 27. Attempts "
        "are all steps that changed it, and P the share of them that improved, with Wilson's interval of 95 %."
    )
    return Table("table_19", caption, columns, rows)


def toggles_table(events: Sequence[Event]) -> Table:
    """Table 20, with the chances of both directions."""
    rows: list[Row] = [
        {
            "feature": each.feature, "add_count": each.added.count, "add_median_gain": each.added.median,
            "remove_count": each.removed.count, "remove_median_gain": each.removed.median, "verdict": each.verdict,
            **_chance("p_add", each.chance_added), **_chance("p_remove", each.chance_removed),
        }
        for each in counting.toggle_counts(events)
    ]  # fmt: skip
    numbers = [("p_add", "P(improve | added)"), ("p_add_low", "from"), ("p_add_high", "to"),
               ("p_remove", "P(improve | removed)"), ("p_remove_low", "from"), ("p_remove_high", "to")]  # fmt: skip
    columns = [
        _NAME, Column("add_count", "Added"), Column("add_median_gain", "Median", spec=".4f"),
        Column("remove_count", "Removed"), Column("remove_median_gain", "Median", spec=".4f"),
        Column("verdict", "Verdict", style="name"), *(Column(key, title, spec=".2f") for key, title in numbers),
    ]  # fmt: skip
    caption = (
        "Improvements that switched a feature on or off (the paper's Table 20). The verdict compares medians of steps "
        "that succeeded, so that it is no effect of the feature; the chances are over all attempts. What goes on under "
        "one condition and off under another counts as neither."
    )
    return Table("table_20", caption, columns, rows)


def categories_table(events: Sequence[Event]) -> Table:
    """Table 21, with attempts."""
    total = len(improvements(events))
    rows: list[Row] = [
        {"category": name, "percent_of_improvements": 100 * gains.count / total if total else None}
        | _gains(gains) | _tried(tried, chance)
        for name, gains, tried, chance in counting.category_counts(events)
    ]  # fmt: skip
    columns = [Column("category", "Category", style="name"), *_GAINS[:1],
               Column("percent_of_improvements", "Share", "%", spec=".0f"), *_GAINS[1:], *_TRIED]  # fmt: skip
    caption = (
        "Improvements that changed a feature of a category (the paper's Table 21), and their share of all "
        "improvements; one that changed several counts in each."
    )
    return Table("table_21", caption, columns, rows)


def transitions_table(events: Sequence[Event]) -> Table:
    """From which kind of feed-forward layer to which."""
    caption = "From which kind of feed-forward layer (mlp_type) to which."
    return _grouped("transitions", "transition", caption, counting.transition_counts(events))


def constants_table(events: Sequence[Event]) -> Table:
    """Other constants that changed."""
    caption = "Constants of the module that changed and are none of the 27."
    return _grouped("constants", "constant", caption, counting.constant_counts(events))


def single_table(events: Sequence[Event]) -> Table:
    """What was the only change of a step."""
    caption = (
        "Steps in which one thing alone changed, of the 27 and the other constants together: gains that can be put "
        "down to it, as far as code elsewhere is the same."
    )
    return _grouped("one_change", "change", caption, counting.one_change_counts(events))


def _grouped(
    name: str, key: str, caption: str, counts: Sequence[tuple[str, Gains, int, Interval | None]]
) -> Table:  # fmt: skip
    rows: list[Row] = [{key: label} | _gains(gains) | _tried(tried, chance) for label, gains, tried, chance in counts]
    columns = [Column(key, key.capitalize(), style="name"), *_GAINS, *_TRIED]
    return Table(name, caption, columns, rows, empty="No step changed one.")


def steps_table(events: Sequence[Event]) -> Table:
    """Figure 28 as data: every step that was scored or failed, with what it changed."""
    rows: list[Row] = [
        {
            "search": each.search, "step": each.step, "score": each.score, "best_before": each.best, "gain": each.gain,
            "changed": "; ".join(f"{name}: {change(*pair)}" for name, pair in each.changed.items()),
            "constants": "; ".join(f"{name}: {change(*pair)}" for name, pair in each.constants.items()),
            "unresolved": " ".join(each.unresolved) if each.readable else "all",
        }
        for each in events
    ]  # fmt: skip
    columns = [
        Column("search", "Search", style="text"), Column("step", "Step"), Column("score", "BPB", spec=".4f"),
        Column("best_before", "Best before", spec=".4f"), Column("gain", "Gain", spec=".4f"),
        Column("changed", "Changed", style="text"),
        *(Column(key, title, style="text", shown=any(row[key] for row in rows))
          for key, title in (("constants", "Other constants"), ("unresolved", "Unresolved"))),
    ]  # fmt: skip
    return Table("steps", "Every step beside the best one before it.", columns, rows, group="search")


def scripts_table(scripts: Mapping[str, Analysis]) -> Table:
    """The features of scripts, with the lines that show them, and their other constants."""
    rows: list[Row] = []
    for path, analysis in scripts.items():
        for name, found in analysis.features.items():
            shown = written(found.value, "on", "off")
            lines = " ".join(map(str, found.lines))
            rows.append({"script": path, "feature": name, "value": shown, "lines": lines})
        rows += [
            {"script": path, "feature": n, "value": written(v), "lines": ""} for n, v in analysis.constants.items()
        ]
    columns = [
        Column("script", "Script", style="name"), _NAME, Column("value", "Value", style="text"),
        Column("lines", "Lines", style="text"),
    ]  # fmt: skip
    return Table("scripts", "Features of scripts, then their other constants.", columns, rows, group="script")
