"""What `aira features` is asked about: training scripts, journals of searches, studies."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aira_lib.agents.compiling import syntax_problem
from aira_lib.autoresearch.features.catalogue import Analysis, analyse
from aira_lib.autoresearch.features.events import Event, Origin, events_of
from aira_lib.autoresearch.features.source import MOST_CHARACTERS, Unreadable
from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.settings import Settings

MOST_JOURNAL = 2**30  # bytes


@dataclass
class Asked:
    """What was read: scripts by name with what they are, and the events of all searches together.

    Attributes:
        unfinished: Of a study with searches that are not finished: how many of how many.
    """

    scripts: dict[str, Analysis] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)
    unfinished: dict[str, tuple[int, int]] = field(default_factory=dict)


def read_asked(paths: Sequence[str], origin: tuple[str, float] | None, settings: Settings) -> Asked:
    """Read scripts (`*.py`), journals (`*.jsonl`) and studies (`*.yaml`) by their names' ends, and folders of records.

    Args:
        paths: Of the files.
        origin: The script of a baseline and its score, from which every search starts.
        settings: Where the records of studies are.

    Raises:
        UserError: a file cannot be read or is none of these, a study has no finished search, a folder no journal.
    """
    found = Asked()
    start = None if origin is None else Origin(_code(origin[0]), origin[1])
    for path in dict.fromkeys(paths):
        if Path(path).is_dir():
            for record, journal in _journals(path).items():
                name = os.path.relpath(record, Path(path).absolute().parent)
                _add(found, record if name in found.searches else name, _journal(str(journal)), start)
        elif path.endswith(".py"):
            found.scripts[path] = read_script(path)
        elif path.endswith(".jsonl"):
            _add(found, path, _journal(path), start)
        elif path.endswith((".yaml", ".yml")):
            _add_study(found, path, start, settings)
        else:
            raise UserError(f"{path}: {_no_file(path)}give {_WHAT}")
    return found


_WHAT = "training scripts (.py), journals (.jsonl), studies (.yaml), or folders with records of searches"


def _no_file(path: str) -> str:
    return "" if os.path.lexists(path) else "no such file or folder; "


def read_script(path: str) -> Analysis:
    """The features of a script.

    Raises:
        UserError: it cannot be read, or is no Python that can be analysed.
    """
    try:
        return analyse(_code(path))
    except Unreadable as error:
        raise UserError(f"{path}: {error}; give a training script") from None


def _code(path: str) -> str:
    try:
        code = _content(path, 4 * MOST_CHARACTERS).decode("utf-8")
    except UnicodeDecodeError:
        code = "\0"
    if "\0" in code:
        raise UserError(f"{path}: no text in UTF-8, so no script; give a training script")
    if not code.strip():
        raise UserError(f"{path}: empty; give a training script")
    if problem := syntax_problem(code):
        raise UserError(f"{path}: no training script that can be read: {problem}")
    return code


def _content(path: str, most: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', error)}; give a file that can be read") from None
    if len(content) > most:
        raise UserError(f"{path}: larger than {most:,} bytes; give a smaller file")
    return content


def _journals(folder: str) -> dict[str, Path]:
    from aira_lib.edits.folders import journals_in

    if not (found := journals_in(Path(folder))):
        raise UserError(f"{folder}: no journal of a search lies in this folder; give {_WHAT}")
    return found


def _journal(path: str) -> list[Node]:
    from aira_lib.watch.nodes import parse_nodes

    content = _content(path, MOST_JOURNAL)
    whole, begun = content[: content.rfind(b"\n") + 1], content[content.rfind(b"\n") + 1 :]
    nodes = parse_nodes(whole, path)
    if not nodes and begun[:1] not in (b"", b"{"):
        raise UserError(f"{path}:1: not a node of a search; give the journal.jsonl of one")
    if not nodes:
        raise UserError(f"{path}: no step is finished in it; give the journal.jsonl of a search that has made some")
    return nodes


def _add(found: Asked, name: str, nodes: Sequence[Node], origin: Origin | None) -> None:
    """Add a search; code that Python's compiler does not take in bounded time is not analysed."""
    readable = [node if not syntax_problem(node.code) else node.model_copy(update={"code": ")"}) for node in nodes]
    found.searches.append(name)
    found.events += events_of(name, readable, origin)


def _add_study(found: Asked, path: str, origin: Origin | None, settings: Settings) -> None:
    from aira_lib.standings.reading import read_records

    records = read_records([path], settings)
    found.unfinished |= records.unfinished
    for each in records.searches:
        run = each.run
        if not run.lower_is_better:
            raise UserError(f"{path}: {each.task} has a score that is better higher; features are of bits per byte")
        _add(found, f"{each.study} {run.agent} seed {run.seed}", run.nodes, origin)
