"""One text, and one digest, for equal settings."""

import hashlib
import json
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
