"""What downstream scores add to the head of the report: a sentence, numbers, and the same for programs."""

from aira_lib.report.blocks import KeyNumber
from aira_lib.report.columns import format_number
from aira_lib.report.downstream_compared import MeasureFound, Scoreboard


def downstream_sentences(board: Scoreboard | None) -> list[str]:
    """The best find in core-14, or in accuracy where that was not scored; never more than its error allows."""
    found = board.foremost if board else None
    if board is None or found is None:
        return []
    best = best_find(board, found)
    if best is None:
        return []
    over = f", over {len(found.among)} of its {len(found.measure.parts)} tasks," if found.missing else ""
    opening = (
        f"Downstream, the highest mean of the finds in {found.measure.title}{over} is that of {best}, "
        f"{100 * found.values[best].value:.1f} %"
    )
    against = found.against.get(best)
    if against is None or board.reference is None:
        return [f"{opening}; no baseline was scored beside it."]
    margin = f", 95 % margin {100 * against.whole.margin:.2f}" if against.whole.margin is not None else ""
    points = format_number(100 * against.whole.value, "+.2f")
    return [f"{opening}, {points} points to {board.reference.label}: {against.verdict}{margin}."]


def best_find(board: Scoreboard, found: MeasureFound) -> str | None:
    """The label of the find with the highest mean; None without finds."""
    finds = [design.label for design in board.designs if not design.baseline]
    return max(finds, key=lambda label: found.values[label].value, default=None)


def downstream_key_numbers(board: Scoreboard | None) -> list[KeyNumber]:
    """The difference of the best find to the baseline, where that is larger than its error."""
    found = board.foremost if board else None
    if board is None or found is None:
        return []
    best = best_find(board, found)
    against = found.against.get(best) if best else None
    if against is None or board.reference is None or not against.verdict.endswith("beyond its error"):
        return []
    remark = f"{best}, {against.verdict}; the baseline is {board.reference.label}"
    value = format_number(100 * against.whole.value, "+.1f")
    return [KeyNumber(f"points in {found.measure.title}, to the baseline", value, remark)]


def downstream_headline(board: Scoreboard | None) -> dict[str, object]:
    """For `summary.json`: means of the best find, shares from 0 to 1, and its difference; nothing without scores."""
    if board is None or board.foremost is None or (best := best_find(board, board.foremost)) is None:
        return {}
    numbers: dict[str, object] = {"design": best}
    for found in board.found:
        numbers[found.measure.key] = found.values[best].value
        numbers[f"{found.measure.key}_tasks"] = list(found.among)
        if against := found.against.get(best):
            numbers |= {
                f"{found.measure.key}_difference": against.whole.value,
                f"{found.measure.key}_margin_95": against.whole.margin,
                f"{found.measure.key}_verdict": against.verdict,
            }
    return {"best_downstream": numbers}
