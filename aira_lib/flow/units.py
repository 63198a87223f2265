"""What a study consists of: its units of work, each with a key.

A unit is one record to be made: a search of one agent and seed, the archive, a pretraining point. Its key is the
digest of everything that determines the record (see `aira_lib.identity`). Equal keys mean equal records, so work is
found again and never done twice; a change to the pretraining budget leaves the searches alone.

The keys of a unit's inputs are those of the records it reads. Where these are not at hand, as before anything is made,
they are foretold: by what this process computes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.datasets.text.identity import data_identity
from aira_lib.device import device_kind
from aira_lib.errors import UserError, nearest
from aira_lib.identity import computes, package_digest, versions_of
from aira_lib.records import PretrainPoint, StageName
from aira_lib.study import AgentSection, Study, changed, digest
from aira_lib.tasks.section import family_of, task_of
from aira_lib.training.precision import effective_precision

T = TypeVar("T")
Keys = Sequence[str] | None
"""Of the records that a unit reads; None: they are foretold."""

_NAMES_OF_SCALES = {"name", "source", "n_layers", "target_params"}

_LATER = ("aggregate", "scales", "extrapolate", "pretrain", "evaluate")
"""Sections of a study that only say what becomes of designs."""


@dataclass(frozen=True)
class Unit:
    """One record to be made.

    Attributes:
        stage: Which stage makes it.
        name: Its name within the stage.
        section: What determines it, as plain data: settings, contents, code, what computes.
        inputs: Keys of the records that it reads.
        agent: Of a search.
        seed: Of a search.
        point: Of a training run and its scores.
    """

    stage: StageName
    name: str
    section: dict[str, Any]
    inputs: tuple[str, ...] = ()
    agent: AgentSection | None = None
    seed: int = 0
    point: PretrainPoint | None = None

    @property
    def key(self) -> str:
        """Digest of stage, section and input keys."""
        return digest([self.stage, self.section, list(self.inputs)])

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
    section = {**task, "agent": {"name": agent.name, **changed(agent, exclude={"seeds"})}, "seed": seed}
    return Unit("search", f"{agent.name}.s{seed}", section, agent=agent, seed=seed)


def _check_later_sections(study: Study) -> None:
    """Refuse a study whose stages after the searches are described where there are none, or not where there are."""
    family = family_of(study.task)
    if family.has_designs and not study.aggregate:
        raise UserError(f"study {study.name}: aggregate is empty; name at least one way to aggregate designs")
    described = [name for name in _LATER if getattr(study, name) != Study.model_fields[name].default]
    if described and not family.has_designs:
        raise UserError(
            f"study {study.name} searches {family.what}, whose candidates are programs and no designs: there is "
            f"nothing to archive, aggregate or pretrain; leave out {', '.join(described)}"
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


def archive_unit(study: Study, searches: Keys = None) -> Unit:
    """The archive of all searches, of which the keys may be given.

    Raises:
        UserError: the study's task has no designs.
    """
    need_designs(study)
    keys = searches if searches is not None else [unit.key for unit in search_units(study)]
    return Unit("archive", "all", {"code": versions_of("archive")}, tuple(keys))


def aggregate_unit(study: Study, archive: Keys = None) -> Unit:
    """All base patterns."""
    section = {"aggregate": [{"name": a.name, **changed(a)} for a in study.aggregate], "code": versions_of("aggregate")}
    return Unit("aggregate", "all", section, tuple(archive or [archive_unit(study).key]))


def extrapolate_unit(study: Study, patterns: Keys = None) -> Unit:
    """All designs at all scales."""
    section = {
        "extrapolate": changed(study.extrapolate),
        "described": [changed(scale) for scale in scales(study, described_names(study))],
        "trainable": [changed(scale) for scale in scales(study, study.trainable_scales())],
        "code": versions_of("extrapolate"),
    }
    return Unit("extrapolate", "all", section, tuple(patterns or [aggregate_unit(study).key]))


def pretrain_unit(study: Study, point: PretrainPoint) -> Unit:
    """One training run. Its key has no inputs: the point says all of it, whichever way its design was found."""
    section = {
        "data": data_identity(study.pretrain.data),
        "pretrain": changed(study.pretrain, include={"optimizer", "micro_batch_tokens", "trainer"}),
        "layers": point.design.pattern,
        "scale": changed(point.design.scale, exclude=_NAMES_OF_SCALES),
        "steps": point.steps,
        "seed": point.seed,
        "code": versions_of("text", "models", "training"),
        "computes": computes(),
        "precision": effective_precision(study.pretrain, device_kind()),
        **PRIMITIVES.in_key(parse(point.design.pattern)),
    }
    return Unit("pretrain", point.id, section, point=point)


def evaluate_unit(study: Study, point: PretrainPoint, trained: Keys = None) -> Unit:
    """The scores of one training run."""
    section = {
        "evaluate": changed(study.evaluate, exclude={"batch_size"}),
        "data": data_identity(study.pretrain.data),
        "code": versions_of("text", "models", "evaluate"),
        "computes": computes(),
    }
    return Unit("evaluate", point.id, section, tuple(trained or [pretrain_unit(study, point).key]), point=point)


def report_unit(study: Study, points: Sequence[PretrainPoint], records: Keys = None) -> Unit:
    """The report of everything."""
    if records is None:
        records = [extrapolate_unit(study).key, *(evaluate_unit(study, point).key for point in points)]
    return Unit("report", "all", {"study": changed(study), "code": package_digest("report")}, tuple(sorted(records)))


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
