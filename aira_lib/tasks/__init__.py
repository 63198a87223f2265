"""Search tasks: what agents are asked for, in words, and how their submissions are read."""

from aira_lib.tasks.description import description
from aira_lib.tasks.submission import MAX_SUBMISSION_BYTES, SUBMISSION, SubmissionError, read_submission
from aira_lib.tasks.task import TASKS, SearchTask, proxy_for, task_named

__all__ = [
    "MAX_SUBMISSION_BYTES",
    "SUBMISSION",
    "TASKS",
    "SearchTask",
    "SubmissionError",
    "description",
    "proxy_for",
    "read_submission",
    "task_named",
]
