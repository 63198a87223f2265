"""The API of Kubeflow Pipelines (v2beta1) over real HTTP, with Workflows in a fake Kubernetes API and no controller.

    with FakeKubernetes() as cluster, FakeKubeflow(cluster) as kubeflow:
        kubeflow.add_pipeline("aira", "v1", spec)
        kubeflow.progress(run_id, "FAILED", tasks=[{"display_name": "begin", "state": "FAILED"}], error="no")
        kubeflow.executor = lambda run: "SUCCEEDED"   # in a thread for each new run: PENDING, RUNNING, what it says
        kubeflow.between.append(function)             # called with a run between its Workflow and its row
        kubeflow.tokens = {"secret"}                  # else 401
        kubeflow.fail("POST .*/runs$", 503); kubeflow.drop("POST .*/runs$")   # as http.FakeServer has them

It keeps the order of effects of the real CreateRun (kubeflow/pipelines, backend/src/apiserver/resource): experiment and
pipeline are looked up, the Workflow is created under a new name with the label pipeline/runid, and only then the row
is inserted. A run id that is taken is found out by the insertion alone: the answer is 500, and the second Workflow
runs and reports into the first one's row. A caller's run_id is kept; parameters over `max_parameter_bytes` are 400; a
run that goes on has finished_at 1970-01-01; numbers of parameters come back as doubles; an empty field is left out.
"""

import json
import threading
import uuid
from collections.abc import Callable
from typing import Self

from tests.fakes.http import Answer, FakeServer, Json, Request
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.objects import now
from tests.fakes.rows import RUN_LABEL, Refused, doubles, paged, shown, workflow_of

FINAL = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
_STATUS = {3: 400, 5: 404, 6: 409, 7: 403, 13: 500, 14: 503, 16: 401}
_PHASES = {
    "PENDING": "Pending",
    "RUNNING": "Running",
    "SUCCEEDED": "Succeeded",
    "FAILED": "Failed",
    "CANCELED": "Failed",
}


class FakeKubeflow(FakeServer):
    """See above.

    Attributes:
        runs: The table of runs, by id, each as the API shows it.
        pipelines: By id.
        versions: Of pipelines, by id, oldest first.
        experiments: By id.
    """

    def __init__(self, kubernetes: FakeKubernetes, namespace: str = "aira", version: str = "2.17.0") -> None:
        super().__init__()
        self.kubernetes, self.namespace, self.version = kubernetes, namespace, version
        self.runs: dict[str, Json] = {}
        self.pipelines: dict[str, Json] = {}
        self.versions: dict[str, Json] = {}
        self.experiments: dict[str, Json] = {}
        self.tokens: set[str] | None = None
        self.max_parameter_bytes = 10_000
        self.multi_user = False
        self.between: list[Callable[[Json], None]] = []
        self.executor: Callable[[Json], str] | None = None
        self._workers: list[threading.Thread] = []
        self.lock = threading.RLock()
        kubernetes.register("argoproj.io", "v1alpha1", "Workflow", "workflows", status=False)
        self.add_experiment("Default")

    def __enter__(self) -> Self:
        return super().__enter__()

    def __exit__(self, *about: object) -> None:
        super().__exit__(*about)
        for worker in self._workers:
            worker.join(5)

    # For tests

    def add_experiment(self, name: str, namespace: str = "") -> str:
        """Make an experiment; returns its id."""
        key = str(uuid.uuid4())
        made = {"experiment_id": key, "display_name": name, "created_at": now(), "storage_state": "AVAILABLE"}
        self.experiments[key] = made | ({"namespace": namespace} if namespace else {})
        return key

    def add_pipeline(self, name: str, version: str, spec: Json) -> tuple[str, str]:
        """Make a version of a pipeline (of a new one, where there is none); returns the ids of both."""
        known = [key for key, each in self.pipelines.items() if each["name"] == name]
        key = known[0] if known else str(uuid.uuid4())
        self.pipelines.setdefault(
            key,
            {"pipeline_id": key, "name": name, "display_name": name, "created_at": now(), "namespace": self.namespace},
        )
        version_key = str(uuid.uuid4())
        self.versions[version_key] = {
            "pipeline_id": key, "pipeline_version_id": version_key, "name": version, "display_name": version,
            "created_at": now(), "pipeline_spec": spec,
        }  # fmt: skip
        return key, version_key

    def workflows(self, run_id: str = "") -> list[Json]:
        """All Workflows, or those of a run."""
        every = self.kubernetes.all_of("workflows", self.namespace)
        return [each for each in every if run_id in ("", each["metadata"]["labels"][RUN_LABEL])]

    def state(self, run_id: str) -> str:
        with self.lock:
            return str(self.runs[run_id]["state"])

    def progress(self, run_id: str, state: str, tasks: list[Json] | None = None, error: str = "") -> None:
        """What the controller and the persistence agent do: the Workflows' phase, then the row.

        Args:
            run_id: of the run.
            state: its new state.
            tasks: run_details.task_details, such as {"display_name": "begin", "state": "FAILED", "error": {...}}.
            error: message of the run's error.
        """
        for workflow in self.workflows(run_id):
            name = workflow["metadata"]["name"]
            self.kubernetes.put({**workflow, "status": {"phase": _PHASES.get(state, "Running")}, "metadata": {
                **workflow["metadata"], "resourceVersion": ""}})  # fmt: skip
            self.report(name, state)
        with self.lock:
            run = self.runs[run_id]
            if tasks is not None:
                details = [
                    {"task_id": str(uuid.uuid4()), "run_id": run_id, "create_time": now(), **one} for one in tasks
                ]
                run["run_details"] = {"task_details": details}
            if error:
                run["error"] = {"code": 13, "message": error}
            if not self.workflows(run_id):
                self._set_state(run, state)

    def report(self, workflow: str, state: str) -> None:
        """One Workflow's report into the row that its label names, whichever Workflow that row was made for."""
        found = self.kubernetes.get("workflows", self.namespace, workflow)
        with self.lock:
            if found and (run := self.runs.get(found["metadata"]["labels"][RUN_LABEL])):
                self._set_state(run, state)

    def _set_state(self, run: Json, state: str) -> None:
        run["state"] = state
        run["finished_at"] = now() if state in FINAL else "1970-01-01T00:00:00Z"
        run.setdefault("state_history", []).append({"update_time": now(), "state": state})

    # Requests

    def sorry(self, status: int, message: str) -> Answer:
        code = next((code for code, one in _STATUS.items() if one == status), 2)
        return Answer.of({"code": code, "message": message, "details": []}, status)

    def answer(self, request: Request) -> Answer:
        try:
            self._login(request)
            return Answer.of(self._answer(request))
        except Refused as error:
            return self.sorry(_STATUS[error.code], str(error))

    def _login(self, request: Request) -> None:
        given = next((value for key, value in request.headers.items() if key.lower() == "authorization"), "")
        if self.tokens is not None and given.removeprefix("Bearer ") not in self.tokens:
            raise Refused(16, "Unauthenticated: Request header error: there is no valid token")

    def _answer(self, request: Request) -> Json:
        parts = request.path.removeprefix("/pipeline").strip("/").split("/")
        if parts[:2] != ["apis", "v2beta1"]:
            raise Refused(5, "Not Found")
        match (request.method, *parts[2:]):
            case ("GET", "healthz"):
                return {"commit_sha": "unknown", "tag_name": self.version, "multi_user": self.multi_user}
            case ("POST", "runs"):
                return self.create_run(request.json())
            case ("GET", "runs"):
                return paged("runs", self._runs_of(request), request.query)
            case ("GET", "runs", run_id):
                return self._row(self.runs, run_id, "run")
            case ("DELETE", "runs", run_id):
                self._row(self.runs, run_id, "run")
                with self.lock:
                    del self.runs[run_id]
                return {}
            case ("POST", "runs", call):
                run_id, _, verb = call.partition(":")
                return self._call(run_id, verb)
            case ("GET", "pipelines"):
                return paged("pipelines", list(self.pipelines.values()), request.query)
            case ("GET", "pipelines", "names", name):
                found = [each for each in self.pipelines.values() if each["name"] == name]
                return found[0] if found else self._row({}, name, "pipeline")
            case ("GET", "pipelines", key):
                return self._row(self.pipelines, key, "pipeline")
            case ("GET", "pipelines", key, "versions"):
                newest_first = [each for each in reversed(self.versions.values()) if each["pipeline_id"] == key]
                return paged("pipeline_versions", newest_first, request.query)
            case ("GET", "pipelines", _, "versions", key):
                return self._row(self.versions, key, "pipeline version")
            case ("GET", "experiments"):
                return paged("experiments", list(self.experiments.values()), request.query)
            case ("GET", "experiments", key):
                return self._row(self.experiments, key, "experiment")
            case ("POST", "experiments"):
                return self._create_experiment(request.json())
        raise Refused(5, "Not Found")

    def _row(self, table: dict[str, Json], key: str, what: str) -> Json:
        with self.lock:
            if key not in table:
                raise Refused(
                    5, f"Failed to get a {what}: Failed to fetch {what} {key}: ResourceNotFoundError: {key} not found"
                )
            return shown(table[key])

    def _create_experiment(self, wanted: Json) -> Json:
        with self.lock:
            if any(each["display_name"] == wanted["display_name"] for each in self.experiments.values()):
                raise Refused(
                    6,
                    f"Already exist error: Failed to create a new experiment. The name {wanted['display_name']} exists",
                )
            key = self.add_experiment(wanted["display_name"], wanted.get("namespace", ""))
            return dict(self.experiments[key])

    def _runs_of(self, request: Request) -> list[Json]:
        wanted = request.query.get("experiment_id", "")
        with self.lock:
            return [shown(each) for each in self.runs.values() if wanted in ("", each["experiment_id"])]

    def create_run(self, wanted: Json) -> Json:
        """CreateRun in its real order: look-ups, the Workflow, the row."""
        if not wanted.get("display_name"):
            raise Refused(3, "Invalid input error: The run name is empty. Please specify a valid name")
        run = {
            **wanted,
            "run_id": wanted.get("run_id") or str(uuid.uuid4()),
            "experiment_id": self._experiment_of(wanted),
        }
        spec = self._spec_of(run)
        parameters = (run.get("runtime_config") or {}).get("parameters") or {}
        if len(json.dumps(parameters, separators=(",", ":")).encode()) > self.max_parameter_bytes:
            message = (
                f"Invalid input error: The input parameter length exceed maximum size of {self.max_parameter_bytes}"
            )
            raise Refused(3, message)
        workflow = workflow_of(run, spec, self.namespace)
        self.kubernetes.put(workflow)
        for hook in self.between:
            hook(run)
        with self.lock:
            if run["run_id"] in self.runs:
                raise Refused(
                    13,
                    "Failed to create a run: InternalServerError: Failed to store run: duplicate entry",
                )
            made = {
                **run, "runtime_config": doubles(run.get("runtime_config") or {}), "storage_state": "AVAILABLE",
                "created_at": now(), "scheduled_at": now(), "service_account": workflow["spec"]["serviceAccountName"],
            }  # fmt: skip
            self._set_state(made, "PENDING")
            self.runs[run["run_id"]] = made
            answer = shown(made)
        self._execute(answer)
        return answer

    def _experiment_of(self, wanted: Json) -> str:
        key = wanted.get("experiment_id")
        if not key:
            return next(iter(self.experiments))
        if key not in self.experiments:
            raise Refused(5, f"ResourceNotFoundError: Experiment {key} not found")
        return str(key)

    def _spec_of(self, run: Json) -> Json:
        """The pipeline of a run; a reference without a version means the newest one."""
        if "pipeline_spec" in run:
            return dict(run["pipeline_spec"].get("pipeline_spec", run["pipeline_spec"]))
        reference = run.get("pipeline_version_reference") or {}
        mine = [one for one in self.versions.values() if one["pipeline_id"] == reference.get("pipeline_id")]
        wanted = reference.get("pipeline_version_id")
        found = [one for one in mine if wanted in (None, "", one["pipeline_version_id"])]
        if not found:
            raise Refused(13, "Failed to create a run due to error fetching manifest: pipeline version not found")
        run["pipeline_version_reference"] = {**reference, "pipeline_version_id": found[-1]["pipeline_version_id"]}
        return dict(found[-1]["pipeline_spec"])

    def _execute(self, run: Json) -> None:
        if self.executor:
            worker = threading.Thread(target=self._run_through, args=(run,), daemon=True)
            self._workers.append(worker)
            worker.start()

    def _run_through(self, run: Json) -> None:
        assert self.executor
        self.progress(run["run_id"], "RUNNING")
        end = self.executor(run)
        self.progress(run["run_id"], "CANCELED" if self.state(run["run_id"]) == "CANCELING" else end)

    def _call(self, run_id: str, verb: str) -> Json:
        self._row(self.runs, run_id, "run")
        with self.lock:
            run = self.runs[run_id]
            if verb == "terminate":
                if run["state"] not in ("PENDING", "RUNNING", "PAUSED"):
                    raise Refused(3, f"Invalid input error: Failed to terminate a run {run_id}. Row not found")
                run["state"] = "CANCELING"
            elif verb == "retry":
                if run["state"] not in ("FAILED", "CANCELED"):
                    raise Refused(3, f"Workflow of run {run_id} cannot be retried: it has not failed")
                self._set_state(run, "RUNNING")
            elif verb in ("archive", "unarchive"):
                run["storage_state"] = "ARCHIVED" if verb == "archive" else "AVAILABLE"
            else:
                raise Refused(5, "Not Found")
            answer = shown(run)
        for workflow in self.workflows(run_id) if verb == "terminate" else []:
            stopped = {**workflow, "spec": {**workflow["spec"], "activeDeadlineSeconds": 0}}
            self.kubernetes.put({**stopped, "metadata": {**workflow["metadata"], "resourceVersion": ""}})
        if verb == "retry":
            self._execute(answer)
        return {}
