"""The objects of the fake Kubernetes API: stored with resource versions, validated, watched, and collected.

As on a real server: names and labels are checked (422), fields that must not change do not (422), an update with an
old resource version is a conflict (409), an object whose owners are all gone goes (an owner in another namespace
counts as gone), and an object with finalizers waits for them.
"""

import base64
import copy
import random
import string
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.fakes.http import Json
from tests.fakes.kinds import BUILT_IN, Kind
from tests.fakes.rules import ApiError, check_immutable, check_place, check_version, checked, gone, not_found, parts


@dataclass(frozen=True)
class Change:
    """What a watch sees: an object as it was and is."""

    version: int
    kind: Kind
    old: Json | None
    new: Json | None


Key = tuple[str, str, str, str]  # group, plural, namespace ("" without one), name


class Objects:
    """All objects of a cluster. Whoever reads gets copies."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.kinds: dict[tuple[str, str], Kind] = {(kind.group, kind.plural): kind for kind in BUILT_IN}
        self.oldest = 0
        """Watches from before this resource version find it gone."""
        self.controllers: list[Callable[[Change], None]] = []
        self._objects: dict[Key, Json] = {}
        self._changes: list[Change] = []
        self._version = self._told = 1

    @property
    def version(self) -> int:
        with self.changed:
            return self._version

    def compact(self) -> None:
        """Forget old changes: a watch that begins at one of them is told 410 Gone."""
        with self.changed:
            self._version += 1
            self.oldest = self._version
            self._changes.clear()

    # Reading

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        with self.changed:
            found = self._objects.get((kind.group, kind.plural, namespace, name))
            if found is None:
                raise not_found(kind, name)
            return copy.deepcopy(found)

    def all(self, kind: Kind, namespace: str = "", matches: Callable[[Json], bool] = lambda _: True) -> list[Json]:
        """Objects in the order of their names; of all namespaces where none is given."""
        with self.changed:
            return [
                copy.deepcopy(each)
                for key, each in sorted(self._objects.items())
                if key[:2] == (kind.group, kind.plural) and namespace in ("", key[2]) and matches(each)
            ]

    def changes(self, since: int, seconds: float, stop: threading.Event) -> Iterator[list[Change]]:
        """Groups of changes after a version, as they come, until the time is up; an empty one now and then."""
        until = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < until:
            with self.changed:
                if since < self.oldest:
                    raise gone(since, self.oldest)
                new = [change for change in self._changes if change.version > since]
                if not new:
                    self.changed.wait(min(0.1, max(0.0, until - time.monotonic())))
                since = new[-1].version if new else since
            yield new

    # Writing

    def create(self, kind: Kind, namespace: str, manifest: Json, dry_run: bool = False) -> Json:
        made = copy.deepcopy(manifest)
        metadata = made.setdefault("metadata", {})
        if not metadata.get("name") and (prefix := metadata.get("generateName")):
            metadata["name"] = prefix[:58] + "".join(random.choices(string.ascii_lowercase + string.digits, k=5))
        with self.changed:
            there = not kind.namespaced or ("", "namespaces", "", namespace) in self._objects
            check_place(kind, namespace, made, there)
            made = checked(kind, made)
            name = metadata["name"]
            if (kind.group, kind.plural, namespace, name) in self._objects:
                message = f'{kind.qualified} "{name}" already exists'
                raise ApiError(409, "AlreadyExists", message, name=name, group=kind.group, kind=kind.plural)
            metadata = made["metadata"]
            metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
            metadata |= {"namespace": namespace} if namespace else {}
            if kind.has_status:
                made.pop("status", None)
            _begin(kind, made)
            if not dry_run:
                self._store(kind, namespace, None, made)
                self._collect()
        self._tell()
        return copy.deepcopy(made)

    def update(self, kind: Kind, namespace: str, name: str, manifest: Json, part: str = "", dry: bool = False) -> Json:
        """Replace an object, or with part "status" its status; a resource version given must be the current one."""
        with self.changed:
            old = self.get(kind, namespace, name)
            new = parts(kind, old, copy.deepcopy(manifest), part)
            check_version(kind, old, manifest)
            new = checked(kind, new)
            check_immutable(kind, old, new)
            new["metadata"]["generation"] = old["metadata"]["generation"] + (new.get("spec") != old.get("spec"))
            same = {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == {
                **old, "metadata": {**old["metadata"], "resourceVersion": ""}
            }  # fmt: skip
            if not dry and not same:
                self._store(kind, namespace, old, new)
                if "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers"):
                    self._remove(kind, namespace, name)
                self._collect()
        self._tell()
        return copy.deepcopy(old if same else new)

    def delete(
        self, kind: Kind, namespace: str, name: str, propagation: str = "Background", dry: bool = False, **wanted: str
    ) -> Json:
        """Delete an object; `wanted` are preconditions (uid, resourceVersion)."""
        with self.changed:
            old = self.get(kind, namespace, name)
            for field_name, value in wanted.items():
                if value and old["metadata"][field_name] != value:
                    have = old["metadata"][field_name]
                    message = f"Precondition failed: {field_name} in precondition: {value}, in object meta: {have}"
                    raise ApiError(409, "Conflict", message, name=name, kind=kind.plural)
            if dry:
                return old
            if propagation == "Orphan":
                self._orphan(old["metadata"]["uid"])
            if old["metadata"].get("finalizers"):
                new = copy.deepcopy(old)
                new["metadata"].setdefault("deletionTimestamp", now())
                self._store(kind, namespace, old, new)
            else:
                self._remove(kind, namespace, name)
            self._collect()
        self._tell()
        return old

    # Effects

    def _store(self, kind: Kind, namespace: str, old: Json | None, new: Json) -> None:
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        self._objects[(kind.group, kind.plural, namespace, new["metadata"]["name"])] = new
        self._note(kind, old, new)
        if kind.plural == "customresourcedefinitions":
            self._register(new)

    def _remove(self, kind: Kind, namespace: str, name: str) -> None:
        old = self._objects.pop((kind.group, kind.plural, namespace, name))
        self._version += 1
        last = copy.deepcopy(old)
        last["metadata"]["resourceVersion"] = str(self._version)
        self._note(kind, last, None)
        within = [key for key in self._objects if kind.plural == "namespaces" and key[2] == name]
        if kind.plural == "customresourcedefinitions":
            plural, _, group = name.partition(".")
            within = [key for key in self._objects if key[:2] == (group, plural)]
        for key in within:
            self._remove(self.kinds[key[:2]], key[2], key[3])
        if kind.plural == "customresourcedefinitions":
            del self.kinds[(group, plural)]

    def _note(self, kind: Kind, old: Json | None, new: Json | None) -> None:
        self._changes.append(Change(self._version, kind, copy.deepcopy(old), copy.deepcopy(new)))
        self.changed.notify_all()

    def _register(self, definition: Json) -> None:
        spec = definition["spec"]
        first = next(each for each in spec["versions"] if each.get("storage", True))
        kind = Kind(
            spec["group"],
            tuple(each["name"] for each in spec["versions"]),
            spec["names"]["kind"],
            spec["names"]["plural"],
            spec.get("scope", "Namespaced") == "Namespaced",
            "status" in (first.get("subresources") or {}),
            tuple((definition["metadata"].get("annotations") or {}).get("fake/immutable", "").split()),
            (first.get("schema") or {}).get("openAPIV3Schema"),
        )
        self.kinds[(kind.group, kind.plural)] = kind

    def _collect(self) -> None:
        """Remove what has owners of which none is left in its namespace (or in the cluster at large)."""
        while True:
            homes = {each["metadata"]["uid"]: key[2] for key, each in self._objects.items()}
            orphans = [
                key
                for key, each in self._objects.items()
                if (owners := each["metadata"].get("ownerReferences"))
                and not any(homes.get(owner["uid"]) in ("", key[2]) for owner in owners)
            ]
            if not orphans:
                return
            for key in orphans:
                self._delete_quietly(key)

    def _delete_quietly(self, key: Key) -> None:
        kind, each = self.kinds[key[:2]], self._objects[key]
        if each["metadata"].get("finalizers"):
            new = copy.deepcopy(each)
            new["metadata"].setdefault("deletionTimestamp", now())
            new["metadata"].pop("ownerReferences")
            self._store(kind, key[2], each, new)
        else:
            self._remove(kind, key[2], key[3])

    def _orphan(self, uid: str) -> None:
        for key, each in list(self._objects.items()):
            owners = each["metadata"].get("ownerReferences") or []
            if any(owner["uid"] == uid for owner in owners):
                new = copy.deepcopy(each)
                new["metadata"]["ownerReferences"] = [owner for owner in owners if owner["uid"] != uid]
                self._store(self.kinds[key[:2]], key[2], each, new)

    def _tell(self) -> None:
        """Let controllers act on what they have not seen, without the lock, as they would."""
        with self.changed:
            seen, self._told = self._told, self._version
            new = [change for change in self._changes if change.version > seen] if self.controllers else []
        for change in new:
            for controller in self.controllers:
                controller(change)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _begin(kind: Kind, made: Json) -> None:
    """What a server fills in at creation."""
    if kind.plural == "pods":
        made["status"] = {"phase": "Pending"}
    elif kind.plural == "resourcequotas":
        made["status"] = {"hard": made["spec"].get("hard", {}), "used": {}}
    elif kind.plural == "namespaces":
        made["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = made["metadata"]["name"]
        made["status"] = {"phase": "Active"}
    elif kind.plural == "secrets" and "stringData" in made:
        texts = {key: base64.b64encode(text.encode()).decode() for key, text in made.pop("stringData").items()}
        made["data"] = {**made.get("data", {}), **texts}
