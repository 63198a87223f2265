"""The records that stages exchange: the only shared types, plain data on disk, versioned.

A record is a folder in the store whose `manifest.json` is written last: without it the record does not exist.
Everything in a record but the fields named `seconds`, `training_seconds`, `created`, `attempt`, `evaluations_trained`
and `evaluations_found` and the file `track.jsonl` is a function of the study alone: an interrupted and resumed run
leaves the same bytes as an uninterrupted one.
"""

import json
import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from aira_lib.architecture.scales import Scale
from aira_lib.device import DeviceKind, Kernels, Precision

# A view of a search's journal for people, kept beside its record and no part of it: it may be drawn anew at any time.
PAGE = "page.html"


class Row(BaseModel):
    """Base of all records: strict, frozen, one JSON line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def json_line(self) -> str:
        """The row as one line of JSON, newline included."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, allow_nan=False) + "\n"


class StandIn(Row):
    """Something small or synthetic in the place of what the paper used; shown in every result that it touches."""

    what: str
    instead_of: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what}, in the place of {self.instead_of}"


class FileEntry(Row):
    """One file of a record."""

    name: str
    bytes: int
    sha256: str


class Manifest(Row):
    """What a record is, what made it and which files it has. Written last.

    `attempt` is the subfolder of the files, that of the attempt at making the record that came to its end.
    """

    stage: str
    version: int = 1
    unit: str
    key: str
    study: str
    spec_digest: str
    section: dict[str, Any]
    inputs: tuple[str, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    versions: dict[str, str] = {}
    attempt: str = ""
    files: tuple[FileEntry, ...] = ()
    seconds: float = 0.0
    created: str = ""


class Estimate(Row):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Accuracies(Row):
    """Both accuracies of one task: of tokens, and the mean over classes (mad-lab's)."""

    token: Estimate
    macro: Estimate


class Rung(Row):
    """Validation scores during training, after some epochs."""

    epoch: int
    validation_by_task: dict[str, float]

    @property
    def validation(self) -> float:
        """Their mean, the fitness there."""
        return sum(self.validation_by_task.values()) / len(self.validation_by_task)


class FailureCause(StrEnum):
    """Why an evaluation failed, for those who decide by it; its `reason` says the same to people."""

    DIVERGED = "diverged"
    NOT_FINITE = "not finite"
    OUT_OF_MEMORY = "out of memory"
    PROCESS_KILLED = "process killed"

    @property
    def of_machine(self) -> bool:
        """Whether another machine, or this one at another time, might have come to a score."""
        return self in (FailureCause.OUT_OF_MEMORY, FailureCause.PROCESS_KILLED)


class Evaluation(Row):
    """What the proxy says of one design. Scores are accuracies (0 to 1) or, of a text, losses (nats per token).

    `validation` and `test` are the means over tasks. `key` names the entry in the store of evaluations, which says who
    made it, where and when; `seconds` is 0 where it was taken from there rather than trained, and `training_seconds`
    what its training took, whoever did it. `cause` is why it failed; None: it did not, or its record is older than
    causes.

    `ranked_by` names the accuracy that the scores are (empty: a text, or an old record, which has token accuracy); both
    accuracies with their intervals are kept by task. `curve` has the validation scores during training. Where training
    ended early, after `stopped_at` epochs, the scores are those of then, not of a whole training, and there is no test.
    """

    status: Literal["ok", "failed"]
    reason: str = ""
    cause: FailureCause | None = None
    ranked_by: Literal["", "token", "macro"] = ""
    validation_accuracies: dict[str, Accuracies] = {}
    test_accuracies: dict[str, Accuracies] = {}
    curve: tuple[Rung, ...] = ()
    stopped_at: int | None = None
    validation: float | None = None
    test: float | None = None
    validation_by_task: dict[str, float] = {}
    test_by_task: dict[str, float] = {}
    params: int = 0
    train_steps: int = 0
    key: str = ""
    seconds: float = 0.0
    training_seconds: float = 0.0

    def finite(self) -> "Evaluation":
        """Itself, or a failure where a score is no finite number: that must neither win nor reach a record."""
        scores = [self.validation, self.test, *self.validation_by_task.values(), *self.test_by_task.values()]
        if all(score is None or math.isfinite(score) for score in scores) and (
            self.status != "ok" or self.validation is not None
        ):
            return self
        kept = self.model_dump(include={"params", "train_steps", "key", "seconds", "training_seconds"})
        cause = self.cause or FailureCause.NOT_FINITE
        return Evaluation(status="failed", reason="a score is not a finite number", cause=cause, **kept)


class Node(Row):
    """One step of a search: a candidate program, what it submitted and how that scored.

    `validation` steers the search; `test` is kept for the record and never shown to the agent. `self_reported` says
    that `validation` is the candidate's own measurement. `island` is set by evolution, `change` (one line) by patches;
    `gain` is the validation less that of the good node it was made from. `analysis` is what the model said of it in
    hindsight, if it was asked; `usage` then counts both calls.
    """

    step: int
    id: str
    parents: tuple[str, ...] = ()
    operator: Literal["draft", "improve", "debug", "crossover"]
    debug_depth: int = 0
    island: int | None = None
    plan: str = ""
    code: str = ""
    design: str | None = None
    status: Literal["ok", "failed"]
    reason: str = ""
    output: str = ""
    change: str = ""
    validation: float | None = None
    gain: float | None = None
    test: float | None = None
    evaluation: Evaluation | None = None
    self_reported: bool = False
    analysis: str = ""
    usage: dict[str, float] = {}
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it may be improved: it did not fail and its validation fitness is a finite number."""
        return self.status == "ok" and self.validation is not None and math.isfinite(self.validation)

    @property
    def ranks(self) -> bool:
        """Whether it competes for the best: a good node, and not of a training that was stopped early."""
        return self.good and (self.evaluation is None or self.evaluation.stopped_at is None)


class ArchiveRow(Row):
    """One distinct design on one data set, of all searches of a study; fitness is the mean over its evaluations."""

    dataset: str = "mad"
    lower_is_better: bool = False
    design: str
    layers: tuple[str, ...]
    validation: float
    test: float | None
    evaluations: int
    agents: tuple[str, ...]
    first_seen: str
    params: int
    seconds: float


class Member(Row):
    """A design that voted for a base pattern: its share of all weight, and its fitness on its data set."""

    design: str
    weight: float
    fitness: float
    dataset: str = "mad"


class Resampling(Row):
    """How a vote changes when its members are drawn anew, with replacement: shares of the resamples, 0 to 1."""

    resamples: int
    seed: int
    layers: tuple[float, ...]
    """In which each layer keeps its winner."""
    pattern: float
    """In which every layer does."""


class Representative(Row):
    """The evaluated design nearest to a voted pattern: `distance` layers differ; of equals the fittest."""

    design: str
    layers: tuple[str, ...]
    distance: int
    fitness: float
    dataset: str = "mad"


class BasePattern(Row):
    """An aggregated design with its provenance. `agreement[i]` is the winner's share of the votes at layer i.

    Of many members only the fittest are listed: `voters` counts them all (0 in old records: all are listed) and
    `listed_weight` is the share of the weight that the listed ones carry. `intervals` are credible intervals of
    `agreement`, empty unless the method has them.
    """

    name: str
    pattern: str
    layers: tuple[str, ...]
    method: str
    settings: dict[str, Any]
    rank_by: Literal["validation", "test"]
    candidates: int
    members: tuple[Member, ...]
    votes: tuple[dict[str, float], ...]
    agreement: tuple[float, ...]
    in_archive: bool
    voters: int = 0
    listed_weight: float = 1.0
    datasets: tuple[str, ...] = ()
    intervals: tuple[tuple[float, float], ...] = ()
    resampling: Resampling | None = None
    representative: Representative | None = None


DesignKind = Literal["find", "baseline"]


class ScaledDesign(Row):
    """A design at a scale: its layers and what they cost. FLOPs follow the paper's convention (architecture.cost)."""

    name: str
    base: str
    kind: DesignKind
    method: str
    scale: Scale
    pattern: str
    n_layers: int
    counts: dict[str, int]
    params_non_embedding: int
    params_embedding: int
    flops_per_token: int
    trainable: bool
    change: str = ""
    """What became of the base at this depth, in words; empty for baselines."""


class PretrainPoint(Row):
    """One training run to be made: a design, a budget, a seed. `aliases` are designs with the very same layers."""

    id: str
    design: ScaledDesign
    aliases: tuple[str, ...] = ()
    protocol: Literal["isotoken", "isoflop"]
    budget_flops: float | None
    steps: int
    tokens: int
    flops: float
    seed: int


class TrainingRun(Row):
    """A finished pretraining run. Losses are in nats per token.

    `device`, `precision` and `kernels` are what computed it; None in records that are older than these fields.
    """

    point: PretrainPoint
    final_train_loss: float | None
    steps: int
    tokens: int
    flops: float
    status: Literal["ok", "diverged"]
    data: dict[str, Any]
    device: DeviceKind | None = None
    precision: Precision | None = None
    kernels: Kernels | None = None
    seconds: float = 0.0


class Score(Row):
    """What was measured on a final checkpoint. `bits_per_byte` does not depend on the tokenizer."""

    point: PretrainPoint
    status: Literal["ok", "diverged"]
    loss: float | None
    loss_stderr: float | None
    bits_per_byte: float | None
    samples: int
    tokens: int
    seconds: float = 0.0


RowT = TypeVar("RowT", bound=Row)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows to a new file, one JSON line each."""
    path.write_text("".join(row.json_line() for row in rows), encoding="utf-8")


def read_rows(path: Path, kind: type[RowT]) -> list[RowT]:
    """Read all rows of a file."""
    return [kind.model_validate_json(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def read_row(path: Path, kind: type[RowT]) -> RowT:
    """Read a file that holds one row."""
    return kind.model_validate_json(path.read_text(encoding="utf-8"))


def write_archive(path: Path, rows: Sequence[ArchiveRow]) -> None:
    """Write the archive as Parquet: queries over a million designs should not parse JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("dataset", pa.string()),
            ("lower_is_better", pa.bool_()),
            ("design", pa.string()),
            ("layers", pa.list_(pa.string())),
            ("validation", pa.float64()),
            ("test", pa.float64()),
            ("evaluations", pa.int32()),
            ("agents", pa.list_(pa.string())),
            ("first_seen", pa.string()),
            ("params", pa.int64()),
            ("seconds", pa.float64()),
        ]
    )
    pq.write_table(pa.Table.from_pylist([row.model_dump() for row in rows], schema=schema), path)


def read_archive(path: Path) -> list[ArchiveRow]:
    """Read the rows of an archive."""
    import pyarrow.parquet as pq

    return [ArchiveRow.model_validate(row) for row in pq.read_table(path).to_pylist()]


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Read a Parquet file such as `loss.parquet` as columns."""
    import pyarrow.parquet as pq

    return dict(pq.read_table(path).to_pydict())
