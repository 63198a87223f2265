"""A few tiny results of each piece of code that records depend on, kept as they were when its version was raised last.

    python -m tests.golden           write what the code gives now, for pieces whose version was raised
    python -m tests.golden --new     also for pieces and defaults that are not kept yet

`tests/aira_lib/test_golden.py` compares. Integers and texts are equal to the last digit; floats, which other processors
round otherwise, to `TOLERANCE`.
"""

import json
import math
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TOLERANCE = 2e-3


def kept(piece: str) -> dict[str, Any] | None:
    """Version and results of a piece as they are kept; None: they are not."""
    path = FOLDER / f"{piece}.json"
    return json.loads(path.read_text()) if path.exists() else None


def keep(piece: str, version: int, results: Any) -> None:
    """Keep results as those of a version."""
    text = json.dumps({"version": version, "results": results}, indent=1, sort_keys=True)
    (FOLDER / f"{piece}.json").write_text(text + "\n")


def alike(one: Any, other: Any) -> bool:
    """Whether results are the same, floats to the tolerance."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other and type(one) is type(other))
