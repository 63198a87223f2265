"""A Kubernetes API that tests of a cluster run against: a real one, or the fake, which shows that the tests work."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.kinds import Kind
from aira_lib.cluster.refusals import Refused

Object = dict[str, Any]
CRDS = Path(__file__).parent / "crds"
MANAGER = "aira-tests"
_DEFINITIONS = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", False)
_NAMESPACES, _NODES = Kind("v1", "namespaces", False), Kind("v1", "nodes", False)
_ACCOUNTS = Kind("v1", "serviceaccounts")

CUSTOM = {
    "TrainJob": ("trainer.kubeflow.org", "v1alpha1", "trainjobs"),
    "TrainingRuntime": ("trainer.kubeflow.org", "v1alpha1", "trainingruntimes"),
    "LocalQueue": ("kueue.x-k8s.io", "v1beta2", "localqueues"),
    "Pipeline": ("pipelines.kubeflow.org", "v2beta1", "pipelines"),
    "PipelineVersion": ("pipelines.kubeflow.org", "v2beta1", "pipelineversions"),
    "PodDefault": ("kubeflow.org", "v1alpha1", "poddefaults"),
    "Workflow": ("argoproj.io", "v1alpha1", "workflows"),
}
"""Kinds of others that AIRA makes or owns things by: group, version, plural."""


@dataclass
class Server:
    """One API server, with two namespaces of these tests' own.

    Attributes:
        api: As an administrator.
        real: False: the fake.
        runs: Namespace in the place of that of the runs.
        candidates: The same of candidates' pods; it enforces restricted pods.
    """

    api: Kubernetes
    real: bool
    runs: str
    candidates: str
    _kinds: dict[str, dict[str, Kind]] = field(default_factory=dict)

    def kind(self, api: str, name: str) -> Kind | None:
        """A kind by what manifests say; None: the server does not have it."""
        if name not in self._kinds.get(api, {}):  # it may have come since
            path = f"/apis/{api}" if "/" in api else f"/api/{api}"
            try:
                found = self.api.connection.request("GET", path)["resources"]
            except Refused:
                return None
            kinds = {each["kind"]: each for each in found if "/" not in each["name"]}
            self._kinds[api] = {word: Kind(api, each["name"], each["namespaced"]) for word, each in kinds.items()}
        return self._kinds[api].get(name)

    def apply(self, manifest: Object, dry_run: bool = True) -> Object:
        """Apply on the server's side, strictly: a field that it does not know is refused."""
        kind = self.kind(manifest["apiVersion"], manifest["kind"])
        assert kind, f"{manifest['kind']} is not served"
        query = {"fieldManager": MANAGER, "force": "true", "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        path = kind.path(manifest["metadata"].get("namespace", self.runs), manifest["metadata"]["name"])
        how = "application/apply-patch+yaml"
        return self.api.connection.request("PATCH", path, query, manifest, how)

    def create(self, manifest: Object, dry_run: bool = False) -> Object:
        """Create an object; where an object has no namespace, in that of the runs."""
        kind = self.kind(manifest["apiVersion"], manifest["kind"])
        assert kind, f"{manifest['kind']} is not served"
        path = kind.path(manifest["metadata"].get("namespace", self.runs))
        query = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self.api.connection.request("POST", path, query, manifest)

    @cached_property
    def nodes(self) -> list[str]:
        """Names of nodes that are ready: without any, no pod runs."""
        return [
            node["metadata"]["name"]
            for node in self.api.find(_NODES)
            if any(
                each["type"] == "Ready" and each["status"] == "True"
                for each in node.get("status", {}).get("conditions", [])
            )
        ]

    @cached_property
    def has_controllers(self) -> bool:
        """Whether controllers run, which collect garbage and count quotas: they make an account in each namespace.

        The fake does all that itself.
        """
        runs = self.api.within(self.runs)
        return not self.real or until(lambda: runs.get(_ACCOUNTS, "default") is not None, 20)

    def may(self, user: str, verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:
        """What a SubjectAccessReview says."""
        resource, _, part = resource.partition("/")
        wanted = {"verb": verb, "group": group, "resource": resource, "subresource": part, "namespace": namespace}
        spec = {"user": user, "groups": _groups(user), "resourceAttributes": {**wanted, "name": name}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self.api.connection.request("POST", path, body=review)["status"]["allowed"])


def _groups(user: str) -> list[str]:
    """A server adds these to whoever logs in; a review has to name them."""
    words = user.split(":")
    accounts = ["system:serviceaccounts", f"system:serviceaccounts:{words[2]}"] if len(words) == 4 else []
    return [*accounts, "system:authenticated"]


@contextmanager
def defined(api: Kubernetes, real: bool) -> Iterator[None]:
    """The definitions that a server without nodes, which is nobody's cluster, lacks; they go again."""
    server, made = Server(api, real, "default", "default"), list[str]()
    try:
        for name, (group, version, plural) in CUSTOM.items() if not server.nodes else ():
            if server.kind(f"{group}/{version}", name) is None:
                with suppress(Refused):  # one of another version stays as it is
                    server.create(_definition(name, group, version, plural))
                    made.append(f"{plural}.{group}")
                    until(partial(_is_served, server, f"{group}/{version}", name), 30)
        yield
    finally:
        for each in made:
            api.delete(_DEFINITIONS, each)


@contextmanager
def served(api: Kubernetes, real: bool) -> Iterator[Server]:
    """A server with namespaces of its own, which go again."""
    mark = uuid.uuid4().hex[:8]
    server = Server(api, real, f"aira-test-runs-{mark}", f"aira-test-candidates-{mark}")
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    try:
        for name, labels in ((server.runs, {}), (server.candidates, restricted)):
            metadata = {"name": name, "labels": {"aira/test": mark, **labels}}
            server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        if not server.has_controllers:  # without the account no pod is admitted
            for name in (server.runs, server.candidates):
                metadata = {"name": "default", "namespace": name}
                server.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        yield server
    finally:
        for name in (server.runs, server.candidates):
            api.delete(_NAMESPACES, name)


def _is_served(server: Server, api: str, name: str) -> bool:
    return server.kind(api, name) is not None


def _definition(name: str, group: str, version: str, plural: str) -> Object:
    file = CRDS / f"{name.lower()}s.yaml"
    schema: Object = (
        yaml.safe_load(file.read_text()) if file.exists() else {"x-kubernetes-preserve-unknown-fields": True}
    )
    served_version = {"name": version, "served": True, "storage": True, "subresources": {"status": {}}}
    served_version["schema"] = {"openAPIV3Schema": {"type": "object", **schema}}
    names = {"kind": name, "plural": plural, "singular": name.lower(), "listKind": f"{name}List"}
    # Groups of k8s.io are guarded: this says that the definition is no one's release.
    annotations = {"api-approved.kubernetes.io": "unapproved, made by tests"} if group.endswith(".k8s.io") else {}
    metadata = {"name": f"{plural}.{group}", "annotations": annotations}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [served_version]}
    api = "apiextensions.k8s.io/v1"
    return {"apiVersion": api, "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait for something; whether it came."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def real_api(markers: str, kubeconfig: str | None, connect: Callable[[], Kubernetes]) -> Kubernetes:
    """The API of a real cluster, where it was asked for by `pytest -m cluster`: a KUBECONFIG alone is no leave."""
    if "cluster" not in markers or "not cluster" in markers:
        pytest.skip("a real cluster is only used by `pytest -m cluster`")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster")
    return connect()
