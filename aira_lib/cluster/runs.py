"""Runs of Kubeflow Pipelines (API v2beta1): create them under an id of our own, find them again, watch, end them.

The server takes a caller's run id, and makes the run's Workflow *before* the row in its database: a second POST of the
same id would leave a second Workflow beside the first, both reporting into one row. So a run is created only after
looking for its row and for Workflows of its id, and an answer that was lost is settled by looking again, never by
sending again blindly. What may be created by several processes at once is claimed first (`aira_lib.cluster.claim`).
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aira_lib.cluster.kinds import WORKFLOWS
from aira_lib.cluster.rest import READS, KubeflowError, Rest, Unanswered
from aira_lib.cluster.run import NewRun, Run, Version, read_run
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError

if TYPE_CHECKING:
    from aira_lib.cluster.api import Kubernetes

_API = "/apis/v2beta1"
_PAGE, _ALL = 100, 1_000_000
_SETTLING = (0.2, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between looks for what a lost answer may have made
_ATTEMPTS = 3

RUN_LABEL = "pipeline/runid"
"""Of a run's Workflow and its pods."""

Workflows = Callable[[str], Sequence[str]]
"""Names of the Workflows of a run id."""


class RunsApi:
    """The runs of a cluster.

    Args:
        cluster: Where its API is, and the namespace of the runs.
        workflows: Finds a run's Workflows; None: the Kubernetes API is asked.
        pause: Waits so many seconds.
        reads: How often reading is tried again.
    """

    def __init__(
        self,
        cluster: Cluster,
        workflows: Workflows | None = None,
        pause: Callable[[float], None] = time.sleep,
        reads: int = READS,
    ) -> None:
        kubeflow = cluster.kubeflow
        self._namespace, self._pause = kubeflow.namespace, pause
        self._rest = Rest(kubeflow.api, Path(kubeflow.token), reads)
        self._workflows = workflows or _by_kubernetes(kubeflow.namespace)

    def get(self, run_id: str) -> Run | None:
        """The run of an id, with its tasks; None: the server has none."""
        found = self._rest.read(f"{_API}/runs/{quote(run_id, safe='')}")
        return None if found is None else read_run(found)

    def list(
        self, *, name: str | None = None, experiment_id: str | None = None, most: int = 100, parts: bool = True
    ) -> list[Run]:
        """Runs, newest first.

        Args:
            name: their display name; None: any.
            experiment_id: of their experiment; None: any of the namespace.
            most: how many at most.
            parts: whether runs count that another run started for some of its units.
        """
        query = {"namespace": self._namespace, "sort_by": "created_at desc"}
        query |= {"experiment_id": experiment_id} if experiment_id else {}
        query |= {"filter": _equals("display_name", name)} if name is not None else {}
        runs = (read_run(each) for each in self._pages("runs", "runs", query, most if parts else _ALL))
        return list(islice((run for run in runs if parts or not run.is_part), most))

    def terminate(self, run_id: str) -> None:
        """End a run; one that has ended stays as it is.

        Raises:
            UserError: there is no such run, or it is refused.
        """
        path = f"{_API}/runs/{quote(run_id, safe='')}:terminate"
        for last in (False, False, True):
            if (run := self.get(run_id)) is None:
                raise UserError(f"run {run_id}: there is none in namespace {self._namespace}; `aira runs list` has all")
            if run.ended or run.state == "CANCELING":
                return
            try:
                self._rest.write(path)
            except (KubeflowError, Unanswered) as error:
                if last or getattr(error, "status", 429) not in (400, 429):
                    raise
                self._pause(2.0)  # 400: it may have ended meanwhile; else nobody knows

    def version(self, pipeline: str, version: str | None = None) -> Version:
        """The version of a pipeline by both names, or its newest.

        Raises:
            UserError: there is no such pipeline or version.
        """
        found = self._rest.read(f"{_API}/pipelines/names/{quote(pipeline, safe='')}", {"namespace": self._namespace})
        if found is None:
            raise UserError(
                f"pipeline {pipeline!r}: Kubeflow has none of this name in namespace {self._namespace}; install it "
                "(`aira compile --kubernetes`, or charts/aira), or mend the name"
            )
        pipeline_id = str(found["pipeline_id"])
        query = {"sort_by": "created_at desc", **({"filter": _equals("name", version)} if version else {})}
        pages = self._pages(f"pipelines/{quote(pipeline_id, safe='')}/versions", "pipeline_versions", query, 1)
        newest = next(pages, None)
        if newest is None:
            which = f"version {version!r}" if version else "version"
            raise UserError(f"pipeline {pipeline!r}: Kubeflow has no {which} of it; install it, or mend the name")
        return Version(pipeline_id, str(newest["pipeline_version_id"]), str(newest.get("name") or version))

    def version_names(self, pipeline_id: str, version_id: str) -> tuple[str, str] | None:
        """Names of a pipeline and its version; None: one of them is gone."""
        path = f"{_API}/pipelines/{quote(pipeline_id, safe='')}"
        pipeline = self._rest.read(path)
        version = pipeline and self._rest.read(f"{path}/versions/{quote(version_id, safe='')}")
        return (str(pipeline["name"]), str(version["name"])) if version else None

    def find_experiment(self, name: str) -> str | None:
        """The id of an experiment of this name; None: there is none."""
        query = {"namespace": self._namespace, "filter": _equals("display_name", name)}
        found = next(self._pages("experiments", "experiments", query, 1), None)
        return None if found is None else str(found["experiment_id"])

    def experiment(self, name: str) -> str:
        """The id of an experiment of this name; it is made where there is none.

        Raises:
            KubeflowError: there is none, and this service account may not make one.
        """
        if (found := self.find_experiment(name)) is not None:
            return found
        try:
            made = self._rest.write(f"{_API}/experiments", {"display_name": name, "namespace": self._namespace})
            return str(made["experiment_id"])
        except (KubeflowError, Unanswered) as error:
            if (found := self.find_experiment(name)) is not None:  # another made it meanwhile, or the answer was lost
                return found
            if getattr(error, "status", None) == 403:
                raise KubeflowError(
                    f"experiment {name!r}: there is none in namespace {self._namespace}, and this service account may "
                    "not make one; make it in the Kubeflow UI once, or name another as kubeflow.experiment",
                    403,
                ) from None
            raise

    def ensure(self, run: NewRun) -> tuple[Run, bool]:
        """The run of an id: the one that is there, else a new one; and whether it is new.

        Raises:
            UserError: it is refused.
            Unanswered: nobody knows whether it was made; the same call may tell later.
        """
        if (found := self.started(run.id)) is not None:
            return found, False
        return self.create(run), True

    def started(self, run_id: str) -> Run | None:
        """The run of an id that has a row or a Workflow; None: it was not started.

        Raises:
            UserError: its Workflow runs, and the server has no row of it.
        """
        if (found := self.get(run_id)) is not None:
            return found
        if not (names := self._workflows(run_id)):
            return None
        for seconds in _SETTLING:  # the row follows the Workflow
            self._pause(seconds)
            if (found := self.get(run_id)) is not None:
                return found
        raise UserError(
            f"run {run_id}: its Workflow {names[0]} is there, but Kubeflow's database has no run of it, so that no "
            f"page shows it; `kubectl -n {self._namespace} delete workflow {names[0]}`, then submit again"
        )

    def create(self, run: NewRun, before: Callable[[], None] = lambda: None) -> Run:
        """Start a run that was looked for and is not there (see `ensure`).

        Args:
            run: what is sent.
            before: called before each time that it is sent.

        Raises:
            KubeflowError: it is refused.
            Unanswered: nobody knows whether it was made; `ensure` may tell later.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            before()
            try:
                return read_run(self._rest.write(f"{_API}/runs", run.body()))
            except Unanswered as error:
                if (found := self._settled(run.id, error)) is not None:
                    return found
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError

    def _settled(self, run_id: str, error: Unanswered) -> Run | None:
        """What a POST without an answer made; None: nothing, so that it may be sent again.

        Raises:
            Unanswered: that cannot be told here.
        """
        if not error.sent:
            self._pause(5.0)
            return None
        for seconds in _SETTLING:
            self._pause(seconds)
            try:
                if (found := self.started(run_id)) is not None:
                    return found
            except (Unanswered, KubeflowError):
                continue
        return self.started(run_id)

    def _pages(self, path: str, key: str, query: dict[str, str], most: int) -> Iterator[dict[str, Any]]:
        """Up to `most` entries of a list that the server gives by pages."""
        token, left = "", most
        while left > 0:
            size = str(min(left, _PAGE))
            page = self._rest.read(f"{_API}/{path}", {**query, "page_size": size, "page_token": token}) or {}
            yield from page.get(key) or ()
            token, left = page.get("next_page_token") or "", left - int(size)
            if not token:
                return


def _by_kubernetes(namespace: str) -> Workflows:
    @cache
    def kubernetes() -> "Kubernetes":
        from aira_lib.cluster.api import connect

        return connect(namespace)

    def names(run_id: str) -> Sequence[str]:
        found = kubernetes().find(WORKFLOWS, f"{RUN_LABEL}={run_id}")
        return [each["metadata"]["name"] for each in found]

    return names


def _equals(key: str, value: str) -> str:
    return json.dumps({"predicates": [{"key": key, "operation": "EQUALS", "string_value": value}]})
