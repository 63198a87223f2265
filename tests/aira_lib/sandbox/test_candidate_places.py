"""Where candidates run: in pods where the cluster's settings say so; and all that asks a sandbox works with them."""

import json
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import aira_lib.cli.doctor as doctor
import aira_lib.sandbox.candidate as candidate
import aira_lib.sandbox.gpu_in_words as gpu_in_words
from aira_lib.errors import UserError
from aira_lib.sandbox import SandboxError, check_reach, closes_files, cores_of_candidate, isolation, run_candidate
from aira_lib.sandbox.bundle import START
from aira_lib.sandbox.manifest import Need, manifest
from aira_lib.sandbox.packages_in_words import packages_in_words
from aira_lib.sandbox.pods import pods_of
from aira_lib.sandbox.process import Outcome
from aira_lib.sandbox.sending import Work, send
from aira_lib.sandbox.sweep import sweep_here
from aira_lib.study import CandidateLimits
from aira_lib.tasks.airs import load_task_folder, prepare
from aira_lib.tasks.airs.scoring import Scorer
from tests.aira_lib.sandbox.podlike import NAMESPACE, PodLike, cluster_section, podlike
from tests.aira_lib.search.third_party_folder import third_party_folder

LIMITS = CandidateLimits(seconds=20, memory_mb=256, disk_mb=4)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pods are Linux")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodLike]:
    """A process in a pod of a cluster whose settings have a section `candidates`."""
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(cluster_section(cores=2.5).model_dump(mode="json")))
    monkeypatch.setenv("AIRA_CLUSTER", str(file))
    with podlike(tmp_path, monkeypatch) as made:
        monkeypatch.setattr(candidate, "_pods", lambda: made.pods)
        yield made


def test_settings_of_the_cluster_decide(here: PodLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isolation() == "pod"
        check_reach()
    assert closes_files("pod")
    assert cores_of_candidate() == 2
    assert doctor._isolation() == (True, doctor._REMARKS["pod"])
    (workdir := tmp_path / "work").mkdir()
    outcome = run_candidate("open('a', 'w'); open('b', 'w'); print(1)", workdir, LIMITS, outputs=("a",))
    assert outcome.stdout_tail == "1\n"
    assert [path.name for path in workdir.iterdir()] == ["a"]
    assert run_candidate("", workdir, LIMITS, seconds=0).reason == "no time was left to run it"
    assert len(here.executing.commands) == 1
    monkeypatch.delenv("AIRA_CLUSTER")
    assert isolation() != "pod"


def test_agents_are_told_of_the_image_not_of_this_machine(here: PodLike, monkeypatch: pytest.MonkeyPatch) -> None:
    packages_in_words.cache_clear()
    assert "torch" in packages_in_words()
    assert len(here.executing.commands) == 1
    packages_in_words.cache_clear()

    def look(code: str, workdir: Path, limits: CandidateLimits, seconds: float) -> Outcome:
        assert limits.gpu
        return Outcome("ok", 0, told, "", 1.0)

    monkeypatch.setattr(gpu_in_words, "run_candidate", look)
    gpu_in_words.gpu_in_words.cache_clear()
    told = json.dumps(["NVIDIA H100", 80_000_000_000, 2])
    limits = LIMITS.model_copy(update={"gpu": True})
    assert gpu_in_words.gpu_in_words(limits) == "NVIDIA H100 (the first of 2), of whose memory it may use 40 GB"
    gpu_in_words.gpu_in_words.cache_clear()
    told = "null\n"
    with pytest.raises(SandboxError, match=r"limits\.gpu: torch finds no GPU in a candidate's pod"):
        gpu_in_words.gpu_in_words(limits)


def test_pods_left_by_searches_that_died_are_swept_before_the_first(here: PodLike, tmp_path: Path) -> None:
    late = datetime.now(UTC) - timedelta(days=2)
    need = Need(LIMITS, 20, 0, "/w")
    here.fake.put(manifest("left", need, cluster_section(), None, late))
    here.fake.put(manifest("waited-for", need, cluster_section(), None))
    pods = pods_of(str(tmp_path / "cluster.yaml"))
    assert here.names() == ["waited-for"]
    assert (pods.kubernetes.namespace, pods.parent, pods.place(Path("/w"))) == (NAMESPACE, None, "/w")
    assert ("169.254.169.254", 80) in pods.unreachable
    here.fake.put(manifest("left", need, cluster_section(), None, late))
    assert sweep_here() == ["left"]


def test_a_sweep_needs_a_cluster_with_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRA_CLUSTER", raising=False)
    with pytest.raises(UserError, match="AIRA_CLUSTER: let it name"):
        sweep_here()


RUNS_ANYTHING = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--submission-file")
exec(open(parser.parse_args().submission_file).read())
"""


def test_scripts_of_task_folders_score_in_a_pod(here: PodLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the very paths that they are told, of which nothing is there but what was sent: the folder is covered."""
    cover = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']
    if not shutil.which("unshare") or subprocess.run([*cover, str(tmp_path), "true"], check=False).returncode:
        pytest.skip("needs a mount namespace")
    folder, shared = third_party_folder(tmp_path, evaluate=RUNS_ANYTHING)
    for name in ("prepared", "log", "scratch"):
        (tmp_path / name).mkdir()
    task = load_task_folder(folder)
    prepare(task, shared, tmp_path / "prepared", tmp_path / "log")
    scorer = Scorer(task, shared, tmp_path / "prepared", tmp_path / "scratch", memory_mb=1024)
    here.executing.wrapper = [*cover, str(scorer.scratch)]
    monkeypatch.setattr(candidate, "_pods", lambda: as_it_is(here.pods))
    program = (
        "import os; assert os.path.exists('data/test_with_labels/rows.csv'), os.listdir('data')\n"
        "print('--- EVALUATION RESULT ---'); print('{\"MeanAbsoluteError\": 1.5}')\n"
    )
    assert scorer.test({"submission.csv": program.encode()}) == 1.5
    scorer.labels({"submission.csv": b""}, tmp_path / "labels")
    assert (tmp_path / "labels" / "rows.csv").read_text().count("\n") > 1
    assert list(scorer.scratch.iterdir()) == []
    assert len(here.executing.commands) == 2


def as_it_is(pods: Any) -> Any:
    """Pods whose work directories have the same paths as here, as on a cluster."""
    return replace(pods, place=str)


@pytest.mark.parametrize("end", ["closed", "silent"])
def test_a_supervisor_ends_with_its_search(tmp_path: Path, end: str) -> None:
    """Also where a broken connection leaves its input open, and with it all that its candidate started."""
    start = START.replace("within.main()", "within.SILENCE = 2.0; within.BEAT = 0.1; within.main()")
    supervisor = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", start, str(tmp_path / "sources")],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (workdir := tmp_path / "work").mkdir()
    mark = tmp_path / "inside" / "alive"
    code = "import time\nwhile True:\n    open('alive', 'w').close(); time.sleep(0.05)"
    work = Work(code, workdir, str(tmp_path / "home"), LIMITS.model_dump(), 60.0, {}, ())
    send(_Pipe(supervisor), work, str(mark.parent))
    try:
        assert eventually(mark.exists)
        if end == "closed":
            assert supervisor.stdin is not None
            supervisor.stdin.close()
        assert supervisor.wait(30) == 0
        assert eventually(lambda: still(mark))
    finally:
        supervisor.kill()
        supervisor.communicate()


class _Pipe:
    ended = None

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def write(self, data: bytes) -> bool:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()
        return True

    def read(self, seconds: float) -> bytes:
        return b""


def eventually(condition: Any) -> bool:
    return any(condition() or time.sleep(0.05) for _ in range(400))


def still(mark: Path) -> bool:
    """Whether nobody writes it any more."""
    mark.unlink(missing_ok=True)
    time.sleep(0.3)
    return not mark.exists()
