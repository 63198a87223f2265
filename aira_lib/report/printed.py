"""What the paper prints of the same designs: Tables 2, 3 and 7, with the error that their items alone make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aira_lib.architecture.tables import read_table
from aira_lib.significance.printed import binomial_error, error_of_difference, error_of_mean

Metric = Literal["acc", "acc_norm", "f1"]
SIX, CORE_14 = "six", "core-14"
NORMAL = 1.96
"""Standard errors of a 95 % interval where items are thousands."""


@dataclass(frozen=True)
class TaskFacts:
    """A task as the paper scores it: items of its split, chance, and what DCLM's CORE subtracts (v1, v2), as shares."""

    task: str
    shots: int
    metric: Metric
    items: int
    chance: float | None
    baselines: tuple[float, float] | None


def tasks_of(name: str) -> tuple[TaskFacts, ...]:
    """The tasks of a set, in the order of the paper."""
    return tuple(_facts(row) for row in read_table("downstream_tasks") if row["set"] == name)


def _facts(row: dict[str, str]) -> TaskFacts:
    metric: Metric = "f1" if row["metric"] == "f1" else "acc_norm" if row["metric"] == "acc_norm" else "acc"
    return TaskFacts(
        task=row["task"],
        shots=int(row["shots"]),
        metric=metric,
        items=int(row["items"]),
        chance=float(row["chance"]) if row["chance"] else None,
        baselines=(float(row["core_v1"]), float(row["core_v2"])) if row["core_v1"] else None,
    )


@dataclass(frozen=True)
class Printed:
    """A model of 1B: its printed numbers, as shares but for the loss; an empty text where there are none."""

    name: str
    isotoken: dict[str, str]
    core: dict[str, str]

    @property
    def seeds(self) -> int:
        """How many trainings the numbers of Tables 2 and 3 are means of."""
        return int(self.isotoken["seeds"])

    def share(self, column: str) -> float | None:
        """Of Tables 2 and 3, such as `arc_c_acc`, `avg_norm`, `dclm_core_std`."""
        text = self.isotoken.get(column, "")
        return float(text) / 100 if text else None

    @property
    def loss(self) -> tuple[float, float | None]:
        """Mean validation loss in nats a token, and its standard deviation over three seeds in Table 2 alone."""
        std = self.isotoken["val_loss_std"]
        return float(self.isotoken["val_loss"]), float(std) if std else None

    def core_share(self, task: str) -> float:
        """Of Table 7."""
        return float(self.core[task]) / 100


def printed_models() -> tuple[Printed, ...]:
    """All models of Tables 2, 3 and 7, in their order."""
    core = {_family(row): row for row in read_table("dclm_core")}
    return tuple(Printed(_family(row), row, core[_family(row)]) for row in read_table("isotoken"))


def printed(names: Sequence[str]) -> Printed | None:
    """The model that has one of these names without scale, such as ``AIRAformer-D/stretched``."""
    return next((model for model in printed_models() if model.name in names), None)


def _family(row: dict[str, str]) -> str:
    return f"{row['family']}/{row['variant']}" if row["variant"] else row["family"]


@dataclass(frozen=True)
class PrintedValue:
    """A mean over tasks of a printed model, and its standard error by the items alone, of one training; shares."""

    value: float
    stderr: float

    def minus(self, other: "PrintedValue") -> tuple[float, float]:
        """Difference and its standard error, as if the items were others: which both got right is not printed."""
        return self.value - other.value, error_of_difference(self.stderr, other.stderr)


@dataclass(frozen=True)
class Measure:
    """A mean over tasks that the paper prints: its tasks, each with the metric that counts."""

    key: str
    title: str
    tasks: str
    parts: tuple[tuple[TaskFacts, Metric], ...]

    def printed(self, model: Printed, task: TaskFacts, metric: Metric) -> float:
        """A task's score in print, as a share."""
        if self.tasks == CORE_14:
            return model.core_share(task.task)
        found = model.share(f"{task.task}_{metric.removeprefix('acc_')}")
        assert found is not None, f"the paper prints no {metric} of {task.task}"
        return found

    def printed_mean(self, model: Printed, among: Sequence[str]) -> PrintedValue:
        """The mean of the printed scores of some of its tasks: some printed means are of other tasks than they say."""
        shares = [(self.printed(model, t, metric), t.items) for t, metric in self.parts if t.task in among]
        errors = [binomial_error(share, items) for share, items in shares]
        return PrintedValue(sum(share for share, _ in shares) / len(shares), error_of_mean(errors))


def measures() -> tuple[Measure, ...]:
    """Accuracy of the six, their normalized accuracy (WinoGrande has none), and core-14."""
    six = tasks_of(SIX)
    return (
        Measure("six_acc", "accuracy, six tasks", SIX, tuple((task, "acc") for task in six)),
        Measure(
            "six_acc_norm",
            "normalized accuracy",
            SIX,
            tuple((task, "acc_norm") for task in six if task.metric == "acc_norm"),
        ),
        Measure("core_14", "core-14", CORE_14, tuple((task, task.metric) for task in tasks_of(CORE_14))),
    )
