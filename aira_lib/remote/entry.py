"""What a pipeline on a cluster begins and waits with: text goes in and comes out, as Kubeflow carries it."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from aira_lib.cluster.reading import cluster_here
from aira_lib.cluster.run import inline
from aira_lib.cluster.runs import RunsApi
from aira_lib.cluster.section import VARIABLE
from aira_lib.errors import UserError
from aira_lib.flow.checks import check_study
from aira_lib.flow.entry import one_line_errors
from aira_lib.flow.pipelines import UNITS, pipeline_command
from aira_lib.flow.texts import read_study, write_list
from aira_lib.remote.begin import begin
from aira_lib.remote.chunk import Chunk
from aira_lib.remote.fan_out import FanOut, Orders
from aira_lib.remote.loop import loop_of
from aira_lib.remote.waiting import Patience
from aira_lib.settings import Settings, hold_lifeline
from aira_lib.study import Study, digest, flat
from aira_lib.track.follow import tell_study
from aira_lib.track.log import RunStatus

WITHIN_KFP = "_KFP_RUNTIME"
"""Kubeflow sets it for its tasks, in which kfp then has no compiler."""

TOLD = 143
"""Exit code of a process that was told to end, and may be started again."""


def begin_text(preset: str, study: str, overrides: Mapping[str, Any], store: str, confirm: str, plan: str) -> str:
    """See `aira_lib.remote.begin.begin`.

    Args:
        preset: see there.
        study: see there.
        overrides: see there.
        store: see there.
        confirm: what was entered to confirm the cost; empty: nothing.
        plan: path of a file for what the study takes, in Markdown; it is printed, too.

    Raises:
        SystemExit: code 2 after one line on stderr, for anything a user can mend.
    """
    with one_line_errors():
        hold_lifeline()
        with open(plan, "w", encoding="utf-8") as file:

            def say(line: str) -> None:
                print(line, flush=True)
                file.write(f"{line}\n")

            reference = begin(preset, study, overrides, store, confirm, cluster_here(), say)
        _track(read_study(reference, store), store, "running")
        return reference


def fan_out_text(
    loop: str, study: str, store: str, run: str, designs: str = "", at_once: int = 20, start: bool = True
) -> str:
    """Have the units of a loop of a study made on the cluster; the text that stands for the list of their records.

    Args:
        loop: which.
        study: the study, or the text that stands for it.
        store: where records are kept.
        run: id of the Kubeflow run that this is a task of.
        designs: of the loop over points: URI of the extrapolation record.
        at_once: how many units may be worked on at once.
        start: False: nothing is started; what is not there counts as failed.

    Raises:
        SystemExit: code 2 after one line on stderr, for anything a user can mend; 143 where it is told to end.
    """
    with one_line_errors():
        cluster = cluster_here()
        if cluster is None:
            raise UserError(f"this is no pod of a cluster with AIRA: {VARIABLE} names no file; run `aira run` here")
        if at_once < 1:
            raise UserError(f"units_at_once is {at_once}, with which nothing is ever begun; give 1 or more")
        spec = read_study(study, store)
        check_study(spec)
        settings = Settings.from_environment(store)
        fan_out = FanOut(
            loop_of(loop, spec, designs, settings), Orders(study, run, at_once), cluster, settings, RunsApi(cluster),
            compiled, _say,
        )  # fmt: skip
        with _ending(fan_out):
            try:
                made = fan_out.carry_out(start)
            except Exception:
                _track(spec, store, "failed")
                raise
        records = [uri for of in made.values() for uri in of]
        return Patience(_say).given(lambda: write_list(records, spec, store))


def compiled(chunk: Chunk) -> dict[str, Any]:
    """What Kubeflow runs of a chunk, compiled in a process of its own: this one never imports kfp."""
    with tempfile.TemporaryDirectory() as folder:
        request, output = Path(folder) / "chunk.json", Path(folder) / "chunk.yaml"
        request.write_bytes(chunk.to_json())
        command = [*pipeline_command(UNITS), "compile", "--request", str(request), "-o", str(output)]
        env = {name: value for name, value in os.environ.items() if name != WITHIN_KFP}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        if done.returncode:
            raise RuntimeError(f"compiling {chunk.name} ended with exit code {done.returncode}:\n{done.stderr}")
        return inline(list(yaml.safe_load_all(output.read_text(encoding="utf-8"))))


def _track(study: Study, store: str, status: RunStatus) -> None:
    """Say in MLflow how the study is: here alone, and where a stage that logs to its run begins or ends."""
    tell_study(Settings.from_environment(store).tracking, study.name, digest(study), status, flat(study))


def _say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _ending(fan_out: FanOut) -> Iterator[None]:
    """End when told to; runs that were started go on, for whoever is started next to adopt them.

    Unless somebody cancelled all of it.
    """

    def end(number: int, frame: object) -> None:
        raise SystemExit(TOLD)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit:
        fan_out.stop_with_parent()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
