"""What the report says of the programs that searches found: the best of each seed, how it came about, and its text."""

import re
from collections.abc import Mapping, Sequence

from aira_lib.agents import best_node
from aira_lib.agents.step import tried
from aira_lib.records.opened import facts_of
from aira_lib.report.blocks import Block, CodeBlock, FigureBlock, Section, TableBlock
from aira_lib.report.columns import Column, Row, Table, format_number
from aira_lib.report.improvements import best_search, best_seeds, changed, improvements, improvements_table
from aira_lib.report.inputs import SearchRun
from aira_lib.report.noise import NoiseFloor, common_floor, noise_floor, winner_on_seeds
from aira_lib.report.program_costs import costs_table, has_costs
from aira_lib.report.searches import by_agent
from aira_lib.report.trajectories import seeds_figure, trajectories_figure
from aira_lib.tasks.programs.costs import costs_of
from aira_lib.tasks.task import SearchTask

_RUNG = re.compile(r"([^,]+?) ([\d.]+)%(?:, |$)")
_MEASURED = {
    "validation_stderr": "bpb_stderr", "cpu_seconds": "train_cpu_seconds", "parameters": "parameters",
    "memory": "peak_memory_mb", "said_steps": "said_steps",
}  # fmt: skip
"""Cells of a row, and what stands in a node's measures by which name."""

_OVER_ROWS = (
    " ± of validation is the standard error over rows of text. All programs are scored on the same rows, so most of it "
    "is common to them; what a gain is worth, the noise of seeds tells."
)
_OVER_SEEDS = " ± on other seeds is the standard deviation over them."
_SAID = " Steps are what the script said of itself; nobody measured them."


def program_sections(task: SearchTask, searches: Sequence[SearchRun]) -> list[Section]:
    """The best program of each seed, trajectories, improvements, and the text of the best; nothing without searches."""
    if not searches:
        return []
    floor, known, best = common_floor(searches), references(searches), best_seeds(searches)
    way = "lower" if task.lower_is_better else "higher"
    label = f"best validation {task.metric} ({way} is better)"
    none = "No search has found a valid program."
    beside = "".join([_baseline_in_words(floor, task), _references_in_words(known)])
    blocks: list[Block] = [
        FigureBlock(
            seeds_figure(searches, label, floor, known),
            f"The best validation score of each seed, a dot each, and an agent's median, a stroke.{beside}",
            none,
        ),
        TableBlock(best_table(task, searches)),
        *([TableBlock(costs_table(task, searches, "program_costs"))] if has_costs(searches) else []),
        FigureBlock(
            trajectories_figure(best, list(by_agent(searches)), label, floor, known),
            "The best validation score so far by step, of each agent's best seed. Dots are improvements, hollow ones "
            "within the noise.",
            none,
        ),
        TableBlock(improvements_table(best, task.metric, "improvements")),
        *_text_of_best(task, best),
    ]
    return [Section("programs", "Best programs", blocks)]


def program_headline(searches: Sequence[SearchRun]) -> dict[str, object]:
    """The best program of all, for programs that read the summary; nothing where none is valid."""
    search = best_search(searches)
    keys = ("agent", "seed", "step", "id", "validation", "test", "gain", "within_noise", "growth")
    row = _best_row(search) if search else {}
    return {"best_program": {key: row.get(key) for key in keys}} if search else {}


def improvements_of_all(task: SearchTask, searches: Sequence[SearchRun]) -> Table:
    """Improvements of all searches, for a file."""
    return improvements_table(searches, task.metric, "improvements_of_all")


def costs_of_all(task: SearchTask, searches: Sequence[SearchRun]) -> list[Table]:
    """Costs of all valid programs, for a file; nothing where none is known."""
    return [costs_table(task, searches, "program_costs_of_all", most=None)] if has_costs(searches) else []


def data_table(searches: Sequence[SearchRun]) -> Table:
    """What scores were measured on, as the searches' records say it: each different word once."""
    facts = dict.fromkeys(fact for search in searches for fact in facts_of(search.told))
    rows: list[Row] = [{"what": name, "is": value} for name, value in facts]
    columns = [Column("what", "What", style="name"), Column("is", "Is", style="text")]
    return Table("measured_on", "What programs were scored on.", columns, rows, "No search says what it scored on.")


def references(searches: Sequence[SearchRun]) -> dict[str, float]:
    """Accuracies that simple readings of the data reach on the test, by name, as the data's description has them."""
    found: dict[str, float] = {}
    for search in searches:
        data = search.told.get("data")
        said = data.get("ceilings") if isinstance(data, Mapping) else None
        found |= {name: float(share) / 100 for name, share in _RUNG.findall(said)} if isinstance(said, str) else {}
    return found


def best_table(task: SearchTask, searches: Sequence[SearchRun]) -> Table:
    """A row a search: its best program, and how it compares with the baseline where one ran.

    What a table of costs shows beside this one is in its file alone.
    """
    columns = [
        Column("agent", "Agent", style="name"),
        Column("seed", "Seed", spec="d"),
        Column("step", "Step", spec="d"),
        Column("id", "Node", style="code"),
        Column("validation", task.metric, "validation", spec=".4f", spread="validation_stderr"),
        Column("test", task.metric, "test", spec=".4f"),
        Column("again", task.metric, "on other seeds", spec=".4f", spread="again_sd"),
        Column("gain", "Gain", "over the baseline", spec=".4f"),
        Column("within_noise", "Within noise", style="name"),
        Column("improvements", "Improvements", spec="d"),
        Column("valid", "Valid", "of nodes", style="name"),
        Column("cpu_seconds", "Training", "CPU seconds", spec=".1f"),
        Column("memory", "Training", "MiB at most", spec=".0f"),
        Column("said_steps", "Steps", "as it said", spec=",.0f"),
        Column("growth", "Work grows", "power of length", spec=".2f", shown=False),
        Column("parameters", "Parameters", spec=",.0f", shown=not has_costs(searches)),
        Column("change", "What it is", style="text"),
    ]
    rows = [_best_row(search) for search in searches]
    used = {key for row in rows for key, value in row.items() if value is not None}
    optional = {
        "test", "again", "cpu_seconds", "memory", "said_steps", "gain", "within_noise", "growth", "parameters",
    } - used  # fmt: skip
    caption = "The best program of each seed, chosen by validation."
    caption += _OVER_ROWS * ("validation_stderr" in used) + _OVER_SEEDS * ("again_sd" in used)
    caption += " Its test score was never shown to the agent." * ("test" in used)
    caption += _SAID * ("said_steps" in used)
    shown = [column for column in columns if column.key not in optional]
    return Table("best_programs", caption, shown, rows, group="agent")


def _best_row(search: SearchRun) -> Row:
    best = best_node(search.nodes, search.lower_is_better)
    made, (mean, sigma) = tried(search.nodes), winner_on_seeds(search.told)
    row: Row = {
        "agent": search.agent, "seed": search.seed, "valid": f"{sum(node.good for node in made)} of {len(made)}",
        "again": mean, "again_sd": sigma,
        "improvements": sum(each.kept for each in improvements(search)),
    }  # fmt: skip
    if best is None or best.validation is None:
        return row
    row |= {"step": best.step, "id": best.id, "validation": best.validation, "test": best.test}
    row |= {key: best.measures.get(name) for key, name in _MEASURED.items()}
    row |= {"change": changed(best), "growth": costs_of(best.measures).flops_exponent}
    floor = noise_floor(search.told)
    if floor:
        gain = (floor.mean - best.validation) if search.lower_is_better else best.validation - floor.mean
        row |= {"gain": gain, "within_noise": floor.covers(gain)}
    return row


def _text_of_best(task: SearchTask, searches: Mapping[str, SearchRun]) -> list[Block]:
    """The program with the best score of all, folded."""
    search = best_search(list(searches.values()))
    best = best_node(search.nodes, search.lower_is_better) if search else None
    if search is None or best is None or best.validation is None or not best.code:
        return []
    of = f"{format_number(best.validation, '.4f')}: {search.agent}, seed {search.seed}, step {best.step}"
    return [CodeBlock(f"The program with the best {task.metric} on validation, {of}", best.code)]


def _baseline_in_words(floor: NoiseFloor | None, task: SearchTask) -> str:
    if floor is None:
        return ""
    runs = f"{len(floor.scores)} run{'s' * (len(floor.scores) != 1)}"
    spread = "" if floor.sigma is None else f" ± {format_number(floor.sigma, '.4f')}"
    return f" The baseline has {format_number(floor.mean, '.4f')}{spread} {task.metric} (mean and deviation of {runs})."


def _references_in_words(known: Mapping[str, float]) -> str:
    if not known:
        return ""
    said = ", ".join(f"{name} {share:.1%}" for name, share in known.items())
    return f" Beside them, on the test, what simple readings of the data reach: {said}."
