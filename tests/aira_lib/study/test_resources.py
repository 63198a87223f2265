"""Resources of a study: by stage and scale, read strictly, and of no importance to any result."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.errors import UserError
from aira_lib.flow.checks import check_resources, check_sections
from aira_lib.planning.resources import points_at_once, resource_lines
from aira_lib.study import Resources, ResourcesAtScale, Study, canonical_json
from tests.aira_lib.cli.in_process import aira
from tests.builders import CLUSTER, TINY_STUDY, tiny_study


def test_a_scale_says_only_what_is_otherwise() -> None:
    given = Resources(nodes=2, gpus_per_node=8, cores=64, by_scale={"3B": ResourcesAtScale(nodes=1, cores=32)})
    assert given.at("3B") == ResourcesAtScale(nodes=1, gpus_per_node=8, cores=32)
    assert given.at("1B") == given.at(None) == ResourcesAtScale(nodes=2, gpus_per_node=8, cores=64)
    assert (given.at("3B").ranks_in_all, given.at("1B").ranks_in_all) == (8, 16)


def test_nothing_said_is_one_process_without_bounds() -> None:
    got = tiny_study().resources_of("pretrain", "nano")
    assert got == ResourcesAtScale()
    assert (got.ranks, got.ranks_in_all) == (1, 1)


def test_what_a_study_says_survives_its_text() -> None:
    """A scale that asks for the default of a stage that asks for more keeps it."""
    study = tiny_study(resources={"pretrain": {"nodes": 2, "by_scale": {"nano": {"nodes": 1, "ranks_per_node": 1}}}})
    again = Study.model_validate_json(canonical_json(study))
    assert again.resources_of("pretrain", "nano").ranks_in_all == 1
    assert again == study


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({"pretrian": {}}, r"resources: unknown stage 'pretrian'; did you mean 'pretrain'\?"),
        ({"pretrain": {"by_scale": {"nanno": {}}}}, r"by_scale: unknown scale 'nanno'; did you mean 'nano'\?"),
        ({"pretrain": {"gpus": 1}}, r"unknown key 'resources.pretrain.gpus'; valid: by_scale, cores, "),
        ({"pretrain": {"gpus_per_node": 2, "ranks_per_node": 3}}, "two ranks cannot share a GPU"),
        ({"pretrain": {"ranks_per_node": 3, "by_scale": {"nano": {"gpus_per_node": 2}}}}, "by_scale.nano: .*share"),
        ({"search": {"by_scale": {"nano": {}}}}, "resources.search.by_scale: a unit of search has no scale"),
        ({"evaluate": {"ranks_per_node": 2}}, r"one process makes a unit of evaluate, .* \(stages .*: pretrain\)"),
        ({"evaluate": {"by_scale": {"nano": {"nodes": 2}}}}, "resources.evaluate: one process"),
        ({"pretrain": {"nodes": 0}}, "resources.pretrain.nodes: input should be greater than or equal to 1, got 0"),
    ],
)
def test_what_makes_no_sense_is_one_line(resources: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        check_sections(tiny_study(resources=resources))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({"gpus_per_node": 2}, "resources.pretrain at scale nano: 2 GPUs on one machine, and this one has 1 GPU; ask"),
        ({"nodes": 2}, "resources.pretrain at scale nano: 2 nodes, and this is one machine"),
        ({"by_scale": {"nano": {"gpus_per_node": 8}}}, "resources.pretrain at scale nano: 8 GPUs"),
    ],
)
def test_what_this_machine_is_not_is_refused_before_anything_starts(
    resources: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    study = tiny_study(pretrain={**TINY_STUDY["pretrain"], "trainer": "ddp"}, resources={"pretrain": resources})
    with pytest.raises(UserError, match=line):
        check_resources(study)
    check_resources(study, ["search"])
    (tmp_path / "study.json").write_text(canonical_json(study))
    for command in (("run", "--tracking", "none"), ("pretrain",)):
        ended = aira(*command, str(tmp_path / "study.json"), AIRA_STORE=str(tmp_path / "runs"), AIRA_KERNELS="plain",
                     AIRA_DEVICE="cpu")  # fmt: skip
        assert ended.code == 2
        assert line in ended.err
    assert not list(tmp_path.glob("runs/tiny/*"))


def test_a_scale_that_is_not_trained_asks_nothing_of_this_machine() -> None:
    check_resources(tiny_study(resources={"pretrain": {"by_scale": {"3B": {"nodes": 4, "gpus_per_node": 8}}}}))


def test_the_plan_shows_what_is_asked_for_wherever_that_is(tmp_path: Path) -> None:
    """A plan of what a cluster has is shown by a machine without a GPU."""
    resources = {"pretrain": {"gpus_per_node": 8, "deadline_hours": 12, "by_scale": {"nano": {"nodes": 2, "cores": 4}}}}
    study = tiny_study(pretrain={**TINY_STUDY["pretrain"], "trainer": "ddp"}, resources=resources)
    lines = [
        "pretrain: 8 ranks, 8 GPUs, 12 h at most",
        "pretrain at nano: 2 nodes, 8 ranks a node, 8 GPUs a node, 4 cores a node, 12 h at most",
    ]
    assert resource_lines(study) == lines
    (tmp_path / "study.json").write_text(canonical_json(study))
    ended = aira("run", str(tmp_path / "study.json"), "--dry-run", AIRA_STORE=str(tmp_path / "runs"), AIRA_DEVICE="cpu",
                 CUDA_VISIBLE_DEVICES="")  # fmt: skip
    assert ended.code == 0, ended.err
    assert all(line in ended.out for line in lines)


@pytest.mark.parametrize(
    ("resources", "visible", "at_once"),
    [({}, "", 8), ({"ranks_per_node": 3}, "", 2), ({"ranks_per_node": 9}, "", 1),
     ({"gpus_per_node": 2}, "0,1,2,3,4", 2),
     ({"by_scale": {"nano": {"ranks_per_node": 4}, "3B": {"ranks_per_node": 8}}}, "", 2)],
)  # fmt: skip
def test_points_at_once_leave_a_core_and_a_gpu_for_each_rank(
    resources: dict[str, Any], visible: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert points_at_once(tiny_study(resources={"pretrain": resources}), 8) == at_once


def test_several_nodes_are_for_a_cluster_that_has_trainings_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny_study(resources={"pretrain": {"nodes": 2, "gpus_per_node": 8}})
    for name, said in (("with", CLUSTER), ("without", {**CLUSTER, "training": None})):
        (tmp_path / name).write_text(yaml.safe_dump(said))
    monkeypatch.setenv("AIRA_CLUSTER", str(tmp_path / "with"))
    check_resources(study)
    monkeypatch.setenv("AIRA_CLUSTER", str(tmp_path / "without"))
    with pytest.raises(UserError, match="this cluster trains on one node"):
        check_resources(study)
