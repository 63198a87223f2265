"""Read the records of all stages into what the report is made of."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aira_lib.records import (
    ITEMS,
    PAGE,
    BasePattern,
    Downstream,
    Latency,
    Manifest,
    Node,
    PretrainPoint,
    ScaledDesign,
    Score,
    StandIn,
    TrainingRun,
    read_archive,
    read_columns,
    read_row,
    read_rows,
)
from aira_lib.report.downstream_items import read_items
from aira_lib.report.inputs import DownstreamRun, ReportInputs, SearchRun
from aira_lib.report.loss_curves import decimated
from aira_lib.study import Study
from aira_lib.tasks.section import task_of

Record = tuple[Manifest, Path]

_STUDY = "../../.."
"""The study's folder, seen from the report: it lies in an attempt's folder in its record's in its stage's."""


def gather(
    study: Study,
    records: Sequence[Record],
    points: Sequence[PretrainPoint],
    stand_ins: Sequence[StandIn],
    versions: Mapping[str, str],
    further: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> ReportInputs:
    """Sort records by stage and read their files.

    Args:
        study: whose records these are.
        records: manifest and local folder of each, in any order.
        points: the pretraining points that the study wants; a record that was found again may name them otherwise.
        stand_ins: all that stood in for something, over all records.
        versions: what computes the report.
        further: rows of stages that the report does not know, by what the stage does.
    """
    by_stage: dict[str, list[Record]] = defaultdict(list)
    timings: dict[str, float] = defaultdict(float)
    for manifest, path in records:
        by_stage[manifest.stage].append((manifest, path))
        timings[manifest.stage] += manifest.seconds
    wanted = {point.id: {"point": point} for point in points}
    runs = [(m.unit, read_row(path / "run.json", TrainingRun)) for m, path in by_stage["pretrain"]]
    scores = [(m.unit, read_row(path / "score.json", Score)) for m, path in by_stage["evaluate"]]
    return ReportInputs(
        searches=[_search(study, *record) for record in by_stage["search"]],
        archive=[row for _, path in by_stage["archive"] for row in read_archive(path / "archive.parquet")],
        patterns=[row for _, path in by_stage["aggregate"] for row in read_rows(path / "patterns.jsonl", BasePattern)],
        designs=[row for _, path in by_stage["extrapolate"] for row in read_rows(path / "designs.jsonl", ScaledDesign)],
        runs=[run.model_copy(update=wanted.get(unit)) for unit, run in runs],
        curves={
            unit: decimated(read_columns(path / "loss.parquet"), run.point.steps)
            for (unit, run), (_, path) in zip(runs, by_stage["pretrain"], strict=True)
        },
        scores=[score.model_copy(update=wanted.get(unit)) for unit, score in scores],
        stand_ins=stand_ins,
        versions=versions,
        timings=dict(timings),
        further=further or {},
        downstream=[_downstream(path, wanted.get(manifest.unit)) for manifest, path in by_stage["downstream"]],
        latency=next((read_row(path / "latency.json", Latency) for _, path in by_stage["latency"]), None),
    )


def _downstream(path: Path, wanted: Mapping[str, PretrainPoint] | None) -> DownstreamRun:
    record = read_row(path / "downstream.json", Downstream).model_copy(update=wanted)
    return DownstreamRun(record, read_items(path / ITEMS) if record.tasks else {})


def _search(study: Study, manifest: Manifest, path: Path) -> SearchRun:
    name, _, seed = manifest.unit.rpartition(".s")
    agent = next(agent for agent in study.agents if agent.name == name)
    nodes = read_rows(path / "journal.jsonl", Node)
    page = f"{_STUDY}/{quote(f'{manifest.stage}/{manifest.unit}-{manifest.key[:12]}/{PAGE}')}"
    found = path / "search.json"
    told = json.loads(found.read_bytes()) if found.exists() else {}
    return SearchRun(name, int(seed), nodes, agent.steps, task_of(study.task).lower_is_better, page, told)
