"""The best submission of finished searches and the program that wrote it, out of their records into a folder."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aira_lib.agents import best_node
from aira_lib.errors import UserError
from aira_lib.flow.finished import finished_units
from aira_lib.flow.units import search_unit_named, search_units
from aira_lib.records import PAGE, Node, read_rows
from aira_lib.records.opened import SUBMISSION, SUBMITTED_BY
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study.reading import load_study
from aira_lib.tasks.section import task_of
from aira_lib.tasks.submission import SUBMISSION as DESIGN_FILE
from aira_lib.tasks.submission import design_file
from aira_lib.watch.nodes import JOURNAL

PROGRAM, ABOUT = "program.py", "about.json"


@dataclass(frozen=True)
class FinishedSearch:
    """A finished search: a local copy of its record, its search.json, its nodes, and the best of them."""

    unit: str
    path: Path
    summary: dict[str, Any]
    nodes: Sequence[Node]
    best: Node | None


def export_best(what: str, unit: str | None, output: Path | None, settings: Settings) -> Iterator[str]:
    """Write the best submission, its program and what is known of both into a new folder, and say in lines where.

    Args:
        what: A study's file, or the folder or page of one search's record.
        unit: Of a study, the search; by default the best of all that are finished.
        output: The folder to make; by default one named after the search in the current folder.
        settings: Where the records of a study are.

    Raises:
        UserError: there is no such record, it is not finished, nothing in it succeeded, or the folder is there already.
    """
    records, lower_is_better = records_meant(what, unit, settings)
    chosen = _best([read_finished(record, settings) for record in records], lower_is_better)
    if chosen is None or chosen.best is None:
        raise UserError(f"{what}: no program of its searches succeeded, so there is nothing to export")
    folder = output or Path(f"{chosen.unit}-best")
    if folder.exists():
        raise UserError(f"{folder}: exists already; name another folder with --output")
    kept = _write(chosen, chosen.best, folder)
    yield f"{folder}: step {chosen.best.step} of {chosen.unit}, validation {chosen.best.validation:.6g}"
    if not kept:
        yield "Its program is there without what it submitted, which this record does not hold: run the program anew."


def records_meant(what: str, unit: str | None, settings: Settings) -> tuple[list[RecordFolder], bool]:
    """The records that are meant, and in which direction they compare.

    Args:
        what: A study's file, or the folder or page of one search's record.
        unit: Of a study, the search; None: all that are finished.
        settings: Where the records of a study are.

    Raises:
        UserError: there is no such record, or none that is finished.
    """
    if not what.endswith((".yaml", ".yml", ".json")):
        return [_of_place(what)], False  # one alone is not compared
    study, store = load_study(what), open_store(settings.store)
    units = [search_unit_named(study, unit)] if unit else search_units(study)
    done = finished_units(study, settings, units)
    if not done:
        raise UserError(f"{what}: none of its searches is finished in {store.uri}; see `aira search {what} --dry-run`")
    return [RecordFolder(store, each.folder(study)) for each in done], task_of(study.task).lower_is_better


def _of_place(what: str) -> RecordFolder:
    place = Path(what.removeprefix("file://"))
    place = (place.parent if place.name == PAGE else place).resolve()
    if not place.is_dir() or len(place.parts) < 4:
        raise UserError(f"{what}: neither a study's file nor the folder or page of a search's record")
    return RecordFolder(open_store(str(place.parents[2])), place.relative_to(place.parents[2]).as_posix())


def read_finished(record: RecordFolder, settings: Settings) -> FinishedSearch:
    """Read a record.

    Raises:
        UserError: it is not that of a finished search.
    """
    manifest = record.manifest()
    if manifest is None or manifest.stage != "search":
        raise UserError(f"{record.uri}: not the record of a finished search")
    path = record.fetch(settings.scratch)
    summary = json.loads((path / "search.json").read_text(encoding="utf-8"))
    nodes = read_rows(path / JOURNAL, Node)
    step = (summary.get("best") or {}).get("step")
    return FinishedSearch(
        manifest.unit, path, summary, nodes, next((node for node in nodes if node.step == step), None)
    )


def _best(found: Sequence[FinishedSearch], lower_is_better: bool) -> FinishedSearch | None:
    best = best_node([each.best for each in found if each.best], lower_is_better)
    return next((each for each in found if best is not None and each.best is best), None)


def _write(search: FinishedSearch, best: Node, folder: Path) -> bool:
    """Write the folder; whether the submission itself is in it."""
    folder.mkdir(parents=True)
    (folder / PROGRAM).write_text(best.code, encoding="utf-8")
    names = ("task", "metric", "lower_is_better", "validation", "validation_why", "agent", "model", "seed")
    about = {name: search.summary[name] for name in names if name in search.summary}
    of_node = {"step": best.step, "plan": best.plan, "design": best.design}
    scores = {"validation_fitness": best.validation, "test_fitness": best.test}
    (folder / ABOUT).write_text(json.dumps({**about, **of_node, **scores}, indent=2) + "\n", encoding="utf-8")
    if best.design is not None:
        (folder / DESIGN_FILE).write_text(design_file(best.design), encoding="utf-8")
        return True
    kept = search.path / SUBMISSION
    if not _submitted_by(kept, best):
        return False
    for path in (path for path in kept.rglob("*") if path.is_file() and path.name != SUBMITTED_BY):
        target = folder / path.relative_to(kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return True


def _submitted_by(kept: Path, best: Node) -> bool:
    """Whether what was kept is the best node's: a search that was killed may have kept that of a step it lost."""
    if not (kept / SUBMITTED_BY).is_file():
        return False
    by = json.loads((kept / SUBMITTED_BY).read_text(encoding="utf-8"))
    return bool(by["code_sha256"] == hashlib.sha256(best.code.encode()).hexdigest())
