"""How fast this machine really is: measured seconds for each estimated one, by stage, kept from run to run.

Estimates of a plan are assumptions about a laptop. What a unit really took beside its estimate is remembered below the
scratch folder, which may be lost: then the assumptions hold again until something was measured.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

from aira_lib.device import device_kind, kernels
from aira_lib.errors import UserError
from aira_lib.planning.estimate import estimate
from aira_lib.settings import Settings
from aira_lib.store.files import write_file
from aira_lib.study import Study

KEPT = 20
"""Of each kind the last ones: a machine changes, and so does what else runs on it."""


class Rates:
    """Measured seconds for each estimated one. They differ by stage, by what computes, and by how much runs at once.

    What is known of units of seconds says nothing of units of days: each stage's rates hold for one order of magnitude.
    """

    def __init__(self, file: Path | None = None, setting: str = "", sizes: Mapping[str, float] | None = None) -> None:
        """Read what was measured before; whatever is wrong with the file, it counts as empty.

        Args:
            file: where it is kept; None keeps nothing.
            setting: what they depend on beside the stage.
            sizes: the estimated seconds of one unit, or step of a search, by stage.
        """
        self._sizes = sizes or {}
        self._file, self._setting = file, setting
        self._new: dict[str, list[float]] = {}

    def of(self, stage: str) -> float | None:
        """The median of what was measured of a stage, in this run and before; None where nothing was."""
        known = self._known().get(self._name(stage), []) + self._new.get(self._name(stage), [])
        return median(known[-KEPT:]) if known else None

    def learn(self, stage: str, rate: float) -> None:
        """Take note of what one unit took beside its estimate."""
        self._new.setdefault(self._name(stage), []).append(rate)

    def save(self) -> None:
        """Keep what was learnt for the next run; a disk that refuses loses it, and nothing else."""
        if self._file is None or not self._new:
            return
        known = self._known()
        for name, rates in self._new.items():
            known[name] = [*known.get(name, []), *rates][-KEPT:]
        self._new = {}
        with suppress(OSError, UserError):
            write_file(self._file, json.dumps(known).encode())

    def _name(self, stage: str) -> str:
        size = self._sizes.get(stage, 0.0)
        magnitude = f"of 1e{round(math.log10(size))} s " if size > 0 else ""
        return f"{stage} {magnitude}{self._setting}".strip()

    def _known(self) -> dict[str, list[float]]:
        if self._file is None:
            return {}
        try:
            known = json.loads(self._file.read_bytes())
            return {name: [float(rate) for rate in rates if 0 < rate < float("inf")] for name, rates in known.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def rates_here(study: Study, settings: Settings, workers: int) -> Rates:
    """The rates that count for a study: of its models, of what computes here, and of so many units at once."""
    models: Sequence[str] = sorted({model for agent in study.agents for model in agent.models})
    kind = device_kind()
    at_once = f"{workers} at once of {os.cpu_count()}, {settings.threads} threads"
    setting = f"{kind} {kernels(kind)} {at_once} {' '.join(models)}"
    rows = estimate(study)
    sizes = {row.stage: row.seconds / max(row.size, 1) for row in rows}
    return Rates(settings.scratch / "rates.json", setting, sizes)
