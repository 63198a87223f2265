"""Changes of some fields of an object: JSON merge patches, and JSON patches."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.http import Json
from tests.fakes.rules import ApiError


def merged(old: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    made = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


def json_patched(old: Json, steps: list[Json]) -> Json:
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
