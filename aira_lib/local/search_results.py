"""Finished searches in the original Autoresearch's form, and what each of their nodes changed, as files."""

from collections.abc import Iterator
from pathlib import Path

from aira_lib.errors import UserError
from aira_lib.local.search_export import FinishedSearch, read_finished, records_meant
from aira_lib.search.changes import since_best, since_parent
from aira_lib.search.results import RESULTS, result_files
from aira_lib.settings import Settings

CHANGES = "changes"


def write_results(what: str, unit: str | None, to: Path, settings: Settings) -> Iterator[str]:
    """Write table, block and changes of each search into a folder of its name, over those of before; say where.

    Args:
        what: A study's file, or the folder or page of one search's record.
        unit: Of a study, the search; None: all that are finished.
        to: The folder of the folders.
        settings: Where the records of a study are.

    Raises:
        UserError: there is no such record, it is not finished, or its candidates are designs.
    """
    records, _ = records_meant(what, unit, settings)
    for record in records:
        search = read_finished(record, settings)
        folder = to / search.unit
        for name, content in _files(search):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        yield f"{folder / RESULTS}: {len(search.nodes):,} steps"


def _files(search: FinishedSearch) -> Iterator[tuple[str, str]]:
    """By name within the folder: changes are named by step, the start of the node's id, and what they are since."""
    if "lower_is_better" not in search.summary:
        raise UserError(f"{search.unit}: candidates are designs, and results are of programs; see `aira search export`")
    lower = bool(search.summary["lower_is_better"])
    yield from result_files(search.nodes, lower, str(search.summary["metric"])).items()
    for index, node in enumerate(search.nodes):
        found = {"parent": since_parent(search.nodes, index), "best": since_best(search.nodes, index, lower)}
        for of, change in found.items():
            if change is not None:
                yield f"{CHANGES}/{node.step:04d}-{node.id[:7]}-{of}.diff", change + "\n"
