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
continue are not kept: all comes at once), watch (bookmarks, 410 as an ERROR event, as the real watch cache says it),
update, patch (merge, strategic for built-in kinds only and without merge keys, JSON patch, server-side apply without
managers), delete with preconditions, propagation (jobs orphan their pods where nothing is said), finalizers and owners,
/status, pods/log (follow, timestamps, sinceTime), reviews of access from the stored RBAC objects, quotas (quota.py).
Requests with a token of `kubeconfig(user=...)` are held to that user's rights; all others are the administrator's.
What there is not: exec and attach (`route` takes a test's own), admission policies, managed fields, protobuf.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.http import Answer, FakeServer, Json, Request
from tests.fakes.kinds import BUILT_IN, Kind
from tests.fakes.objects import ApiError, Change, Objects, merged, now
from tests.fakes.quota import check_quota
from tests.fakes.rights import ADMIN, Asked, allowed
from tests.fakes.schemas import unknown
from tests.fakes.selectors import matcher

VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
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
        self.bookmark_seconds = 0.2
        self._users: dict[str, str] = {}
        self._logs: dict[tuple[str, str, str], str] = {}
        self._times: dict[tuple[str, str, str], list[str]] = {}  # of each whole line
        self._logged = threading.Condition()
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
        with self._logged:
            self._logged.notify_all()
        return made

    def say(self, namespace: str, name: str, text: str, container: str = "") -> None:
        """Add to the log of a pod's container (of its first one)."""
        pod = self.objects.get(self.kind("pods"), namespace, name)
        key = (namespace, name, container or pod["spec"]["containers"][0]["name"])
        with self._logged:
            self._times.setdefault(key, []).extend(_moment() for _ in range(text.count("\n")))
            self._logs[key] = self._logs.get(key, "") + text
            self._logged.notify_all()

    def compact(self) -> None:
        self.objects.compact()

    # Requests

    def sorry(self, status: int, message: str) -> Answer:
        reason = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 403: "Forbidden"}
        return Answer.of(ApiError(status, reason.get(status, "Unknown"), message).status, status)

    def answer(self, request: Request) -> Answer:
        try:
            user = self._user(request)
            found = self._discovery(request.path)
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
            return Answer.of(self._review(user, plural, request.json()), 201)
        if plural == "selfsubjectreviews":
            return Answer.of({**request.json(), "status": {"userInfo": {"username": user}}}, 201)
        kind = self.objects.kinds.get((group, plural))
        if kind is None or match["version"] not in kind.versions:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        self._allow(user, kind, request, namespace, name, part)
        answer = {"GET": self._get, "POST": self._post, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        return answer[request.method](kind, namespace, name, part, request)

    def _allow(self, user: str, kind: Kind, request: Request, namespace: str, name: str, part: str) -> None:
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
        verb = verbs[request.method]
        if verb == "get" and not name:
            verb = "watch" if _yes(request, "watch") else "list"
        if verb == "delete" and not name:
            verb = "deletecollection"
        resource = f"{kind.plural}/{part}" if part else kind.plural
        if not allowed(self.objects, user, Asked(verb, kind.group, resource, namespace, name)):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            named = f'{kind.qualified} "{name}" is forbidden' if name else f"{kind.qualified} is forbidden"
            message = f'{named}: User "{user}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}'
            raise ApiError(403, "Forbidden", message, name=name, group=kind.group, kind=kind.plural)

    def _get(self, kind: Kind, namespace: str, name: str, part: str, request: Request) -> Answer:
        if part == "log":
            return self._log(namespace, name, request)
        if name:
            return Answer.of(self.objects.get(kind, namespace, name))
        matches = matcher(request.query)
        if _yes(request, "watch"):
            since = int(request.query.get("resourceVersion") or 0)
            seconds = float(request.query.get("timeoutSeconds") or 1800)
            first = [] if since else self.objects.all(kind, namespace, matches)
            chunks = self._watch(kind, namespace, matches, since, first, seconds, _yes(request, "allowWatchBookmarks"))
            return Answer(chunks=chunks)
        with self.objects.changed:
            items, version = self.objects.all(kind, namespace, matches), self.objects.version
        for each in items:
            each.pop("kind"), each.pop("apiVersion")
        body = {
            "kind": f"{kind.name}List",
            "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": str(version)},
        }
        return Answer.of({**body, "items": items})

    def _watch(
        self, kind: Kind, namespace: str, matches: Callable[[Json], bool], since: int, first: list[Json],
        seconds: float, bookmarks: bool,
    ) -> Iterator[bytes]:  # fmt: skip
        since = since or self.objects.version
        for each in first:
            yield _event("ADDED", each)
        marked = time.monotonic()
        try:
            for changes in self.objects.changes(since, seconds, self.stopping):
                for change in changes:
                    since = change.version
                    if change.kind == kind and (seen := _seen(change, namespace, matches)):
                        yield _event(*seen)
                if bookmarks and time.monotonic() - marked > self.bookmark_seconds:
                    marked = time.monotonic()
                    metadata = {"resourceVersion": str(max(since, self.objects.oldest))}
                    yield _event("BOOKMARK", {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata})
        except ApiError as error:
            yield _event("ERROR", error.status)

    def _post(self, kind: Kind, namespace: str, name: str, part: str, request: Request) -> Answer:
        if name:
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        manifest = _manifest(request)
        _strict(kind, manifest, request)
        manifest.setdefault("kind", kind.name), manifest.setdefault("apiVersion", kind.api_version)
        if kind.plural == "pods":
            check_quota(self.objects, namespace, manifest)
        return Answer.of(self.objects.create(kind, namespace, manifest, _dry(request)), 201)

    def _put(self, kind: Kind, namespace: str, name: str, part: str, request: Request) -> Answer:
        manifest = _manifest(request)
        _strict(kind, manifest, request)
        return Answer.of(self.objects.update(kind, namespace, name, manifest, part, _dry(request)))

    def _patch(self, kind: Kind, namespace: str, name: str, part: str, request: Request) -> Answer:
        how = next((value for key, value in request.headers.items() if key.lower() == "content-type"), "")
        how = how.partition(";")[0].removeprefix("application/")
        if how == "apply-patch+yaml":
            return self._apply(kind, namespace, name, part, request)
        if how == "strategic-merge-patch+json" and kind not in BUILT_IN:
            message = "the body of the request was in an unknown format - accepted media types include: "
            message += "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            raise ApiError(415, "UnsupportedMediaType", message)
        for _ in range(5):
            old = self.objects.get(kind, namespace, name)
            body = json.loads(request.body)
            new = _json_patched(old, body) if how == "json-patch+json" else merged(old, body)
            given = _own_version(body) if isinstance(body, dict) else None
            new["metadata"]["resourceVersion"] = given or old["metadata"]["resourceVersion"]
            try:
                return Answer.of(self.objects.update(kind, namespace, name, new, part, _dry(request)))
            except ApiError as error:
                if given or error.code != 409:
                    raise
        raise ApiError(409, "Conflict", "too many changes at once")

    def _apply(self, kind: Kind, namespace: str, name: str, part: str, request: Request) -> Answer:
        if not request.query.get("fieldManager"):
            raise ApiError(400, "BadRequest", "fieldManager is required for apply patch")
        manifest = yaml.safe_load(request.body)
        _strict(kind, manifest, request)
        try:
            old = self.objects.get(kind, namespace, name)
        except ApiError:
            manifest["metadata"]["name"] = name
            if kind.plural == "pods":
                check_quota(self.objects, namespace, manifest)
            return Answer.of(self.objects.create(kind, namespace, manifest, _dry(request)), 201)
        return Answer.of(self.objects.update(kind, namespace, name, merged(old, manifest), part, _dry(request)))

    def _delete(self, kind: Kind, namespace: str, name: str, part: str, request: Request) -> Answer:
        options = json.loads(request.body or b"{}") or {}
        default = "Orphan" if kind.plural == "jobs" else "Background"
        propagation = options.get("propagationPolicy") or request.query.get("propagationPolicy") or default
        wanted = {key: value for key, value in (options.get("preconditions") or {}).items() if value}
        dry = _dry(request) or bool(options.get("dryRun"))
        if not name:
            gone = self.objects.all(kind, namespace, matcher(request.query))
            for each in gone:
                home = each["metadata"].get("namespace", "")
                self.objects.delete(kind, home, each["metadata"]["name"], propagation, dry)
            return Answer.of(
                {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": {}, "items": gone}
            )
        last = self.objects.delete(kind, namespace, name, propagation, dry, **wanted)
        with self._logged:
            self._logged.notify_all()
        if kind.plural == "pods":
            return Answer.of(last)
        details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": last["metadata"]["uid"]}
        return Answer.of(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    # Logs

    def _log(self, namespace: str, name: str, request: Request) -> Answer:
        pod = self.objects.get(self.kind("pods"), namespace, name)
        container = request.query.get("container") or pod["spec"]["containers"][0]["name"]
        if pod["status"]["phase"] == "Pending":
            message = f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating'
            raise ApiError(400, "BadRequest", message)
        key = (namespace, name, container)
        text = self._logs.get(key, "")
        start = 0
        if "tailLines" in request.query:
            lines = text.splitlines(keepends=True)
            start = len(text) - len("".join(lines[max(0, len(lines) - int(request.query["tailLines"])) :]))
        if _yes(request, "follow"):
            return Answer(content_type="text/plain", chunks=self._followed(key, start))
        if "sinceTime" in request.query or _yes(request, "timestamps"):
            text = self._timed(key, text, request.query.get("sinceTime", ""), _yes(request, "timestamps"))
        limit = int(request.query.get("limitBytes") or len(text.encode()))
        return Answer(body=text[start:].encode()[:limit], content_type="text/plain")

    def _timed(self, key: tuple[str, str, str], text: str, since: str, shown: bool) -> str:
        """Lines from a moment on, which a server counts in whole seconds; their moments in front on demand."""
        timed = zip(self._times.get(key, []), text.split("\n"), strict=False)
        return "".join(f"{when} {line}\n" if shown else f"{line}\n" for when, line in timed if when >= since[:19])

    def _followed(self, key: tuple[str, str, str], start: int) -> Iterator[bytes]:
        while not self.stopping.is_set():
            with self._logged:
                ended = self._ended(key)
                text = self._logs.get(key, "")[start:]
                if not text and not ended:
                    self._logged.wait(0.1)
            if text:
                start += len(text)
                yield text.encode()
            elif ended:
                return

    def _ended(self, key: tuple[str, str, str]) -> bool:
        pod = self.get("pods", key[0], key[1])
        return pod is None or pod["status"]["phase"] in ("Succeeded", "Failed")

    # Discovery and reviews

    def _discovery(self, path: str) -> Any:
        path = path.rstrip("/")
        kinds = list(self.objects.kinds.values())
        groups = {kind.group: kind.versions for kind in kinds if kind.group}
        groups |= {"authorization.k8s.io": ("v1",), "authentication.k8s.io": ("v1",)}
        match path.split("/")[1:]:
            case ["version"]:
                return VERSION
            case ["healthz" | "livez" | "readyz", *_]:
                return "ok"
            case ["api"]:
                return {"kind": "APIVersions", "versions": ["v1"]}
            case ["apis"]:
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in groups.items()]}
            case ["api", "v1"]:
                return _resources("v1", [kind for kind in kinds if not kind.group])
            case ["apis", group] if group in groups:
                return {**_group(group, groups[group]), "kind": "APIGroup", "apiVersion": "v1"}
            case ["apis", group, version] if version in groups.get(group, ()):
                return _resources(f"{group}/{version}", [kind for kind in kinds if kind.group == group])
            case ["openapi", "v3"]:
                paths = [f"apis/{kind.group}/{version}" for kind in kinds if kind.schema for version in kind.versions]
                return {"paths": {one: {"serverRelativeURL": f"/openapi/v3/{one}?hash=0"} for one in paths}}
            case ["openapi", "v3", "apis", group, version]:
                return _open_api([kind for kind in kinds if kind.group == group and version in kind.versions], version)
        return None

    def _review(self, user: str, plural: str, review: Json) -> Json:
        spec = review["spec"]
        if plural.startswith("self"):
            who = user
        elif user != ADMIN:
            raise ApiError(403, "Forbidden", f'User "{user}" cannot create resource "{plural}"')
        else:
            who = spec["user"]
        asked = spec.get("resourceAttributes") or {}
        resource = "/".join(filter(None, (asked.get("resource", ""), asked.get("subresource", ""))))
        wanted = Asked(
            asked.get("verb", ""), asked.get("group", ""), resource, asked.get("namespace", ""), asked.get("name", "")
        )
        return {**review, "status": {"allowed": allowed(self.objects, who, wanted)}}


_OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _moment() -> str:
    nanoseconds = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 10**9)) + f".{nanoseconds % 10**9:09}Z"


def _yes(request: Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")


def _dry(request: Request) -> bool:
    return request.query.get("dryRun") == "All"


def _manifest(request: Request) -> Json:
    manifest = yaml.safe_load(request.body)
    if not isinstance(manifest, dict):
        raise ApiError(400, "BadRequest", "the body of the request is no object")
    return manifest


def _strict(kind: Kind, manifest: Json, request: Request) -> None:
    if (
        kind.schema
        and request.query.get("fieldValidation") == "Strict"
        and (wrong := list(unknown(manifest, kind.schema)))
    ):
        lines = ", ".join(f'unknown field "{path}"' for path in wrong)
        raise ApiError(
            400,
            "BadRequest",
            f"{kind.name} in version {kind.api_version} cannot be handled: strict decoding error: {lines}",
        )


def _list(kind: Kind, items: list[Json], version: str = "") -> Json:
    metadata = {"resourceVersion": version} if version else {}
    return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _own_version(body: Json) -> str | None:
    return (body.get("metadata") or {}).get("resourceVersion")


def _event(what: str, value: Json) -> bytes:
    return json.dumps({"type": what, "object": value}).encode() + b"\n"


def _seen(change: Change, namespace: str, matches: Callable[[Json], bool]) -> tuple[str, Json] | None:
    """The event that a watch with a selector makes of a change."""

    def there(each: Json | None) -> bool:
        return each is not None and namespace in ("", each["metadata"].get("namespace", "")) and matches(each)

    before, after = there(change.old), there(change.new)
    if after and change.new:
        return ("MODIFIED" if before else "ADDED"), change.new
    last = change.new or change.old
    return ("DELETED", last) if before and last else None


def _json_patched(old: Json, steps: list[Json]) -> Json:
    new = json.loads(json.dumps(old))
    for step in steps:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        place: Any = new
        try:
            for part in way:
                place = place[int(part)] if isinstance(place, list) else place[part]
            _step(place, last, step)
        except (KeyError, IndexError, ValueError) as error:
            raise ApiError(
                422, "Invalid", f"the server rejected our request due to an error in our request: {error}"
            ) from None
    return new


def _step(place: Any, last: str, step: Json) -> None:
    key: Any = last
    if isinstance(place, list):
        key = len(place) if last == "-" else int(last)
    if step["op"] == "test":
        if place[key] != step["value"]:
            raise ValueError(f"test of {step['path']} failed")
    elif step["op"] == "remove":
        del place[key]
    elif step["op"] == "add" and isinstance(place, list):
        place.insert(key, step["value"])
    else:
        if step["op"] == "replace":
            place[key]
        place[key] = step["value"]


def _group(name: str, versions: tuple[str, ...]) -> Json:
    all_versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": all_versions, "preferredVersion": all_versions[0]}


def _resources(group_version: str, kinds: list[Kind]) -> Json:
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    made = []
    for kind in kinds:
        one = {"kind": kind.name, "namespaced": kind.namespaced, "singularName": kind.name.lower(), "verbs": verbs}
        made.append({**one, "name": kind.plural})
        made += [{**one, "name": f"{kind.plural}/status", "verbs": ["get", "patch", "update"]}] * kind.has_status
        made += [{**one, "name": "pods/log", "verbs": ["get"]}] * (kind.plural == "pods")
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": made}


def _open_api(kinds: list[Kind], version: str) -> Json:
    schemas = {}
    for kind in kinds:
        same = {"x-kubernetes-group-version-kind": [{"group": kind.group, "version": version, "kind": kind.name}]}
        reverse = ".".join(reversed(kind.group.split(".")))
        schemas[f"{reverse}.{version}.{kind.name}"] = {**(kind.schema or {}), **same}
    return {"openapi": "3.0.0", "components": {"schemas": schemas}}
