"""A launcher of one's own, added by a module that AIRA_PLUGINS names, has the commands of jobs."""

import os
from pathlib import Path

from tests.aira_lib.cli.in_process import aira_elsewhere

OWN = '''
from aira_lib.errors import UserError
from aira_lib.launch.job import Job
from aira_lib.launch.launcher import Failure, Status
from aira_lib.launch.launchers import LAUNCHERS


class Elsewhere:
    """Jobs of some cluster: one, that failed."""

    def dryrun(self, job):
        return f"kind: TrainJob, name: {job.name}"

    def submit(self, job):
        return "started"

    def jobs(self):
        return [Job(name="far", command=("true",), nodes=2, ranks_per_node=8, study="s", unit="u")]

    def place(self, name):
        if name != "far":
            raise UserError(f"no {name}")
        return "trainjobs/far"

    def status(self, name):
        return Status(state="failed", failure=Failure(reason="rank 9: exit code 1", rank=9, lines=("why",)))

    def logs(self, name, follow=False):
        yield "a line"

    def cancel(self, name):
        pass


LAUNCHERS.add("elsewhere", Elsewhere)
'''


def test_the_commands_of_jobs_take_a_launcher_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own_launcher.py").write_text(OWN)
    environment = {**os.environ, "AIRA_PLUGINS": "own_launcher"}
    environment["PYTHONPATH"] = f"{Path(__file__).parents[3]}:{tmp_path}"
    arguments = [["list"], ["show", "far"], ["show", "near"], ["logs", "far"], ["cancel", "far"]]
    commands = [["jobs", *each, "--launcher", "elsewhere"] for each in arguments]
    listed, shown, refused, log, ended = aira_elsewhere(environment, tmp_path, *commands)
    assert listed.out == "far  failed: rank 9: exit code 1  s u\n"
    assert shown.out.splitlines() == [
        "job:     far", "of:      s u", "ranks:   2 nodes of 8", "state:   failed: rank 9: exit code 1",
        "files:   trainjobs/far", "kind: TrainJob, name: far", "  | why",
    ]  # fmt: skip
    assert (refused.code, refused.err) == (2, "aira: no near\n")
    assert (log.out, ended.out) == ("a line\n", "far: failed: rank 9: exit code 1\n")
