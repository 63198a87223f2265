"""What the report says of a study whose candidates are programs: scores of its agents, with intervals."""

from collections.abc import Sequence

from aira_lib.agents.step import tried
from aira_lib.report.blocks import Block, FigureBlock, KeyNumber, Section, TableBlock, TextBlock
from aira_lib.report.columns import format_number
from aira_lib.report.inputs import SearchRun
from aira_lib.report.noise import noise_floor
from aira_lib.report.scored import ScoredTask, by_task_table, ratings_of, ratings_table, scored_run
from aira_lib.report.scored_figures import Dots, dots_figure
from aira_lib.report.searches import best_of
from aira_lib.scores.aggregates import aggregated, mean
from aira_lib.scores.runs import ScoredRun, agents_in, by_task
from aira_lib.tasks.task import SearchTask

_OVER_STUDIES = (
    "Normalised scores need a scale that no single study sets: `aira scores` computes them over any set of studies, "
    "with published results and baselines beside."
)


def scored_sections(task: SearchTask, searches: Sequence[SearchRun]) -> list[Section]:
    """Scores by agent: a figure, tables, and where normalised ones are."""
    scored = ScoredTask(task.name, task.lower_is_better, task.metric)
    runs = [scored_run(task.name, search) for search in searches]
    submitted = {agent: [run.score for run in _of(runs, agent) if run.score is not None] for agent in agents_in(runs)}
    peaks = {agent: [run.peak for run in _of(runs, agent) if run.valid and run.peak is not None] for agent in submitted}
    panel = Dots(
        "",
        {agent: aggregated([scores], mean) if scores else None for agent, scores in submitted.items()},
        {agent: sum(scores) / len(scores) if scores else None for agent, scores in peaks.items()},
    )
    caption = (
        "The submitted test score, that of the candidate with the best validation score, against the best of any "
        "candidate: means over runs with a valid submission, with bootstrap intervals."
    )
    figure = dots_figure("scores", [panel], f"test {task.metric}", ("submitted", "best of any candidate"))
    ratings = ratings_of(runs, {task.name: scored})
    blocks: list[Block] = [
        FigureBlock(figure, caption, "No search has submitted anything that was scored."),
        TableBlock(by_task_table(runs, {task.name: scored})),
        *([TableBlock(ratings_table(ratings, []))] if len(ratings) > 1 else []),
        TextBlock(_OVER_STUDIES),
    ]
    return [Section("scores", "Scores of agents", blocks)]


def scored_key_numbers(task: SearchTask, searches: Sequence[SearchRun]) -> list[KeyNumber]:
    """The best validation score of all searches with its test score; nothing where none is."""
    best = best_of(searches)
    if best is None or best.validation is None:
        return []
    test = "not tested" if best.test is None else f"{format_number(best.test, '.3f')} on the hidden test"
    return [KeyNumber(f"best {task.metric}, validation", format_number(best.validation, ".3f"), test)]


def scored_sentences(task: SearchTask, searches: Sequence[SearchRun]) -> list[str]:
    """What was searched, and how many submitted something valid: with a noise floor, a gain beyond it."""
    runs = [scored_run(task.name, search) for search in searches]
    if not runs:
        return ["No search has run."]
    nodes = sum(len(tried(search.nodes)) for search in searches)
    valid = sum(run.valid for run in runs)
    agents = len(agents_in(runs))
    floors = any(noise_floor(search.told) for search in searches)
    what = "a gain beyond the noise of its baseline" if floors else "something valid"
    return [
        f"{agents} agent{'s' * (agents != 1)} wrote {nodes:,} program{'s' * (nodes != 1)} for `{task.name}` in "
        f"{len(runs):,} search{'es' * (len(runs) != 1)}, of which {valid:,} submitted {what}."
    ]


def _of(runs: Sequence[ScoredRun], agent: str) -> list[ScoredRun]:
    return [run for mine in by_task(runs, agent).values() for run in mine]
