"""The nodes of one search as a page, finished or still running."""

import json
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aira_lib.agents.transcript import TRANSCRIPT
from aira_lib.errors import StoreError, UserError, writing
from aira_lib.flow.stage import Unit
from aira_lib.flow.units import search_unit_named
from aira_lib.records import Node
from aira_lib.records.opened import OPENED, facts_of
from aira_lib.search.page import Exchanges, agent_settings, render_run
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, Store, open_store, place_of
from aira_lib.study import Study
from aira_lib.tasks.section import task_of

JOURNAL = "journal.jsonl"  # as a search names it; its module imports PyTorch, which nobody here needs


def read_nodes(store: Store, study: Study, unit: Unit) -> list[Node]:
    """The nodes that a search has finished so far; a line that is being written is left alone.

    Raises:
        StoreError: the store refuses, or a whole line is no node.
    """
    name = f"{RecordFolder(store, unit.folder(study)).files()}/{JOURNAL}"
    if not store.exists(name):
        return []
    content = store.read(name)
    return parse_nodes(content[: content.rfind(b"\n") + 1], f"{place_of(store.uri)}/{name}")


def parse_nodes(lines: bytes, place: str, first: int = 1) -> list[Node]:
    """The nodes in whole lines of a journal, the first of which has the number `first` in the file `place`.

    Raises:
        StoreError: a line is no node.
    """
    nodes = []
    for number, line in enumerate(lines.split(b"\n")[:-1], first):
        try:
            nodes.append(Node.model_validate_json(line))
        except ValidationError:
            raise StoreError(
                f"{place}:{number}: not a node of a search; written by another version of aira, or changed"
            ) from None
    return nodes


def told_of(record: RecordFolder) -> dict[str, Any]:
    """What a search's record, finished or not, says of its task as it was opened; empty where it says nothing."""
    name = f"{record.files()}/{OPENED}"
    return dict(json.loads(record.store.read(name))) if record.store.exists(name) else {}


def read_exchanges(store: Store, unit: Unit, folder: RecordFolder) -> Exchanges | None:
    """What a search, finished or not, was asked and answered so far; None where its agent does not keep it."""
    if not unit.agent or not unit.agent.keep_prompts:
        return None
    found, name = Exchanges(), f"{folder.files()}/{TRANSCRIPT}"
    content = store.read(name) if store.exists(name) else b""
    found.add(content[: content.rfind(b"\n") + 1])
    return found


def page_of(title: str, store: Store, study: Study, unit: Unit, nodes: Sequence[Node]) -> str:
    """The page of a search, from what lies in its record's folder."""
    folder = RecordFolder(store, unit.folder(study))
    return render_run(
        nodes, title, task_of(study.task).lower_is_better, facts=facts_of(told_of(folder)),
        settings=agent_settings(unit.agent) if unit.agent else (), asked=read_exchanges(store, unit, folder),
    )  # fmt: skip


def write_nodes_page(
    study: Study, unit_name: str, settings: Settings, output: Path | None, open_it: bool = False
) -> Path:
    """Write the page of one search and return where it is.

    Args:
        study: The study.
        unit_name: The search, such as ``greedy-offline.s0``.
        settings: Where the records are.
        output: The HTML file to write; by default one named after study and search in the current folder.
        open_it: Open it in a browser.

    Raises:
        UserError: there is no such search, it has not begun, the file cannot be written, or no browser starts.
    """
    unit = search_unit_named(study, unit_name)
    store = open_store(settings.store)
    nodes = read_nodes(store, study, unit)
    if not nodes:
        raise UserError(
            f"search {unit.name} has no nodes yet in {place_of(store.uri)}; start it with `aira search` or `aira run`"
        )
    path = output or Path(f"{study.name}-{unit.name}.html")
    page = page_of(f"{study.name}: {unit.name}", store, study, unit, nodes)
    with writing(f"--output {path}"):
        path.write_text(page, encoding="utf-8")
    if open_it and not webbrowser.open(path.resolve().as_uri()):
        raise UserError(f"no browser could be started; open {path} yourself")
    return path
