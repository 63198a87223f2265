"""The command group `aira tasks`: list, show, check and make task folders, and score submissions."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from aira_lib.errors import writing
from aira_lib.foreign import harmless

app = typer.Typer(no_args_is_help=True, help="Task folders: list, read, check, score, start a new one.")
Task = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A built-in task's name, or a task folder.")]
Data = Annotated[
    Path | None, typer.Option("--data", envvar="AIRA_TASK_DATA", help="Folder of raw data sets; default: an empty one.")
]
Seconds = Annotated[float, typer.Option(min=1, help="Wall time of each script.")]
Profile = Annotated[
    str | None, typer.Option(envvar="AIRA_PROFILE", help="Size of a Compose task: paper, laptop (default) or a study.")
]


def _sized(profile: str | None) -> dict[str, str]:
    """The size of a Compose task as its scripts read it; they run elsewhere."""
    if profile and profile.endswith((".yaml", ".yml", ".json")):
        profile = os.path.abspath(profile)
    return {"AIRA_PROFILE": profile or "laptop"}


@app.command(name="list")
def list_tasks(
    folder: Annotated[Path | None, typer.Argument(help="A folder of task folders, listed after the built-in.")] = None,
) -> None:
    """List the built-in tasks and those in FOLDER; a folder that is wrong is listed with what is wrong."""
    from aira_lib.tasks.airs import TaskFolderError, load_task_folder, task_folders
    from aira_lib.tasks.airs.folder import built_in_programs

    for path in [*task_folders(), *built_in_programs().values(), *(task_folders(folder) if folder else [])]:
        try:
            task = load_task_folder(path)
        except TaskFolderError as error:
            print(harmless(f"{path.name}  cannot be used: {error}"))
            continue
        info = task.metadata.logging_info
        direction = "lower" if task.metadata.metric_lower_is_better else "higher"
        print(harmless(f"{task.name}  {info.metric} ({direction} is better)  {info.category}  {info.dataset}"))


@app.command()
def show(task: Task) -> None:
    """Show a task's facts and its description, as an agent reads it."""
    from aira_lib.tasks.airs import find_task_folder

    found = find_task_folder(task)
    info = found.metadata.logging_info
    facts = {
        "task": found.name,
        "folder": found.path,
        "metric": f"{info.metric}, {'lower' if found.metadata.metric_lower_is_better else 'higher'} is better",
        "data": f"{info.dataset} ({info.config}), {info.train_split} and {info.test_split}",
        "submission": f"{', '.join(found.metadata.file_export_globs)}{_run_by(found.path, info.shape)}",
        "published best": ", ".join(f"{best.sota_score:g} ({best.sota_paper_url})" for best in info.sota),
        "scorer needs": ", ".join(found.metadata.evaluate_container_python_requirements) or "nothing",
    }
    for name, value in facts.items():
        print(harmless(f"{name + ':':16} {value}"))
    print(f"\n{found.description.strip()}")


def _run_by(folder: Path, shape: tuple[int, ...] | None) -> str:
    """What a table's shape is, or what runs submitted code."""
    from aira_lib.tasks.airs.folder import is_program_folder
    from aira_lib.tasks.programs.section import load_program

    if not is_program_folder(folder):
        return f", shape {shape}"
    program = load_program(folder)
    return f", trained by {program.train}, asked for predictions by {program.infer}, scored by {program.scored_by}"


@app.command()
def check(
    task: Task,
    shared: Data = None,
    seconds: Seconds = 14_400,
    profile: Profile = None,
) -> None:
    """Check that a task folder conforms: scripts run, and good submissions score better than bad ones."""
    from aira_lib.tasks.airs import find_task_folder
    from aira_lib.tasks.airs.folder import BUILT_IN, built_in_programs
    from aira_lib.tasks.folders import check_folder

    built_in = (BUILT_IN / task).is_dir() or task in built_in_programs()
    # A folder of one's own may be wrong in ways that the check itself reports, so it is not loaded here.
    path = find_task_folder(task).path if built_in or not Path(task).exists() else Path(task)
    failed = 0
    for finding in check_folder(path, shared, seconds, _sized(profile)):
        failed += not finding.holds
        detail = f": {finding.detail}" if finding.detail else ""
        print(harmless(f"{'ok  ' if finding.holds else 'FAIL'}  {finding.what}{detail}"), flush=True)
    print("conforms" if not failed else f"does not conform: {failed} failed")
    raise typer.Exit(1 if failed else 0)


@app.command()
def score(
    task: Task,
    submission: Annotated[
        Path, typer.Argument(help="The file that the task exports, such as submission.csv, or a folder with them.")
    ],
    shared: Data = None,
    seconds: Seconds = 14_400,
    profile: Profile = None,
) -> None:
    """Score a submission on a task's test split, by the task's own scripts, as a search scores it."""
    from aira_lib.tasks.folders import score_in_folder

    for line in score_in_folder(task, submission, shared, seconds, _sized(profile)):
        print(harmless(line))


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="The folder to make; its name becomes the task's.")],
    kind: Annotated[
        Literal["table", "program"],
        typer.Option(
            help="What is submitted: a table of predictions, or a program that is trained and asked for them."
        ),
    ] = "table",
) -> None:
    """Write a small complete task folder that conforms, to start from."""
    from aira_lib.tasks.airs import new_task_folder

    with writing(path):
        folder = new_task_folder(path, kind)
    what = "data (utils.py), metric (evaluate.py)" if kind == "table" else "data (utils.py), train.py, infer.py, metric"
    print(f"{folder}: replace its {what} and texts; then: aira tasks check {folder}")
