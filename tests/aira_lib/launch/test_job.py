"""A job is data that survives its text, and its name is one that Kubernetes takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aira_lib.launch.job import LONGEST_NAME, Job, job_name

KEY = "6e6026c04e17" * 5


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True), st.text(max_size=80), st.text(max_size=64))
def test_every_name_is_a_label_and_always_the_same(study: str, unit: str, key: str) -> None:
    name = job_name(study, unit, key)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= LONGEST_NAME <= 63
    assert name == job_name(study, unit, key) == Job(name=name, command=("true",)).name


def test_names_of_other_units_studies_and_keys_differ() -> None:
    names = {job_name(s, u, k) for s in ("a", "b") for u in ("x.y", "x-y", "X-y") for k in (KEY, KEY[1:])}
    assert len(names) == 12


def test_a_job_survives_its_text() -> None:
    job = Job(
        name="a", command=("python", "-m", "x", "two words"), nodes=2, ranks_per_node=8, gpus_per_node=8, cores=64,
        memory_gib=512.5, environment=("AWS_SECRET_ACCESS_KEY",), variables=(("OMP_NUM_THREADS", "8"),),
        deadline_seconds=3600.0, study="s", unit="pretrain x",
    )  # fmt: skip
    assert Job.model_validate_json(job.model_dump_json()) == job
    assert job.ranks == 16


@pytest.mark.parametrize(
    "wrong",
    [{"name": "Upper"}, {"name": "a-"}, {"name": "a" * 41}, {"name": "1a"}, {"command": ()}, {"nodes": 0},
     {"environment": ("A=secret",)}, {"variables": (("A", "1"),), "environment": ("A",)}, {"deadline_seconds": 0}],
)  # fmt: skip
def test_what_is_no_job_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Job.model_validate({"name": "a", "command": ("true",), **wrong})
