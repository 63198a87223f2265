"""The commands `aira proxy fidelity` and `aira proxy stopping`: score, compare, print, write."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aira_lib.architecture.pattern import render
from aira_lib.datasets.language import stand_in
from aira_lib.errors import UserError, writing
from aira_lib.fidelity.content import (
    key_numbers_of,
    key_numbers_of_stopping,
    sections_of,
    sections_of_stopping,
    sentences_of,
    sentences_of_stopping,
)
from aira_lib.fidelity.measure import Contestant, Plan, planned
from aira_lib.fidelity.page import (
    fidelity_lines,
    rank_figure,
    stand_in_lines,
    stopping_lines,
    together_lines,
    write_page,
)
from aira_lib.proxy.cost import count_steps
from aira_lib.proxy.fidelity import (
    MEAN,
    Fidelity,
    FidelityTogether,
    StoppingFidelity,
    compare,
    correlations,
    regret,
    stopping_fidelity,
    together,
)
from aira_lib.records import Evaluation, Row, StandIn
from aira_lib.settings import Settings
from aira_lib.study import DEFAULT_TASK
from aira_lib.tasks import task_named

if TYPE_CHECKING:
    from aira_lib.report.drawing import Figure


def measure_fidelity(
    *, small: str | None, large: str, designs: str, seeds: str, tasks: Sequence[str], output: Path, dry_run: bool,
    store: str | None,
) -> None:  # fmt: skip
    """See `aira_lib.cli.proxy.fidelity`."""
    plans = _plans(small, large, designs, seeds, tasks, Settings.from_environment(store))
    if dry_run:
        print("\n".join(f"{data_set}: {plan.outlook()}" for data_set, plan in plans.items()))
        return
    _make(output)
    found = {data_set: _compared(plan, *plan.evaluations()) for data_set, plan in plans.items()}
    lines = [line for name, each in found.items() for line in ([name.upper()] * (len(found) > 1) + _lines(each))]
    record: Row = next(iter(found.values()))
    if len(found) > 1:
        try:
            record = together(found)
        except ValueError as error:
            raise UserError(f"--designs {designs}: {error}; what was scored is in the store") from None
        lines += together_lines(record)
    (output / "fidelity.json").write_text(record.json_line(), encoding="utf-8")
    figures: Mapping[str, Figure] = {}
    try:
        figures = _figures(found, output)
    except ModuleNotFoundError:
        lines.append("There is no figure: it needs matplotlib, in the extra report.")
    both = record if isinstance(record, FidelityTogether) else None
    title = "Proxy fidelity: {} against {}".format(*_titles(plans))
    parts = sections_of(found, figures, both)
    page = write_page(output, title, key_numbers_of(found, both), sentences_of(found), parts)
    uses = [plan.store.use for plan in plans.values()]
    trained, there = sum(use.trained for use in uses), sum(use.found for use in uses)
    print("\n".join([*lines, "", f"{trained} trained, {there} found; page: {page}"]))


def _make(output: Path) -> None:
    """Make the folder of the results before anything is trained for them."""
    with writing(f"--output {output}"):
        output.mkdir(parents=True, exist_ok=True)


def _plans(
    small: str | None, large: str, designs: str, seeds: str, tasks: Sequence[str], settings: Settings
) -> dict[str, Plan]:
    """What there is to score, by data set, in the order of the tasks."""
    names = {task_named(task).dataset: task for task in tasks or [DEFAULT_TASK]}
    if tasks and len(names) < len(tasks):
        raise UserError(f"--task: {len(tasks)} tasks on {len(names)} data sets; name one for each data set")
    plans = {
        data_set: planned(designs, small, large, _seeds(seeds), settings, task) for data_set, task in names.items()
    }
    first, *others = plans
    for data_set in others:
        if plans[data_set].designs != plans[first].designs:
            raise UserError(f"--task: the task on {data_set} has other layers than that on {first}")
    return plans


def _titles(plans: Mapping[str, Plan]) -> list[str]:
    return [each.name for each in next(iter(plans.values())).contestants]


def _figures(found: Mapping[str, Fidelity], output: Path) -> "dict[str, Figure]":
    """Write a figure of ranks for each data set."""
    figures = {data_set: rank_figure(each, f"fidelity-{data_set}") for data_set, each in found.items() if each.designs}
    for data_set, figure in figures.items():
        name = "fidelity.svg" if len(found) == 1 else f"fidelity-{data_set}.svg"
        (output / name).write_text(figure.svg, encoding="utf-8")
    return figures


def _lines(found: Fidelity) -> list[str]:
    lines = fidelity_lines(found)
    if found.stopping:
        lines += ["", *stopping_lines(found.stopping)]
    return [*lines, ""]


def measure_stopping(
    profile: str | None, designs: str, seeds: str, task: str | None, output: Path, dry_run: bool, store: str | None
) -> None:
    """See `aira_lib.cli.proxy.stopping`."""
    plan = planned(designs, profile, None, _seeds(seeds), Settings.from_environment(store), task)
    if dry_run:
        print(plan.outlook())
        return
    _make(output)
    found = _stopping(plan.contestants[0], plan.evaluations()[0])
    lines = [*stand_in_lines(found.stand_ins), *stopping_lines(found)]
    (output / "fidelity.json").write_text(found.json_line(), encoding="utf-8")
    title = f"Stopping early: {plan.contestants[0].name}"
    parts = sections_of_stopping(found)
    page = write_page(output, title, key_numbers_of_stopping(found), sentences_of_stopping(found), parts)
    print("\n".join([*lines, "", f"{plan.store.use.trained} trained, {plan.store.use.found} found; page: {page}"]))


def _compared(plan: Plan, small: list[list[Evaluation]], large: list[list[Evaluation]]) -> Fidelity:
    a, b = plan.contestants
    designs = compare([render(layers) for layers in plan.designs], small, large)
    directions = (-1 if a.section.text else 1, -1 if b.section.text else 1)
    goodness = [
        {each.design: sign * getattr(each, side)[MEAN] for each in designs}
        for side, sign in zip(("small", "large"), directions, strict=True)
    ]
    return Fidelity(
        small=a.name, large=b.name, small_seeds=a.seeds, large_seeds=b.seeds, ranked_by=_ranked_by(a, b),
        failed=len(plan.designs) - len(designs), designs=tuple(designs), correlations=correlations(designs, directions),
        regret=regret(*goodness), steps_ratio=count_steps(b.section) / count_steps(a.section), directions=directions,
        stopping=_stopping(a, small), stand_ins=_stand_ins(a, b),
    )  # fmt: skip


def _stand_ins(*contestants: Contestant) -> tuple[StandIn, ...]:
    """Texts that stand in for others, each once."""
    texts = [stand_in(c.section.text, c.section.language) for c in contestants if c.section.text]
    return tuple(dict.fromkeys(text for text in texts if text))


def _stopping(contestant: Contestant, evaluations: list[list[Evaluation]]) -> StoppingFidelity:
    """One seed of each design: a search trains it once."""
    found = stopping_fidelity([seeds[0] for seeds in evaluations], contestant.section)
    return found.model_copy(update={"stand_ins": _stand_ins(contestant)})


def _ranked_by(*contestants: Contestant) -> str:
    names = {
        "validation cross-entropy" if c.section.text else f"{c.section.rank_by_accuracy} accuracy on validation"
        for c in contestants
    }
    return " and ".join(sorted(names))


def _seeds(text: str) -> list[int] | None:
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) < 2**63 for part in parts):
        raise UserError(f"--seeds {text}: whole numbers with commas between them are needed, such as 0,1,2")
    return [int(part) for part in parts]
