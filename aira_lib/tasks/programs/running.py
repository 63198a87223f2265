"""One process that runs a script of a folder on what was submitted, in a sandbox of its own.

It can be started ahead, while something else runs: what it imports takes longer, at times, than what it is asked. It
imports the modules that `ahead` of program.yaml names, and waits. Until it is told what to do it runs nothing that was
submitted, so it can neither learn from another process what that is asked, nor tell one.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aira_lib.sandbox import Outcome, Started, cores_of_candidate, discard, run_candidate, start_candidate
from aira_lib.study import CandidateLimits
from aira_lib.tasks.programs.arrays import Arrays, write_split
from aira_lib.tasks.programs.folder import ProgramFolder, lay_library

Files = Mapping[str, bytes]
TOLD, WEIGHTS = "run.json", "weights.safetensors"
INPUTS, LIBRARY = "inputs", "library"
_SUBMISSION, _TASK, _WORK = "submission", "task", "work"

# The folder's scripts come before the submission: a file of it does not stand in for one of theirs. What is imported
# ahead cannot come from it at all.
_RUNNER = """\
import importlib, os, runpy, sys
sys.path[:0] = [os.path.abspath(name) for name in ("task", "library")]
for name in {ahead!r}:
    importlib.import_module(name)
if {ahead!r} and not sys.stdin.readline():
    sys.exit("nobody asks any more")
sys.path.append(os.path.abspath("submission"))
runpy.run_path({script!r}, run_name="__main__")
"""


class Process:
    """A sandbox for one script, and the folder with what it finds there; `close` removes both."""

    def __init__(
        self, folder: ProgramFolder, script: str, limits: CandidateLimits, files: Files, shown: Mapping[str, Path],
        scratch: Path,
    ) -> None:  # fmt: skip
        """Lay what was submitted, the folder's scripts and our modules into a new folder.

        Args:
            folder: The task.
            script: Of it.
            limits: Of the process.
            files: What was submitted.
            shown: What it finds besides, read-only, by name; what is to be written into `place` later does not count.
            scratch: The new folder is made in here.
        """
        self.place = Path(tempfile.mkdtemp(dir=scratch)).resolve()
        self.work = self.place / _WORK
        self.script, self._program, self._limits = script, folder.program, limits
        self._started: Started | None = None
        try:
            self._lay(folder, files)
        except BaseException:
            discard(self.place)
            raise
        own = (_SUBMISSION, _TASK, LIBRARY, TOLD)
        self._seen = {name: self.place / name for name in own} | dict(shown)

    def start_ahead(self) -> None:
        """Let it import what it can, and wait for `ask`, where the machine allows that."""
        self._await_rows()
        seen, hides = self._seen, self._program.hides
        self._started = start_candidate(self._code(self._program.ahead), self.work, self._limits, seen, hides)

    def run(self, told: Mapping[str, Any], seconds: float, wanted: str) -> Outcome:
        """Run the script.

        Args:
            told: What run.json says.
            seconds: Wall time, if it is less than what the limits allow; without what was done ahead.
            wanted: The file that it is to leave in `work`.
        """
        (self.place / TOLD).write_text(json.dumps(told, indent=2), encoding="utf-8")
        seconds = min(seconds, self._limits.seconds)
        if self._started:
            return self._started.outcome(seconds)
        code, hides = self._code(()), self._program.hides
        return run_candidate(code, self.work, self._limits, seconds, self._seen, (wanted,), hides)

    def ask(self, told: Mapping[str, Any], weights: bytes, inputs: Arrays, seconds: float, wanted: str) -> Outcome:
        """Run a script that finds weights and rows; see `run`."""
        self._await_rows()
        write_split(inputs, self.place / INPUTS)
        (self.place / WEIGHTS).write_bytes(weights)
        about = {**told, "cores": cores_of_candidate()}
        return self.run(about, seconds, wanted)

    def close(self) -> None:
        """End it, and remove its folder."""
        if self._started:
            self._started.kill()
        discard(self.place)

    def _await_rows(self) -> None:
        """Make empty what is written when rows are there: nothing that a sandbox sees can be put in its place later."""
        (self.place / INPUTS).mkdir(exist_ok=True)
        for name in (WEIGHTS, TOLD):
            (self.place / name).touch()
        self._seen |= {f"data/{INPUTS}": self.place / INPUTS, WEIGHTS: self.place / WEIGHTS}

    def _lay(self, folder: ProgramFolder, files: Files) -> None:
        for name, content in files.items():
            target = self.place / _SUBMISSION / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (self.place / _TASK).mkdir()
        for name in folder.scripts:
            (self.place / _TASK / name).write_bytes((folder.path / name).read_bytes())
        lay_library(folder.program, self.place / LIBRARY)
        self.work.mkdir()

    def _code(self, ahead: tuple[str, ...]) -> str:
        return _RUNNER.format(ahead=ahead, script=f"{_TASK}/{self.script}")
