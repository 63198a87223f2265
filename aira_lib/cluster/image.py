"""What the container image that this process runs in says of itself."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import aira_lib

DESCRIPTION = Path("/opt/aira/image.json")
"""Written where `images/` is built."""


@dataclass(frozen=True)
class Image:
    """An image of AIRA.

    Attributes:
        version: Of AIRA.
        revision: The commit it was built of, as `git describe` has it; empty where the build was not told.
        extras: Of pyproject.toml that are installed in it.
    """

    version: str
    revision: str
    extras: tuple[str, ...]


@cache
def image_here() -> Image | None:
    """The image; None outside of one, or where other code of AIRA runs in it than its own."""
    try:
        found = json.loads(DESCRIPTION.read_text())
        image = Image(found["version"], found["revision"], tuple(found["extras"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    own = Path(aira_lib.__file__).is_relative_to(DESCRIPTION.parent)
    return image if own and image.version == aira_lib.__version__ else None
