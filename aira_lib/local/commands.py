"""By what command a unit of a study is made, and what that starts where the unit has several ranks."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from aira_lib.flow.finished import units_to_make
from aira_lib.launch.launcher import Launcher
from aira_lib.settings import Settings
from aira_lib.store import open_store
from aira_lib.store.attempt import SHARED
from aira_lib.study import Study

PRETRAIN = "pretrain"


def commands_of(path: Path, study: Study, name: str, settings: Settings, launcher: Launcher) -> Iterator[str]:
    """Lines for a shell: the command that makes the record of a pretraining point, and that of its ranks.

    Args:
        path: the study's file.
        study: what it says.
        name: of the point.
        settings: where records are.
        launcher: of the ranks.

    Raises:
        UserError: there is no such point, or the stages before it have not been run.
    """
    from aira_lib.training.ranks_job import nodes_job, ranks_job

    ((unit, _),) = units_to_make(PRETRAIN, study, name, settings)
    assert unit.point
    resources = study.resources_of(PRETRAIN, unit.point.design.scale.name)
    yield shlex.join(["aira", PRETRAIN, str(path), "--unit", name, "--store", open_store(settings.store).uri])
    if (resources.nodes or 1) > 1:
        ranks = f"{resources.ranks_in_all} ranks on {resources.nodes} nodes"
        yield f"# It starts {ranks}, under a name that the first attempt chooses, by:"
        place = f"{open_store(settings.store).uri}/{unit.folder(study)}/{SHARED}"
        yield from launcher.dryrun(nodes_job(study.name, unit.point, resources, place, "")).splitlines()
    elif resources.ranks_in_all > 1:
        yield f"# It writes SPEC.json, then starts {resources.ranks_in_all} ranks, under a name of each attempt, by:"
        yield from launcher.dryrun(ranks_job(study.name, unit.point, resources, Path("SPEC.json"), "")).splitlines()
