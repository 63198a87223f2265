"""A job: what is to run, on how many ranks, with how much of which machines. Plain data, which a launcher starts."""

import hashlib
import re
from typing import Annotated

from pydantic import Field, model_validator

from aira_lib.section import Section

LONGEST_NAME = 40
"""Of a job: with what Kubernetes appends to the names of its pods (`-node-0-15-x7k2p`) it is a DNS label of 63."""

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Job(Section):
    """One job. Each of its ranks runs `command`; several are started by torchrun, whose variables tell them apart.

    Attributes:
        name: Says which job it is: whoever submits it again gets the one that runs. A DNS label as of RFC 1035.
        command: A program and its arguments, as of `execvp`.
        nodes: Machines.
        ranks_per_node: Processes on each of them.
        gpus_per_node: Of each of them; rank i of a node takes the i-th.
        cores: Cores of a node; None: no bound.
        memory_gib: Memory of a node in GiB (2**30 bytes); None: no bound.
        environment: Names of variables that are passed on from whoever submits it. Their values, which may be secrets,
            are neither kept nor shown.
        variables: Variables that are set, with values that anybody may see.
        deadline_seconds: After which it is ended, counted from its start; None: never.
        study: The study that it is of, for lists of jobs.
        unit: The unit of the study, such as ``pretrain Composer@350M``.
    """

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=LONGEST_NAME)
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    nodes: int = Field(1, ge=1)
    ranks_per_node: int = Field(1, ge=1)
    gpus_per_node: int = Field(0, ge=0)
    cores: int | None = Field(None, ge=1)
    memory_gib: float | None = Field(None, gt=0)
    environment: tuple[Annotated[str, Field(pattern=_VARIABLE)], ...] = ()
    variables: tuple[tuple[Annotated[str, Field(pattern=_VARIABLE)], str], ...] = ()
    deadline_seconds: float | None = Field(None, gt=0)
    study: str = ""
    unit: str = ""

    @model_validator(mode="after")
    def _a_variable_is_passed_on_or_set(self) -> "Job":
        if twice := {name for name, _ in self.variables} & set(self.environment):
            raise ValueError(f"variables that are both set and passed on: {', '.join(sorted(twice))}")
        return self

    @property
    def ranks(self) -> int:
        """Processes on all nodes."""
        return self.nodes * self.ranks_per_node


def job_name(study: str, unit: str, key: str) -> str:
    """The name of the job that makes a unit's record: readable, and another one for every study, unit and key.

    Args:
        study: Name of the study.
        unit: Of the unit, which may hold anything.
        key: Of its record.
    """
    digest = hashlib.sha256("\n".join((study, unit, key)).encode()).hexdigest()[:12]
    words = re.sub(r"[^a-z0-9]+", "-", f"{study}-{unit}".lower()).strip("-")
    words = words if words[:1].isalpha() else f"job-{words}"
    return f"{words[: LONGEST_NAME - len(digest) - 1].rstrip('-')}-{digest}"
