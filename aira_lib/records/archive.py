"""What all searches found, and what was made of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from aira_lib.records.row import Row


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
    `agreement` and `independent_votes` what the votes for each layer are worth, empty unless the method has them.
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
    independent_votes: tuple[float, ...] = ()
    resampling: Resampling | None = None
    representative: Representative | None = None


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
