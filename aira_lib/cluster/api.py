"""The API of a Kubernetes cluster: objects as the dictionaries that they are, read, changed and watched.

An answer may be lost on its way, and the request is then made again (see `aira_lib.cluster.connection`): `create` says
that an object exists where its own first request has made it. Whoever names objects by what they are goes on with it.
"""

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from aira_lib.cluster.connection import MERGE, Connection, log_in
from aira_lib.cluster.kinds import PODS, Kind, Object
from aira_lib.cluster.refusals import Refused

MOST_ITEMS = 500
"""Of one page of a list."""

SHORTEST_WATCH = 1.0
"""Seconds from one request of a watch to the next, where a server ends its answers earlier."""

_GONE = 410


class Change(NamedTuple):
    """An object that is there, new or changed, or that is no longer there, as it was last."""

    there: bool
    object: Object


class Kubernetes:
    """The API of one cluster, for one namespace.

    All methods raise `Refused` where the server refuses, and another `UserError` where it cannot be reached.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        """Use a connection; `connect` makes one.

        Args:
            connection: see there.
            namespace: of the objects, where their kind has namespaces.
        """
        self.connection, self.namespace = connection, namespace

    def within(self, namespace: str) -> "Kubernetes":
        """The same cluster, for another namespace."""
        return Kubernetes(self.connection, namespace)

    def get(self, kind: Kind, name: str) -> Object | None:
        """An object; None where there is none of the name."""
        try:
            return self.connection.request("GET", kind.path(self.namespace, name))
        except Refused as error:
            if error.reason == "NotFound":
                return None
            raise

    def find(self, kind: Kind, selector: str = "", fields: str = "") -> list[Object]:
        """All objects of a kind.

        Args:
            kind: of the objects.
            selector: of their labels, as `kubectl --selector` has it.
            fields: of their fields.
        """
        return self._listed(kind, selector, fields)[0]

    def create(self, kind: Kind, body: Object) -> Object:
        """Create an object; as the server has it.

        Raises:
            Refused: `exists` of it says that there is one of the name, which may be this one: see the module.
        """
        return self.connection.request("POST", kind.path(self.namespace), body=body)

    def patch(self, kind: Kind, name: str, change: Object, part: str = "") -> Object:
        """Change some fields of an object, or of a part such as its status; None as a value removes one."""
        return self.connection.request("PATCH", kind.path(self.namespace, name, part), body=change, content=MERGE)

    def replace(self, kind: Kind, name: str, body: Object) -> Object:
        """Replace an object as it was read.

        Raises:
            Refused: `conflict` of it says that it has changed since.
        """
        return self.connection.request("PUT", kind.path(self.namespace, name), body=body)

    def delete(self, kind: Kind, name: str, uid: str | None = None, foreground: bool = False) -> bool:
        """Delete an object with all that it owns.

        Args:
            kind: of the object.
            name: of the object.
            uid: of the object that is meant: another of the same name stays.
            foreground: it stays until what it owns is gone.

        Returns:
            Whether it was there.
        """
        options: Object = {"propagationPolicy": "Foreground" if foreground else "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self.connection.request("DELETE", kind.path(self.namespace, name), body=options)
        except Refused as error:
            if error.reason == "NotFound" or (uid and error.conflict):
                return False
            raise
        return True

    def watch(self, kind: Kind, selector: str = "", fields: str = "", seconds: float = 10.0) -> Iterator[Change | None]:
        """What is there, and then every change of it, for ever.

        Broken connections and versions that the server has forgotten (410) are no end: what has changed meanwhile is
        found by listing anew. An object may be given again though it has not changed.

        Args:
            kind: of the objects.
            selector: of their labels.
            fields: of their fields.
            seconds: after which the server is to end an answer.

        Yields:
            Changes; None after each answer, so that whoever watches can look at something else.
        """
        known: dict[str, Object] = {}
        version = ""
        while True:
            begun = time.monotonic()
            if not version:
                items, version = self._listed(kind, selector, fields)
                yield from _since(known, items)
            try:
                for event in self._events(kind, selector, fields, seconds, version):
                    if event["type"] == "ERROR":
                        version = ""  # listing anew says what is wrong where it stays so
                        break
                    version = event["object"]["metadata"].get("resourceVersion", version)
                    if event["type"] != "BOOKMARK":
                        yield _noted(known, event)
            except Refused as error:
                if error.code != _GONE:
                    raise
                version = ""
            yield None
            time.sleep(max(0.0, SHORTEST_WATCH - (time.monotonic() - begun)))

    def log(self, pod: str, **query: Any) -> list[str]:
        """Lines that a pod has printed; none where it has no log any more, or none yet.

        Args:
            pod: its name.
            query: as the API has it: container, tailLines, limitBytes, timestamps, sinceTime.
        """
        try:
            data = self.connection.text("GET", PODS.path(self.namespace, pod, "log"), query)
        except Refused as error:
            if error.code in (400, 404):  # it has not begun, or has gone with its node
                return []
            raise
        return data.decode(errors="replace").removesuffix("\n").split("\n") if data else []

    def _listed(self, kind: Kind, selector: str, fields: str) -> tuple[list[Object], str]:
        """All objects, and the version as of which they are all."""
        items: list[Object] = []
        query = _query(selector, fields) | {"limit": MOST_ITEMS}
        while True:
            try:
                page = self.connection.request("GET", kind.path(self.namespace), query)
            except Refused as error:
                if error.code != _GONE or "continue" not in query:
                    raise
                del query["continue"]  # the server has forgotten what the first pages were of
                items = []
                continue
            items += page.get("items") or []
            more = page["metadata"].get("continue")
            if not more:
                return items, page["metadata"].get("resourceVersion", "")
            query["continue"] = more

    def _events(self, kind: Kind, selector: str, fields: str, seconds: float, version: str) -> Iterator[Object]:
        """The events of one answer."""
        wanted = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": max(1, round(seconds))}
        query = _query(selector, fields) | wanted | {"resourceVersion": version}
        return map(json.loads, self.connection.lines(kind.path(self.namespace), query, seconds))


def connect(namespace: str | None = None) -> Kubernetes:
    """Log in to a cluster: see `log_in`.

    Args:
        namespace: of the objects; None: the one of the configuration, or of this pod.
    """
    connection, found = log_in()
    return Kubernetes(connection, namespace or found)


def _query(selector: str, fields: str) -> dict[str, Any]:
    return {key: text for key, text in (("labelSelector", selector), ("fieldSelector", fields)) if text}


def _since(known: dict[str, Object], items: list[Object]) -> Iterator[Change]:
    """What a list says that was not known; it is known then."""
    now = {item["metadata"]["uid"]: item for item in items}
    for uid in [uid for uid in known if uid not in now]:
        yield Change(False, known.pop(uid))
    for uid, item in now.items():
        if uid not in known or _version(known[uid]) != _version(item):
            known[uid] = item
            yield Change(True, item)


def _noted(known: dict[str, Object], event: Object) -> Change:
    item: Object = event["object"]
    there = event["type"] != "DELETED"
    if there:
        known[item["metadata"]["uid"]] = item
    else:
        known.pop(item["metadata"]["uid"], None)
    return Change(there, item)


def _version(item: Object) -> str:
    return str(item["metadata"].get("resourceVersion"))
