"""One text, and one digest, for equal settings."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel


def canonical_json(value: Any) -> str:
    """One JSON text a value: sorted keys, no spaces; sections by what differs from their defaults.

    Read again by the same version of AIRA, a section's text is the same section; and a setting that a later version
    adds with a default leaves the text, and its digest, as they are.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=changed)


def changed(section: BaseModel, **chosen: Any) -> dict[str, Any]:
    """The fields of a section that differ from their defaults, as plain data; `chosen` is as of `model_dump`."""
    return section.model_dump(mode="json", exclude_defaults=True, **chosen)


def digest(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def flat(section: BaseModel) -> dict[str, str]:
    """The fields of a section that differ from their defaults, as texts by dotted names such as ``proxy.epochs``."""
    return dict(_flat("", changed(section)))


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}".lstrip("."), inner)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for number, inner in enumerate(value):
            yield from _flat(f"{name}.{number}", inner)
    else:
        yield name, value if isinstance(value, str) else canonical_json(value)
