"""The page of `aira scores`: what it says, in which order."""

from collections.abc import Sequence

from aira_lib.report.blocks import Block, FigureBlock, KeyNumber, Section, TableBlock, TextBlock
from aira_lib.report.columns import Table, format_number
from aira_lib.report.scored import by_task_table, ratings_table, short_name
from aira_lib.report.tables import stand_ins_table
from aira_lib.standings.board import Board
from aira_lib.standings.figures import gaps_figure, normalised_figure, peaks_figure, rates_figure, ratings_figure
from aira_lib.standings.reading import Records
from aira_lib.standings.tables import (
    agents_table,
    best_table,
    normalised_table,
    references_table,
    runs_table,
    scales_table,
)

_NONE = "There is nothing to draw."


def tables_of(board: Board, records: Records) -> list[Table]:
    """All tables, as they are written into files."""
    anchors = list(dict.fromkeys(anchor for of in board.scales.values() for anchor in of))
    return [
        agents_table(board),
        by_task_table(board.runs, board.tasks),
        normalised_table(board),
        best_table(board, records),
        ratings_table(board.ratings, references_of(board)),
        scales_table(board),
        references_table(board),
        runs_table(board, anchors),
    ]


def references_of(board: Board) -> list[str]:
    """Players that are no agents."""
    return list(dict.fromkeys(name for task in board.tasks.values() for name in task.references))


def key_numbers_of(board: Board) -> list[KeyNumber]:
    """Who is ahead, by normalised scores and by rating."""
    placed = [each for each in board.agents if each.ns]
    numbers = [KeyNumber("searches", str(len(board.runs)), f"of {len(board.agents)} agents on {_tasks(board)}")]
    if placed:
        best = max(placed, key=lambda each: each.ns.value if each.ns else 0.0)
        assert best.ns is not None
        remark = f"mean normalised score of {best.agent}{_between(best.ns.low, best.ns.high, '.2f')}"
        numbers.append(KeyNumber("best agent", format_number(best.ns.value, ".3f"), remark))
    rated = {name: found for name, found in board.ratings.items() if name not in references_of(board)}
    if len(board.ratings) > 1 and rated:
        name, found = max(rated.items(), key=lambda each: each[1].value)
        remark = f"Elo of {name}{_between(found.low, found.high, '.0f')}"
        numbers.append(KeyNumber("highest rating of an agent", format_number(found.value, ".0f"), remark))
    return numbers


def _between(low: float | None, high: float | None, spec: str) -> str:
    return "" if low is None or high is None else f", 95 % {format_number(low, spec)} to {format_number(high, spec)}"


def _tasks(board: Board) -> str:
    return f"{len(board.tasks)} task{'s' * (len(board.tasks) != 1)}"


def sentences_of(board: Board, records: Records) -> list[str]:
    """What a reader has to know before any number."""
    said = [
        f"{missing} of {of} searches of study {study} are not finished; every number is without them."
        for study, (missing, of) in records.unfinished.items()
    ]
    loose = [task for task in board.scales if task not in board.pinned]
    if loose:
        said.append(
            f"The worst score of {len(loose)} of {_tasks(board)} is not pinned: it is that of these runs, and a "
            "further run can move all normalised scores; `--pinned FILE` keeps it."
        )
    for task, of in board.scales.items():
        if len(of) > 1:
            names = ", ".join(f"{name} {scale.sota:.4g}" for name, scale in of.items())
            said.append(
                f"`{short_name(task)}` has several anchors ({names}); means over tasks are taken with the first."
            )
    return [*said, *board.remarks]


def sections_of(board: Board, records: Records, tables: Sequence[Table]) -> list[Section]:
    """The parts of the page, of the tables of `tables_of`."""
    agents, by_task, normalised, best, ratings, scales, references, _ = tables
    stand_ins: list[Block] = [TableBlock(stand_ins_table(records.stand_ins))]
    overall: list[Block] = [
        FigureBlock(normalised_figure(board), "Normalised scores of agents (the paper's Figure 10).", _NONE),
        TableBlock(agents),
    ]
    caption = (
        "The best test score of any candidate, submitted or not (the paper's Figure 8): means over runs with bootstrap "
        "intervals. Lines are references."
    )
    in_tasks: list[Block] = [
        FigureBlock(peaks_figure(board), caption, _NONE),
        FigureBlock(
            rates_figure(board), "Valid submission rates with Wilson's intervals (the paper's Figure 9).", _NONE
        ),
        FigureBlock(
            gaps_figure(board),
            "Submitted against best tested (the paper's Figure 11), means over runs with a valid submission.",
            _NONE,
        ),
        TableBlock(by_task),
    ]
    rated: list[Block] = [
        FigureBlock(ratings_figure(board), "Ratings of agents and references.", _NONE),
        TableBlock(ratings),
    ]
    scaled: list[Block] = [TableBlock(scales), TableBlock(references)]
    if records.stand_ins:
        scaled.insert(0, TextBlock("Anchors are published results on the real data; what stood in is at the top."))
    return [
        *([Section("stand-ins", "What stood in for what", stand_ins, boxed=True)] if records.stand_ins else []),
        Section("agents", "Agents over all tasks", overall),
        Section("tasks", "Agents by task", in_tasks),
        Section("normalised", "Normalised scores by task", [TableBlock(normalised)]),
        Section("best", "The best submissions", [TableBlock(best)]),
        Section("ratings", "Ratings", rated),
        Section("scales", "Scales and references", scaled),
    ]


def figures_in(sections: Sequence[Section]) -> list[FigureBlock]:
    """The figures of sections that could be drawn."""
    return [
        block for section in sections for block in section.blocks if isinstance(block, FigureBlock) and block.figure
    ]
