"""A task folder: what it must hold, and where the built-in ones are."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from aira_lib.errors import nearest
from aira_lib.foreign import harmless
from aira_lib.tasks.airs.metadata import METADATA, Metadata, TaskFolderError, load_metadata

DESCRIPTION = "project_description.md"
PREPARE, EVALUATE_PREPARE, EVALUATE = "prepare.py", "evaluate_prepare.py", "evaluate.py"
CUSTOM_LABELS = "custom_labels.py"
PROGRAM = "program.yaml"
"""Of a folder whose submissions are code; see `aira_lib.tasks.programs`."""
REQUIRED = (METADATA, DESCRIPTION, PREPARE, EVALUATE_PREPARE, EVALUATE)
RUNS_BESIDE_LABELS = (
    "what is submitted is code, and evaluate.py runs it in the process that holds the labels, where it can print any "
    f"score; say in {PROGRAM} how it is trained and asked for predictions (docs/task-folders.md)"
)
_ANY_CODE = "model.py"
BUILT_IN = Path(__file__).parents[1] / "compose"
BUILT_IN_PROGRAMS = tuple(Path(__file__).parents[1] / name for name in ("lra", "autoresearch"))
"""Folders of built-in tasks whose submissions are code; each is searched by its name."""


@dataclass(frozen=True)
class TaskFolder:
    """A task laid out as AIRS-Bench lays out its own.

    Attributes:
        path: The folder, absolute.
        metadata: Its metadata.yaml.
        description: Its project_description.md, the agent's view of the task.
    """

    path: Path
    metadata: Metadata
    description: str

    @property
    def name(self) -> str:
        """The task's name, which a conforming folder bears too."""
        return self.metadata.logging_info.name

    @property
    def exports_code(self) -> bool:
        """Whether what is submitted is, or may be, Python code: then evaluate.py runs it beside the labels."""
        names = (glob.rpartition("/")[2] for glob in self.metadata.file_export_globs)
        return any(name.endswith(".py") or fnmatch(_ANY_CODE, name) for name in names)

    @property
    def metric(self) -> str:
        """The one key of a result."""
        return self.metadata.logging_info.metric

    def better(self, one: float, other: float) -> bool:
        """Whether a score is strictly better than another."""
        return one < other if self.metadata.metric_lower_is_better else one > other


def load_task_folder(path: str | Path) -> TaskFolder:
    """Read a task folder.

    Raises:
        TaskFolderError: there is no such folder, a required file is missing or empty, or the metadata is wrong.
    """
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise TaskFolderError(f"{path}: no such folder; name a task folder, or see `aira tasks list`")
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise TaskFolderError(f"{path}: not a task folder, it has no {', '.join(missing)}; start from `aira tasks new`")
    metadata = load_metadata(folder / METADATA)
    try:
        description = harmless((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise TaskFolderError(f"{path}/{DESCRIPTION}: not UTF-8 text") from None
    if not description.strip():
        raise TaskFolderError(f"{path}/{DESCRIPTION}: empty; it is all that an agent knows of the task")
    return TaskFolder(folder, metadata, description)


def is_program_folder(path: str | Path) -> bool:
    """Whether a folder says how submitted code is trained and asked for predictions."""
    return (Path(path) / PROGRAM).is_file()


def built_in_programs() -> dict[str, Path]:
    """The built-in task folders whose submissions are code, by name."""
    found = (path.parent for root in BUILT_IN_PROGRAMS for path in sorted(root.glob(f"*/{PROGRAM}")))
    return {path.name: path for path in found}


def searchable_folder(path: str | Path) -> TaskFolder:
    """The task folder that a study names.

    Raises:
        TaskFolderError: it is none, or it is built in: those are searched by name, with the study's own proxy.
    """
    found = load_task_folder(path)
    if found.path.parent == BUILT_IN:
        raise TaskFolderError(f"{path}: a built-in task; name it instead, as in `task: {{name: {found.name}}}`")
    return found


def task_folders(root: str | Path = BUILT_IN) -> list[Path]:
    """The task folders right below a folder, by name; those with a metadata.yaml count.

    Raises:
        TaskFolderError: there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise TaskFolderError(f"{root}: no such folder; name one that holds task folders")
    return sorted(path.parent for path in root.glob(f"*/{METADATA}"))


def find_task_folder(name_or_path: str) -> TaskFolder:
    """A built-in task by its name, or any task folder by its path.

    Raises:
        TaskFolderError: neither exists, or the folder is wrong.
    """
    if (BUILT_IN / name_or_path / METADATA).is_file():
        return load_task_folder(BUILT_IN / name_or_path)
    if built_in := built_in_programs().get(name_or_path):
        return load_task_folder(built_in)
    if Path(name_or_path).exists():
        return load_task_folder(name_or_path)
    hint = nearest(name_or_path, [*(path.name for path in task_folders()), *built_in_programs()])
    raise TaskFolderError(f"{name_or_path}: neither a folder nor a built-in task{hint}")
