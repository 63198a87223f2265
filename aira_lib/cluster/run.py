"""A run of Kubeflow Pipelines as plain data: what is sent to create one, and what the server tells of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

State = Literal[
    "RUNTIME_STATE_UNSPECIFIED",
    "PENDING",
    "RUNNING",
    "SUCCEEDED",
    "SKIPPED",
    "FAILED",
    "CANCELING",
    "CANCELED",
    "PAUSED",
]
"""As the server names them."""

ENDED: tuple[State, ...] = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
"""States that do not change any more, unless somebody retries the run."""

PART = "Started by run "
"""Begins the description of a run that another one started for some of its units."""


@dataclass(frozen=True)
class Task:
    """One task of a run, as its Workflow reports it: name, state, the error it ended with ('' without one), pod."""

    name: str
    state: State
    error: str
    pod: str


@dataclass(frozen=True)
class Version:
    """A version of a pipeline on the server."""

    pipeline_id: str
    id: str
    name: str


@dataclass(frozen=True)
class Run:
    """A run as the server tells of it.

    Attributes:
        id: A UUID.
        name: Shown in the UI.
        state: Of the run.
        error: Why it failed, as far as the server says; '' otherwise.
        created: UTC.
        finished: UTC; None: it has not.
        tasks: Of its Workflow, in the order of the server; none while it is pending.
        parameters: With which it was started.
        version: Ids of pipeline and version; None: it was given a pipeline of its own.
        experiment_id: Of which it is.
        service_account: Under which its tasks run.
        description: For people.
    """

    id: str
    name: str
    state: State
    error: str = ""
    created: datetime | None = None
    finished: datetime | None = None
    tasks: tuple[Task, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    version: tuple[str, str] | None = None
    experiment_id: str = ""
    service_account: str = ""
    description: str = ""

    @property
    def ended(self) -> bool:
        """Whether it will not change any more, unless somebody retries it."""
        return self.state in ENDED

    @property
    def is_part(self) -> bool:
        """Whether another run started it for some of its units."""
        return self.description.startswith(PART)

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.state == "SUCCEEDED"


@dataclass(frozen=True)
class NewRun:
    """A run to be created: of a version on the server, or of a pipeline that comes with it.

    Attributes:
        id: A UUID that whoever wants the same run has, too.
        name: Shown in the UI.
        experiment_id: See `RunsApi.experiment`.
        source: The version, or a compiled pipeline as plain data (see `inline`).
        parameters: Of the pipeline.
        service_account: Under which its tasks run.
        description: For people.
        plugins: Of the server, such as {"mlflow": {"experiment_name": "aira"}}; a server before 2.17 ignores them.
    """

    id: str
    name: str
    experiment_id: str
    source: Version | dict[str, Any]
    parameters: dict[str, Any]
    service_account: str
    description: str = ""
    plugins: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON of POST /runs."""
        source: dict[str, Any] = {"pipeline_spec": self.source}
        if isinstance(self.source, Version):
            reference = {"pipeline_id": self.source.pipeline_id, "pipeline_version_id": self.source.id}
            source = {"pipeline_version_reference": reference}
        return {
            "run_id": self.id,
            "display_name": self.name,
            "experiment_id": self.experiment_id,
            "runtime_config": {"parameters": self.parameters},
            "service_account": self.service_account,
            **({"description": self.description} if self.description else {}),
            **({"plugins_input": self.plugins} if self.plugins else {}),
            **source,
        }


def inline(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The documents of a compiled pipeline's file (the pipeline, then what Kubernetes gets) as `NewRun.source`."""
    pipeline, *platform = documents
    return {"pipeline_spec": dict(pipeline), "platform_spec": dict(platform[0])} if platform else dict(pipeline)


def read_run(found: Mapping[str, Any]) -> Run:
    """A run of the server's JSON."""
    reference = found.get("pipeline_version_reference") or {}
    return Run(
        id=str(found["run_id"]),
        name=str(found.get("display_name") or ""),
        state=_state(found),
        error=_error(found),
        created=_time(found.get("created_at")),
        finished=_time(found.get("finished_at")),
        tasks=tuple(_task(each) for each in (found.get("run_details") or {}).get("task_details") or ()),
        parameters=(found.get("runtime_config") or {}).get("parameters") or {},
        version=(reference["pipeline_id"], reference.get("pipeline_version_id", "")) if reference else None,
        experiment_id=str(found.get("experiment_id") or ""),
        service_account=str(found.get("service_account") or ""),
        description=str(found.get("description") or ""),
    )


def _task(found: Mapping[str, Any]) -> Task:
    return Task(str(found.get("display_name") or ""), _state(found), _error(found), str(found.get("pod_name") or ""))


def _state(found: Mapping[str, Any]) -> State:
    state = found.get("state")
    return cast("State", state) if state in get_args(State) else "RUNTIME_STATE_UNSPECIFIED"


def _error(found: Mapping[str, Any]) -> str:
    """An error of its own, or that of its last state."""
    history = found.get("state_history") or [{}]
    return str((found.get("error") or history[-1].get("error") or {}).get("message") or "")


def _time(text: str | None) -> datetime | None:
    """A time of the server, which writes 1970 for one that has not come."""
    if not text:
        return None
    read = datetime.fromisoformat(text).astimezone(UTC)
    return read if read.timestamp() > 0 else None
