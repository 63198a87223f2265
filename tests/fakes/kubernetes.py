"""A Kubernetes API server over real HTTP, without kubelets and controllers.

    with FakeKubernetes(namespaces=("aira",)) as cluster:
        cluster.kubeconfig(path)                      # of an administrator, or of user="system:serviceaccount:aira:x"
        cluster.register("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs", schema=..., immutable=("spec.x",))
        cluster.fail("POST .*/leases$", 429, retry_after=1); cluster.drop("POST .*/jobs$"); cluster.break_connections()
        cluster.compact()                             # watches from before now are told 410 Gone
        cluster.put(manifest); cluster.get("pods", "aira", "p"); cluster.all_of("leases", "aira")
        cluster.pod_status("aira", "p", "Failed", exit_code=1); cluster.say("aira", "p", "a line\\n")
        cluster.controllers.append(function)          # called with each objects.Change, as a controller sees them

What there is: discovery and OpenAPI of custom resources, create (generateName, dryRun), get, list (labelSelector;
fieldSelector of metadata.name, metadata.namespace, status.phase, spec.nodeName and involvedObject.*; limit and
continue), watch (bookmarks, 410 as an ERROR event, as the real watch cache says it), update, patch (merge, strategic
for built-in kinds only and without merge keys, JSON patch, server-side apply without managers), delete with
preconditions, propagation (jobs orphan their pods where nothing is said), finalizers and owners, /status, pods/log
(follow, timestamps, sinceTime), reviews of access from the stored RBAC objects, quotas (quota.py).
Requests with a token of `kubeconfig(user=...)` are held to that user's rights; all others are the administrator's.
What there is not: attach, admission policies, managed fields, protobuf; exec is in executing.py.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from tests.fakes.discovery import discovered
from tests.fakes.http import Answer, FakeServer, Json, Request
from tests.fakes.kinds import Kind
from tests.fakes.logs import PodLogs
from tests.fakes.objects import Change, Objects, now
from tests.fakes.resources import Call, Resources
from tests.fakes.rights import ADMIN, check_allowed, reviewed
from tests.fakes.rules import ApiError
from tests.fakes.selectors import yes

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[a-z]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<part>[a-z]+))?)?/?"
)
_REVIEWS = ("selfsubjectaccessreviews", "subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectrulesreviews")


class FakeKubernetes(FakeServer):
    """See above."""

    def __init__(self, namespaces: tuple[str, ...] = ("aira",)) -> None:
        super().__init__()
        self.objects = Objects()
        self.logs = PodLogs(self.stopping)
        self.resources = Resources(self.objects, self.logs, self.stopping)
        self._users: dict[str, str] = {}
        for name in ("default", "kube-system", *namespaces):
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    # For tests

    @property
    def controllers(self) -> list[Callable[[Change], None]]:
        return self.objects.controllers

    def kubeconfig(self, path: Path, user: str = ADMIN, namespace: str = "aira") -> Path:
        """Write a file that KUBECONFIG may name."""
        token = f"token-{uuid.uuid4().hex}"
        self._users[token] = user
        both = {"cluster": "fake", "user": "fake"}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1", "kind": "Config", "current-context": "fake",
                    "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                    "users": [{"name": "fake", "user": {"token": token}}],
                    "contexts": [{"name": "fake", "context": {**both, "namespace": namespace}}],
                }
            )
        )  # fmt: skip
        return path

    def token(self, user: str) -> str:
        """A bearer token of a user."""
        token = f"token-{uuid.uuid4().hex}"
        self._users[token] = user
        return token

    def register(
        self, group: str, version: str, name: str, plural: str, *, namespaced: bool = True, status: bool = True,
        schema: Json | None = None, immutable: tuple[str, ...] = (), versions: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Make a CustomResourceDefinition; the schema is an openAPIV3Schema of the whole object."""
        each = {"served": True, "storage": False, "schema": {"openAPIV3Schema": schema or _OPEN}}
        each |= {"subresources": {"status": {}}} if status else {}
        all_versions = [{**each, "name": one, "storage": one == version} for one in (version, *versions)]
        metadata = {"name": f"{plural}.{group}", "labels": dict(labels or {})}
        metadata["annotations"] = {"fake/immutable": " ".join(immutable)}
        names = {"kind": name, "plural": plural, "singular": name.lower(), "listKind": f"{name}List"}
        scope = "Namespaced" if namespaced else "Cluster"
        spec = {"group": group, "scope": scope, "names": names, "versions": all_versions}
        self.put(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": metadata,
                "spec": spec,
            }
        )

    def put(self, manifest: Json) -> Json:
        """Create an object, or replace it, its status included, as controllers write both."""
        kind = next(
            kind
            for kind in self.objects.kinds.values()
            if kind.name == manifest["kind"]
            and manifest["apiVersion"] in {f"{kind.group}/{version}".strip("/") for version in kind.versions}
        )
        name, namespace = manifest["metadata"].get("name", ""), manifest["metadata"].get("namespace", "")
        namespace = namespace or ("default" if kind.namespaced else "")
        if any(each["metadata"]["name"] == name for each in self.objects.all(kind, namespace)):
            made = self.objects.update(kind, namespace, name, manifest)
        else:
            made = self.objects.create(kind, namespace, manifest)
        if "status" in manifest and kind.has_status:
            name = made["metadata"]["name"]
            made = self.objects.update(kind, namespace, name, {"status": manifest["status"]}, "status")
        return made

    def kind(self, plural: str) -> Kind:
        return next(kind for (_, each), kind in self.objects.kinds.items() if each == plural)

    def get(self, plural: str, namespace: str, name: str) -> Json | None:
        """A stored object, or None."""
        try:
            return self.objects.get(self.kind(plural), namespace, name)
        except ApiError:
            return None

    def all_of(self, plural: str, namespace: str = "") -> list[Json]:
        return self.objects.all(self.kind(plural), namespace)

    def set_status(self, plural: str, namespace: str, name: str, status: Json) -> Json:
        return self.objects.update(self.kind(plural), namespace, name, {"status": status}, "status")

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object as somebody with kubectl would."""
        self.objects.delete(self.kind(plural), namespace, name)

    def pod_status(
        self, namespace: str, name: str, phase: str, exit_code: int = 0, reason: str = "", container: str = ""
    ) -> Json:
        """What a kubelet says of a pod: a phase and what comes with it (reason such as Evicted or OOMKilled)."""
        pod = self.objects.get(self.kind("pods"), namespace, name)
        container = container or pod["spec"]["containers"][0]["name"]
        state: Json = {"waiting": {"reason": reason or "ContainerCreating"}}
        if phase == "Running":
            state = {"running": {"startedAt": now()}}
        elif phase in ("Succeeded", "Failed"):
            why = reason or ("Completed" if phase == "Succeeded" else "Error")
            state = {"terminated": {"exitCode": exit_code, "reason": why, "finishedAt": now()}}
        about = {"name": container, "image": pod["spec"]["containers"][0].get("image", ""), "imageID": ""}
        statuses = [{**about, "state": state, "ready": phase == "Running", "restartCount": 0}]
        status = {"phase": phase, "containerStatuses": statuses, "startTime": now()}
        made = self.set_status("pods", namespace, name, status | ({"reason": reason} if reason else {}))
        self.logs.wake()
        return made

    def say(self, namespace: str, name: str, text: str, container: str = "") -> None:
        """Add to the log of a pod's container (of its first one)."""
        pod = self.objects.get(self.kind("pods"), namespace, name)
        key = (namespace, name, container or pod["spec"]["containers"][0]["name"])
        self.logs.say(key, text)

    def compact(self) -> None:
        self.objects.compact()

    # Requests

    def sorry(self, status: int, message: str) -> Answer:
        reason = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 403: "Forbidden"}
        return Answer.of(ApiError(status, reason.get(status, "Unknown"), message).status, status)

    def answer(self, request: Request) -> Answer:
        try:
            user = self._user(request)
            found = discovered(list(self.objects.kinds.values()), request.path)
            return Answer.of(found) if found is not None else self._resource(user, request)
        except ApiError as error:
            return Answer.of(error.status, error.code)

    def _user(self, request: Request) -> str:
        token = request.headers.get("authorization", request.headers.get("Authorization", "")).removeprefix("Bearer ")
        if not token:
            return ADMIN
        if token not in self._users:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return self._users[token]

    def _resource(self, user: str, request: Request) -> Answer:
        match = _PATH.fullmatch(request.path)
        if match is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        group, plural, part = match["group"] or "", match["plural"], match["part"] or ""
        namespace, name = match["namespace"] or "", match["name"] or ""
        if plural in _REVIEWS:
            return Answer.of(reviewed(self.objects, user, plural, request.json()), 201)
        if plural == "selfsubjectreviews":
            return Answer.of({**request.json(), "status": {"userInfo": {"username": user}}}, 201)
        kind = self.objects.kinds.get((group, plural))
        if kind is None or match["version"] not in kind.versions:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        call = Call(kind, namespace, name, part, request)
        check_allowed(self.objects, user, _verb(call), kind, part, namespace, name)
        return self.resources.answer(call)


def _verb(call: Call) -> str:
    """What a request does, as roles name it."""
    method, query = call.request.method, call.request.query
    if method == "GET" and not call.name:
        return "watch" if yes(query, "watch") else "list"
    if method == "DELETE" and not call.name:
        return "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}[method]


_OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
