"""Schemas of custom resources: what they do not name is pruned, or refused where a client asks; the rest is checked."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

_ENVELOPE = ("apiVersion", "kind", "metadata")


def pruned(value: Any, schema: dict[str, Any], top: bool = True) -> Any:
    """The value without fields that the schema does not have, as a server stores it."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return value
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [pruned(each, schema["items"], False) for each in value]
    if not isinstance(value, dict) or ("properties" not in schema and "additionalProperties" not in schema):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    made = {}
    for key, each in value.items():
        if top and key in _ENVELOPE:
            made[key] = each
        elif key in known:
            made[key] = pruned(each, known[key], False)
        elif others:
            made[key] = pruned(each, others, False) if isinstance(others, dict) else each
    return made


def unknown(value: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Dotted paths of fields that would be pruned."""
    kept = pruned(value, schema, not place)
    if isinstance(value, dict) and isinstance(kept, dict):
        for key, each in value.items():
            below = f"{place}.{key}" if place else key
            if key not in kept:
                yield below
            elif place or key not in _ENVELOPE:
                inner = schema.get("properties", {}).get(key) or schema.get("additionalProperties") or {}
                yield from unknown(each, inner, below) if isinstance(inner, dict) else ()
    elif isinstance(value, list):
        for position, each in enumerate(value):
            yield from unknown(each, schema.get("items", {}), f"{place}[{position}]")


def problem(value: Any, schema: dict[str, Any]) -> str:
    """What is wrong with a value by its schema, as one line; empty where nothing is."""
    own = {**schema, "properties": {**schema.get("properties", {}), "metadata": {}}}
    errors = sorted(Draft202012Validator(_plain(own)).iter_errors(value), key=lambda error: list(map(str, error.path)))
    if not errors:
        return ""
    return f"{'.'.join(map(str, errors[0].path))}: Invalid value: {errors[0].message[:300]}"


def _plain(schema: Any) -> Any:
    """OpenAPI's `nullable` and "int or string" in words of JSON Schema, without formats."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    words = {
        key: each for key, each in schema.items() if not key.startswith("x-") and key not in ("format", "properties")
    }
    made = {key: _plain(each) for key, each in words.items()}
    if "properties" in schema:  # names of fields, whatever they are
        made["properties"] = {key: _plain(each) for key, each in schema["properties"].items()}
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if isinstance(made.get("exclusiveMinimum"), bool):
        made.pop("exclusiveMinimum")
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made
