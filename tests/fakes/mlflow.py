"""MLflow's REST API, as far as a client asks that writes runs: in memory, over real HTTP.

Kubeflow's plugin is played by `plugin_run`, which makes runs as it does: a parent of the pipeline run, and one of each
task below it. Artifacts are not served.
"""

import re
import time
import uuid

from tests.fakes.http import Answer, FakeServer, Json, Request

_CODES = {"RESOURCE_DOES_NOT_EXIST": 404, "RESOURCE_ALREADY_EXISTS": 400, "INVALID_PARAMETER_VALUE": 400}


class Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FakeMLflow(FakeServer):
    """See above.

    Attributes:
        experiments: Name -> id.
        runs: By id, each {"info": ..., "data": {"tags": {}, "params": {}, "metrics": [...]}}.
        writes: (id of a run, what was done) of every request that wrote.
    """

    def __init__(self) -> None:
        super().__init__()
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, Json] = {}
        self.writes: list[tuple[str, str]] = []

    def plugin_run(self, experiment: str, name: str, parent: str = "") -> str:
        """A run such as Kubeflow's plugin makes; its id."""
        tags = {"mlflow.parentRunId": parent} if parent else {"kfp.pipeline_run_id": str(uuid.uuid4())}
        place = self.experiments.setdefault(experiment, str(len(self.experiments) + 1))
        return self._make(place, name, tags)

    def by_key(self) -> dict[str, Json]:
        """Runs that have one of our keys, by it."""
        found = [run for run in self.runs.values() if "aira.key" in run["data"]["tags"]]
        keys = {run["data"]["tags"]["aira.key"]: run for run in found}
        assert len(keys) == len(found), "two runs have one key"
        return keys

    def answer(self, request: Request) -> Answer:
        name = re.sub(r"^/(?:ajax-)?api/[23]\.0/mlflow/", "", request.path)
        fields = request.json() if request.body else dict(request.query)
        try:
            return Answer.of(self._answer(name, fields))
        except Refused as error:
            return Answer.of({"error_code": error.code, "message": str(error)}, _CODES[error.code])

    def _answer(self, name: str, fields: Json) -> Json:
        match name:
            case "experiments/get-by-name":
                if (key := self.experiments.get(fields["experiment_name"])) is None:
                    raise Refused("RESOURCE_DOES_NOT_EXIST", "no such experiment")
                about = {"experiment_id": key, "name": fields["experiment_name"], "lifecycle_stage": "active"}
                return {"experiment": about}
            case "experiments/create":
                if fields["name"] in self.experiments:
                    raise Refused("RESOURCE_ALREADY_EXISTS", "it exists")
                key = self.experiments[fields["name"]] = str(len(self.experiments) + 1)
                return {"experiment_id": key}
            case "runs/create":
                tags = {tag["key"]: tag["value"] for tag in fields.get("tags", [])}
                run_id = self._make(fields["experiment_id"], fields.get("run_name", ""), tags)
                self.writes.append((run_id, "create"))
                return {"run": self._shown(run_id)}
            case "runs/search":
                key = re.fullmatch(r"tags\.`(.+)` = '(.*)'", fields["filter"])
                assert key, fields["filter"]
                place = fields["experiment_ids"]
                runs = [
                    self._shown(run_id)
                    for run_id, run in self.runs.items()
                    if run["info"]["experiment_id"] in place and run["data"]["tags"].get(key[1]) == key[2]
                    if run["info"]["lifecycle_stage"] == "active"
                ]
                return {"runs": runs}
            case "runs/get":
                return {"run": self._shown(fields["run_id"])}
            case "metrics/get-history":
                found = self._run(fields["run_id"])["data"]["metrics"]
                return {"metrics": [each for each in found if each["key"] == fields["metric_key"]]}
        return self._write(name, fields)

    def _write(self, name: str, fields: Json) -> Json:
        run = self._run(fields["run_id"])
        info, data = run["info"], run["data"]
        self.writes.append((fields["run_id"], name))
        match name:
            case "runs/set-tag":
                data["tags"][fields["key"]] = fields["value"]
            case "runs/update":
                info |= {key: fields[key] for key in ("status", "end_time", "run_name") if key in fields}
                return {"run_info": info}
            case "runs/delete":
                info["lifecycle_stage"] = "deleted"
            case "runs/log-batch":
                for param in fields.get("params", []):
                    if data["params"].setdefault(param["key"], param["value"]) != param["value"]:
                        raise Refused("INVALID_PARAMETER_VALUE", f"{param['key']} was logged with another value")
                data["tags"] |= {tag["key"]: tag["value"] for tag in fields.get("tags", [])}
                data["metrics"] += fields.get("metrics", [])
            case _:
                raise Refused("RESOURCE_DOES_NOT_EXIST", f"no such call: {name}")
        return {}

    def _make(self, experiment: str, name: str, tags: Json) -> str:
        run_id = uuid.uuid4().hex
        info = {
            "run_id": run_id, "run_uuid": run_id, "experiment_id": experiment, "run_name": name, "status": "RUNNING",
            "start_time": time.time_ns() // 1_000_000, "lifecycle_stage": "active", "artifact_uri": "file:///nowhere",
        }  # fmt: skip
        self.runs[run_id] = {"info": info, "data": {"tags": dict(tags), "params": {}, "metrics": []}}
        return run_id

    def _run(self, run_id: str) -> Json:
        if run_id not in self.runs:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id} not found")
        return self.runs[run_id]

    def _shown(self, run_id: str) -> Json:
        run = self._run(run_id)
        data = run["data"]
        latest = {each["key"]: each for each in data["metrics"]}
        pairs = {name: [{"key": k, "value": v} for k, v in data[name].items()] for name in ("tags", "params")}
        return {"info": run["info"], "data": {**pairs, "metrics": list(latest.values())}}
