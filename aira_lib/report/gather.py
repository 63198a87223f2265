"""Read the records of all stages into what the report is made of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from aira_lib.records import (
    BasePattern,
    Manifest,
    Node,
    ScaledDesign,
    Score,
    StandIn,
    TrainingRun,
    read_archive,
    read_columns,
    read_row,
    read_rows,
)
from aira_lib.report.inputs import LossCurve, ReportInputs, SearchRun

Record = tuple[Manifest, Path]


def gather(records: Sequence[Record], stand_ins: Sequence[StandIn], versions: Mapping[str, str]) -> ReportInputs:
    """Sort records by stage and read their files.

    Args:
        records: manifest and local folder of each, in any order.
        stand_ins: all that stood in for something, over all records.
        versions: what computes the report.
    """
    by_stage: dict[str, list[Record]] = defaultdict(list)
    timings: dict[str, float] = defaultdict(float)
    for manifest, path in records:
        by_stage[manifest.stage].append((manifest, path))
        timings[manifest.stage] += manifest.seconds
    archive = [row for _, path in by_stage["archive"] for row in read_archive(path / "archive.parquet")]
    lower_is_better = any(row.lower_is_better for row in archive)  # of a study's one task, so all are alike
    return ReportInputs(
        searches=[_search(*record, lower_is_better) for record in by_stage["search"]],
        archive=archive,
        patterns=[row for _, path in by_stage["aggregate"] for row in read_rows(path / "patterns.jsonl", BasePattern)],
        designs=[row for _, path in by_stage["extrapolate"] for row in read_rows(path / "designs.jsonl", ScaledDesign)],
        runs=[read_row(path / "run.json", TrainingRun) for _, path in by_stage["pretrain"]],
        curves={manifest.unit: _curve(path) for manifest, path in by_stage["pretrain"]},
        scores=[read_row(path / "score.json", Score) for _, path in by_stage["evaluate"]],
        stand_ins=stand_ins,
        versions=versions,
        timings=dict(timings),
    )


def _search(manifest: Manifest, path: Path, lower_is_better: bool) -> SearchRun:
    agent = manifest.section["agent"]
    nodes = read_rows(path / "journal.jsonl", Node)
    return SearchRun(agent["name"], manifest.section["seed"], nodes, agent["steps"], lower_is_better)


def _curve(path: Path) -> LossCurve:
    columns = read_columns(path / "loss.parquet")
    return LossCurve(columns["step"], columns["tokens"], columns["loss"])
