"""What `aira features` is asked about: training scripts, journals of searches, studies."""

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
    """What was read: scripts by name with what they are, and the events of all searches together."""

    scripts: dict[str, Analysis] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)


def read_asked(paths: Sequence[str], origin: tuple[str, float] | None, settings: Settings) -> Asked:
    """Read scripts (`*.py`), journals (`*.jsonl`) and studies (`*.yaml`) by their names' ends.

    Args:
        paths: Of the files.
        origin: The script of a baseline and its score, from which every search starts.
        settings: Where the records of studies are.

    Raises:
        UserError: a file cannot be read or is none of these, or a study has no finished search.
    """
    found = Asked()
    start = None if origin is None else Origin(_code(origin[0]), origin[1])
    for path in paths:
        if path.endswith(".py"):
            found.scripts[path] = read_script(path)
        elif path.endswith(".jsonl"):
            _add(found, path, _journal(path), start)
        elif path.endswith((".yaml", ".yml")):
            _add_study(found, path, start, settings)
        else:
            raise UserError(f"{path}: give training scripts (.py), journals (.jsonl) or studies (.yaml)")
    return found


def read_script(path: str) -> Analysis:
    """The features of a script.

    Raises:
        UserError: it cannot be read, or is no Python that can be analysed.
    """
    try:
        return analyse(_code(path))
    except Unreadable as error:
        raise UserError(f"{path}: {error}") from None


def _code(path: str) -> str:
    code = _content(path, 4 * MOST_CHARACTERS).decode("utf-8", "replace")
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


def _journal(path: str) -> list[Node]:
    from aira_lib.watch.nodes import parse_nodes

    content = _content(path, MOST_JOURNAL)
    return parse_nodes(content[: content.rfind(b"\n") + 1], path)


def _add(found: Asked, name: str, nodes: Sequence[Node], origin: Origin | None) -> None:
    """Add a search; code that Python's compiler does not take in bounded time is not analysed."""
    readable = [node if not syntax_problem(node.code) else node.model_copy(update={"code": ")"}) for node in nodes]
    found.searches.append(name)
    found.events += events_of(name, readable, origin)


def _add_study(found: Asked, path: str, origin: Origin | None, settings: Settings) -> None:
    from aira_lib.standings.reading import read_records

    for each in read_records([path], settings).searches:
        run = each.run
        if not run.lower_is_better:
            raise UserError(f"{path}: {each.task} has a score that is better higher; features are of bits per byte")
        _add(found, f"{each.study} {run.agent} seed {run.seed}", run.nodes, origin)
