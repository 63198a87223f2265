"""Score submissions by the scripts of a task folder, within the sandbox: what is submitted may be hostile.

evaluate_prepare.py and evaluate.py run unchanged, each by its own command line in its own process, where they see the
task's folder, the raw data, the prepared data and the submission, all read-only but their own work directory, and no
network. What they write beside raw data, as caches of data sets, goes into that directory, too. They share one sandbox
and leave nothing behind but what evaluate.py prints, which is parsed strictly. A submission that is far from the form
of a perfect one is refused before they start. A task whose evaluate.py runs submitted code (rather than reads a table)
trusts that code with the labels and the result: it is searched only where agents are trusted, and such tasks belong to
`aira_lib.tasks.programs`.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aira_lib.sandbox import ArtefactError, Outcome, closes_files, collect, discard, isolation, run_candidate
from aira_lib.study import CandidateLimits
from aira_lib.tasks.airs.folder import EVALUATE, EVALUATE_PREPARE, TaskFolder
from aira_lib.tasks.airs.form import Form, misfit
from aira_lib.tasks.airs.held_out import HELD_OUT, LABELS, TEST, HeldOutRows
from aira_lib.tasks.airs.metadata import SUBMISSION_CSV
from aira_lib.tasks.airs.raw_data import lay_links
from aira_lib.tasks.airs.scripts import EVALUATE_SECONDS, InvalidSubmission, ScriptFailure, read_result

DATA, LOGS = "data", "logs"
_TASK, _SHARED, _RAW = "task", "shared", "raw"
_RUNNING, _STDOUT = "running", "stdout"
_MOST_STDOUT = 4 * 2**20
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")

# Runs the scripts one after the other and ends as the first that fails does.
_RUNNER = """\
import os, subprocess, sys
for script, folder, arguments in {commands!r}:
    with open({running!r}, "w") as running:
        running.write(os.path.basename(script))
    with open({stdout!r}, "wb") as stdout:
        code = subprocess.run([sys.executable, "-sB", script, *arguments], cwd=folder, stdout=stdout).returncode
    if code < 0:
        os.kill(os.getpid(), -code)
    if code:
        sys.exit(code)
"""

Command = tuple[str, str, list[str]]


@dataclass(frozen=True)
class Scorer:
    """Runs the scoring scripts of one task on its prepared data, each time in a fresh work directory of `scratch`.

    Attributes:
        folder: The task.
        shared: The folder of raw data sets.
        prepared: What prepare.py wrote.
        scratch: Where work directories are made.
        form: Of a submission.csv for the test split; None where nothing is known of it.
        seconds: Wall time of the scripts at most.
        memory_mb: Memory of the scripts at most; None: three quarters of the machine's.
    """

    folder: TaskFolder
    shared: Path
    prepared: Path
    scratch: Path
    form: Form | None = None
    seconds: float = EVALUATE_SECONDS
    memory_mb: int | None = None

    def test(self, exports: Mapping[str, bytes], seconds: float = EVALUATE_SECONDS) -> float:
        """The score of a submission on the test split.

        Args:
            exports: The submitted files by their path relative to the agent's log folder.
            seconds: Wall time of both scripts together, if it is less than theirs.

        Raises:
            InvalidSubmission: evaluate.py refused it, or would hardly read it; the reason is feedback to the agent.
            ScriptFailure: a script failed, or it printed no valid result.
        """
        _require_form(exports, self.form)

        def commands(work: Path) -> list[Command]:
            _write(exports, work / LOGS)
            return [self._evaluate_prepare(work), _evaluate(work)]

        return self._result(commands, _children(self.prepared), seconds)

    def held_out(self, held: HeldOutRows, exports: Mapping[str, bytes], seconds: float = EVALUATE_SECONDS) -> float:
        """The score of a submission on held-out rows: evaluate.py finds them in the place of the test split.

        Args:
            held: The rows.
            exports: The submitted files by the names under which evaluate_prepare.py would export them.
            seconds: Wall time, if it is less than that of the scripts.

        Raises:
            InvalidSubmission: as for `test`.
            ScriptFailure: as for `test`.
        """
        _require_form(exports, self.form and self.form.of_rows(held.rows))
        children = {name: path for name, path in _children(held.agent_data).items() if name != HELD_OUT}
        children |= {TEST: held.agent_data / HELD_OUT, LABELS: held.labels}

        def commands(work: Path) -> list[Command]:
            _write(exports, work / DATA)
            return [_evaluate(work)]

        return self._result(commands, children, seconds)

    def labels(self, exports: Mapping[str, bytes], target: Path) -> None:
        """Run evaluate_prepare.py alone and move the labels of the test split to `target`, which is made.

        Raises:
            ScriptFailure: it failed, or wrote no `test_with_labels`.
        """
        work = self._work_directory()
        try:
            _write(exports, work / LOGS)
            made = f"{DATA}/{LABELS}/*"
            self._run(work, [self._evaluate_prepare(work)], _children(self.prepared), EVALUATE_SECONDS, (made,))
            labels = work / DATA / LABELS
            if labels.is_symlink() or not labels.is_dir():
                raise ScriptFailure(EVALUATE_PREPARE, f"wrote no folder {LABELS}")
            labels.rename(target)
        finally:
            discard(work)

    def _result(self, commands: Callable[[Path], list[Command]], data: Mapping[str, Path], seconds: float) -> float:
        work = self._work_directory()
        try:
            stdout = self._run(work, commands(work), data, seconds)
        finally:
            discard(work)
        return read_result(stdout, self.folder.metric)

    def _work_directory(self) -> Path:
        work = Path(tempfile.mkdtemp(dir=self.scratch)).resolve()
        for name in (DATA, LOGS):
            (work / name).mkdir()
        return work

    def _evaluate_prepare(self, work: Path) -> Command:
        folders = {
            "--global-shared-data-dir": _SHARED, "--agent-data-mount-dir": DATA, "--agent-log-dir": LOGS,
        }  # fmt: skip
        arguments = [part for flag, name in folders.items() for part in (flag, str(work / name))]
        return str(work / _TASK / EVALUATE_PREPARE), str(work / DATA), arguments

    def _run(
        self, work: Path, commands: Sequence[Command], data: Mapping[str, Path], seconds: float,
        made: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Run scripts in a work directory and return what the last one printed; `made` are files wanted besides."""
        seen = {_TASK: self.folder.path, _RAW: self.shared}
        seen |= {f"{DATA}/{name}": path for name, path in data.items()}
        if not closes_files(isolation()):
            # Copies of all raw data for each submission would take too long, and nothing is hidden there anyway.
            for name, path in seen.items():
                (work / name).symlink_to(path)
            seen = {}
        lay_links(self.shared, work / _SHARED, work / _RAW)
        program = _RUNNER.format(commands=list(commands), running=_RUNNING, stdout=_STDOUT)
        wanted = (_RUNNING, _STDOUT, *made)
        outcome = run_candidate(program, work, self._limits(), min(seconds, self.seconds), seen, wanted)
        _require_success(outcome, work)
        try:
            return collect(work, _STDOUT, _MOST_STDOUT).decode("utf-8", "replace")
        except ArtefactError as error:
            raise ScriptFailure(EVALUATE, f"its output cannot be read: {error}") from None

    def _limits(self) -> CandidateLimits:
        """Of the scripts: they are the task author's, so these bound what a submission can make of them."""
        return CandidateLimits(
            seconds=EVALUATE_SECONDS,
            memory_mb=self.memory_mb or memory_of_machine() * 3 // 4,
            output_kb=4_096,
            disk_mb=16_384,
            processes=256,
        )


def memory_of_machine() -> int:
    """In megabytes, of the container where that may use less; at least 1,366: three quarters of it are a gigabyte."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        granted = _MEMORY_LIMIT.read_text().strip()
    except OSError:
        granted = "max"
    return max(1_366, (most if granted == "max" else min(most, int(granted))) // 2**20)


def _require_form(exports: Mapping[str, bytes], form: Form | None) -> None:
    if form and SUBMISSION_CSV in exports and (why := misfit(exports[SUBMISSION_CSV], form)):
        raise InvalidSubmission(SUBMISSION_CSV, why)


def _evaluate(work: Path) -> Command:
    return str(work / _TASK / EVALUATE), str(work), ["--submission-file", f"./{DATA}/{SUBMISSION_CSV}"]


def _children(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir()}


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _require_success(outcome: Outcome, work: Path) -> None:
    if outcome.status == "ok":
        return
    try:
        script = collect(work, _RUNNING, 100).decode("utf-8", "replace")
    except ArtefactError:
        script = EVALUATE_PREPARE
    if outcome.exit_code == 2 and script == EVALUATE:
        raise InvalidSubmission(script, outcome.reason)
    raise ScriptFailure(script, outcome.reason)
