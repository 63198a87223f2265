"""What a run is follows from what its file says, not from how it is written; what is wrong is one line."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow.texts import write_study
from aira_lib.remote.run_file import RunFile, wanted
from aira_lib.study.reading import parse_study
from tests.aira_lib.remote.platform import Platform
from tests.builders import CLUSTER, TINY_STUDY

HERE = Cluster.model_validate(CLUSTER)
FILE: dict[str, Any] = {"name": "first", "pipeline": "aira-compose"}


def run_id(cluster: Cluster = HERE, **file: Any) -> str:
    return wanted(RunFile.model_validate({**FILE, **file}), None, None, cluster).run_id


def test_comments_order_and_written_defaults_are_the_same_run(there: Platform) -> None:
    texts = (
        "name: first\npipeline: aira-compose\npreset: smoke\n",
        "# of mine\npreset: 'smoke'\n\npipeline: aira-compose\nattempt: 1\nname: first\noverrides: {}\n",
        "name: first\npipeline: aira-compose\npreset: smoke\nfollow: true\nstate: terminated\n",
    )
    assert len({there.wanted(text).run_id for text in texts}) == 1


@given(
    st.dictionaries(
        st.sampled_from(["version", "preset", "store", "confirm"]), st.sampled_from(["a", "b"]), min_size=1
    ),
    st.integers(1, 3),
)
def test_whatever_else_is_said_is_another_run(said: dict[str, str], attempt: int) -> None:
    plain = run_id()
    assert run_id(**said, attempt=attempt) != plain
    assert run_id(**said, attempt=attempt) == run_id(**dict(reversed(said.items())), attempt=attempt)


def test_the_same_file_in_another_namespace_is_another_run() -> None:
    assert run_id(Cluster.model_validate({**CLUSTER, "kubeflow": {"namespace": "team-b"}})) != run_id()


def test_a_study_is_the_same_run_beside_the_file_and_within_it(there: Platform) -> None:
    (there.folder / "study.yaml").write_text(yaml.safe_dump(TINY_STUDY))
    within = there.wanted(yaml.safe_dump({**FILE, "study": TINY_STUDY}))
    beside = there.wanted(yaml.safe_dump({**FILE, "study": "study.yaml"}))
    assert within.run_id == beside.run_id
    assert within.parameters() == beside.parameters()
    (there.folder / "study.yaml").write_text(yaml.safe_dump({**TINY_STUDY, "name": "other"}))
    assert there.wanted(yaml.safe_dump({**FILE, "study": "study.yaml"})).run_id != within.run_id


def test_a_study_in_the_store_travels_as_its_name_there(there: Platform) -> None:
    name = write_study(parse_study(TINY_STUDY, "test"), str(there.folder / "store"))
    assert there.wanted(yaml.safe_dump({**FILE, "study": name})).parameters() == {"preset": "own-study", "study": name}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: first\n", "key 'pipeline' is missing"),
        ("name: First run\npipeline: p\n", "name: "),
        ("name: first\npipeline: p\natempt: 2\n", "unknown key 'atempt'; did you mean 'attempt'"),
        ("name: first\npipeline: p\nattempt: 0\n", "attempt: "),
        ("name: first\npipeline: p\nstate: stopped\n", "state: "),
        ("name: first\npipeline: p\npreset: smoke\nstudy: {name: x}\n", "keep one"),
        ("name: first\npipeline: p\nstudy: {name: x, layers: 3}\n", "unknown key 'layers'"),
        ("name: first\npipeline: p\nstudy: nowhere.yaml\n", "nowhere.yaml: cannot be read"),
        ("name: first\nname: second\n", "stands twice"),
        ("name: first\npipeline: p\nstore: runs\n", "store: 'runs' is a folder"),
        ("name: first\npipeline: p\noverrides: {a: &a [*a]}\n", r"aliases \(\*a\) are not read"),
        ("- a\n", "a run is a mapping"),
    ],
)
def test_a_mistake_is_one_line(there: Platform, text: str, line: str) -> None:
    with pytest.raises(UserError, match=line) as error:
        there.wanted(text)
    assert "run.yaml" in str(error.value) or "nowhere" in line
    assert "\n" not in str(error.value)


def test_a_study_that_its_pipeline_would_refuse_is_refused_here(there: Platform) -> None:
    for more, line in (
        ({"overrides": {"proxy.epoch": 3}}, "unknown key 'proxy.epoch'"),
        ({"overrides": {"agents.7.steps": 3}}, "a list has entries"),
        ({"overrides": {"": 3}}, "'' names no setting"),
        ({"overrides": {".".join("a" * 3000): 3}}, "deeper than any study"),
        ({"preset": "smok"}, "did you mean 'smoke'"),
    ):
        with pytest.raises(UserError, match=line):
            there.wanted(yaml.safe_dump({**FILE, "preset": "smoke", **more}))


def test_what_is_expensive_has_to_be_confirmed_and_the_line_says_how(there: Platform) -> None:
    file = {**FILE, "preset": "paper-3", "overrides": {"pretrain.data.shards": "s3://bucket/shards"}}
    with pytest.raises(UserError, match="with confirm: ") as refused:
        there.wanted(yaml.safe_dump(file))
    confirm = str(refused.value).rpartition(" ")[2]
    assert there.wanted(yaml.safe_dump({**file, "confirm": confirm})).parameters()["confirm"] == confirm
    assert there.wanted(yaml.safe_dump({**file, "state": "terminated"}))
