"""What a study consists of: its units of work, each with a key.

A unit is one record to be made: a search of one agent and seed, the archive, a pretraining point. Its key is the
digest of everything that determines the record: its part of the study, the keys of its inputs, and the version of
the stage. Equal keys mean equal records, so work is found again and never done twice; a change to the pretraining
budget leaves the searches alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.errors import UserError, nearest
from aira_lib.records import RECORD_VERSIONS, PretrainPoint, StageName
from aira_lib.spec import AgentSection, Study, digest
from aira_lib.tasks.section import family_of, task_of

T = TypeVar("T")

_LATER = ("aggregate", "scales", "extrapolate", "pretrain", "evaluate")
"""Sections of a study that only say what becomes of designs."""


@dataclass(frozen=True)
class Unit:
    """One record to be made. `section` is the part of the study that determines it, as plain data."""

    stage: StageName
    name: str
    section: dict[str, Any]
    inputs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Digest of stage, version, section and input keys."""
        return digest([self.stage, RECORD_VERSIONS[self.stage], self.section, list(self.inputs)])

    def folder(self, study: Study) -> str:
        """Where the record lies, relative to the store."""
        return f"{study.name}/{self.stage}/{self.name}-{self.key[:12]}"


def search_units(study: Study) -> list[Unit]:
    """One unit for every agent and seed, in the study's order.

    Raises:
        UserError: no such task, one that an agent cannot search, or sections of the study that do not go with it.
    """
    family = family_of(study.task)
    family.check(study.task, study.agents, study.proxy)
    _check_later_sections(study)
    task = family.identity(study.task, study.proxy)
    return [_search_unit(study, task, agent, seed) for agent in study.agents for seed in agent.seeds]


def _search_unit(study: Study, task: dict[str, Any], agent: AgentSection, seed: int) -> Unit:
    section = {
        "task": task,
        "proxy": study.proxy.model_dump(mode="json"),
        "agent": agent.model_dump(mode="json", exclude={"seeds"}),
        "seed": seed,
    }
    return Unit("search", f"{agent.name}.s{seed}", section)


def _check_later_sections(study: Study) -> None:
    """Refuse a study whose stages after the searches are described where there are none, or not where there are."""
    family = family_of(study.task)
    if family.has_designs and not study.aggregate:
        raise UserError(f"study {study.name}: aggregate is empty; name at least one way to aggregate designs")
    changed = [name for name in _LATER if getattr(study, name) != Study.model_fields[name].default]
    if changed and not family.has_designs:
        raise UserError(
            f"study {study.name} searches {family.what}, whose candidates are programs and no designs: there is "
            f"nothing to archive, aggregate or pretrain; leave out {', '.join(changed)}"
        )


def need_designs(study: Study) -> None:
    """Refuse what comes after the searches where these find no designs.

    Raises:
        UserError: the study's task has no designs.
    """
    family = family_of(study.task)
    if not family.has_designs:
        raise UserError(
            f"study {study.name} searches {family.what}, whose candidates are programs and no designs: there is "
            "nothing to archive, aggregate or pretrain; run its searches alone with `aira search`"
        )


def archive_unit(study: Study) -> Unit:
    """The archive of all searches.

    Raises:
        UserError: the study's task has no designs.
    """
    need_designs(study)
    return Unit("archive", "all", {}, tuple(unit.key for unit in search_units(study)))


def aggregate_unit(study: Study) -> Unit:
    """All base patterns."""
    section = {"aggregate": [a.model_dump(mode="json") for a in study.aggregate]}
    return Unit("aggregate", "all", section, (archive_unit(study).key,))


def extrapolate_unit(study: Study) -> Unit:
    """All designs at all scales."""
    section = {
        "extrapolate": study.extrapolate.model_dump(mode="json"),
        "described": [s.model_dump(mode="json") for s in scales(study, described_names(study))],
        "trainable": [s.model_dump(mode="json") for s in scales(study, study.trainable_scales())],
    }
    return Unit("extrapolate", "all", section, (aggregate_unit(study).key,))


def pretrain_unit(study: Study, point: PretrainPoint) -> Unit:
    """One training run. Its key has no inputs: the point says all of it, whichever way its design was found."""
    settings = study.pretrain.model_dump(mode="json", include={"data", "optimizer", "micro_batch_tokens"})
    return Unit("pretrain", point.id, {"pretrain": settings, "point": point.model_dump(mode="json")})


def evaluate_unit(study: Study, point: PretrainPoint) -> Unit:
    """The scores of one training run."""
    section = {
        "evaluate": study.evaluate.model_dump(mode="json"),
        "data": study.pretrain.data.model_dump(mode="json"),
    }
    return Unit("evaluate", point.id, section, (pretrain_unit(study, point).key,))


def report_unit(study: Study, points: Sequence[PretrainPoint]) -> Unit:
    """The report of everything."""
    keys = (extrapolate_unit(study).key, *(evaluate_unit(study, point).key for point in points))
    return Unit("report", "all", {"study": study.model_dump(mode="json")}, keys)


@dataclass(frozen=True)
class RunName:
    """Which tracking run a unit's log belongs to: a nested one of its own, or (`key` None) the study's parent run."""

    key: str | None
    name: str


def run_of(unit: Unit) -> RunName:
    """Searches and pretraining points have runs of their own; a point's scores go where its training went."""
    return run_name(unit.stage, unit.name, unit.key, unit.inputs)


def run_name(stage: str, name: str, key: str, inputs: Sequence[str]) -> RunName:
    """The same from the fields of a manifest."""
    match stage:
        case "search":
            return RunName(f"search:{key}", f"search/{name}")
        case "pretrain":
            return RunName(f"pretrain:{key}", f"pretrain/{name}")
        case "evaluate":
            return RunName(f"pretrain:{inputs[0]}", f"pretrain/{name}")
        case _:
            return RunName(None, stage)


def described_names(study: Study) -> list[str]:
    """Scales that are only described: those of the extrapolation that are not trained."""
    return [name for name in study.extrapolate.scales if name not in study.trainable_scales()]


def scales(study: Study, names: Sequence[str]) -> list[Scale]:
    """The scales of a study by name: its own first, else the built-in one for its number of primitives."""
    n_primitives = len(task_of(study.task).primitives)
    return [study.scales.get(name) or scale_named(name, n_primitives) for name in names]


def search_unit_named(study: Study, name: str) -> Unit:
    """The search unit called `name`.

    Raises:
        UserError: the study has no such search.
    """
    return _named(name, {unit.name: unit for unit in search_units(study)}, f"study {study.name} has no search")


def point_named(name: str, points: Sequence[PretrainPoint]) -> PretrainPoint:
    """The pretraining point called `name`.

    Raises:
        UserError: there is no such point.
    """
    return _named(name, {point.id: point for point in points}, "there is no pretraining point")


def _named(name: str, valid: dict[str, T], complaint: str) -> T:
    if name not in valid:
        raise UserError(f"{complaint} {name!r}{nearest(name, valid)}")
    return valid[name]
