"""The sections of downstream scores: what was scored, the six zero-shot tasks, core-14; none without scores."""

from collections.abc import Sequence

from aira_lib.report import downstream_differences, downstream_scored, downstream_tables, printed_tables
from aira_lib.report.blocks import Block, FigureBlock, Section, TableBlock, TextBlock
from aira_lib.report.comparison import Comparison
from aira_lib.report.downstream_compared import MeasureFound, Scoreboard
from aira_lib.report.downstream_figures import compared_figure
from aira_lib.report.downstream_summary import best_find
from aira_lib.report.downstream_tables import NAMES
from aira_lib.report.inputs import DownstreamRun
from aira_lib.report.printed import CORE_14, SIX


def downstream_sections(
    runs: Sequence[DownstreamRun], board: Scoreboard | None, comparison: Comparison
) -> list[Section]:
    """Sections of what was scored; none where the study asks for no downstream task."""
    if not runs:
        return []
    found = board.found if board else ()
    sections = [Section("downstream", "Downstream tasks", _scored_blocks(runs, board, found))]
    if board and (of_six := [each for each in found if each.measure.tasks == SIX]):
        table = downstream_tables.six_table(board, found, comparison)
        sections.append(Section("zero-shot", "Zero-shot tasks", [TableBlock(table), *_luck(board, of_six)]))
    if board and (core := next((each for each in found if each.measure.tasks == CORE_14), None)):
        sections.append(Section("core-14", "Core-14", _core_blocks(board, core)))
    return sections


def _scored_blocks(
    runs: Sequence[DownstreamRun], board: Scoreboard | None, found: Sequence[MeasureFound]
) -> list[Block]:
    blocks: list[Block] = [TextBlock(text) for text in _opening(runs, board, found) if text]
    if board and found:
        blocks.append(TableBlock(downstream_differences.compared_table(board, found)))
        caption = (
            "Differences to the baseline in means over tasks: thick the 95 % interval of one design, thin the interval "
            "that holds for all designs at once, and so for the best."
        )
        blocks.append(FigureBlock(compared_figure(board, found), caption, "There is no baseline to compare with."))
        blocks.append(TableBlock(downstream_differences.differences_table(board), folded=True))
    blocks.append(TableBlock(downstream_scored.tasks_table(runs)))
    failed = downstream_scored.failed_table(runs)
    return [*blocks, *([TableBlock(failed)] if failed.rows else [])]


def _opening(runs: Sequence[DownstreamRun], board: Scoreboard | None, found: Sequence[MeasureFound]) -> list[str]:
    scored = [run for run in runs if run.record.tasks]
    diverged = sorted(run.record.point.id for run in runs if run.record.status == "diverged")
    limits = sorted({run.record.limit for run in scored if run.record.limit is not None})
    count = f"{len(scored)} checkpoint{'s were' if len(scored) != 1 else ' was'} scored"
    if limits:
        count += f" on a sample of at most {', '.join(map(str, limits))} items a task, the same for all"
    texts = [count + "."]
    if diverged:
        texts.append(f"Diverged, and not scored: {', '.join(diverged)}.")
    if board is None:
        return [*texts, "None of them was trained for equal tokens, so no means are compared."]
    texts.append(_reference_sentence(board))
    texts += [_missing_sentence(each, board) for each in found]
    texts.append(_unpaired_sentence(board))
    return [*texts, _beyond_sentence(board, found), _seeds_sentence(found)]


def _reference_sentence(board: Scoreboard) -> str:
    if board.reference is None:
        return "No baseline was scored, so there is nothing to take differences from."
    return f"Differences are to the baseline {board.reference.label}."


def _missing_sentence(found: MeasureFound, board: Scoreboard) -> str:
    """Which tasks a mean lacks, and whether nobody was asked or some checkpoint has no score."""
    if not found.missing:
        return ""
    asked = {(t.task, t.shots) for design in board.designs for run in design.runs for t in run.record.tasks}
    parts = {task.task: (task.task, task.shots) for task, _ in found.measure.parts}
    partly = [NAMES[name] for name in found.missing if parts[name] in asked]
    never = [NAMES[name] for name in found.missing if parts[name] not in asked]
    said = [f"not scored: {', '.join(never)}"] if never else []
    said += [f"not scored of every checkpoint, or on other items: {', '.join(partly)}"] if partly else []
    return (
        f"The mean of {found.measure.title} is over {len(found.among)} of its {len(found.measure.parts)} tasks "
        f"({'; '.join(said)})."
    )


def _unpaired_sentence(board: Scoreboard) -> str:
    fewer = [NAMES.get(task, task) for (task, _), each in board.paired.items() if each.items < each.most]
    return f"Checkpoints share only some items, and are compared by these: {', '.join(fewer)}." if fewer else ""


def _beyond_sentence(board: Scoreboard, found: Sequence[MeasureFound]) -> str:
    """Which differences are larger than their error, of how many."""
    judged = [(each, label) for each in found for label in each.against]
    if not judged:
        return ""
    beyond = [
        f"{label} in {each.measure.title}"
        for each, label in judged
        if each.against[label].verdict.endswith("beyond its error")
    ]
    designs = f"{len(judged)} difference{'s' if len(judged) > 1 else ''} of means"
    return f"Of {designs}, larger than their error: {', '.join(beyond) or 'none'}."


def _seeds_sentence(found: Sequence[MeasureFound]) -> str:
    known = [(each, each.spread) for each in found if each.spread is not None]
    if not known:
        return (
            "Every design has one seed: errors are those of these checkpoints over items, and another training of the "
            "same design may differ by more."
        )
    said = ", ".join(f"{100 * spread.sd:.2f} points in {each.measure.title}" for each, spread in known)
    return f"Trainings of one design that differ in their seed alone vary by (standard deviation, pooled) {said}."


def _luck(board: Scoreboard, found: Sequence[MeasureFound]) -> list[Block]:
    return [TextBlock(text) for each in found if (text := luck_sentence(board, each))]


def luck_sentence(board: Scoreboard, found: MeasureFound) -> str:
    """How far the best of several finds is flattered by having been picked by this score; empty of a single one."""
    finds = [design.label for design in board.designs if not design.baseline]
    best = best_find(board, found)
    if found.luck is None or best is None:
        return ""
    said = (
        f"The best of {len(finds)} finds in {found.measure.title} is {best}. It was picked by this very score: were "
        f"all equally good, the best would stand {100 * found.luck.mean:.2f} points above their mean by chance, and "
        f"{100 * found.luck.high:.2f} in one case of twenty"
    )
    against = found.against.get(best)
    if against is None or against.simultaneous is None:
        return said + "."
    return (
        f"{said}. Its difference to the baseline, {_signed(against.whole.value)} points, has an interval of "
        f"± {100 * against.simultaneous:.2f} that holds for the best, whichever it is."
    )


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def _core_blocks(board: Scoreboard, core: MeasureFound) -> list[Block]:
    errors = [each.stderr for each in core.values.values() if each.stderr is not None]
    own = (
        f"By its items alone, this study's core-14 has a standard error of at most {100 * max(errors):.2f} points. "
        if errors
        else ""
    )
    reference = board.reference.printed.name if board.reference and board.reference.printed else "Llama 3.2"
    return [
        TableBlock(downstream_tables.core_table(board, core)),
        *_luck(board, [core]),
        TextBlock(own + printed_tables.paper_core_sentence()),
        TableBlock(printed_tables.paper_core_table(reference), folded=True),
    ]
