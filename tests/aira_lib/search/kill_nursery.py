"""Forks a search for each line on standard input; answers with its process id, then with how it ended."""

import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from aira_lib.architecture.pattern import Layers
from aira_lib.records import Evaluation
from aira_lib.sandbox import isolation
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, MADSettings, ProxySection, TaskSection
from tests.builders import work_in

TASK = TaskSection(name="NeuralArchitectureSearchMAD3PrimitivesMbAccuracy", layers=6)
PROXY = ProxySection(
    tasks=("memorization", "in-context-recall"),
    difficulty={"in-context-recall": MADSettings(seq_len=16)},
    train_examples=10, test_examples=4,
)  # fmt: skip


def evaluate(layers: Layers, section: ProxySection, *, seed: int, threads: int, progress: Any) -> Evaluation:
    """A cheap score; some designs fail, so that there is something to debug."""
    if layers[0] == layers[-1] == "Mb":
        return Evaluation(status="failed", reason="diverged", seconds=1.0)
    score = sum((i + 1) * (name == "A") for i, name in enumerate(layers)) / 21
    return Evaluation(status="ok", validation=score, test=score / 2, seconds=1.0)


def warm_up() -> None:
    """A search of one step, so that what is imported late and found out once is there in all that are forked."""
    isolation()
    with tempfile.TemporaryDirectory() as folder:
        search(TASK, PROXY, AgentSection(scaffold="one-shot"), 7, work_in(Path(folder)), evaluate)
    assert threading.active_count() == 1


def main() -> None:
    warm_up()
    for line in sys.stdin:
        wanted = json.loads(line)
        if (child := os.fork()) == 0:
            os.setsid()
            search(TASK, PROXY, AgentSection(**wanted["agent"]), 7, work_in(Path(wanted["folder"])), evaluate)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
