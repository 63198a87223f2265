"""How large the Workflow of a pipeline becomes: a model of what Kubeflow Pipelines and Argo write of each task.

Read in kubeflow/pipelines 7b70c7b9 (backend/src/v2/compiler/argocompiler: dag.go, container.go, argo.go; driver.go) and
argo-workflows f016ad89 (pkg/apis/workflow/v1alpha1: NodeStatus; workflow/controller: operator.go; workflow/packer).

A container task is a driver's pod (inputs: its component, task, container and Kubernetes settings as JSON; output: a
patch of the executor's pod, with the launcher's command and the whole input), a DAG node and the executor's pod, which
both repeat that patch. A loop adds a DAG, a driver, a group, and for each item a DAG, a driver and another DAG. The
stock installation retries every template, so that each of these nodes hangs below one of type Retry that repeats its
inputs and outputs. Argo compresses the nodes (gzip, base64) once the whole is larger than a mebibyte, and gives the
Workflow up where that is still larger; `Size.stored` counts the compressed form alone, which grows as the whole does.

    python -m tests.argo_nodes FILE...      # sizes of compiled pipelines
"""

import base64
import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import MessageToDict

Json = dict[str, Any]

RUN = "5f0e6c1e-7a52-4f0e-9d0a-3c1f3f0a7f11"
PLACEHOLDER = "{{$.pipeline_job_uuid}}"
OUTPUT = "s3://bucket/" + "prefix/" * 12 + "study/stage/a-unit-of-some-length@scale-0123456789ab"  # 150 bytes


@dataclass(frozen=True)
class Size:
    """Of one Workflow.

    Attributes:
        nodes: Of its status.
        plain: Bytes of spec and nodes as JSON.
        stored: The same with compressed nodes.
        argument: Of the longest argument of a container or parameter of a node, bytes.
    """

    nodes: int
    plain: int
    stored: int
    argument: int


def size_of(documents: list[Json]) -> Size:
    """Of the Workflow that a compiled pipeline (its documents) ends as, with all tasks done."""
    model = _Model(documents[0], documents[1] if len(documents) > 1 else {})
    model.run()
    spec, nodes = _text(model.spec()), _text(model.nodes)
    packed = base64.b64encode(gzip.compress(nodes.encode(), mtime=0))
    return Size(len(model.nodes), len(spec) + len(nodes), len(spec) + len(packed), model.longest)


def documents_of(build: Callable[[], Any]) -> list[Json]:
    """Of a pipeline that a function builds, as a compiled file has them.

    Without the detour by YAML, which takes most of the time of compiling; and in a thread, for kfp reads the source of
    every caller of each of its functions, of which pytest has many.
    """
    with ThreadPoolExecutor(1) as pool:
        pipeline = pool.submit(build).result()
    return [MessageToDict(spec) for spec in (pipeline.pipeline_spec, pipeline.platform_spec)]


@dataclass
class _Model:
    ir: Json
    platform: Json
    nodes: dict[str, Json] = field(default_factory=dict)
    longest: int = 0
    _tasks: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.ir['pipelineInfo']['name']}-x7k2p"

    def run(self) -> None:
        """Write the nodes of all tasks."""
        root = self.ir["root"]
        given = root.get("inputDefinitions", {}).get("parameters", {})
        values = {name: spec.get("defaultValue", "") for name, spec in given.items()}
        self._node(self.name, "DAG", "entrypoint", {})
        driver = {
            "component": _text(root),
            "runtime-config": _text({"parameterValues": values}),
            "driver-type": "ROOT_DAG",
        }
        self._driver(f"{self.name}.root-driver", driver, dag=True)
        self._node(f"{self.name}.root", "DAG", "root", {"parent-dag-id": "1"})
        self._dag(root, f"{self.name}.root", values)

    def spec(self) -> Json:
        """The spec: each component, container and Kubernetes setting once, and templates that name them."""
        parts = [
            *self.ir["components"].values(),
            *self._executors().values(),
            *self._settings().values(),
            self.ir["root"],
        ]
        arguments = [
            {"name": f"components-{zlib.crc32(_text(part).encode()):064d}", "value": _text(part)} for part in parts
        ]
        templates = [{"name": f"template-{n}", "tasks": [task, task]} for n, task in enumerate(self._tasks)]
        system = "x" * 12_000  # drivers, launcher with its volumes, security contexts: the same of every pipeline
        return {"arguments": {"parameters": arguments}, "templates": templates, "system": system}

    def _dag(self, component: Json, path: str, values: Mapping[str, Any]) -> None:
        for name, task in sorted(component["dag"]["tasks"].items()):
            self._tasks.append(_text(task))
            if "parameterIterator" in task:
                self._loop(name, task, f"{path}.{name}", values)
            else:
                self._container(name, task, f"{path}.{name}", values)

    def _loop(self, name: str, task: Json, path: str, values: Mapping[str, Any]) -> None:
        inner = self.ir["components"][task["componentRef"]["name"]]
        common = {"component": _text(inner), "task": _text(task), "task-name": name, "parent-dag-id": "12345"}
        self._node(path, "DAG", f"{name}-iterator", {"parent-dag-id": "12345"})
        self._driver(f"{path}.iteration-driver", common, dag=True)
        self._node(f"{path}.iteration-iterations", "TaskGroup", "", {}, retried=False)
        iterator = task["parameterIterator"]
        for number, item in enumerate(_items(iterator)):
            each = f"{path}.iteration-iterations({number}:{number})"
            index = {"iteration-index": str(number)}
            self._node(each, "DAG", f"{name}-iteration", {"parent-dag-id": "12346", **index})
            self._driver(f"{each}.iteration-item-driver", {**common, **index}, dag=True)
            self._node(f"{each}.iteration-item", "DAG", task["componentRef"]["name"], {"parent-dag-id": "12347"})
            self._dag(inner, f"{each}.iteration-item", {**values, iterator["itemInput"]: item})

    def _container(self, name: str, task: Json, path: str, values: Mapping[str, Any]) -> None:
        component = self.ir["components"][task["componentRef"]["name"]]
        label = component["executorLabel"]
        container, settings = self._executors()[label]["container"], self._settings().get(label, {})
        inputs = {key: _value(each, values) for key, each in task.get("inputs", {}).get("parameters", {}).items()}
        patch = _text(_patch(component, container, settings, inputs))
        given = {
            "component": _text(component), "task": _text(task), "container": _text(container), "task-name": name,
            "parent-dag-id": "12348", "kubernetes-config": _text(settings),
        }  # fmt: skip
        self._driver(f"{path}-driver", given, patch=patch)
        labels = settings.get("podMetadata", {}).get("labels", {})
        of_pod = {"pod-spec-patch": patch} | {
            f"pod-metadata-label-val-{n}": each for n, each in enumerate(labels.values())
        }
        self._node(path, "DAG", "system-container-executor", {**of_pod, "cached-decision": "false"})
        self._node(f"{path}.executor", "Pod", "system-container-impl", of_pod, {"exitCode": "0"})
        for text in (*json.loads(patch)["containers"][0]["command"], *json.loads(patch)["containers"][0]["args"]):
            self.longest = max(self.longest, len(text))

    def _driver(self, path: str, inputs: Json, dag: bool = False, patch: str = "") -> None:
        left = (
            {"execution-id": "12345", "iteration-count": "20"}
            if dag
            else {"pod-spec-patch": patch, "cached-decision": "false"}
        )
        template = "system-dag-driver" if dag else "system-container-driver"
        self._node(path, "Pod", template, inputs, {**left, "condition": "true", "exitCode": "0"})

    def _node(
        self, path: str, kind: str, template: str, inputs: Json, outputs: Json | None = None, retried: bool = True
    ) -> None:  # fmt: skip
        for value in (*inputs.values(), *(outputs or {}).values()):
            self.longest = max(self.longest, len(value))
        if retried:
            self._write(path, "Retry", template, inputs, outputs)
        self._write(f"{path}(0)" if retried else path, kind, template, inputs, outputs)

    def _write(self, path: str, kind: str, template: str, inputs: Json, outputs: Json | None) -> None:
        mark = zlib.crc32(path.encode())
        time = f"2026-11-{mark % 28 + 1:02d}T{mark % 24:02d}:{mark % 59:02d}:{mark % 57:02d}Z"
        node = {
            "id": f"{self.name}-{mark}", "name": path, "displayName": path.rpartition(".")[2], "type": kind,
            "templateName": template, "templateScope": f"local/{self.name}", "phase": "Succeeded",
            "boundaryID": f"{self.name}-{zlib.crc32(path[:-9].encode())}", "startedAt": time, "finishedAt": time,
            "progress": "1/1", "resourcesDuration": {"cpu": mark % 100_000, "memory": mark % 1_000_000},
            "children": [f"{self.name}-{mark ^ 77}"], "outboundNodes": [f"{self.name}-{mark ^ 99}"],
            "hostNodeName": f"ip-10-0-{mark % 255}-{mark // 255 % 255}.eu-central-1.compute.internal",
        }  # fmt: skip
        if inputs:
            node["inputs"] = {"parameters": [{"name": key, "value": value} for key, value in inputs.items()]}
        if outputs:
            node["outputs"] = {"parameters": [{"name": key, "value": value} for key, value in outputs.items()]}
        self.nodes[node["id"]] = node

    def _executors(self) -> Json:
        return dict(self.ir["deploymentSpec"]["executors"])

    def _settings(self) -> Json:
        kubernetes = self.platform.get("platforms", {}).get("kubernetes", {})
        return dict(kubernetes.get("deploymentSpec", {}).get("executors", {}))


def _items(iterator: Json) -> list[Any]:
    """Of a loop: those that it names, or as many as the smoke study has, which another task lists."""
    items = iterator["items"]
    return list(json.loads(items["raw"])) if "raw" in items else [OUTPUT] * 3


def _value(given: Json, values: Mapping[str, Any]) -> Any:
    """What an input of a task is at run time; what another task gives is a URI."""
    if "componentInputParameter" in given:
        return values.get(given["componentInputParameter"], OUTPUT)
    if "runtimeValue" in given:
        constant = given["runtimeValue"]["constant"]
        return RUN if constant == PLACEHOLDER else constant
    return OUTPUT


def _patch(component: Json, container: Json, settings: Json, inputs: Json) -> Json:
    """What the driver writes of the executor's pod."""
    artifacts = component.get("outputDefinitions", {}).get("artifacts", {})
    executor_input = {
        "inputs": {"parameterValues": inputs},
        "outputs": {
            "parameters": {"Output": {"outputFile": "/tmp/kfp/outputs/Output"}},
            "artifacts": {name: {"artifacts": [{"uri": OUTPUT + name, "metadata": {}}]} for name in artifacts},
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
        },
    }
    launcher = ["--run_id", RUN, "--executor_input", _text(executor_input), "--component_spec", _text(component)]
    launcher += ["--server"] + ["ml-pipeline.kubeflow.svc.cluster.local"] * 6
    return {
        "containers": [
            {
                "name": "main", "image": container["image"], "command": launcher,
                "args": [*container["command"], *container["args"]], "env": container.get("env", []),
                "resources": {"limits": container.get("resources", {}), "requests": container.get("resources", {})},
            }
        ],
        "settings": settings,
    }  # fmt: skip


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def lines(files: list[Path]) -> Iterator[str]:
    """A line a compiled pipeline."""
    for file in files:
        size = size_of(list(yaml.safe_load_all(file.read_text(encoding="utf-8"))))
        yield f"{file.name}: {described(size)}"


def described(size: Size) -> str:
    """A size in words."""
    return (
        f"{size.nodes:,} nodes, {size.stored / 1024:.0f} KiB stored ({size.plain / 1024:,.0f} before compression), "
        f"longest argument {size.argument / 1024:.1f} KiB"
    )


if __name__ == "__main__":
    print("\n".join(lines([Path(name) for name in sys.argv[1:]])))
