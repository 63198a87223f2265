"""Real English text that AIRA's own environment has and no candidate sees: what botocore says of the services of AWS.

botocore, under boto3, holds the documentation of some 400 services: 40 MB of prose about as many subjects. It stands in
for web text where there are no shards. Submitted code does not see the package (`hides` in program.yaml): what it could
read, it could learn by heart.

A document is what is said of one operation: its description, and those of what it takes and gives. Services are held
out whole, by a hash of their name, one in twenty for validation and as many for the test; a held-out document is
dropped when more than half of its lines of 30 characters and more occur in training.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import unescape
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aira_lib.datasets.text.corpus import VALIDATION_ONE_IN, goes_to_validation
from aira_lib.datasets.text.stdlib import fresh_of
from aira_lib.errors import UserError

STAND_IN = "what botocore says of the operations of AWS's services"
HOLDERS = ("botocore", "mypy_boto3_*", "types_boto3_*", "cfnlint")
"""Packages that hold some of the text, as `hides` names them: stubs and schemas repeat parts of descriptions."""
_MODEL = "service-2.json.gz"
_DEEPEST = 3  # of what an operation takes, the parts of parts
_BREAK = re.compile(r"</(?:p|li|dt|dd|h\d|note|important)>|<br */?>", re.IGNORECASE)
_ITEM = re.compile(r"<li[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_SPACES = re.compile(r"[ \t\r\n]+")


def service_documents(root: Path | None = None) -> dict[str, list[str]]:
    """The documents of train, validation and test, no service in two of them, in the order of hashes of their text.

    Args:
        root: The folder of services; None is that of the installed botocore.

    Raises:
        UserError: there is none, or it holds too little documentation.
    """
    folder = root or _installed()
    found: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for name, model in _models(folder):
        found[_split_of(name)] |= set(_operations(json.loads(gzip.decompress(model.read_bytes()))))
    learned = [text.encode() for text in found["train"]]
    for split in ("validation", "test"):
        fresh = fresh_of([text.encode() for text in found[split] - found["train"]], learned)
        found[split] = {text.decode() for text in fresh}
    if not all(found.values()):
        raise UserError(
            f"{folder}: too little documentation of services is here to stand in for text; "
            "install boto3 anew, or bring parquet shards (docs/autoresearch.md)"
        )
    return {split: sorted(texts, key=_digest) for split, texts in found.items()}


@cache
def services_identity() -> str:
    """The version of botocore, and the digest of the names and sizes of its services' models.

    Raises:
        UserError: botocore is not installed.
    """
    root = _installed()
    found = [(path.relative_to(root).as_posix(), path.stat().st_size) for _, path in _models(root)]
    return f"botocore {version('botocore')} {hashlib.sha256(repr(found).encode()).hexdigest()}"


def _installed() -> Path:
    spec = find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("botocore, whose documentation stands in for text, is not installed; `pip install boto3`")
    return Path(spec.submodule_search_locations[0], "data")


def _models(root: Path) -> list[tuple[str, Path]]:
    """Each service with the latest of its models; older ones say nearly the same."""
    return sorted({path.parts[-3]: path for path in sorted(root.glob(f"*/*/{_MODEL}"))}.items())


def _split_of(service: str) -> str:
    digest = _digest(service)
    if not goes_to_validation(digest):
        return "train"
    return "validation" if goes_to_validation(digest, 2 * VALIDATION_ONE_IN) else "test"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _operations(model: Mapping[str, Any]) -> Iterator[str]:
    shapes = model.get("shapes", {})
    for name, operation in sorted(model.get("operations", {}).items()):
        paragraphs = [name, plain(operation.get("documentation", ""))]
        for side in ("input", "output"):
            paragraphs += _said_of(operation.get(side, {}).get("shape", ""), shapes, _DEEPEST)
        said = list(dict.fromkeys(filter(None, paragraphs)))
        if len(said) > 1:
            yield "\n\n".join(said)


def _said_of(shape: str, shapes: Mapping[str, Any], deep: int) -> Iterator[str]:
    """What is said of the members of a shape, and of theirs."""
    found = shapes.get(shape, {})
    inner = [found.get(key, {}) for key in ("member", "value") if key in found]
    for name, member in found.get("members", {}).items():
        if told := plain(member.get("documentation", "")):
            yield f"{name}: {told}"
        inner.append(member)
    for member in inner if deep else ():
        yield from _said_of(member.get("shape", ""), shapes, deep - 1)


def plain(html: str) -> str:
    """The text of a documentation: lines for paragraphs and items, without tags."""
    pieces = _BREAK.split(_ITEM.sub("<br>- ", html))
    lines = (_SPACES.sub(" ", unescape(_TAG.sub("", piece))).strip() for piece in pieces)
    return "\n".join(line for line in lines if line not in ("", "-"))
