"""Open a task whose submissions are code: the one way of searches, of `aira tasks check` and of `aira tasks score`.

prepare.py runs, which the task's author wrote, and evaluate_prepare.py writes the labels of the test split. Where the
machine cannot close the file system, submitted code could read these where they lie, and no score would be worth
anything: then nothing is opened, unless agents are trusted.
"""

import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from aira_lib.errors import UserError
from aira_lib.sandbox import closes_files, discard, isolation
from aira_lib.settings import trusts_agents
from aira_lib.study import TaskSection
from aira_lib.tasks.airs.exports import plain
from aira_lib.tasks.airs.folder import EVALUATE_PREPARE
from aira_lib.tasks.airs.held_out import LABELS
from aira_lib.tasks.airs.opening import prepared, raw_for_scripts
from aira_lib.tasks.airs.packages import installed
from aira_lib.tasks.airs.scoring import Scorer
from aira_lib.tasks.airs.scripts import PREPARE_SECONDS, ScriptFailure, add_labels
from aira_lib.tasks.programs.folder import ProgramFolder, function_exists
from aira_lib.tasks.programs.measure import Measure
from aira_lib.tasks.programs.section import Setting
from aira_lib.tasks.programs.splits import Splits, open_splits
from aira_lib.tasks.programs.varied import require_choices, varied

_JAX = ("jax", "flax", "optax")


def open_programs(
    folder: ProgramFolder, fraction: float, place: Path, shared: Path | None, seconds: float = PREPARE_SECONDS,
    chosen: Mapping[str, Setting] = MappingProxyType({}),
) -> Measure:  # fmt: skip
    """Do all that is said above.

    Args:
        folder: The task.
        fraction: Of train that becomes validation where prepare.py writes none.
        place: A folder to make, which lives as long as the task.
        shared: The folder of raw data sets; an empty one by default.
        seconds: Wall time of prepare.py.
        chosen: Settings that a study gives other values; what prepare.py says of them is the study's, then.

    Raises:
        ScriptFailure: a script failed.
        UserError: the folder's splits are not what they should be, or files cannot be closed here.
    """
    require_closed_files()
    _require_packages(folder)
    if folder.score_script is None and not function_exists(folder.program.scored_by):
        raise UserError(f"{folder.path}/program.yaml: no module of {folder.program.scored_by} is installed")
    scorer = prepared(folder.task, place, shared, seconds)
    if (scorer.prepared / LABELS).exists():
        raise UserError(f"{folder.path}: prepare.py wrote {LABELS}, which belongs to evaluate_prepare.py")
    with_labels = place / LABELS
    _write_labels(scorer, with_labels, seconds)
    try:
        splits = open_splits(scorer.prepared, with_labels, folder.program.labels, fraction, place / "splits")
    except UserError as error:
        raise UserError(f"{folder.path}: {error}") from None
    discard(with_labels)
    _require_sides(folder, splits)
    about = {**splits.about, **chosen}
    try:
        require_choices(known := folder.program.with_data(splits.about))
    except UserError as error:
        raise UserError(f"{folder.path}: {error}") from None
    program = varied(known, chosen)
    return Measure(replace(folder, program=program), replace(splits, about=about), scorer.scratch)


def _require_sides(folder: ProgramFolder, splits: Splits) -> None:
    """Refuse a task whose rows lack a side that is to be encoded, or whose sides differ in form."""
    encode, rows = folder.program.encode, splits.steers.inputs
    if encode is None:
        return
    if missing := [name for name in encode.files if name not in rows]:
        raise UserError(f"{folder.path}/program.yaml: encode: prepare.py writes no {missing[0]}")
    forms = {(rows[name].shape[1:], rows[name].dtype) for name in encode.files}
    if len(forms) > 1:
        raise UserError(f"{folder.path}/program.yaml: encode: {', '.join(encode.files)} differ in shape or dtype")


def _write_labels(scorer: Scorer, target: Path, seconds: float) -> None:
    """Run evaluate_prepare.py and move the labels of the test split to `target`.

    It runs as prepare.py does, and may import what that may: nothing is submitted yet that could mislead it.

    Raises:
        ScriptFailure: it failed, or wrote no `test_with_labels`.
    """
    with tempfile.TemporaryDirectory(dir=scorer.scratch) as log, raw_for_scripts(scorer.shared, scorer.scratch) as raw:
        for name in filter(plain, scorer.folder.metadata.file_export_globs):
            (Path(log) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(log) / name).write_text("placeholder\n")
        add_labels(scorer.folder, raw, scorer.prepared, Path(log), seconds)
    written = scorer.prepared / LABELS
    if written.is_symlink() or not written.is_dir():
        raise ScriptFailure(EVALUATE_PREPARE, f"wrote no folder {LABELS}")
    written.rename(target)


def _require_packages(folder: ProgramFolder) -> None:
    """Refuse a task whose candidates could not import what it promises them; their pods have an image of their own."""
    wanted = folder.task.metadata.container_python_requirements
    missing = [each for each in wanted if installed(each) is None]
    if missing and isolation() != "pod":
        extra = " (or AIRA's extra `jax`)" if any(each.startswith(_JAX) for each in missing) else ""
        raise UserError(f"{folder.path}: needs {', '.join(missing)}; `pip install {shlex.join(missing)}`{extra}")


def require_closed_files() -> None:
    """Refuse to run submitted code where it could read labels.

    Raises:
        UserError: one line.
    """
    if not closes_files(isolation()) and not trusts_agents():
        raise UserError(
            "this machine cannot close the file system (`aira doctor` says why), so submitted code could read the "
            "labels that it is scored by; allow namespaces, give candidates pods of their own, or say --trust-agents"
        )


def opened_for_search(folder: ProgramFolder, section: TaskSection, place: Path, shared: Path | None) -> Measure:
    """The same, with a failing script as one line for whoever started a search.

    Raises:
        UserError: as above, or a script failed.
    """
    try:
        return open_programs(folder, section.validation_fraction, place, shared, chosen=section.settings)
    except ScriptFailure as failure:
        hint = "" if shared else "; if it needs raw data, set AIRA_TASK_DATA to the folder that holds them"
        raise UserError(f"{folder.path}: {failure}{hint}") from None
