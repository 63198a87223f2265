"""The records that stages exchange: the only shared types, plain data on disk, versioned.

A record is a folder in the store whose `manifest.json` is written last: without it the record does not exist.
Everything in a record but the fields named `seconds`, `training_seconds`, `tokens_per_second`, `mfu`, `created`,
`attempt`, `evaluations_trained` and `evaluations_found` and the file `track.jsonl` is a function of the study alone,
and, in its last digits, of the number of ranks that trained: an interrupted and resumed run leaves the same bytes as an
uninterrupted one. A `Latency` is the exception: it is a measurement of one machine, and says of which.
"""

from aira_lib.records.archive import (
    ArchiveRow,
    BasePattern,
    Member,
    Representative,
    Resampling,
    read_archive,
    write_archive,
)
from aira_lib.records.clustered import document_error
from aira_lib.records.downstream import ITEMS, Downstream, FailedTask, Measured, TaskScore
from aira_lib.records.evaluation import Accuracies, Estimate, Evaluation, FailureCause, Rung
from aira_lib.records.failure import Failure
from aira_lib.records.latency import BlockTime, DesignTime, Latency
from aira_lib.records.node import Node
from aira_lib.records.row import (
    PAGE,
    FileEntry,
    Manifest,
    Row,
    RowT,
    StandIn,
    read_columns,
    read_row,
    read_rows,
    write_rows,
)
from aira_lib.records.seed_run import SEED_RUNS, SeedRun
from aira_lib.records.training import (
    BytesBy,
    DesignKind,
    PositionLoss,
    PretrainPoint,
    ScaledDesign,
    Score,
    TrainingRun,
)

__all__ = [
    "ITEMS",
    "PAGE",
    "SEED_RUNS",
    "Accuracies",
    "ArchiveRow",
    "BasePattern",
    "BlockTime",
    "BytesBy",
    "DesignKind",
    "DesignTime",
    "Downstream",
    "Estimate",
    "Evaluation",
    "FailedTask",
    "Failure",
    "FailureCause",
    "FileEntry",
    "Latency",
    "Manifest",
    "Measured",
    "Member",
    "Node",
    "PositionLoss",
    "PretrainPoint",
    "Representative",
    "Resampling",
    "Row",
    "RowT",
    "Rung",
    "ScaledDesign",
    "Score",
    "SeedRun",
    "StandIn",
    "TaskScore",
    "TrainingRun",
    "document_error",
    "read_archive",
    "read_columns",
    "read_row",
    "read_rows",
    "write_archive",
    "write_rows",
]
