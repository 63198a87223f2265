"""What the page says: every section, computed from the inputs."""

from collections.abc import Iterable
from dataclasses import replace

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.records import Downstream, Score
from aira_lib.report import figures, searches, tables
from aira_lib.report.agents import RANDOM, Agents, agents_compared, agents_figure, agents_table, curves_table
from aira_lib.report.blocks import Block, Content, FigureBlock, LinksBlock, Section, TableBlock, TextBlock
from aira_lib.report.comparison import compare
from aira_lib.report.downstream_compared import scoreboard
from aira_lib.report.downstream_scored import scores_table
from aira_lib.report.downstream_sections import downstream_sections
from aira_lib.report.downstream_summary import downstream_headline, downstream_key_numbers, downstream_sentences
from aira_lib.report.headline import key_numbers
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.isoflop import began_alike, frontiers
from aira_lib.report.latency_section import latency_sections
from aira_lib.report.pretraining_sections import isoflop_section, isotoken_section
from aira_lib.report.program_sections import (
    costs_of_all,
    data_table,
    improvements_of_all,
    program_headline,
    program_sections,
)
from aira_lib.report.rates import rate_sections
from aira_lib.report.scored_sections import scored_key_numbers, scored_sections, scored_sentences
from aira_lib.report.sizes import sizes_table
from aira_lib.report.strips import Strip
from aira_lib.report.summary import best_summary, selection_sentence, summary_sentences
from aira_lib.report.throughput import throughput_table
from aira_lib.study import Study, digest
from aira_lib.tasks.section import family_of, task_of
from aira_lib.training.rate_check import rate_checks


def build(study: Study, inputs: ReportInputs) -> Content:
    """Compute every number, table and figure of the report; the order of the inputs does not matter."""
    inputs = _ordered(study, inputs)
    return _of_designs(study, inputs) if family_of(study.task).has_designs else _of_programs(study, inputs)


def _of_programs(study: Study, inputs: ReportInputs) -> Content:
    """Of a study whose candidates are programs, which has searches alone."""
    task = task_of(study.task)
    stand_ins: list[Block] = [
        TableBlock(tables.stand_ins_table(inputs.stand_ins)),
        TableBlock(data_table(inputs.searches)),
        TableBlock(tables.versions_table(inputs.versions), folded=True),
    ]
    return Content(
        study=study,
        digest=digest(study),
        summary=scored_sentences(task, inputs.searches),
        sections=[
            *_failed_sections(inputs),
            Section("stand-ins", "What stood in for what", stand_ins, boxed=True),
            *scored_sections(task, inputs.searches),
            *program_sections(task, inputs.searches),
            _search_section(inputs, task.metric),
            *_further_sections(inputs),
            _cost_section(inputs),
        ],
        data_tables=[
            searches.steps_table(inputs.searches),
            improvements_of_all(task, inputs.searches),
            *costs_of_all(task, inputs.searches),
        ],
        headline=program_headline(inputs.searches),
        key_numbers=scored_key_numbers(task, inputs.searches),
    )


def _of_designs(study: Study, inputs: ReportInputs) -> Content:
    comparison = compare(inputs.scores, inputs.designs, study.extrapolate.baselines)
    found = frontiers(began_alike(inputs.scores, study.pretrain.optimizer), inputs.designs)
    board = scoreboard(inputs.downstream, comparison, study.extrapolate.baselines)
    agents = _agents(study, inputs)
    sections = [
        *_failed_sections(inputs),
        _stand_in_section(study, inputs),
        _search_section(inputs),
        *_agents_sections(agents),
        _design_section(inputs),
        _pattern_section(inputs),
        _scale_section(inputs),
        *rate_sections(rate_checks(inputs.runs, inputs.scores, study.pretrain.optimizer)),
        isotoken_section(inputs, comparison),
        isoflop_section(study, inputs, comparison, found),
        *downstream_sections(inputs.downstream, board, comparison),
        *latency_sections(inputs.latency, comparison),
        *_further_sections(inputs),
        _cost_section(inputs),
    ]
    return Content(
        study=study,
        digest=digest(study),
        summary=[*summary_sentences(inputs, comparison, found), *downstream_sentences(board)],
        sections=sections,
        data_tables=[
            searches.steps_table(inputs.searches),
            *([curves_table(agents)] if agents.comparable() else []),
            tables.votes_table(inputs.patterns),
            tables.members_table(inputs.patterns),
            *([scores_table(inputs.downstream)] if inputs.downstream else []),
        ],
        headline=best_summary(inputs, comparison) | downstream_headline(board),
        key_numbers=[*key_numbers(inputs, comparison), *downstream_key_numbers(board)],
    )


def _ordered(study: Study, inputs: ReportInputs) -> ReportInputs:
    """Inputs in the study's order, whichever way they came."""
    agents = [agent.name for agent in study.agents]
    designs = {design.name: place for place, design in enumerate(inputs.designs)}

    def by_design(scored: Score | Downstream) -> tuple[object, ...]:
        point = scored.point
        place = designs.get(point.design.name, len(designs))
        return point.protocol, place, point.design.name, point.budget_flops or 0.0, point.seed, point.id

    return replace(
        inputs,
        searches=sorted(
            inputs.searches, key=lambda s: (agents.index(s.agent) if s.agent in agents else len(agents), *s[:2])
        ),
        scores=sorted(inputs.scores, key=by_design),
        downstream=sorted(inputs.downstream, key=lambda run: by_design(run.record)),
        runs=sorted(inputs.runs, key=lambda run: run.point.id),
        failures=sorted(inputs.failures, key=lambda each: (each.stage, each.unit)),
        stand_ins=sorted(inputs.stand_ins, key=lambda s: (s.what, s.instead_of, s.detail)),
        versions=dict(sorted(inputs.versions.items())),
    )


def _failed_sections(inputs: ReportInputs) -> list[Section]:
    """What the results lack; nothing where all units were made."""
    count = len(inputs.failures)
    if not count:
        return []
    units, them = ("units", "them") if count > 1 else ("unit", "it")
    said = f"{count} {units} of this study failed; every number on this page is without {them}."
    blocks: list[Block] = [TextBlock(said), TableBlock(tables.failed_units_table(inputs.failures))]
    return [Section("failed", "What failed", blocks, boxed=True)]


def _stand_in_section(study: Study, inputs: ReportInputs) -> Section:
    blocks: list[Block] = [
        TableBlock(tables.stand_ins_table(inputs.stand_ins)),
        TextBlock(selection_sentence(study, inputs)),
        TableBlock(sizes_table(study, inputs)),
        TableBlock(tables.versions_table(inputs.versions), folded=True),
    ]
    return Section("stand-ins", "What stood in for what", blocks, boxed=True)


def _search_section(inputs: ReportInputs, metric: str = "") -> Section:
    figure = FigureBlock(
        figures.search_figure(inputs.searches, metric),
        "Best validation fitness so far by step: the mean over an agent's seeds, from the step on at which each has a "
        "valid node; the band is their range. Dots are valid nodes, crosses failed ones.",
        "No search has left a journal, so there are no dynamics to draw.",
    )
    blocks: list[Block] = [figure, TableBlock(searches.search_table(inputs.searches, metric))]
    failures = searches.failure_table(inputs.searches)
    if inputs.searches:
        blocks.append(TableBlock(failures, folded=bool(failures.rows)))
    links = [(f"{each.agent}.s{each.seed}", each.page) for each in inputs.searches if each.page]
    if links:
        blocks.append(LinksBlock("Each search has a page with all its nodes, their code, scores and reasons:", links))
    return Section("search", "Search dynamics", blocks)


def _agents(study: Study, inputs: ReportInputs) -> Agents:
    random = [agent.name for agent in study.agents if agent.model == RANDOM]
    return agents_compared(inputs.searches, random)


def _agents_sections(agents: Agents) -> list[Section]:
    """The comparison of agents; none where there is nothing to compare."""
    if not agents.comparable():
        return []
    caption = (
        "Best validation fitness so far against evaluations: the median over an agent's seeds, from the evaluation on "
        "with which each has a valid design, and the band between its quartiles."
    )
    figure = FigureBlock(agents_figure(agents), caption, "")
    return [Section("agents", "Agents compared", [figure, TableBlock(agents_table(agents))])]


def _design_section(inputs: ReportInputs) -> Section:
    best = tables.best_archive_rows(inputs.archive)
    strips = {f"{rank}. {row.validation:.3f}": Strip(row.layers) for rank, row in enumerate(best, 1)}
    blocks: list[Block] = [TableBlock(tables.best_designs_table(inputs.archive))]
    if best:
        picture = figures.strips_figure("best_designs", strips)
        blocks.append(FigureBlock(picture, "The best designs: rank and validation fitness.", "", only_markdown=True))
    return Section("designs", "Best designs", blocks, primitives=_primitives(strips.values()))


def _pattern_section(inputs: ReportInputs) -> Section:
    strips = {p.name: Strip(p.layers, p.agreement, p.votes) for p in inputs.patterns}
    blocks: list[Block] = [TableBlock(tables.patterns_table(inputs.patterns))]
    if strips:
        picture = figures.strips_figure("patterns", strips)
        caption = "The base patterns; the bar above a layer is the share of the votes for it."
        blocks.append(FigureBlock(picture, caption, "", only_markdown=True))
    return Section("patterns", "Aggregated patterns", blocks, primitives=_primitives(strips.values()))


def _further_sections(inputs: ReportInputs) -> list[Section]:
    """Stages of somebody's own: one section, a table each."""
    blocks: list[Block] = [
        TableBlock(tables.further_table(f"further_{place}", does, rows))
        for place, (does, rows) in enumerate(inputs.further.items(), 1)
    ]
    return [Section("further", "Further stages", blocks)] if blocks else []


def _primitives(strips: Iterable[Strip]) -> tuple[str, ...]:
    used, order = {layer for strip in strips for layer in strip.layers}, PRIMITIVES.names()
    return tuple(sorted(used, key=lambda p: (order.index(p) if p in order else len(order), p)))


def _scale_section(inputs: ReportInputs) -> Section:
    blocks = [
        TableBlock(tables.designs_table(inputs.designs, trainable), folded=trainable) for trainable in (False, True)
    ]
    return Section("scales", "Designs at scale", blocks)


def _cost_section(inputs: ReportInputs) -> Section:
    blocks: list[Block] = [TableBlock(tables.cost_table(inputs.timings))]
    speeds = throughput_table(inputs.runs)
    blocks += [TableBlock(speeds)] if speeds.rows else []
    return Section("cost", "Cost of the study", blocks, seconds=True)
