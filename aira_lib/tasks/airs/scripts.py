"""Run a task's scripts, each by its own command line in its own process, and read the result strictly.

A script that fails, overruns its time or prints anything but one result is a failure with its reason, never a score.
Scripts are the task author's: trusted code. They get a time limit and an environment without keys, not a sandbox.
"""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from aira_lib.foreign import in_a_line
from aira_lib.tasks.airs.folder import EVALUATE, EVALUATE_PREPARE, PREPARE, TaskFolder
from aira_lib.tasks.airs.metadata import SUBMISSION_CSV

RESULT_MARK = "--- EVALUATION RESULT ---"
PREPARE_SECONDS = 3_600.0
EVALUATE_SECONDS = 14_400.0  # AIRA-dojo's execution_timeout; the task format states none
_PASSED_ON = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|TERM|VIRTUAL_ENV|LD_LIBRARY_PATH|PYTHONPATH|AIRA_PROFILE"
    r"|(OMP|MKL)_NUM_THREADS|CUDA_VISIBLE_DEVICES|HF_HOME|HF_\w+_CACHE|HF_\w*OFFLINE|XDG_CACHE_HOME"
)
_MOST_OUTPUT = 4 * 2**20
_MOST_LINE, _MOST_REASON = 500, 600  # characters: of what a script wrote, and of how it failed


class ScriptFailure(Exception):
    """A script of a task failed: not a score of any kind. The text is one line: script, how, and why.

    Attributes:
        script: The script's file name.
        reason: How it failed and what it said of it, such as the last line of its stderr; at most 600 characters.
    """

    def __init__(self, script: str, reason: str) -> None:
        self.script, self.reason = script, in_a_line(reason, _MOST_REASON)
        super().__init__(f"{self.script}: {self.reason}")


class InvalidSubmission(ScriptFailure):
    """evaluate.py refused the submission (exit code 2, as argparse errors are): feedback to the agent."""


def run_script(
    script: Path, arguments: list[str], cwd: Path, seconds: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run a script of a task and return the end of its stdout (4 MiB at most).

    Args:
        script: The file; its folder comes first on its module path, so that it finds its own utils.py.
        arguments: Its command line.
        cwd: Its current directory.
        seconds: Wall time; past it, the script and all that it started are killed.
        environment: Variables beyond the fixed list that is passed on (no keys are on it).

    Raises:
        InvalidSubmission: evaluate.py ended with exit code 2.
        ScriptFailure: it ended with another code than 0, by a signal, or was stopped.
    """
    if seconds <= 0:
        raise ScriptFailure(script.name, "no time was left to run it")
    passed_on = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    # Files, not pipes: a child that outlives the script could hold a pipe open for ever.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [sys.executable, "-B", str(script), *arguments],
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            env={**passed_on, "PYTHONIOENCODING": "utf-8", **(environment or {})},
        )  # fmt: skip
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ScriptFailure(script.name, f"ran longer than {seconds:g} s and was stopped") from None
        finally:
            _kill_group(process)
        stdout, stderr = _tail(out), _tail(err)
    if code:
        kind = InvalidSubmission if code == 2 and script.name == EVALUATE else ScriptFailure
        raise kind(script.name, _reason(code, stderr))
    return stdout


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _MOST_OUTPUT))
    return file.read().decode("utf-8", "replace")


def _reason(code: int, stderr: str) -> str:
    how = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    return f"{how}: {last[:_MOST_LINE]}" if last else how


def prepare(
    task: TaskFolder, shared: Path, mount: Path, log: Path, seconds: float = PREPARE_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write what the agent may see into `mount`.

    Args:
        task: The task.
        shared: Folder of raw data sets (`--global-shared-data-dir`).
        mount: Folder that the agent finds as ./data (`--agent-data-mount-dir`).
        log: Folder of what the agent exports (`--agent-log-dir`).
        seconds: Wall time.
        environment: Further variables for the script.

    Raises:
        ScriptFailure: the script failed.
    """
    run_script(task.path / PREPARE, _folders(shared, mount, log), mount, seconds, environment)


def evaluate(
    task: TaskFolder, shared: Path, mount: Path, log: Path, seconds: float = EVALUATE_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> float:  # fmt: skip
    """Score what lies in `log`: evaluate_prepare.py adds labels and submission to `mount`, evaluate.py scores.

    evaluate.py runs in a fresh folder where `mount` is ./data and `log` is ./logs. `mount` holds the test labels
    afterwards: it must not be shown to an agent again.

    Raises:
        InvalidSubmission: the submission was refused; the text is feedback to the agent.
        ScriptFailure: a script failed, or it printed no valid result.
    """
    add_labels(task, shared, mount, log, seconds, environment)
    with tempfile.TemporaryDirectory(prefix="aira-task-") as container:
        here = Path(container)
        (here / "data").symlink_to(mount.resolve())
        (here / "logs").symlink_to(log.resolve())
        arguments = ["--submission-file", f"./data/{SUBMISSION_CSV}"]
        stdout = run_script(task.path / EVALUATE, arguments, here, seconds, environment)
    return read_result(stdout, task.metric)


def add_labels(
    task: TaskFolder, shared: Path, mount: Path, log: Path, seconds: float, environment: Mapping[str, str] | None = None
) -> None:
    """Run evaluate_prepare.py alone: `mount` then holds the test labels and the submission.

    Raises:
        ScriptFailure: the script failed.
    """
    run_script(task.path / EVALUATE_PREPARE, _folders(shared, mount, log), mount, seconds, environment)


def _folders(shared: Path, mount: Path, log: Path) -> list[str]:
    flags = {"--global-shared-data-dir": shared, "--agent-data-mount-dir": mount, "--agent-log-dir": log}
    return [part for flag, folder in flags.items() for part in (flag, str(folder.resolve()))]


def read_result(stdout: str, metric: str) -> float:
    """The score that evaluate.py printed: after its one mark, one JSON object with one key and a finite number.

    Raises:
        ScriptFailure: anything else was printed; the reason says what.
    """
    _, mark, after = stdout.partition(RESULT_MARK)
    if not mark:
        raise ScriptFailure(EVALUATE, f"printed no line {RESULT_MARK!r}")
    if RESULT_MARK in after:
        raise ScriptFailure(EVALUATE, f"printed {RESULT_MARK!r} more than once; which result counts is not clear")
    try:
        pairs, _ = json.JSONDecoder(object_pairs_hook=list).raw_decode(after.lstrip())
    except (ValueError, RecursionError):
        raise ScriptFailure(EVALUATE, "printed no JSON object after the mark of its result") from None
    if not after.lstrip().startswith("{"):
        raise ScriptFailure(EVALUATE, "printed no JSON object after the mark of its result")
    keys = [key for key, _ in pairs]
    if keys != [metric]:
        raise ScriptFailure(EVALUATE, f"its result must have the one key {metric!r}, found {', '.join(keys) or 'none'}")
    value = pairs[0][1]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScriptFailure(EVALUATE, f"its result {metric!r} is not a number but {str(value)[:80]!r}")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise ScriptFailure(EVALUATE, f"its result {metric!r} is {score}, not a finite number")
    return score
