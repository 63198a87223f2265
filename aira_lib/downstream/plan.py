"""What scoring a checkpoint will take: counted from its very prompts, before any model is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aira_lib.downstream.harness import harness_task
from aira_lib.downstream.placed import data_here
from aira_lib.downstream.tables import tasks_named
from aira_lib.downstream.tokens import PromptTokenizer, prompt_tokenizer
from aira_lib.errors import UserError
from aira_lib.records import FailedTask, TrainingRun
from aira_lib.study import DataSection, DownstreamSection

MOST_ENCODED = 200
"""Items of a task whose tokens are counted; the others have as many on average."""


@dataclass(frozen=True)
class PlannedTask:
    """A task that is to be asked; `tokens` are those that a model reads where no two requests share any."""

    task: str
    shots: int
    items: int
    requests: int
    tokens: int


def planned(
    section: DownstreamSection, data: DataSection, run: TrainingRun, record: Path
) -> list[PlannedTask | FailedTask]:
    """The tasks of a section for a checkpoint, and those that cannot be asked.

    Args:
        section: which tasks and items.
        data: see `prompt_tokenizer`.
        run: of the checkpoint.
        record: the folder of the run's record.

    Raises:
        UserError: there is no such task, or no tokenizer.
    """
    tokens, folder = prompt_tokenizer(run, data, record), data_here(section.data)
    context, found = run.point.design.scale.seq_len, list[PlannedTask | FailedTask]()
    for task, shots in tasks_named(section.tasks):
        try:
            asked = harness_task(task, shots, folder, section.limit, section.seed)
        except UserError as error:
            found.append(FailedTask(task=task.name, shots=shots, reason=str(error)))
            continue
        some = [request for requests in asked.requests[:MOST_ENCODED] for request in requests]
        counted = sum(min(_tokens(request, tokens), context) for request in some)
        count = sum(map(len, asked.requests))
        found.append(PlannedTask(task.name, shots, len(asked.chosen), count, round(counted * count / len(some))))
    return found


def _tokens(request: Any, tokens: PromptTokenizer) -> int:
    """Of all that a request has the model read, and, of a text that it is to write, of that."""
    context, rest = request.args
    written = len(tokens.encode(rest)) if isinstance(rest, str) else rest.get("max_gen_toks", 0)
    return len(tokens.encode(context)) + int(written)
