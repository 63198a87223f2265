"""Processes that ask a store for evaluations; what they train, they write down."""

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from aira_lib.architecture.pattern import Layers, parse, render
from aira_lib.evaluations import EvaluationStore
from aira_lib.records import Evaluation
from aira_lib.study import ProxySection

SECTION = ProxySection(tasks=("memorization", "in-context-recall"), train_examples=10, test_examples=4)


class Training:
    """A cheap evaluation: the share of attention. Every call is a line of a file that processes share."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        self.log, self.seconds = log, seconds

    def __call__(self, layers: Layers, section: ProxySection, *, seed: int, threads: int, progress: Any) -> Evaluation:
        with self.log.open("a") as log:
            log.write(f"{render(layers)}\n")
        time.sleep(self.seconds)
        share = layers.count("A") / len(layers)
        scores = dict.fromkeys(section.tasks, share / 3)
        return Evaluation(
            status="ok", validation=share, test=share / 3, validation_by_task=scores, test_by_task=scores, params=7,
            train_steps=3, seconds=12.5,
        )  # fmt: skip

    def trained(self) -> list[str]:
        """The designs of all calls so far."""
        return sorted(self.log.read_text().split()) if self.log.exists() else []


def ask(store: EvaluationStore, design: str, section: ProxySection = SECTION, seed: int = 1) -> Evaluation:
    return store.answer(parse(design), section, seed=seed).evaluation


def process(uri: str, training: Training, designs: list[str], lease_seconds: float, answers: Path) -> BaseProcess:
    """Start a process that asks for designs and leaves a file with the scores."""

    def run() -> None:
        store = EvaluationStore(uri, training, "some study/some search", lease_seconds=lease_seconds)
        scores = [ask(store, design).validation for design in designs]
        (answers / str(os.getpid())).write_text(str(scores))

    # Forked, since importing torch takes longer than the test.
    started = multiprocessing.get_context("fork").Process(target=run)
    started.start()
    return started


def wait_for(training: Training, count: int) -> None:
    """Wait until so many trainings began."""
    deadline = time.monotonic() + 60
    while len(training.trained()) < count:
        assert time.monotonic() < deadline, "nothing was trained"
        time.sleep(0.02)


def kill(victim: BaseProcess) -> None:
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
