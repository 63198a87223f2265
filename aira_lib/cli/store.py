"""The command group `aira store`: what is in the store of evaluations."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aira_lib.cli.options import a_place
from aira_lib.console import duration, result_console
from aira_lib.errors import UserError, nearest, writing

if TYPE_CHECKING:
    from aira_lib.evaluations.entry import StoredEvaluation
    from aira_lib.evaluations.table import Choice
    from aira_lib.store import Store

app = typer.Typer(
    no_args_is_help=True, help="The store of evaluations, which all searches share: count, find, export what is in it."
)

Records = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="AIRA_STORE", callback=a_place, help="Where records are kept; evaluations lie beside them."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Design = Annotated[str, typer.Argument(metavar="[DESIGN]", help="A pattern, or a part of one; default: all.")]
Dataset = Annotated[str, typer.Option(help="Only of this data set: mad, babistories or dclm.")]
SettingsDigest = Annotated[str, typer.Option("--settings", help="Only with these settings: a digest's beginning.")]
StudyFile = Annotated[Path | None, typer.Option("--study", help="Only with the settings of this study's file.")]
AskedBy = Annotated[str, typer.Option(help="Only what this study or search asked for first.")]
Code = Annotated[str, typer.Option(help="Only by this code of the evaluator, such as 'mad 1, models 1'.")]
Layers = Annotated[int | None, typer.Option(min=1, help="Only designs of so many layers.")]
Failed = Annotated[bool, typer.Option("--failed", help="Failures, too.")]


@app.command()
def stats(store: Records = None, as_json: AsJson = False) -> None:
    """Count evaluations, the hours that their training took, and the hours that finding them saved."""
    from aira_lib.evaluations.table import read_entries, read_uses, statistics
    from aira_lib.store import place_of

    opened, cache = _opened(store)
    entries = read_entries(opened, cache)
    found = {"store": opened.uri, **statistics(entries, read_uses(opened))}
    if as_json:
        print(json.dumps(found))
        return
    for name, value in _lines({**found, "store": place_of(opened.uri)}).items():
        print(f"{name + ':':16} {value}")


@app.command()
def query(
    design: Design = "",
    dataset: Dataset = "",
    settings: SettingsDigest = "",
    study: StudyFile = None,
    code: Code = "",
    asked_by: AskedBy = "",
    layers: Layers = None,
    failed: Failed = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 20,
    store: Records = None,
    as_json: AsJson = False,
) -> None:
    """List evaluations, each data set's best first."""
    choice = _choice(
        design=design, dataset=dataset, settings=settings, study=study, code=code, asked_by=asked_by, layers=layers,
        failed=failed,
    )  # fmt: skip
    found = _chosen(choice, store)
    shown = found[:limit]
    if as_json:
        print(json.dumps([entry.model_dump(mode="json") for entry in shown], ensure_ascii=False))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("design", "data", "validation", "test", "params", "seconds", "settings", "asked first by"):
        table.add_column(column, justify="right" if column in ("validation", "test", "params", "seconds") else "left")
    for entry in shown:
        scored = entry.evaluation
        table.add_row(
            Text(entry.design), entry.dataset, _score(scored.validation, scored.reason), _score(scored.test, ""),
            f"{scored.params:,}", f"{scored.seconds:.1f}", entry.settings[:8], Text(entry.made.asked_by),
        )  # fmt: skip
    console = result_console()
    console.print(table)
    console.print(f"{len(shown)} of {len(found)} evaluations." if found else "No evaluation in the store is like that.")


@app.command()
def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The .parquet file to write.")],
    design: Annotated[str, typer.Option(help="A pattern, or a part of one.")] = "",
    dataset: Dataset = "",
    settings: SettingsDigest = "",
    study: StudyFile = None,
    code: Code = "",
    asked_by: AskedBy = "",
    layers: Layers = None,
    failed: Failed = False,
    store: Records = None,
) -> None:
    """Write evaluations to a Parquet file, a row each; of what can be aggregated, choose one number of layers."""
    from aira_lib.evaluations.table import write_parquet

    if path.suffix != ".parquet":
        raise UserError(f"{path}: evaluations are written as Parquet alone; name a file that ends in .parquet")
    choice = _choice(
        design=design, dataset=dataset, settings=settings, study=study, code=code, asked_by=asked_by, layers=layers,
        failed=failed,
    )  # fmt: skip
    entries = _chosen(choice, store)
    if not entries:
        raise UserError("no evaluation is chosen, so nothing was written; `aira store stats` says what there is")
    with writing(path):
        write_parquet(entries, path)
    print(f"{path}: {len(entries):,} evaluations")


def _chosen(choice: "Choice", store: str | None) -> "list[StoredEvaluation]":
    """The evaluations of a choice.

    Raises:
        UserError: the store has nothing of a data set, settings, a code or an asker that the choice names.
    """
    from aira_lib.evaluations.table import read_entries
    from aira_lib.study.language import DatasetName

    entries = read_entries(*_opened(store))
    data_sets = {*get_args(DatasetName), *(entry.dataset for entry in entries)}
    if choice.dataset and choice.dataset not in data_sets:
        raise UserError(f"--dataset {choice.dataset}: nothing in the store has it{nearest(choice.dataset, data_sets)}")
    for option, name, there in (
        ("--settings", choice.settings, {entry.settings for entry in entries}),
        ("--code", choice.code, {entry.code for entry in entries}),
        ("--asked-by", choice.asked_by, {entry.made.asked_by for entry in entries}),
    ):
        if there and not any(each.startswith(name) for each in there):
            raise UserError(f"{option} {name}: nothing in the store has it{nearest(name, there)}")
    return choice.of(entries)


def _choice(
    *, design: str, dataset: str, settings: str, study: Path | None, code: str, asked_by: str, layers: int | None,
    failed: bool,
) -> "Choice":  # fmt: skip
    from aira_lib.evaluations.table import Choice

    if study and settings:
        raise UserError(f"--study {study} and --settings {settings}: both name the settings; give one")
    return Choice(
        design=design, dataset=dataset, settings=settings_digest(study) if study else settings, code=code,
        asked_by=asked_by, layers=layers, failed=failed,
    )  # fmt: skip


def settings_digest(path: Path) -> str:
    """The digest of data and settings of a study's evaluations.

    Raises:
        UserError: the study is wrong, or scores no designs.
    """
    from aira_lib.evaluations.key import key_of
    from aira_lib.study.reading import load_study
    from aira_lib.tasks import proxy_for
    from aira_lib.tasks.section import family_of, task_of

    study = load_study(path)
    if not family_of(study.task).has_designs:
        raise UserError(f"{path}: it searches {family_of(study.task).what}, whose candidates are no designs")
    section = proxy_for(task_of(study.task), study.proxy)
    return key_of(("A",) * study.task.layers, section, section.seed).settings_digest


def _opened(records: str | None) -> "tuple[Store, Path]":
    """The store of evaluations, and the local folder for copies of remote ones."""
    from aira_lib.settings import Settings
    from aira_lib.store import open_store

    settings = Settings.from_environment(records)
    if settings.shared_evaluations is None:
        raise UserError("AIRA_EVALUATIONS is none, so there is no store of evaluations; unset it, or name one")
    return open_store(settings.shared_evaluations), settings.scratch


def _score(value: float | None, reason: str) -> str:
    return f"{value:.4f}" if value is not None else reason


def _lines(found: dict[str, Any]) -> dict[str, str]:
    def counts(name: str, most: int = 5) -> str:
        listed = [f"{count:,} {_short(each)}" for each, count in found[name].items()]
        return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")

    return {
        "store": found["store"],
        "evaluations": f"{found['evaluations']:,} of {found['designs']:,} designs, {found['failed']:,} failed",
        "by data set": counts("by_dataset"),
        "by settings": counts("by_settings"),
        "by code": "; ".join(_code(each, count) for each, count in found["by_code"].items()),
        "by device": counts("by_device"),
        "training spent": duration(found["seconds_trained"]),
        "training saved": duration(found["seconds_saved"]),
        "asked": f"{found['asked']:,} times: {found['trained']:,} trained, {found['found']:,} found",
        "asked by": ", ".join(f"{who} ({n['trained']} + {n['found']})" for who, n in [*found["asked_by"].items()][-5:]),
        "size": f"{found['bytes'] / 1e6:.1f} MB",
    }


def _code(name: str, count: int) -> str:
    """Entries of a code; that of the code at hand says so."""
    from aira_lib.evaluations.key import code_of
    from aira_lib.study import ProxySection

    here = {code_of(ProxySection(dataset=data)) for data in ("mad", "babistories")}
    return f"{count:,} by {_short(name)}{' (this code)' if name in here else ''}"


def _short(name: str) -> str:
    """A digest by its beginning."""
    digest = len(name) == 64 and set(name) <= set("0123456789abcdef")
    return name[:8] if digest else name
