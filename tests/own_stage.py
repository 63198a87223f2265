"""A stage of somebody's own, in a module outside the package: it measures the bytes of each point's checkpoint."""

import json
from typing import Any

from aira_lib.flow import estimates
from aira_lib.flow.stage import Input, Stage, Unit, add_stage
from aira_lib.study import Study
from aira_lib.work import Work


def make(study: Study, unit: Unit, inputs: list[Input], work: Work) -> None:
    """Write the number of bytes of the weights."""
    (model,) = inputs[0].path.glob("checkpoints/*/model.*")
    (work.path / "weight.json").write_text(json.dumps({"point": unit.name, "bytes": model.stat().st_size}))
    work.log.metrics({"checkpoint_bytes": float(model.stat().st_size)}, step=0)
    work.progress(1, 1, "weighed")


def table(records: Any) -> list[dict[str, Any]]:
    """A row for each point."""
    return [json.loads((record.path / "weight.json").read_text()) for record in records]


add_stage(
    Stage(
        name="weigh", help="Weigh the checkpoints of all points.", per="point", reads=("pretrain",), leaves="weights",
        run="pretrain", section=lambda study, unit: {"code": 1}, make=make,
        estimate=lambda study: estimates.of_points(study, "checkpoints to weigh", 0.1),
        component="tests.own_component:weigh", table=table,
    )
)  # fmt: skip
