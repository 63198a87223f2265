"""What a store holds, without what may differ between equal runs: times, and the order in which things were logged."""

import json
from pathlib import Path
from typing import Any

import torch

TIMES = {
    "seconds", "training_seconds", "tokens_per_second", "mfu", "created", "timings", "attempt", "evaluations_trained",
    "evaluations_found",
}  # fmt: skip


def record_tree(root: Path) -> dict[str, Any]:
    """Every file of every finished record below a folder: relative name -> comparable content."""
    tree: dict[str, Any] = {}
    for manifest in sorted(root.rglob("manifest.json")):
        if "checkpoints" in manifest.parts:
            continue
        entry, folder = json.loads(manifest.read_text()), files_of(manifest)
        names = [file["name"] for file in entry.pop("files")]
        tree[str(manifest.relative_to(root))] = (_timeless(entry), sorted(names))
        for name in names:
            path = folder / name
            if (
                name not in {"track.jsonl", "tables/cost.csv", "tables/throughput.csv"}
                and not name.startswith(("report.", "tables/latency_", "figures/latency_"))
                and not name.endswith("/manifest.json")
            ):
                tree[str((manifest.parent / name).relative_to(root))] = _content(path)
    return tree


def files_of(manifest: Path) -> Path:
    """The folder with the files of a finished record in a folder."""
    return manifest.parent / str(json.loads(manifest.read_text())["attempt"])


def _content(path: Path) -> Any:
    if path.suffix in {".json", ".jsonl"}:
        return [_timeless(json.loads(line)) for line in _documents(path)]
    if path.suffix == ".pt":
        return _hashable(torch.load(path, weights_only=True))
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        return table.drop([name for name in table.column_names if name in TIMES]).to_pydict()
    return path.read_bytes()


def _documents(path: Path) -> list[str]:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def _hashable(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    if isinstance(value, dict):
        return {str(k): _hashable(v) for k, v in value.items()}
    return [_hashable(v) for v in value] if isinstance(value, list | tuple) else value
