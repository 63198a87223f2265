"""Made-up downstream records: right and wrong answers of models that find the same items hard, as records hold them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aira_lib.records import ITEMS, Downstream, FailedTask, Measured, PretrainPoint, TaskScore
from aira_lib.report.downstream_items import METRICS, read_items
from aira_lib.report.inputs import DownstreamRun
from tests.aira_lib.report.made_up import point, scale, scaled

LAYERS = {
    "Llama 3.2": ("A", "M") * 3,
    "Nemotron-H": ("Mb", "M") * 3,
    "AIRAformer-D/stretched": ("A", "A", "M") * 2,
    "AIRA-vote/stretched": ("A", "Mb", "M") * 2,
    "AIRA-vote/stacked": ("Mb", "A", "M") * 2,
}
ABILITY = {
    "Llama 3.2": 0.0, "Nemotron-H": 0.01, "AIRAformer-D/stretched": 0.06, "AIRA-vote/stretched": 0.0,
    "AIRA-vote/stacked": -0.01,
}  # fmt: skip
SIX = {
    ("hellaswag", 0): 300,
    ("winogrande", 0): 200,
    ("arc_e", 0): 150,
    ("piqa", 0): 180,
    ("sciq", 0): 100,
    ("arc_c", 0): 90,
}
CORE = {
    ("copa", 0): 60, ("openbookqa", 0): 80, ("winogrande", 0): 200, ("arc_c", 10): 90, ("arc_e", 10): 150,
    ("boolq", 10): 200, ("commonsenseqa", 10): 120, ("hellaswag", 10): 300, ("piqa", 10): 180, ("coqa", 0): 50,
}  # fmt: skip
CHANCE = {"winogrande": 0.5, "piqa": 0.5, "copa": 0.5, "boolq": 0.5, "commonsenseqa": 0.2, "coqa": None}
NORMALISED = ("hellaswag", "arc_e", "arc_c", "piqa", "sciq", "openbookqa")

Asked = tuple[str, int]


def design_point(name: str, seed: int = 0, **other: Any) -> PretrainPoint:
    kind = "find" if "/" in name else "baseline"
    made = scaled(name, name.split("/")[0], kind, LAYERS[name], scale("micro", 96), trainable=True)
    return point(made, seed, **other)


def answered(
    random: np.random.Generator, asked: Asked, items: int, ability: float
) -> tuple[list[dict[str, Any]], dict[str, Measured], bool]:
    """Rows of items, metrics, and whether the answer was constant; how hard an item is depends on the task alone."""
    task = asked[0]
    hard = np.random.default_rng(len(task) * 100 + asked[1]).uniform(0.15, 0.75, items)
    constant = task == "boolq"
    right = (random.random(items) < hard + ability).astype(float)
    if constant:
        right = (np.arange(items) % 8 < 3).astype(float)
    names = ("f1", "exact") if task == "coqa" else ("acc", "acc_norm") if task in NORMALISED else ("acc",)
    scores = {
        name: right if i == 0 else (random.random(items) < hard + ability).astype(float) for i, name in enumerate(names)
    }
    if task == "coqa":
        scores["f1"] = np.clip(hard + ability + random.normal(0, 0.2, items), 0, 1)
    chosen = np.zeros(items, dtype=int) if constant else random.integers(0, 2, items)
    rows = [
        {
            "task": task, "shots": asked[1], "item": i, "digest": f"{task}{i:04d}",
            "gold": None if task == "coqa" else 0,
            "chosen": None if task == "coqa" else int(chosen[i]), "loglikelihoods": [-1.0, -2.0], "lengths": [3, 4],
            "answer": "so" if task == "coqa" else None, "cut": False,
            **{metric: float(scores[metric][i]) if metric in scores else None for metric in METRICS},
        }
        for i in range(items)
    ]  # fmt: skip
    metrics = {
        name: Measured(value=float(v.mean()), stderr=float(v.std(ddof=1) / np.sqrt(items)) if items > 1 else None)
        for name, v in scores.items()
    }
    return rows, metrics, constant


def made_up_record(
    folder: Path,
    at: PretrainPoint,
    tasks: Mapping[Asked, int],
    failed: Sequence[FailedTask] = (),
    seed: int = 0,
    ability: float | None = None,
) -> DownstreamRun:
    """Write a record's items as the stage does, and read them as the report does."""
    name = at.design.name.split("@")[0]
    random = np.random.default_rng([seed, at.seed, *name.encode()])
    lift = ABILITY[name] if ability is None else ability
    rows: list[dict[str, Any]] = []
    scores = []
    for asked, items in tasks.items():
        own, metrics, constant = answered(random, asked, items, lift + float(random.normal(0, 0.01)))
        rows += own
        task, shots = asked
        tests = task in ("arc_e", "arc_c", "sciq", "openbookqa")
        primary = (
            "f1" if task == "coqa" else "acc_norm" if task in NORMALISED and (shots or task == "openbookqa") else "acc"
        )
        scores.append(
            TaskScore(
                task=task, shots=shots, split="validation", paper_split="test" if tests else "validation",
                primary=primary, metrics=metrics, chance=CHANCE.get(task, 0.25), items=items, available=items,
                cut=3 if shots else 0, constant=constant, data={"source": "made up", "sha256": "0" * 8},
            )
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / ITEMS)
    record = Downstream(point=at, status="ok", tasks=tuple(scores), failed=tuple(failed), tokenizer="bytes", prefix=256)
    (folder / "downstream.json").write_text(record.json_line(), encoding="utf-8")
    return DownstreamRun(record, read_items(folder / ITEMS))


SCHEMA = pa.schema(
    [
        ("task", pa.string()), ("shots", pa.int32()), ("item", pa.int64()), ("digest", pa.string()),
        ("gold", pa.int32()),
        ("chosen", pa.int32()), ("loglikelihoods", pa.list_(pa.float64())), ("lengths", pa.list_(pa.int32())),
        ("answer", pa.string()), ("acc", pa.float64()), ("acc_norm", pa.float64()), ("f1", pa.float64()),
        ("exact", pa.float64()), ("cut", pa.bool_()),
    ]
)  # fmt: skip


def made_up_downstream(
    folder: Path, tasks: Mapping[Asked, int] = SIX | CORE, seeds: int = 2, names: Sequence[str] = tuple(LAYERS)
) -> list[DownstreamRun]:
    return [
        made_up_record(folder / f"{place}-{seed}", design_point(name, seed), tasks)
        for place, name in enumerate(names)
        for seed in range(seeds)
    ]
