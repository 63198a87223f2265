"""Resources of a study: by stage and scale, read strictly, and of no importance to any result."""

from typing import Any

import pytest

from aira_lib.errors import UserError
from aira_lib.flow.checks import check_sections
from aira_lib.study import Resources, ResourcesAtScale, Study, canonical_json
from tests.builders import tiny_study


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
