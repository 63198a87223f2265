"""Small pieces that many tests build."""

from pathlib import Path
from typing import Any

from aira_lib.records import Evaluation, Node
from aira_lib.study import Study
from aira_lib.study.reading import parse_study
from aira_lib.work import Work


class SilentLog:
    """A metric log that keeps what it was told in lists."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, Any]] = []

    def params(self, values: dict[str, object]) -> None:
        self.logged.append(("params", values))

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.logged.append(("metrics", (step, values)))

    def tags(self, values: dict[str, str]) -> None:
        self.logged.append(("tags", values))

    def artifact(self, path: Path) -> None:
        self.logged.append(("artifact", path))


def work_in(path: Path) -> Work:
    """A workplace in a folder, with nothing behind it."""
    path.mkdir(parents=True, exist_ok=True)
    return Work(path, SilentLog())


def node(step: int, design: str | None, validation: float | None, test: float | None = None, **other: Any) -> Node:
    """A node of a journal; a design with a fitness is a good one."""
    good = design is not None and validation is not None
    evaluation = Evaluation(status="ok", validation=validation, test=test, params=10, seconds=1.0) if good else None
    values: dict[str, Any] = dict(
        step=step, id=f"n{step}", operator="draft", design=design, status="ok" if good else "failed",
        validation=validation, test=test, evaluation=evaluation,
    )  # fmt: skip
    return Node(**{**values, **other})


CLUSTER: dict[str, Any] = {
    "store": "s3://bucket/aira",
    "images": {
        name: f"registry.example/aira-{name}@sha256:{digit * 64}"
        for name, digit in (("cpu", "0"), ("train", "1"), ("eval", "2"), ("sandbox", "3"))
    },
    "tracking": {"uri": "http://mlflow.example"},
    "s3": {"name": "aira-s3", "variables": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}},
    "models": {"name": "aira-models", "variables": {"OPENAI_API_KEY": "openai"}},
    "training": {"queue": "aira"},
}
"""What is said of a cluster, as its file has it."""


TINY_STUDY: dict[str, Any] = {
    "name": "tiny",
    "task": {"layers": 4},
    "proxy": {
        "tasks": ["in-context-recall", "memorization"],
        "difficulty": {"in-context-recall": {"seq_len": 32}},
        "d_model": 16, "n_heads": 2, "d_ff": 32, "d_state": 8, "ssm_head_dim": 16,
        "train_examples": 64, "test_examples": 32, "batch_size": 32, "epochs": 1, "precision": "fp32",
        "retrain_for_test": False,
    },
    "agents": [
        {"scaffold": "greedy", "model": "offline", "seeds": 2, "steps": 3, "n_drafts": 2},
        {"scaffold": "one-shot", "model": "offline", "seeds": 1},
    ],
    "aggregate": [{"name": "vote", "method": "cluster-vote"}],
    "extrapolate": {"baselines": ["Llama 3.2"]},
    "pretrain": {
        "methods": ["stretch"],
        "data": {"max_train_bytes": 60_000, "max_validation_bytes": 10_000},
        "isotoken": {"scale": "nano", "tokens": 8192, "seeds": [0, 1]},
    },
    "evaluate": {"samples": 8, "batch_size": 8},
}  # fmt: skip


def tiny_study(**changes: Any) -> Study:
    """A study that runs in seconds; keyword arguments replace whole top-level sections."""
    return parse_study({**TINY_STUDY, **changes}, "tiny")


def small_text(folder: Path) -> dict[str, Any]:
    """Data of a pretraining that are read at once; the standard library takes each process a second.

    Args:
        folder: Where forty documents are written.
    """
    folder.mkdir(parents=True)
    for number in range(40):
        (folder / f"{number:02d}.txt").write_text(f"document {number} of some text, {number * 7}\n" * 40)
    return {**TINY_STUDY["pretrain"]["data"], "name": "files", "paths": [str(folder)]}
