"""Task folders as AIRS-Bench lays them out: loading, running, checking and making them."""

from aira_lib.tasks.airs.check import Finding, check_task_folder
from aira_lib.tasks.airs.folder import BUILT_IN, TaskFolder, find_task_folder, load_task_folder, task_folders
from aira_lib.tasks.airs.metadata import Metadata, TaskFolderError, read_shape
from aira_lib.tasks.airs.new import new_task_folder
from aira_lib.tasks.airs.score import score_submission
from aira_lib.tasks.airs.scripts import InvalidSubmission, ScriptFailure, evaluate, prepare, read_result

__all__ = [
    "BUILT_IN",
    "Finding",
    "InvalidSubmission",
    "Metadata",
    "ScriptFailure",
    "TaskFolder",
    "TaskFolderError",
    "check_task_folder",
    "evaluate",
    "find_task_folder",
    "load_task_folder",
    "new_task_folder",
    "prepare",
    "read_result",
    "read_shape",
    "score_submission",
    "task_folders",
]
