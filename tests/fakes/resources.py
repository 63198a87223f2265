"""Requests for objects of the fake Kubernetes API: get, list, watch, create, update, patch, apply, delete, log."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from tests.fakes.http import Answer, Json, Request
from tests.fakes.kinds import BUILT_IN, Kind
from tests.fakes.logs import PodLogs
from tests.fakes.objects import Change, Objects
from tests.fakes.patches import json_patched, merged
from tests.fakes.quota import check_quota
from tests.fakes.rules import ApiError, gone
from tests.fakes.schemas import unknown
from tests.fakes.selectors import matcher, yes


@dataclass(frozen=True)
class Call:
    """What a request is about; a name is empty where it is about all objects, a part where about a whole one."""

    kind: Kind
    namespace: str
    name: str
    part: str
    request: Request

    @property
    def dry(self) -> bool:
        return self.request.query.get("dryRun") == "All"

    def manifest(self) -> Json:
        """The body, refused where it is no object or, strictly, has a field that the schema lacks."""
        found = yaml.safe_load(self.request.body)
        if not isinstance(found, dict):
            raise ApiError(400, "BadRequest", "the body of the request is no object")
        strict = self.request.query.get("fieldValidation") == "Strict"
        if strict and self.kind.schema and (wrong := list(unknown(found, self.kind.schema))):
            lines = ", ".join(f'unknown field "{path}"' for path in wrong)
            raise ApiError(400, "BadRequest", f"{self.kind.name}: strict decoding error: {lines}")
        return found


class Resources:
    """See above."""

    def __init__(self, objects: Objects, logs: PodLogs, stopping: threading.Event) -> None:
        self._objects, self._logs, self._stopping = objects, logs, stopping
        self.bookmark_seconds = 0.2

    def answer(self, call: Call) -> Answer:
        """The answer to a request that is allowed."""
        answers = {"POST": self._post, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        return answers.get(call.request.method, self._get)(call)

    def _get(self, call: Call) -> Answer:
        if call.part == "log":
            return self._log(call)
        if call.name:
            return Answer.of(self._objects.get(call.kind, call.namespace, call.name))
        return Answer(chunks=self._watch(call)) if yes(call.request.query, "watch") else self._list(call)

    def _list(self, call: Call) -> Answer:
        """All objects, or a page of them, which a token goes on from while the server knows its version."""
        query, objects = call.request.query, self._objects
        said, _, first = query.get("continue", "").partition(":")
        with objects.changed:
            if said and int(said) < objects.oldest:
                raise gone(int(said), objects.oldest)
            items, version = objects.all(call.kind, call.namespace, matcher(query)), objects.version
        for each in items:
            each.pop("kind"), each.pop("apiVersion")
        start = int(first or 0)
        end = start + int(query.get("limit") or len(items))
        more = {"continue": f"{version}:{end}", "remainingItemCount": len(items) - end} if end < len(items) else {}
        metadata = {"resourceVersion": said or str(version), **more}
        return Answer.of(_list_of(call.kind, items[start:end], metadata))

    def _watch(self, call: Call) -> Iterator[bytes]:
        query, kind, matches = call.request.query, call.kind, matcher(call.request.query)
        since = int(query.get("resourceVersion") or 0)
        first = [] if since else self._objects.all(kind, call.namespace, matches)
        since = since or self._objects.version
        for each in first:
            yield _event("ADDED", each)
        marked = time.monotonic()
        try:
            for changes in self._objects.changes(since, float(query.get("timeoutSeconds") or 1800), self._stopping):
                for change in changes:
                    since = change.version
                    if change.kind == kind and (seen := _seen(change, call.namespace, matches)):
                        yield _event(*seen)
                if yes(query, "allowWatchBookmarks") and time.monotonic() - marked > self.bookmark_seconds:
                    marked = time.monotonic()
                    metadata = {"resourceVersion": str(max(since, self._objects.oldest))}
                    yield _event("BOOKMARK", {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata})
        except ApiError as error:
            yield _event("ERROR", error.status)

    def _post(self, call: Call) -> Answer:
        if call.name:
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return self._create(call, call.manifest())

    def _create(self, call: Call, manifest: Json) -> Answer:
        manifest.setdefault("kind", call.kind.name), manifest.setdefault("apiVersion", call.kind.api_version)
        if call.kind.plural == "pods":
            check_quota(self._objects, call.namespace, manifest)
        return Answer.of(self._objects.create(call.kind, call.namespace, manifest, call.dry), 201)

    def _put(self, call: Call) -> Answer:
        return self._updated(call, call.manifest())

    def _updated(self, call: Call, new: Json) -> Answer:
        return Answer.of(self._objects.update(call.kind, call.namespace, call.name, new, call.part, call.dry))

    def _patch(self, call: Call) -> Answer:
        headers = {key.lower(): value for key, value in call.request.headers.items()}
        how = headers.get("content-type", "").partition(";")[0].removeprefix("application/")
        if how == "apply-patch+yaml":
            return self._apply(call)
        if how == "strategic-merge-patch+json" and call.kind not in BUILT_IN:
            message = "the body of the request was in an unknown format - accepted media types include: "
            message += "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            raise ApiError(415, "UnsupportedMediaType", message)
        body = call.request.json()
        given = (body.get("metadata") or {}).get("resourceVersion") if isinstance(body, dict) else None
        for _ in range(5):
            old = self._objects.get(call.kind, call.namespace, call.name)
            new = json_patched(old, body) if how == "json-patch+json" else merged(old, body)
            new["metadata"]["resourceVersion"] = given or old["metadata"]["resourceVersion"]
            try:
                return self._updated(call, new)
            except ApiError as error:
                if given or error.code != 409:
                    raise
        raise ApiError(409, "Conflict", "too many changes at once")

    def _apply(self, call: Call) -> Answer:
        if not call.request.query.get("fieldManager"):
            raise ApiError(400, "BadRequest", "fieldManager is required for apply patch")
        manifest = call.manifest()
        try:
            old = self._objects.get(call.kind, call.namespace, call.name)
        except ApiError:
            manifest["metadata"]["name"] = call.name
            return self._create(call, manifest)
        return self._updated(call, merged(old, manifest))

    def _delete(self, call: Call) -> Answer:
        options = json.loads(call.request.body or b"{}") or {}
        default = "Orphan" if call.kind.plural == "jobs" else "Background"
        how = options.get("propagationPolicy") or call.request.query.get("propagationPolicy") or default
        wanted = {key: value for key, value in (options.get("preconditions") or {}).items() if value}
        dry = call.dry or bool(options.get("dryRun"))
        if not call.name:
            found = self._objects.all(call.kind, call.namespace, matcher(call.request.query))
            for each in found:
                home = each["metadata"].get("namespace", "")
                self._objects.delete(call.kind, home, each["metadata"]["name"], how, dry)
            return Answer.of(_list_of(call.kind, found, {}))
        last = self._objects.delete(call.kind, call.namespace, call.name, how, dry, **wanted)
        self._logs.wake()
        if call.kind.plural == "pods":
            return Answer.of(last)
        details = {
            "name": call.name,
            "group": call.kind.group,
            "kind": call.kind.plural,
            "uid": last["metadata"]["uid"],
        }
        answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return Answer.of({**answer, "details": details})

    def _log(self, call: Call) -> Answer:
        pod = self._objects.get(call.kind, call.namespace, call.name)
        container = call.request.query.get("container") or pod["spec"]["containers"][0]["name"]
        if pod["status"]["phase"] == "Pending":
            message = f'container "{container}" in pod "{call.name}" is waiting to start: ContainerCreating'
            raise ApiError(400, "BadRequest", message)

        def ended() -> bool:
            try:
                now = self._objects.get(call.kind, call.namespace, call.name)
            except ApiError:
                return True
            return now["status"]["phase"] in ("Succeeded", "Failed")

        return self._logs.answer((call.namespace, call.name, container), call.request, ended)


def _list_of(kind: Kind, items: list[Json], metadata: Json) -> Json:
    return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


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
