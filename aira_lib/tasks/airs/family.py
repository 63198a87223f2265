"""The family of task folders: candidates are programs that write predictions, scored by the folder's own scripts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aira_lib.contents import file_digest, folder_digest
from aira_lib.errors import UserError
from aira_lib.identity import PIECES, computes, versions_of
from aira_lib.settings import trusts_agents
from aira_lib.study import ProxySection, TaskSection, changed
from aira_lib.study.agent import AgentSection
from aira_lib.tasks.airs.folder import RUNS_BESIDE_LABELS, TaskFolder, is_program_folder, searchable_folder
from aira_lib.tasks.airs.packages import imported_modules, package_versions
from aira_lib.tasks.airs.raw_data import raw_data, raw_digest
from aira_lib.tasks.family import Opening, Published, TaskFamily
from aira_lib.tasks.live import Task
from aira_lib.tasks.profile import PROFILE_VARIABLE, PROFILES
from aira_lib.tasks.task import SearchTask


class FolderFamily(TaskFamily):
    """See `TaskFamily`. A study names the folder; its raw data lie in that of AIRA_TASK_DATA."""

    what = "a task folder"
    has_designs = False

    def names(self) -> Sequence[str]:
        """See `TaskFamily`: none, since folders are named by where they lie."""
        return ()

    def claims(self, section: TaskSection) -> bool:
        """See `TaskFamily`: all but those whose submissions are code and that say how it is run."""
        return section.folder is not None and not is_program_folder(section.folder)

    def task(self, section: TaskSection) -> SearchTask:
        """See `TaskFamily`."""
        found = _folder(section)
        return SearchTask(found.name, (), metric=found.metric, lower_is_better=found.metadata.metric_lower_is_better)

    def identity(self, section: TaskSection, proxy: ProxySection) -> dict[str, Any]:
        """See `TaskFamily`: the folder's files, all raw data, and what scripts and candidates import."""
        folder = _folder(section)
        return {
            "task": {"folder": section.name, **changed(section, include={"validation", "validation_fraction"})},
            "files": folder_digest(folder.path),
            "data": raw_digest(),
            **_of_folders(section),
            "packages": package_versions(folder),
            "code": versions_of("search"),
            **_of_own_scripts(folder),
        }

    def published(self, section: TaskSection) -> Published:
        """See `TaskFamily`: as metadata.yaml has it; examples are the rows of a submission."""
        return published_of(_folder(section))

    def check(self, section: TaskSection, agents: Sequence[AgentSection], proxy: ProxySection) -> None:
        """See `TaskFamily`."""
        super().check(section, agents, proxy)
        raw_data()
        if _folder(section).exports_code and not trusts_agents():
            raise UserError(f"{section.folder}: {RUNS_BESIDE_LABELS}, or say --trust-agents")
        further_folders(section)
        if proxy != ProxySection():
            raise UserError(f"proxy: it scores designs, and task folder {section.name} has a scorer; leave it out")

    def open(self, section: TaskSection, proxy: ProxySection, opening: Opening) -> Task:
        """See `TaskFamily`; prepare.py runs, and the scorer is tried. What is told is where validation comes from."""
        from aira_lib.tasks.airs.live import FolderTask

        task = FolderTask(self.task(section), section, opening.scratch, raw_data(), further_folders(section))
        opening.told.update(task.told())
        return task


def _folder(section: TaskSection) -> TaskFolder:
    return searchable_folder(section.folder or "")


def published_of(folder: TaskFolder) -> Published:
    """The published results that metadata.yaml names; examples are the rows of a submission, where it says them."""
    info = folder.metadata.logging_info
    names = [each.sota_name or each.sota_paper_title or f"SOTA {place}" for place, each in enumerate(info.sota, 1)]
    best = dict(zip(names, (each.sota_score for each in info.sota), strict=True))
    return Published(best, info.optimal_score, info.shape[0] if info.shape else None)


def further_folders(section: TaskSection) -> dict[str, Path]:
    """The folders that candidates see beside the data, by name.

    Raises:
        UserError: one is no folder.
    """
    found = {name: Path(path).expanduser().resolve() for name, path in section.folders.items()}
    for name, path in found.items():
        if not path.is_dir():
            raise UserError(f"task.folders: {name}: {section.folders[name]} is no folder")
    return found


def _of_folders(section: TaskSection) -> dict[str, Any]:
    """What the further folders hold, by name; nothing where there are none."""
    held = {name: folder_digest(path) for name, path in further_folders(section).items()}
    return {"folders": held} if held else {}


def _of_own_scripts(folder: TaskFolder) -> dict[str, Any]:
    """What counts besides where scripts train with this package: all its code, what computes, and the profile."""
    if "aira_lib" not in imported_modules(folder):
        return {}
    return {"trains": {"code": versions_of(*PIECES), "computes": computes(), "profile": profile_said()}}


def profile_said() -> str:
    """What AIRA_PROFILE says, which scripts can read: a name, or what the file holds that it names."""
    profile = os.environ.get(PROFILE_VARIABLE, "")
    return profile if profile in PROFILES or not Path(profile).is_file() else file_digest(Path(profile))
