"""Write the report: the page in HTML and Markdown, its figures and tables as files, and a summary for programs."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from aira_lib.errors import MissingDependency
from aira_lib.report.downstream_numbers import downstream_numbers
from aira_lib.report.inputs import ReportInputs
from aira_lib.study import Study
from aira_lib.work import Work

if TYPE_CHECKING:
    from aira_lib.report.blocks import Content


def report(study: Study, inputs: ReportInputs, work: Work) -> None:
    """Write the report of a study into the workplace.

    Leaves `report.html` (one file, opens offline), `report.md`, `figures/*.svg` and `*.png`, `tables/*.csv` and
    `summary.json`. Equal inputs give equal bytes; only times differ: they stand in `cost.csv`, `throughput.csv` and
    files named `latency_*`, under `seconds` in `summary.json`, and on the pages between the comments `seconds` and
    `/seconds`.

    Args:
        study: the study.
        inputs: the records of all stages before.
        work: the stage's workplace.

    Raises:
        MissingDependency: matplotlib or jinja2 is not installed.
    """
    for entry in inputs.stand_ins:
        work.stand_in(entry.what, entry.instead_of, entry.detail)
    content, html, markdown = _compose(study, inputs, work)
    files = [
        *_write_figures(content, work.path / "figures"),
        *_write_tables(content, work.path / "tables"),
        _write(work.path / "report.md", markdown),
        _write(work.path / "summary.json", _summary(content, inputs)),
        _write(work.path / "report.html", html),
    ]
    for path in files:
        work.log.artifact(path)
    if numbers := downstream_numbers(content.headline):
        work.log.metrics(numbers, step=0)
    work.progress(1, 1, f"{len(files)} files")


def _compose(study: Study, inputs: ReportInputs, work: Work) -> "tuple[Content, str, str]":
    # matplotlib and jinja2 come with an extra, and take most of a second to load.
    try:
        from aira_lib.report.content import build
        from aira_lib.report.page import html_page, markdown_page
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("matplotlib", "jinja2", "markupsafe"):
            raise MissingDependency("the report", "report") from None
        raise
    work.progress(0, 1, "drawing figures")
    content = build(study, inputs)
    return content, html_page(content), markdown_page(content)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _fresh(folder: Path) -> Path:
    """An empty folder: a file that an interrupted attempt left must not become part of the record."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _write_figures(content: "Content", folder: Path) -> list[Path]:
    _fresh(folder)
    paths = []
    for figure in content.figures():
        paths.append(_write(folder / f"{figure.name}.svg", figure.svg))
        (folder / f"{figure.name}.png").write_bytes(figure.png())
        paths.append(folder / f"{figure.name}.png")
    return paths


def _write_tables(content: "Content", folder: Path) -> list[Path]:
    _fresh(folder)
    return [_write(folder / f"{table.name}.csv", table.csv()) for table in content.tables()]


def _summary(content: "Content", inputs: ReportInputs) -> str:
    tables = {table.name: table.plain() for table in content.tables()}
    kept = (
        "searches", "agents", "patterns", "isotoken", "isoflop_fits", "frontier", "frontier_laws", "stand_ins",
        "failed_units",
    )  # fmt: skip
    of_some = (
        "downstream_compared", "downstream_tasks", "core_14", "scores_by_task", "ratings",
        "best_programs", "program_costs", "improvements", "measured_on",
    )  # fmt: skip
    further = [name for name in of_some if name in tables]
    summary = {
        "study": content.study.name,
        "spec_digest": content.digest,
        "text": list(content.summary),
        **content.headline,
        "counts": {
            "searches": len(inputs.searches),
            "nodes": sum(len(search.nodes) for search in inputs.searches),
            "distinct_designs": len(inputs.archive),
            "patterns": len(inputs.patterns),
            "runs": len(inputs.runs),
        },
        **{name: tables.get(name, []) for name in (*kept, *further)},
        "versions": dict(sorted(inputs.versions.items())),
        "seconds": dict(sorted(inputs.timings.items())),
    }
    return json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
