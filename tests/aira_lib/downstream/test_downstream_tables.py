"""The table of downstream tasks: as the paper's, and what names mean."""

import pytest

from aira_lib.architecture.tables import read_table
from aira_lib.downstream.tables import CORE_14, SIX, TASKS, tasks_named
from aira_lib.errors import UserError


def test_core_14_are_the_columns_of_the_paper_in_its_order() -> None:
    printed = [name for name in read_table("dclm_core")[0] if name not in ("family", "variant", "average")]
    assert [task.name for task, _ in CORE_14] == printed
    assert {shots for _, shots in CORE_14[:6]} == {0}
    assert [shots for _, shots in CORE_14[6:]] == [3] + [10] * 7


def test_the_six_are_those_of_the_isotoken_tables_without_examples() -> None:
    printed = {name.removesuffix("_acc") for name in read_table("isotoken")[0] if name.endswith("_acc")} - {"avg"}
    assert {task.name for task, _ in SIX} == printed
    assert all(shots == 0 for _, shots in SIX)
    assert {task.primary(shots) for task, shots in SIX} == {"acc"}  # the first of the two that it prints
    normalised = {name.removesuffix("_norm") for name in read_table("isotoken")[0] if name.endswith("_norm")} - {"avg"}
    assert {task.name for task, _ in SIX if task.normalised} == normalised


def test_every_primary_metric_is_computed_and_no_chance_exceeds_it() -> None:
    for task, shots in (*SIX, *CORE_14):
        assert task.primary(shots) in task.metrics
        assert (task.chance is None) == (task.kind != "multiple-choice")
    rows = [row for row in read_table("downstream_tasks") if row["set"] == "core-14"]
    chance = {task.name: task.chance for task, _ in CORE_14}
    baselines = {row["task"]: float(row["core_v2"]) for row in rows}
    guessed = {name: share for name, share in baselines.items() if share and share != chance[name]}
    assert guessed == {"agieval_lsat_ar": 0.25, "boolq": 0.62, "commonsenseqa": 0.403}  # DCLM's, second version
    assert all(task.package_split in (None, task.paper_split) or task.paper_split == "test" for task in TASKS.values())


def test_every_task_has_its_own_metrics() -> None:
    """As the paper's Tables 2, 3 and 7 head their columns."""
    assert [task.name for task in TASKS.values() if task.normalised] == [
        "openbookqa", "agieval_lsat_ar", "arc_c", "arc_e", "hellaswag", "piqa", "sciq",
    ]  # fmt: skip
    assert [task.primary(task.shots) for task in TASKS.values()] == [
        "acc", "f1", "acc", "acc_norm", "acc", "acc", "acc_norm", "acc_norm", "acc_norm", "acc", "acc", "acc_norm",
        "acc_norm", "f1", "acc",
    ]  # fmt: skip


def test_with_other_shots_than_the_papers_a_task_keeps_its_metric() -> None:
    assert [TASKS["arc_c"].primary(shots) for shots in (0, 5, 10)] == ["acc", "acc_norm", "acc_norm"]
    assert [TASKS["squadv2"].primary(shots) for shots in (0, 10)] == ["f1", "f1"]


def test_names_are_sets_tasks_and_tasks_with_shots_each_once() -> None:
    found = tasks_named(["arc_e", "six", "arc_e:0", "boolq:2"])
    assert [(task.name, shots) for task, shots in found[:2]] == [("arc_e", 10), ("hellaswag", 0)]
    assert found[-1] == (TASKS["boolq"], 2)
    assert len(found) == 8
    assert tasks_named(["core-14"]) == CORE_14


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("core14", "did you mean 'core-14'"),
        ("hellaswg:0", "did you mean 'hellaswag'"),
        ("mmlu-of-all", "valid: agieval_lsat_ar"),
        ("piqa:x", "as in piqa:0"),
        ("piqa:", "from 0 to 50"),
        ("piqa:51", "from 0 to 50"),
        ("piqa:-1", "from 0 to 50"),
    ],
)
def test_unknown_names_are_one_line(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        tasks_named([name])
    assert "\n" not in str(refused.value)
