"""A task folder with a program.yaml: what it must hold besides, and what of it is seen in the sandbox."""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

import aira_lib
from aira_lib.tasks.airs.exports import plain
from aira_lib.tasks.airs.folder import PROGRAM, TaskFolder, load_task_folder
from aira_lib.tasks.airs.metadata import TaskFolderError
from aira_lib.tasks.programs.section import ProgramSection, is_module, load_program

_LIBRARY = Path(aira_lib.__file__).parent


@dataclass(frozen=True)
class ProgramFolder:
    """A task whose submissions are code: its AIRS-Bench folder, and its program.yaml."""

    task: TaskFolder
    program: ProgramSection

    @property
    def path(self) -> Path:
        """The folder, absolute."""
        return self.task.path

    @property
    def exports(self) -> tuple[str, ...]:
        """What is submitted: names of files, or patterns."""
        return self.task.metadata.file_export_globs

    @property
    def scripts(self) -> tuple[str, ...]:
        """The files of the folder that the processes see which run submitted code."""
        program = self.program
        further = (program.describe, program.encode.script if program.encode else None)
        own = (program.train, program.infer, *filter(None, further))
        return tuple(dict.fromkeys((*own, *program.scripts)))

    @property
    def score_script(self) -> str | None:
        """The script that scores; None where a function of an installed package does."""
        by = self.program.scored_by
        return None if ":" in by else by

    @property
    def baseline(self) -> str | None:
        """The text of the program that agents start from, where the folder has one."""
        name = self.program.baseline
        if name is None:
            return None
        (path,) = module_files(name).values() if is_module(name) else (self.path / name,)
        return path.read_text(encoding="utf-8")


def load_program_folder(path: str | Path) -> ProgramFolder:
    """Read a task folder with a program.yaml.

    Raises:
        UserError: it is no task folder, program.yaml is wrong, or a script or module that it names is not there.
    """
    task = load_task_folder(path)
    found = ProgramFolder(task, load_program(task.path))
    baseline = found.program.baseline
    own = None if is_module(baseline or "") else baseline
    named = [*found.scripts, *filter(None, (found.score_script, own))]
    missing = [name for name in named if not (task.path / name).is_file()]
    if missing:
        raise TaskFolderError(f"{path}/{PROGRAM}: names {missing[0]}, which the folder does not have")
    if found.program.reply == "file" and not (len(found.exports) == 1 and plain(found.exports[0])):
        raise TaskFolderError(
            f"{path}/{PROGRAM}: a reply can be one file, and file_export_globs are {', '.join(found.exports)}; "
            "write reply: program"
        )
    for name in found.program.modules:
        module_files(name)
    if is_module(baseline or "") and len(module_files(baseline or "")) != 1:
        raise TaskFolderError(f"{path}/{PROGRAM}: baseline: {baseline} is a package, and a program is one file")
    return found


def module_files(name: str) -> dict[str, Path]:
    """The Python files of a module of this library, or of a package with all in it, by their place in `aira_lib`.

    Raises:
        TaskFolderError: there is no such module.
    """
    parts = name.split(".")[1:]
    here = _LIBRARY.joinpath(*parts)
    single = here.with_suffix(".py")
    if single.is_file():
        return {single.relative_to(_LIBRARY).as_posix(): single}
    if not (here / "__init__.py").is_file():
        raise TaskFolderError(f"{PROGRAM}: modules: there is no {name}")
    return {path.relative_to(_LIBRARY).as_posix(): path for path in sorted(here.rglob("*.py"))}


def lay_library(program: ProgramSection, place: Path) -> None:
    """Write the modules that scripts import into a folder, as a package `aira_lib` with nothing else in it.

    Packages around a module are empty there: theirs import the whole library.
    """
    (place / "aira_lib").mkdir(parents=True)
    for name in program.modules:
        for relative, source in module_files(name).items():
            target = place / "aira_lib" / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for folder in [place / "aira_lib", *(place / "aira_lib").rglob("*")]:
        if folder.is_dir() and not (folder / "__init__.py").exists():
            (folder / "__init__.py").touch()


def function_exists(score: str) -> bool:
    """Whether the package of a scoring function is installed; the function itself is looked up when it is called."""
    try:
        return importlib.util.find_spec(score.partition(":")[0]) is not None
    except (ImportError, ValueError):
        return False
