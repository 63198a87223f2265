"""The command line: arguments in, one clear line out. What it starts lives elsewhere and is imported late."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aira_lib import __version__
from aira_lib.cli.models import models_app
from aira_lib.cli.proxy import app as proxy_app
from aira_lib.cli.store import app as store_app
from aira_lib.cli.tasks import app as tasks_app
from aira_lib.errors import UserError, from_os_error

if TYPE_CHECKING:
    from aira_lib.records import StageName
    from aira_lib.settings import Settings
    from aira_lib.study import Study

app = typer.Typer(
    name="aira",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Research agents discover neural architectures: search, aggregate, scale, pretrain, compare.\n\n"
    "Start with [bold]aira run pipelines/compose/laptop.yaml[/] (add --dry-run to see what it would do). "
    "A study is one YAML file; its records lie in runs/ and nothing in them is ever computed twice.",
)

design_app = typer.Typer(no_args_is_help=True, help="The published designs: list them, show one.")
app.add_typer(design_app, name="design")
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")
app.add_typer(proxy_app, name="proxy")
app.add_typer(store_app, name="store")

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study, such as pipelines/compose/laptop.yaml.")]
Store = Annotated[
    str | None,
    typer.Option(help="Where records are kept: a folder, file:// or s3://bucket/prefix.", envvar="AIRA_STORE"),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI", help="MLflow tracking URI, or 'none'; default: SQLite beside the store."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Unit = Annotated[str | None, typer.Option(help="Only this unit, as `aira run --dry-run` and errors name them.")]


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    try:
        app()
    except UserError as error:
        _fail(error)
    except OSError as os_error:
        mendable = from_os_error(os_error)
        if mendable is None:
            raise
        _fail(mendable)


def _fail(error: UserError) -> None:
    print(f"aira: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


def _version(value: bool) -> None:
    if value:
        print(f"aira {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


@app.command()
def run(
    study: StudyFile,
    store: Store = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Units at once; default: the cores.")] = None,
    tracking: Tracking = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, its cost and time; start nothing.")
    ] = False,
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in a browser at the end.")] = False,
) -> None:
    """Run a whole study on this machine: the very pipeline that a cluster runs.

    Interrupt it whenever you like: the same command goes on from what is finished.
    """
    from aira_lib.local.session import run_study

    raise typer.Exit(run_study(_study(study), _settings(store), workers, tracking, dry_run, open_report))


@app.command()
def search(
    what: Annotated[
        str | None,
        typer.Argument(metavar="TASK|STUDY", help="A task's name (`aira tasks list`), or a study's .yaml file."),
    ] = None,
    agent: Annotated[str, typer.Option(help="Scaffold: greedy, tree, evolutionary, sampling or one-shot.")] = "greedy",
    model: Annotated[
        str, typer.Option(help="As in a study: offline, random, bo-one-shot, replay:PATH, ...")
    ] = "offline",
    seeds: Annotated[int, typer.Option(help="Searches, seeds 0 and up.")] = 10,
    steps: Annotated[int, typer.Option(help="Nodes of each seed at most.")] = 500,
    hours: Annotated[float, typer.Option(help="Time of each seed at most.")] = 24.0,
    profile: Annotated[
        str | None,
        typer.Option(help="Size of the task: paper, laptop or a study's file; default: paper with CUDA, else laptop."),
    ] = None,
    max_dollars: Annotated[float | None, typer.Option(help="Budget of each seed.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Budget of each seed.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Searches at once; default: the cores.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of a study's file only this search, such as greedy-offline.s0.")
    ] = None,
    store: Store = None,
    tracking: Tracking = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run, its time, cost and place; start nothing.")
    ] = False,
    watch_only: Annotated[
        bool, typer.Option("--watch", help="Follow searches that run elsewhere: of TASK, of STUDY, or all unfinished.")
    ] = False,
) -> None:
    """Let agents search a task, several seeds at once, or run the searches of a study.

    Interrupt it whenever you like: the same command goes on from what is finished. More seeds keep those there are.
    """
    from aira_lib.local.search_command import search_command, watch_searches
    from aira_lib.local.search_study import SearchOptions

    if watch_only:
        return watch_searches(what, _settings(store))
    options = SearchOptions(agent, model, seeds, steps, hours, profile, max_dollars, max_tokens)
    raise typer.Exit(search_command(what, options, unit, _settings(store), workers, tracking, dry_run))


@app.command()
def archive(study: StudyFile, store: Store = None) -> None:
    """Merge the journals of all searches into one table of distinct designs."""
    _stage("archive", study, None, store)


@app.command()
def aggregate(study: StudyFile, store: Store = None) -> None:
    """Turn the archive into base patterns."""
    _stage("aggregate", study, None, store)


@app.command()
def extrapolate(study: StudyFile, store: Store = None) -> None:
    """Scale base patterns and baselines to all scales of the study."""
    _stage("extrapolate", study, None, store)


@app.command()
def pretrain(study: StudyFile, unit: Unit = None, store: Store = None) -> None:
    """Pretrain all points of the study (or only --unit POINT)."""
    _stage("pretrain", study, unit, store)


@app.command()
def evaluate(study: StudyFile, unit: Unit = None, store: Store = None) -> None:
    """Score the final checkpoints of all points (or only --unit POINT)."""
    _stage("evaluate", study, unit, store)


@app.command()
def report(
    study: StudyFile,
    store: Store = None,
    open_report: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Write the study's report, or find the one that exists, and say where it is."""
    from aira_lib.local.session import report_page, show_page

    _stage("report", study, None, store)
    page = report_page(_study(study), _settings(store))
    show_page(page, open_report)


@app.command(name="compile")
def compile_pipeline(
    study: StudyFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")] = Path("aira-compose.yaml"),
    store: Store = None,
    parallelism: Annotated[int, typer.Option(min=1, help="Searches or pretraining points at once.")] = 8,
    image: Annotated[str | None, typer.Option(envvar="AIRA_IMAGE", help="Image of the components, by digest.")] = None,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Write Pipeline and PipelineVersion objects, for GitOps.")
    ] = False,
) -> None:
    """Compile the pipeline for a Kubeflow cluster: upload the YAML in the Kubeflow UI, or keep it in git."""
    from aira_lib.local.session import compile_study

    compile_study(_study(study), output, store or "runs", parallelism, image, kubernetes)


@app.command()
def nodes(
    study: StudyFile,
    unit: Annotated[str, typer.Option(help="The search, such as greedy-offline.s0.")],
    store: Store = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The HTML file; default: STUDY-UNIT.html.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Write the page of one search, finished or running: its tree of nodes, with code, scores and reasons."""
    from aira_lib.watch.nodes import write_nodes_page

    page = write_nodes_page(_study(study), unit, _settings(store), output, open_page)
    typer.echo(f"Page: {page}")


@app.command()
def watch(study: StudyFile, store: Store = None) -> None:
    """Follow the study's searches in a live table, while they run in another terminal or on a cluster."""
    from aira_lib.watch.follow import watch as follow

    follow(_study(study), _settings(store))


@app.command()
def doctor() -> None:
    """Say what is installed, which fast paths this machine has, what is missing and how to get it."""
    from aira_lib.cli.doctor import examine

    raise typer.Exit(examine())


@app.command(name="plan")
def training_plan(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="'paper' (the default) or a study.")] = None,
    study_option: Annotated[str | None, typer.Option("--study", help="The same, as an option.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write all runs to this .csv or .json file.")] = None,
    mfu: Annotated[float, typer.Option(help="Share of an H100's dense bf16 peak that training reaches.")] = 0.4,
    store: Store = None,
) -> None:
    """List the training runs of the paper or of a study: steps, tokens, FLOPs, GPU hours."""
    from aira_lib.console import result_console
    from aira_lib.planning.training_plan import plan_paper, plan_study

    if study and study_option and study != study_option:
        raise UserError(f"two studies are named, {study} and {study_option}; name one")
    if not 0 < mfu <= 1:
        raise UserError(f"--mfu {mfu:g}: a share of the peak is above 0 and at most 1, such as 0.4")
    named = study or study_option or "paper"
    if named == "paper":
        plan_paper(result_console(), mfu, export)
    else:
        plan_study(result_console(), _study(Path(named)), _settings(store), mfu, export)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Recompute what the paper prints; exit 0 only if we agree wherever the paper agrees with itself."""
    from aira_lib.console import result_console
    from aira_lib.verify.report import verify as verify_paper

    raise typer.Exit(verify_paper(result_console(), as_json))


@app.command()
def pattern(
    text: Annotated[str, typer.Argument(metavar="PATTERN", help="Layers, such as '2(2A-M)-3(Mb-M)'.")],
    primitives: Annotated[
        int | None,
        typer.Option(min=2, help="The size of the search space whose widths count; default: 2 with A and M alone."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a pattern's layers; its cost at each scale and the nearest published design."""
    from aira_lib.console import result_console
    from aira_lib.planning.patterns import show_pattern

    show_pattern(result_console(), text, primitives, as_json)


@design_app.command(name="list")
def design_list(as_json: AsJson = False) -> None:
    """List all published designs."""
    from aira_lib.console import result_console
    from aira_lib.planning.patterns import list_designs

    list_designs(result_console(), as_json)


@design_app.command(name="show")
def design_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as 'AIRAformer-D/stretched@1B'.")],
    as_json: AsJson = False,
) -> None:
    """Draw one published design, with what the paper says of it and where it contradicts itself."""
    from aira_lib.console import result_console
    from aira_lib.planning.patterns import show_design

    show_design(result_console(), name, as_json)


def _study(path: Path) -> "Study":
    from aira_lib.study.reading import load_study
    from aira_lib.training.trainers import check_trainer

    study = load_study(path)
    check_trainer(study.pretrain)
    return study


def _settings(store: str | None) -> "Settings":
    from aira_lib.settings import Settings

    return Settings.from_environment(store)


def _stage(stage: "StageName", study: Path, unit: str | None, store: str | None) -> None:
    from aira_lib.local.session import run_one_stage

    run_one_stage(stage, _study(study), unit, _settings(store))


if __name__ == "__main__":
    main()
