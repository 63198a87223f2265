"""Read task_info.jsonl, strictly: a mistake is one line with the number of its line."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from aira_lib.autoresearch.literature.entry import Entry
from aira_lib.errors import UserError
from aira_lib.foreign import in_a_line

INFO = "task_info.jsonl"
_MOST_BYTES = 8 * 2**20
_MOST_ENTRIES = 2_000

Entries = Mapping[str, Entry]


def shipped() -> Entries:
    """The papers that come with AIRA, by key: facts in our own words, and no more."""
    text = (resources.files("aira_lib.autoresearch.literature") / "pwc" / INFO).read_text(encoding="utf-8")
    return parsed(text, INFO)


def read_entries(path: Path) -> Entries:
    """The entries of a file, by key, in its order.

    Raises:
        UserError: it cannot be read, or a line of it is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; a folder of literature holds {INFO}") from None
    if len(content) > _MOST_BYTES:
        raise UserError(f"{path}: {len(content):,} bytes, and {_MOST_BYTES:,} are read at most; shorten its summaries")
    try:
        return parsed(content.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: no text in UTF-8") from None


def parsed(text: str, name: str) -> Entries:
    """The entries of a text, one a line; empty lines are passed over.

    Raises:
        UserError: a line is wrong, or two have one key.
    """
    found: dict[str, Entry] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        entry = _entry(line, f"{name}:{number}")
        if entry.key in found:
            raise UserError(f"{name}:{number}: key {entry.key!r} stands in line {lines[entry.key]} already")
        if len(found) == _MOST_ENTRIES:
            raise UserError(f"{name}:{number}: more than {_MOST_ENTRIES:,} entries; keep those that matter")
        found[entry.key], lines[entry.key] = entry, number
    return found


def merged(own: Entries, ours: Entries) -> Entries:
    """Entries by key: what one's own say stands before what ours say; new ones come last.

    Raises:
        UserError: a new one has no title.
    """
    for key, entry in own.items():
        if key not in ours and entry.title is None:
            raise UserError(f"{INFO}: entry {key!r} is new and has no title; give it one, or mend its key")
    both = {key: own[key].over(entry) if key in own else entry for key, entry in ours.items()}
    return both | {key: entry for key, entry in own.items() if key not in ours}


def _entry(line: str, place: str) -> Entry:
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: no JSON object on one line: {in_a_line(str(error), 120)}") from None
    try:
        return Entry.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "entry"
        raise UserError(f"{place}: {in_a_line(where, 80)}: {in_a_line(first['msg'], 200)}") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found
