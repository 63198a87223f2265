"""What is refused before anything is made: of a study alone, and of what it needs on this machine.

Whatever a stage would refuse hours later belongs here, as far as no result is needed to know it.
"""

from collections.abc import Collection
from pathlib import Path

from aira_lib.errors import UserError, nearest
from aira_lib.flow.scales import baseline_points, baselines_at, described_names, scales
from aira_lib.flow.stage import STAGES
from aira_lib.store.base import safe_name
from aira_lib.study import Resources, Study
from aira_lib.tasks.section import family_of, task_of
from aira_lib.training.trainers import check_ranks, check_trainer, check_windows

_LATER = ("aggregate", "scales", "extrapolate", "pretrain", "evaluate", "downstream", "latency")
"""Sections of a study that only say what becomes of designs."""


def check_study(study: Study) -> None:
    """Refuse what reading the study's file alone cannot tell, and no result is needed to tell.

    Raises:
        UserError: see `check_sections`; or names, scales, budgets, data sets or sizes that a stage would refuse.
    """
    check_sections(study)
    for agent in study.agents:
        if "/" in agent.name:
            raise UserError(f"agent {agent.name!r}: a name is no path; leave out the slash")
        safe_name(f"{agent.name}.s{max(agent.seeds)}")
    if family_of(study.task).has_designs:
        _check_data_sets(study)
        _check_sizes(study)
        _check_ranks(study)
        _check_asked(study)


def check_sections(study: Study) -> None:
    """Refuse sections that do not go together; so little work that it is asked wherever units are named.

    Raises:
        UserError: no such task or trainer, a task that an agent cannot search, sections that do not go with it, or
            resources of no stage, or of one that has no scales or is made by one process.
    """
    family = family_of(study.task)
    family.check(study.task, study.agents, study.proxy)
    check_trainer(study.pretrain)
    _check_resources(study)
    if family.has_designs and not study.aggregate:
        raise UserError(f"study {study.name}: aggregate is empty; name at least one way to aggregate designs")
    described = [name for name in _LATER if getattr(study, name) != Study.model_fields[name].default]
    if described and not family.has_designs:
        raise UserError(
            f"study {study.name} searches {family.what}, whose candidates are programs and no designs: there is "
            f"nothing to archive, aggregate or pretrain; leave out {', '.join(described)}"
        )


def need_designs(study: Study) -> None:
    """Refuse what is made of designs where the searches find none.

    Raises:
        UserError: the study's task has no designs.
    """
    family = family_of(study.task)
    if not family.has_designs:
        raise UserError(
            f"study {study.name} searches {family.what}, whose candidates are programs and no designs: there is "
            "nothing to archive, aggregate or pretrain; `aira run` makes its searches and their report"
        )


def check_here(study: Study) -> None:
    """Refuse what this machine lacks: the device, the models' packages and names, templates, packages of
    candidates. Nobody is called.

    Not of a study that is compiled: a cluster has others.

    Raises:
        UserError: one line for the first of them.
    """
    from aira_lib.agents.calls import call_seconds, calls_at_once
    from aira_lib.agents.ledger import check_prices
    from aira_lib.agents.trial import tried_templates
    from aira_lib.device import device, ready_device
    from aira_lib.tasks.further import further_packages

    if device() != "cpu":
        ready_device()
    call_seconds()  # both fail on a variable that is no number
    calls_at_once()
    further_packages(study.task)
    for number, agent in enumerate(study.agents):
        for model, temperature in dict.fromkeys([(agent.model, agent.temperature), *(a[:2] for a in agent.askings)]):
            key = "model" if model == agent.model else "operators"
            _check_model(model, temperature, f"agents.{number}.{key}")
        check_prices(agent)
        try:
            tried_templates(agent, family_of(study.task).has_designs)
        except UserError as error:
            raise UserError(f"agents.{number}.{error}") from None


def check_resources(study: Study, stages: Collection[str] | None = None) -> None:
    """Refuse machines that this one is not: several of them outside a cluster that has such trainings, or more GPUs.

    A plan needs none, and is shown before this.

    Args:
        study: whose resources.
        stages: those that are to be run; None: all.

    Raises:
        UserError: one line for the first of them.
    """
    from aira_lib.cluster.reading import cluster_here
    from aira_lib.launch.gpus import check_gpus
    from aira_lib.launch.trainjob_manifest import training_of

    for name in study.resources:
        if stages is not None and name not in stages:
            continue
        scales = study.trainable_scales() if STAGES.named(name).per == "point" else (None,)
        for scale in scales:
            got = study.resources_of(name, scale)
            place = f"resources.{name}" + (f" at scale {scale}" if scale else "")
            if (got.nodes or 1) > 1:
                if (cluster := cluster_here()) is None:
                    one = "and this is one machine; ask for nodes: 1 to run it here"
                    raise UserError(f"{place}: {got.nodes} nodes, {one}")
                training_of(cluster)
                continue
            check_gpus(got.gpus_per_node or 0, place)


def check_text(study: Study) -> None:
    """Refuse text that is not here, or token shards that do not fit. A plan needs none, and is shown before this.

    Raises:
        UserError: one line for the first of them.
    """
    from aira_lib.datasets.text.files import text_files

    named = {"pretrain.data.paths": study.pretrain.data.paths, "proxy.language.paths": study.proxy.language.paths,
             "proxy.language.test_paths": study.proxy.language.test_paths}  # fmt: skip
    for key, paths in named.items():
        for path in (Path(path).expanduser() for path in paths if "://" not in path):
            try:
                text_files(path)
            except UserError as error:
                where = "" if path.is_absolute() else f" (it is looked for from {Path.cwd()})"
                raise UserError(f"{key}: {error}{where}") from None
    if study.pretrain.data.shards:
        _check_shards(study)


def check_downstream(study: Study) -> None:
    """Refuse downstream tasks that cannot be asked here: hours later their stage would. A plan needs no items.

    Raises:
        UserError: one line for the first of them.
    """
    from aira_lib.downstream.asked import check_asked

    if study.downstream:
        try:
            check_asked(study.downstream)
        except UserError as error:
            raise UserError(f"downstream: {error}") from None


def _check_shards(study: Study) -> None:
    from aira_lib.datasets.study import check_shards

    try:
        check_shards(study.pretrain.data, scales(study, study.trainable_scales()))
    except UserError as error:
        raise UserError(f"pretrain.data.shards: {error}") from None


def _check_model(model: str, temperature: float, key: str) -> None:
    from aira_lib.agents.providers import provider_of

    try:
        provider_of(model).check(model, temperature)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


def _check_resources(study: Study) -> None:
    for name, section in study.resources.items():
        try:
            stage = STAGES.named(name)
        except UserError as error:
            raise UserError(f"resources: {error}") from None
        if section.min_success != Resources.model_fields["min_success"].default and stage.per == "study":
            raise UserError(f"resources.{name}.min_success: {name} has one unit, and nothing goes on without it")
        if section.by_scale and stage.per != "point":
            raise UserError(f"resources.{name}.by_scale: a unit of {name} has no scale; name its resources without one")
        for scale in (None, *section.by_scale):
            ranks = section.at(scale).ranks_in_all
            if ranks > 1 and not stage.ranks:
                with_ranks = ", ".join(each.name for each in STAGES.entries() if each.ranks)
                raise UserError(
                    f"resources.{name}: one process makes a unit of {name}, and {ranks} ranks are asked for; ask for "
                    f"ranks_per_node: 1 on one node (stages of several ranks: {with_ranks})"
                )


def _check_ranks(study: Study) -> None:
    """Refuse ranks that cannot train together what is trained at each scale."""
    resources = study.resources.get("pretrain", Resources())
    for scale in scales(study, study.trainable_scales()):
        ranks = resources.at(scale.name).ranks_in_all
        check_ranks(study.pretrain, ranks)
        try:
            check_windows(ranks, scale.tokens_per_step // scale.seq_len)
        except UserError as error:
            raise UserError(f"resources.pretrain, scale {scale.name}: {error}") from None


def _check_asked(study: Study) -> None:
    """Refuse downstream tasks that are unknown, or of protocols by which nothing is trained."""
    from aira_lib.downstream.tables import tasks_named

    if study.downstream is None:
        return
    try:
        tasks_named(study.downstream.tasks)
    except UserError as error:
        raise UserError(f"downstream.tasks: {error}") from None
    if not any(getattr(study.pretrain, protocol) for protocol in study.downstream.protocols):
        named = ", ".join(study.downstream.protocols)
        raise UserError(f"downstream.protocols: nothing is trained by {named}; add pretrain.{named.partition(',')[0]}")


def _check_data_sets(study: Study) -> None:
    here = task_of(study.task).dataset
    for section in study.aggregate:
        for name in section.datasets:
            if name != here:
                raise UserError(
                    f"aggregate {section.name!r}: datasets: the archive will have nothing of data set {name!r}"
                    f"{nearest(name, [here])}"
                )


def _check_sizes(study: Study) -> None:
    """Refuse scales that no depth meets, budgets that do not pay for a step, and text shorter than a window."""
    baselines_at(study, described_names(study))
    baseline_points(study)
    data = study.pretrain.data
    if data.shards:
        return
    for scale in scales(study, study.trainable_scales()):
        for key in ("max_train_bytes", "max_validation_bytes"):
            if getattr(data, key) <= scale.seq_len:
                raise UserError(
                    f"pretrain.data.{key}: {getattr(data, key):,} bytes are too few for a window of seq_len "
                    f"{scale.seq_len:,} at scale {scale.name}"
                )
