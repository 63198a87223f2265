"""`aira search`, `aira nodes` and `aira watch`: searches, their pages, and following them."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aira_lib.cli.options import Store, StudyFile, Tracking, TrustAgents, Workers, say_trust, settings_of, study_of

app = typer.Typer()
EXPORT = "export"
PROMPT = "prompt"
RESULTS = "results"


class _Search(TyperGroup):
    """`aira search export ...`, `prompt ...` and `results ...` are commands; all else is `aira search` itself."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.itself = self.commands.pop("search")

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if args and args[0] in self.commands:
            return super().make_context(info_name, args, parent, **extra)
        return self.itself.make_context(info_name, args, parent, **extra)


search_app = typer.Typer(cls=_Search)
app.add_typer(search_app, name="search", help="Let agents search a task, or a study; `export`, `prompt`, `results`.")


@search_app.command()
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
    literature: Annotated[
        Path | None, typer.Option(metavar="DIR", help="One's own summaries and code, for a task with literature.")
    ] = None,
    workers: Workers = None,
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
    trust_agents: TrustAgents = False,
) -> None:
    """Let agents search a task, several seeds at once, or run the searches of a study.

    Interrupt it whenever you like: the same command goes on from what is finished. More seeds keep those there are.
    `aira search export` takes the best submission out of a finished search; `aira search prompt` prints a template.
    """
    from aira_lib.local.search_command import search_command, watch_searches
    from aira_lib.local.search_study import SearchOptions

    if watch_only:
        return watch_searches(what, settings_of(store))
    say_trust(trust_agents)
    options = SearchOptions(agent, model, seeds, steps, hours, profile, max_dollars, max_tokens, literature)
    raise typer.Exit(search_command(what, options, unit, settings_of(store), workers, tracking, dry_run))


@search_app.command(name=EXPORT)
def export(
    what: Annotated[
        str, typer.Argument(metavar="STUDY|RECORD", help="A study's file, or the folder or page of a search's record.")
    ],
    unit: Annotated[str | None, typer.Option(help="Of a study, the search; default: the best of all.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder to make; default: SEARCH-best.")
    ] = None,
    store: Store = None,
) -> None:
    """Write the best submission of a finished search, its program and its scores into a folder."""
    from aira_lib.local.search_export import export_best

    for line in export_best(what, unit, output, settings_of(store)):
        typer.echo(line)


@search_app.command(name=RESULTS)
def results(
    what: Annotated[
        str, typer.Argument(metavar="STUDY|RECORD", help="A study's file, or the folder or page of a search's record.")
    ],
    to: Annotated[Path, typer.Option(help="The folder to write into; each search has one of its name there.")],
    unit: Annotated[str | None, typer.Option(help="Of a study, the search; default: all that are finished.")] = None,
    store: Store = None,
) -> None:
    """Write results.tsv, the best step's printed block and each step's changes as diffs."""
    from aira_lib.local.search_results import write_results

    for line in write_results(what, unit, to, settings_of(store)):
        typer.echo(line)


@search_app.command(name=PROMPT)
def prompt(
    operator: Annotated[str, typer.Argument(help="draft, improve, debug, crossover or analyse.")],
    program: Annotated[
        bool, typer.Option("--program", help="That of task folders, whose candidates are no designs.")
    ] = False,
) -> None:
    """Print the built-in template of an operator, to write one of your own (docs/agents.md)."""
    from aira_lib.agents.templates import built_in_source

    typer.echo(built_in_source(operator, "program" if program else "design"), nl=False)


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

    page = write_nodes_page(study_of(study), unit, settings_of(store), output, open_page)
    typer.echo(f"Page: {page}")


@app.command()
def watch(study: StudyFile, store: Store = None) -> None:
    """Follow the study's searches in a live table, while they run in another terminal or on a cluster."""
    from aira_lib.watch.follow import watch as follow

    follow(study_of(study), settings_of(store))
