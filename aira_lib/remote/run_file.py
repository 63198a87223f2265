"""A run as a file: what is to run on a cluster, kept in git. Equal content is one run, however often it is submitted.

What a run *is* follows from what its file says, not from how it is written: comments, order and defaults that are
written out change nothing, and an inline study counts as the study that it is. `attempt` says that the same is to run
again; `follow` and `state` say what is done with the run, not what it is.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid5

from pydantic import Field, model_validator

from aira_lib.cluster.reading import check_store
from aira_lib.cluster.section import Cluster
from aira_lib.flow.checks import check_study
from aira_lib.remote.begin import OWN
from aira_lib.remote.checks import check_cluster
from aira_lib.remote.cost import costs, require_confirmed
from aira_lib.remote.overrides import overridden
from aira_lib.remote.shipped import shipped_study
from aira_lib.section import Section
from aira_lib.study import Study, canonical_json, changed, digest
from aira_lib.study.reading import load_section, load_study, parse_study, plain_data

_RUNS = UUID("0e5a31a4-6a0b-5f0e-9a37-5f1f6c1f2a35")
_IN_THE_STORE = re.compile(r"#[0-9a-f]{64}$")
ATTEMPT = re.compile(r"^Run file .*, attempt (\d+), ")
"""In the description of a run that was submitted."""

SUFFIX = re.compile(r"-[0-9a-f]{10}$")
"""Of its name: the beginning of its digest."""

_NOT_THE_RUN = {"follow", "state"}


class RunFile(Section):
    """One run.

    Attributes:
        name: For people, and the beginning of the run's name in the UI.
        pipeline: Name of a Pipeline of Kubeflow.
        version: Name of its version; None: its newest at the time.
        preset: Name of a study that comes with AIRA.
        study: A whole study; or a file with one, beside this file; or STORE/.../studies/...#DIGEST, as `begin` has it.
            Without preset and study it is the pipeline's own.
        overrides: Settings of the study by their dotted names, such as {"pretrain.isotoken.seeds": [0, 1]}.
        store: Where records are kept; None: the cluster's.
        confirm: What is asked for before what is expensive is started.
        units_at_once: Searches or pretraining points that are worked on at once; None: as many as the pipeline says.
        attempt: Another number is another run of the same.
        follow: Whether whoever submits it waits for its end.
        state: terminated: the run is ended where it runs, and not started where it does not.
    """

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40)
    pipeline: str = Field(min_length=1, max_length=253)
    version: str | None = Field(None, min_length=1, max_length=253)
    preset: str | None = Field(None, min_length=1)
    study: dict[str, Any] | str | None = None
    overrides: dict[str, Any] = {}
    store: str | None = Field(None, min_length=1)
    confirm: str | None = Field(None, min_length=1)
    units_at_once: int | None = Field(None, ge=1)
    attempt: int = Field(1, ge=1)
    follow: bool = False
    state: Literal["running", "terminated"] = "running"

    @model_validator(mode="after")
    def _one_study(self) -> "RunFile":
        if self.preset and self.study:
            raise ValueError("preset and study both say what is to run; keep one")
        return self


@dataclass(frozen=True)
class Wanted:
    """A run file that was read for a cluster.

    Attributes:
        file: As it was read.
        study: Of the file, where it holds one, or names a file with one.
        meant: That is run, as far as it is known here, with its overrides; None: its pipeline finds it.
        digest: Of what the run is.
        run_id: Follows from the digest and the namespace: the same file in two namespaces is two runs.
    """

    file: RunFile
    study: Study | None
    meant: Study | None
    digest: str
    run_id: str

    @property
    def name(self) -> str:
        """Of the run, as the UI shows it."""
        return f"{self.file.name}-{self.digest[:10]}"

    @property
    def description(self) -> str:
        """Of the run, for people."""
        return f"Run file {self.file.name}, attempt {self.file.attempt}, digest {self.digest}"

    def parameters(self) -> dict[str, Any]:
        """Of the pipeline: those that the file says."""
        said = {
            "preset": OWN if self.file.study else self.file.preset,
            "study": canonical_json(self.study) if self.study else self.file.study,
            "overrides": self.file.overrides,
            "store": self.file.store,
            "confirm": self.file.confirm,
            "units_at_once": self.file.units_at_once,
        }
        return {key: value for key, value in said.items() if value}


def load_run_file(path: Path, cluster: Cluster) -> Wanted:
    """Read a run file (YAML or JSON), and refuse what its pipeline would refuse, as far as that can be told here.

    Raises:
        SpecError: one line for the first thing that is wrong.
        UserError: it, or the study that it names, cannot be read; the cluster cannot run the study; its cost has to be
            confirmed.
    """
    file = load_section(path, RunFile, "run", "docs/gitops.md")
    if file.store is not None:
        check_store(file.store, f"{path}: store")
    study = _study_of(file, path)
    return wanted(file, study, _meant(file, study, cluster, path), cluster)


def wanted(file: RunFile, study: Study | None, meant: Study | None, cluster: Cluster) -> Wanted:
    """A run for a cluster."""
    what = {key: value for key, value in changed(file).items() if key not in _NOT_THE_RUN}
    found = digest({**what, "study": changed(study)} if study else what)
    return Wanted(file, study, meant, found, str(uuid5(_RUNS, f"{cluster.kubeflow.namespace}/{found}")))


def _meant(file: RunFile, study: Study | None, cluster: Cluster, path: Path) -> Study | None:
    """The study that would be run.

    Raises:
        UserError: it would not be.
    """
    if file.preset:
        plain = shipped_study(file.preset)
    elif study:
        plain = json.loads(canonical_json(study))
    else:
        return None
    meant = parse_study(overridden(plain, file.overrides), f"{path}: the study with its overrides")
    check_study(meant)
    check_cluster(meant, cluster)
    if file.state == "running":
        require_confirmed(meant, costs(meant, cluster), file.confirm or "", cluster.confirm_gpu_hours)
    return meant


def _study_of(file: RunFile, path: Path) -> Study | None:
    match file.study:
        case None:
            return None
        case dict():
            return parse_study(file.study, f"{path}: study")
        case text if _IN_THE_STORE.search(text):
            return None
        case text if text.lstrip().startswith("{"):
            return parse_study(plain_data(text, f"{path}: study"), f"{path}: study")
        case text:
            return load_study(path.parent / text)
