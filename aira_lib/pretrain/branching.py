"""Branched decays: one long run, the trunk, serves all budgets of a design, scale and seed.

With an absolute warm-up the steps of a run before its decay are those of every longer run of the same seed. So the
trunk is the stable phase of the largest budget, which keeps a checkpoint where each budget's decay begins, and a
budget's run goes on from there. To the last bit it is the run that was trained alone.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from aira_lib.naming import exact, slug
from aira_lib.records import PretrainPoint
from aira_lib.store.base import MANIFEST
from aira_lib.store.files import disk_errors
from aira_lib.study import OptimizerSection
from aira_lib.training.checkpoint.manifest import finished_steps, folder_of, name_in_store
from aira_lib.training.schedule import stable_steps
from aira_lib.work import Work

CURVE = "loss.parquet"


def with_trunks(optimizer: OptimizerSection, points: Sequence[PretrainPoint]) -> list[PretrainPoint]:
    """The runs of some budgets as branches of trunks, which come before all of them.

    A run that shares its design, scale and seed with no other stays as it is, and so does one that only decays.
    """
    groups: dict[tuple[str, int], list[PretrainPoint]] = {}
    for point in points:
        groups.setdefault((point.design.name, point.seed), []).append(point)
    branches = {branch.id: branch for group in groups.values() for branch in _branches(optimizer, group)}
    trunks = {branch.trunk: trunk for branch in branches.values() if (trunk := trunk_of(branch))}
    return [*trunks.values(), *(branches.get(point.id, point) for point in points)]


def _branches(optimizer: OptimizerSection, group: Sequence[PretrainPoint]) -> list[PretrainPoint]:
    begin = {point.id: step for point in group if (step := stable_steps(optimizer, point.steps))}
    if len(begin) < 2:
        return []
    steps, largest = tuple(sorted(set(begin.values()))), max(point.budget_flops or 0.0 for point in group)
    trunk = f"{slug(group[0].design.name)}.trunk.{exact(largest)}.s{group[0].seed}"
    return [
        point.model_copy(update={"trunk": trunk, "branch_step": begin[point.id], "branches": steps})
        for point in group
        if point.id in begin
    ]


def trunk_of(point: PretrainPoint) -> PretrainPoint | None:
    """The run that another branches from; None of one that begins by itself."""
    if point.trunk is None:
        return None
    steps = max(point.branches)
    tokens = steps * point.design.scale.tokens_per_step
    changes = {
        "id": point.trunk, "protocol": "trunk", "budget_flops": None, "steps": steps, "tokens": tokens,
        "flops": float(tokens) * point.design.flops_per_token, "trunk": None, "branch_step": 0,
    }  # fmt: skip
    return point.model_copy(update=changes)


def not_read(point: PretrainPoint) -> list[str]:
    """Patterns of the files of a trunk's record that a run which reads it has no use for: other steps' checkpoints.

    Args:
        point: a branch, which goes on from one of them; or the trunk, which is scored by its last.
    """
    own = point.branch_step or point.steps
    return [f"{folder_of(Path(), step)}/*" for step in point.branches if step != own]


def begin_at_branch(point: PretrainPoint, trunk: Path, work: Work) -> None:
    """Put the trunk's checkpoint of the branch's first step into a workplace that has none of its own.

    Training then goes on from it as a run does that was interrupted there. Where the trunk diverged before that step
    it has no such checkpoint: the branch begins by itself, and diverges likewise.

    Args:
        point: the branch.
        trunk: the folder of the trunk's record.
        work: the branch's workplace.

    Raises:
        StoreError: disk or store refuse.
    """
    step = point.branch_step
    if finished_steps(work.path) or step not in finished_steps(trunk):
        return
    source, target = folder_of(trunk, step), folder_of(work.path, step)
    names = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
    with disk_errors(target):
        shutil.copyfile(trunk / CURVE, work.path / CURVE)
    work.push(CURVE)
    for name in sorted(names, key=lambda name: name == MANIFEST):  # the manifest last: without it there is none
        with disk_errors(target):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
        work.push(name_in_store(target, name))
