"""Selectors of lists and watches."""

import re
from collections.abc import Callable, Mapping

from tests.fakes.http import Json
from tests.fakes.rules import ApiError

_SET = re.compile(r"\s*(!?)([\w./-]+)(?:\s+(in|notin)\s*\(([^)]*)\)|\s*(==|=|!=)\s*([\w.-]*))?\s*(?:,|$)")
_FIELDS = (
    "metadata.name", "metadata.namespace", "status.phase", "spec.nodeName", "type", "reason",
    "involvedObject.name", "involvedObject.uid", "involvedObject.kind", "involvedObject.namespace",
)  # fmt: skip


def yes(query: Mapping[str, str], name: str) -> bool:
    """Whether a query says true of something."""
    return query.get(name, "").lower() in ("true", "1")


def matcher(query: Mapping[str, str]) -> Callable[[Json], bool]:
    """Whether an object is what the query's labelSelector and fieldSelector want."""
    checks = [*_labels(query.get("labelSelector", "")), *_fields(query.get("fieldSelector", ""))]
    return lambda each: all(check(each) for check in checks)


def _labels(text: str) -> list[Callable[[Json], bool]]:
    checks, place = [], 0
    while place < len(text):
        found = _SET.match(text, place)
        if not found:
            raise ApiError(400, "BadRequest", f"unable to parse requirement: {text}")
        place = found.end()
        checks.append(_label(*found.groups()))
    return checks


def _label(
    no: str, name: str, among: str | None, values: str | None, operator: str | None, value: str | None
) -> Callable[[Json], bool]:
    def have(each: Json) -> str | None:
        return (each["metadata"].get("labels") or {}).get(name)

    if among:
        listed = {one.strip() for one in (values or "").split(",")}
        return lambda each: (have(each) in listed) == (among == "in")
    if operator:
        return lambda each: (have(each) == value) == (operator != "!=")
    return lambda each: (have(each) is None) == bool(no)


def _fields(text: str) -> list[Callable[[Json], bool]]:
    checks = []
    for one in filter(None, text.split(",")):
        name, operator, value = re.split(r"(!=|==|=)", one, maxsplit=1)
        if name not in _FIELDS:
            raise ApiError(400, "BadRequest", f"field label not supported: {name}")
        checks.append(_field(name, operator, value))
    return checks


def _field(name: str, operator: str, value: str) -> Callable[[Json], bool]:
    def holds(each: Json) -> bool:
        have: object = each
        for part in name.split("."):
            have = have.get(part) if isinstance(have, dict) else None
        return ((have or "") == value) == (operator != "!=")

    return holds
