"""The stages of AIRA, a row each: what determines a record, how its inputs reach the stage, what it will take."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aira_lib.flow import estimates
from aira_lib.flow.stage import ALL, Input, Stage, Unit, add_stage, stages_in_order

if TYPE_CHECKING:
    from aira_lib.records import PretrainPoint
    from aira_lib.study import Study
    from aira_lib.work import Work

OPTIMIZER = ("checkpoints/*/optimizer.*", "checkpoints/*/optimizer/*")
"""Files of a checkpoint that only a training reads."""

_NAMES_OF_SCALES = {"name", "source", "n_layers", "target_params"}


# --- search -----------------------------------------------------------------------------------------------------------


def _of_search(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.agents.providers import provider_of
    from aira_lib.agents.templates import template_digests
    from aira_lib.device import device_kind
    from aira_lib.study import changed

    assert unit.agent
    agent = {"name": unit.agent.name, **changed(unit.agent, exclude={"seeds"})}
    model = provider_of(unit.agent.model).identity(unit.agent.model)
    if model != unit.agent.model:
        agent["model"] = model
    if unit.agent.limits.gpu:
        agent["device"] = device_kind()
    for operator, contents in template_digests(unit.agent).items():
        agent["operators"][operator]["prompt"] = contents
    return {"agent": agent, "seed": unit.seed}


def _of_searched(study: "Study") -> dict[str, Any]:
    """What determines all searches: the task, whose files may be many."""
    from aira_lib.tasks.further import further_packages
    from aira_lib.tasks.section import family_of

    further = {"further_packages": versions} if (versions := further_packages(study.task)) else {}
    return {**family_of(study.task).identity(study.task, study.proxy), **further}


def _search(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.search.stage import search

    assert unit.agent
    search(study.task, study.proxy, unit.agent, unit.seed, work, asked_by=f"{study.name}/{unit.name}")


# --- archive, aggregate, extrapolate ----------------------------------------------------------------------------------


def _of_archive(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.identity import versions_of

    return {"code": versions_of("archive")}


def _archive(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.archive.stage import archive
    from aira_lib.tasks.section import task_of

    task = task_of(study.task)
    journals = [(record.manifest.unit, record.path / "journal.jsonl") for record in inputs]
    archive(journals, work, task.dataset, task.lower_is_better)


def _of_aggregation(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.identity import versions_of
    from aira_lib.study import changed

    return {"aggregate": [{"name": a.name, **changed(a)} for a in study.aggregate], "code": versions_of("aggregate")}


def _aggregate(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.aggregate.stage import aggregate
    from aira_lib.aggregate.table import DesignTable

    by_agent = any(section.agents or section.method == "bayes" for section in study.aggregate)
    aggregate(study.aggregate, DesignTable.from_parquet(inputs[0].path / "archive.parquet", by_agent), work)


def _of_extrapolation(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.flow.scales import described_names, scales
    from aira_lib.identity import versions_of
    from aira_lib.study import changed

    return {
        "extrapolate": changed(study.extrapolate),
        "described": [changed(scale) for scale in scales(study, described_names(study))],
        "trainable": [changed(scale) for scale in scales(study, study.trainable_scales())],
        "code": versions_of("extrapolate"),
    }


def _extrapolate(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.extrapolate.stage import extrapolate
    from aira_lib.flow.scales import described_names, scales
    from aira_lib.records import BasePattern, read_rows

    patterns = read_rows(inputs[0].path / "patterns.jsonl", BasePattern)
    described = scales(study, described_names(study))
    extrapolate(study.extrapolate, described, scales(study, study.trainable_scales()), patterns, work)


# --- pretrain, evaluate -----------------------------------------------------------------------------------------------


def _of_training(study: "Study", unit: Unit) -> dict[str, Any]:
    """All of it: the key of a training has no inputs, whichever way its design was found."""
    from aira_lib.architecture.pattern import parse
    from aira_lib.architecture.primitives import PRIMITIVES
    from aira_lib.datasets.study import data_identity
    from aira_lib.device import device_kind
    from aira_lib.identity import computes, versions_of
    from aira_lib.study import changed
    from aira_lib.training.precision import effective_precision
    from aira_lib.training.schedule import optimizer_in_key, optimizer_of
    from aira_lib.training.trainers import trainer_in_key

    assert unit.point
    design = unit.point.design
    optimizer = optimizer_in_key(optimizer_of(study.pretrain.optimizer, unit.point), design.scale)
    return {
        "data": data_identity(study.pretrain.data),
        "pretrain": {
            **changed(study.pretrain, include={"micro_batch_tokens", "trainer", "compile"}),
            **({"optimizer": optimizer} if optimizer else {}),
        },
        "layers": design.pattern,
        "scale": changed(design.scale, exclude=_NAMES_OF_SCALES),
        "steps": unit.point.steps,
        "seed": unit.point.seed,
        **_branching(unit.point),
        "code": versions_of("text", "models", "training"),
        "computes": computes(),
        "precision": effective_precision(study.pretrain, device_kind()),
        **PRIMITIVES.in_key(parse(design.pattern)),
        **trainer_in_key(study.pretrain.trainer),
    }


def _branching(point: "PretrainPoint") -> dict[str, Any]:
    """What a key says of trunks: which checkpoints one keeps, and that a run branches, but not from where in the store.

    A branch is the run that was trained alone: with further budgets a study has another trunk, and the same branches.
    """
    if point.protocol == "trunk":
        return {"branches": list(point.branches)}
    return {"branch_step": point.branch_step} if point.trunk else {}


def _trunk(point: "PretrainPoint") -> "PretrainPoint | None":
    from aira_lib.pretrain.branching import trunk_of

    return trunk_of(point)


def _pretrain(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.pretrain.branching import begin_at_branch
    from aira_lib.pretrain.stage import pretrain
    from aira_lib.study import Resources
    from aira_lib.training.schedule import optimizer_of

    assert unit.point
    if inputs:
        begin_at_branch(unit.point, inputs[0].path, work)
    optimizer = optimizer_of(study.pretrain.optimizer, unit.point)
    # Which points there are is settled, and a run's own schedule need not be one that a study could have.
    settled = {"isotoken": None, "isoflop": None, "lr_check": None}
    section = study.pretrain.model_copy(update={"optimizer": optimizer, **settled})
    pretrain(section, unit.point, work, study.resources.get("pretrain", Resources()).at(unit.point.design.scale.name))


def _of_scores(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.datasets.study import scored_identity
    from aira_lib.identity import computes, versions_of
    from aira_lib.study import changed

    return {
        "evaluate": changed(study.evaluate, exclude={"batch_size"}),
        "data": scored_identity(study.pretrain.data),
        "code": versions_of("text", "models", "evaluate"),
        "computes": computes(),
    }


def _evaluate(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.evaluate.stage import evaluate

    evaluate(study.evaluate, study.pretrain.data, inputs[0].path, work)


def _of_downstream(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.downstream.asked import scores_identity

    assert study.downstream
    return scores_identity(study.downstream)


def _downstream(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.downstream.stage import downstream

    assert study.downstream
    downstream(study.downstream, study.pretrain.data, inputs[0].path, work)


def _asks_downstream(study: "Study") -> bool:
    return study.downstream is not None


def _asks_downstream_of(study: "Study", point: "PretrainPoint") -> bool:
    return study.downstream is not None and point.protocol in study.downstream.protocols


# --- latency ----------------------------------------------------------------------------------------------------------


def _of_latency(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.latency.key import latency_identity
    from aira_lib.settings import Settings
    from aira_lib.tasks.section import task_of

    assert study.latency
    return latency_identity(study.latency, task_of(study.task).primitives, Settings.from_environment().threads)


def _latency(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.flow.scales import designs_at
    from aira_lib.latency.stage import latency
    from aira_lib.records import ScaledDesign, read_rows

    assert study.latency
    scaled = read_rows(inputs[0].path / "designs.jsonl", ScaledDesign)
    latency(study.latency, *designs_at(study, study.latency.scale, scaled), work)


# --- report -----------------------------------------------------------------------------------------------------------


def _of_report(study: "Study", unit: Unit) -> dict[str, Any]:
    from aira_lib.identity import package_digest
    from aira_lib.study import changed
    from aira_lib.tasks.section import family_of

    failed = [[each.stage, each.unit, each.reason] for each in unit.failures]
    known = {"study": changed(study, exclude={"resources"}), "code": package_digest("report")}
    if not family_of(study.task).has_designs:
        known["scores"] = package_digest("scores")
    return {**known, "failed": failed} if failed else known


def _report(study: "Study", unit: Unit, inputs: list[Input], work: "Work") -> None:
    from aira_lib.flow.units import points_in
    from aira_lib.flow.versions import versions
    from aira_lib.report.gather import gather
    from aira_lib.report.stage import report

    order = [stage.name for stage in stages_in_order()]
    inputs = sorted(inputs, key=lambda record: order.index(record.manifest.stage))
    records = [(record.manifest, record.path) for record in inputs]
    gathered = gather(study, records, points_in(study, inputs), work.stand_ins, versions(), _further(inputs))
    report(study, replace(gathered, failures=unit.failures), work)


def _further(inputs: Sequence[Input]) -> dict[str, list[dict[str, Any]]]:
    """Tables of the stages that say by themselves how their records are shown, by the stages' lines of help."""
    tables = {}
    for stage in stages_in_order():
        mine = [record for record in inputs if record.manifest.stage == stage.name]
        if stage.table and mine:
            tables[stage.help] = stage.table(mine)
    return tables


# --- the rows ---------------------------------------------------------------------------------------------------------

add_stage(
    Stage(
        name="search", help="Let agents search a task.", per="search", reads=(), leaves="searches", run="search",
        section=_of_search, shared=_of_searched, make=_search, estimate=estimates.of_searches,
        component="components.search:search",
    )
)  # fmt: skip
add_stage(
    Stage(
        name="archive", help="Merge the journals of all searches into one table of distinct designs.", per="study",
        reads=("search",), leaves="archive", section=_of_archive, make=_archive,
        estimate=lambda study: estimates.once("one table of distinct designs"),
        component="components.archive:archive",
    )
)  # fmt: skip
add_stage(
    Stage(
        name="aggregate", help="Turn the archive into base patterns.", per="study", reads=("archive",),
        leaves="patterns", section=_of_aggregation, make=_aggregate,
        estimate=lambda study: estimates.once(f"{len(study.aggregate)} base patterns"),
        component="components.aggregate:aggregate",
    )
)  # fmt: skip
add_stage(
    Stage(
        name="extrapolate", help="Scale base patterns and baselines to all scales of the study.", per="study",
        reads=("aggregate",), leaves="designs", section=_of_extrapolation, make=_extrapolate,
        estimate=lambda study: estimates.once(f"{estimates.designs(study)} designs at each scale"),
        component="components.extrapolate:extrapolate",
    )
)  # fmt: skip
add_stage(
    Stage(
        name="pretrain", help="Pretrain all points of the study.", per="point", reads=(), leaves="trained",
        run="pretrain", section=_of_training, make=_pretrain, estimate=estimates.of_training,
        component="components.pretrain:pretrain", ranks=True, goes_on_from=_trunk,
    )
)  # fmt: skip
add_stage(
    Stage(
        name="evaluate", help="Score the final checkpoints of all points.", per="point", reads=("pretrain",),
        leaves="scores", run="pretrain", section=_of_scores, make=_evaluate, estimate=estimates.of_scoring,
        component="components.evaluate:evaluate", unread=OPTIMIZER,
    )
)  # fmt: skip
add_stage(
    Stage(
        name="downstream", help="Score final checkpoints on downstream tasks, where the study asks for that.",
        per="point", reads=("pretrain",), leaves="answers", run="pretrain", section=_of_downstream, make=_downstream,
        estimate=estimates.of_downstream, component="components.downstream:downstream", unread=OPTIMIZER,
        wanted=_asks_downstream, of_points=_asks_downstream_of,
    )
)  # fmt: skip
add_stage(
    Stage(
        name="latency", help="Time blocks and whole designs on the device at hand.", per="study",
        reads=("extrapolate",), leaves="times", section=_of_latency, make=_latency, estimate=estimates.of_latency,
        component="components.latency:latency", wanted=lambda study: study.latency is not None,
    )
)  # fmt: skip
add_stage(
    Stage(
        name="report", help="Write the study's report, or find the one that exists, and say where it is.", per="study",
        reads=(ALL,), leaves="report", section=_of_report, make=_report,
        estimate=lambda study: estimates.once("one page", estimates.SECONDS_OF_REPORT),
        component="components.report:report", unread=("checkpoints/*",),
    )
)  # fmt: skip
