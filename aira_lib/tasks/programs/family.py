"""The family of submitted programs: candidates are code that the harness trains, asks for predictions and scores."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aira_lib.contents import file_digest, folder_digest
from aira_lib.errors import UserError
from aira_lib.identity import VERSIONS, computes, package_digest, versions_of
from aira_lib.study import ProxySection, TaskSection, changed
from aira_lib.study.agent import AgentSection
from aira_lib.tasks.airs.family import profile_said, published_of
from aira_lib.tasks.airs.folder import built_in_programs, is_program_folder
from aira_lib.tasks.airs.packages import package_versions, versions_of_modules
from aira_lib.tasks.airs.raw_data import raw_data, raw_digest
from aira_lib.tasks.family import Opening, Published, TaskFamily
from aira_lib.tasks.live import Task
from aira_lib.tasks.programs.consulting import open_literature
from aira_lib.tasks.programs.folder import ProgramFolder, load_program_folder, module_files
from aira_lib.tasks.programs.section import is_module
from aira_lib.tasks.programs.varied import varied
from aira_lib.tasks.task import SearchTask

_OWN = "aira_lib.tasks.programs."  # in every key by the version of "programs"


class ProgramFamily(TaskFamily):
    """See `TaskFamily`. A study names a folder with a program.yaml; its raw data lie in that of AIRA_TASK_DATA."""

    what = "a task folder of submitted programs"
    has_designs = False

    def names(self) -> Sequence[str]:
        """See `TaskFamily`: those of the built-in folders; others are named by where they lie."""
        return tuple(built_in_programs())

    def claims(self, section: TaskSection) -> bool:
        """See `TaskFamily`."""
        if section.folder is None:
            return section.name in built_in_programs()
        return is_program_folder(section.folder)

    def task(self, section: TaskSection) -> SearchTask:
        """See `TaskFamily`."""
        found = _folder(section).task
        return SearchTask(found.name, (), metric=found.metric, lower_is_better=found.metadata.metric_lower_is_better)

    def identity(self, section: TaskSection, proxy: ProxySection) -> dict[str, Any]:
        """See `TaskFamily`: the folder's files, all raw data, and what scripts and modules of theirs import."""
        folder = _folder(section)
        limits = folder.program.limits
        gpu = limits.train.gpu or limits.infer.gpu
        return {
            "task": {"name": section.name, **changed(section, include={"validation_fraction", "settings"})},
            "files": folder_digest(folder.path),
            "data": raw_digest(),
            "packages": package_versions(folder.task) | versions_of_modules(_imports(folder)),
            "code": versions_of("search", "programs"),
            **({"literature": open_literature(section).identity()} if folder.program.literature else {}),
            **({"library": library} if (library := _library(folder)) else {}),
            **({"profile": profile} if (profile := profile_said()) else {}),
            **({"computes": computes()} if gpu else {}),
        }

    def has_literature(self, section: TaskSection) -> bool:
        """See `TaskFamily`: as program.yaml says."""
        return _folder(section).program.literature

    def varies(self, section: TaskSection) -> bool:
        """See `TaskFamily`: as program.yaml says."""
        return bool(_folder(section).program.vary)

    def has_baseline(self, section: TaskSection) -> bool:
        """See `TaskFamily`."""
        return _folder(section).program.baseline is not None

    def check(self, section: TaskSection, agents: Sequence[AgentSection], proxy: ProxySection) -> None:
        """See `TaskFamily`."""
        super().check(section, agents, proxy)
        folder = _folder(section)
        raw_data()
        varied(folder.program, section.settings)
        if section.validation == "self-reported":
            raise UserError(f"task.validation: self-reported: {section.name} says how to measure it; leave it out")
        if section.folders:
            raise UserError(f"task.folders: submitted code of {section.name} sees its data alone; leave them out")
        if folder.program.literature:
            open_literature(section)
        if proxy != ProxySection():
            raise UserError(f"proxy: it scores designs, and task folder {section.name} has a scorer; leave it out")

    def published(self, section: TaskSection) -> Published:
        """See `TaskFamily`: as metadata.yaml has it."""
        return published_of(_folder(section).task)

    def open(self, section: TaskSection, proxy: ProxySection, opening: Opening) -> Task:
        """See `TaskFamily`; prepare.py runs. What is told is where validation comes from."""
        from aira_lib.tasks.programs.live import ProgramTask

        task = ProgramTask(self.task(section), _folder(section), section, opening.scratch, raw_data())
        opening.told.update(task.told())
        return task


def _folder(section: TaskSection) -> ProgramFolder:
    return load_program_folder(section.folder or built_in_programs()[section.name])


def _library(folder: ProgramFolder) -> dict[str, int | str]:
    """The code of this library that scripts compute with: by its version, or by what it holds where it has none."""
    baseline = folder.program.baseline
    shared = [baseline] if baseline and is_module(baseline) else []
    modules = {*folder.program.modules, *shared, *_own_imports(folder)}
    pieces = {name.split(".")[1] for name in modules if not f"{name}.".startswith(_OWN)}
    versions = {str(piece): version for piece, version in VERSIONS.items()}
    return {piece: versions.get(piece) or _digest(piece) for piece in sorted(pieces)}


def _digest(piece: str) -> str:
    """Of a package of this library, or of a module right in it."""
    (path, *others) = module_files(f"aira_lib.{piece}").values()
    return package_digest(piece) if others or path.parent.name == piece else file_digest(path)


def _own_imports(folder: ProgramFolder) -> Iterator[str]:
    """Modules of this library that a folder's scripts import, prepare.py among them."""
    for path in sorted(folder.path.glob("*.py")):
        yield from (name for name in _modules(path) if name.startswith("aira_lib."))
    if folder.score_script is None and folder.program.scored_by.startswith("aira_lib."):
        yield folder.program.scored_by.partition(":")[0]


def _imports(folder: ProgramFolder) -> set[str]:
    """Top-level names of what the modules of this library import that scripts name."""
    files = [path for name in folder.program.modules for path in module_files(name).values()]
    return {name.partition(".")[0] for path in files for name in _modules(path)}


def _modules(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # its own way to fail is to be run
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = node.module == "aira_lib"
            yield from (f"aira_lib.{alias.name}" for alias in node.names) if whole else (node.module,)
