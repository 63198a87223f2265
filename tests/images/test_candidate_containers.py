"""Candidates in containers as their pods have them, by the image for candidates: opt-in, since an image takes minutes.

Build it, then name it: AIRA_TEST_SANDBOX_IMAGE=localhost/aira-sandbox:0.1.0 pytest tests/images
"""

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aira_lib.sandbox.bundle import START
from aira_lib.sandbox.manifest import HOME, Need, manifest
from aira_lib.sandbox.process import Outcome
from aira_lib.sandbox.sending import Lost, Work
from aira_lib.sandbox.talk import talk
from aira_lib.study import CandidateLimits
from tests.aira_lib.sandbox.podlike import cluster_section

IMAGE = os.environ.get("AIRA_TEST_SANDBOX_IMAGE", "")
BUILDER = os.environ.get("BUILDER") or shutil.which("podman") or shutil.which("docker") or ""
LIMITS = CandidateLimits(seconds=30, memory_mb=512, disk_mb=16, processes=12)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BUILDER, reason="neither podman nor docker is here"),
    pytest.mark.skipif(not IMAGE, reason="AIRA_TEST_SANDBOX_IMAGE names no image"),
]

# What a container runtime refuses by default to whoever has no capability.
REFUSED = ("mount", "umount2", "pivot_root", "setns", "unshare", "fsopen", "move_mount", "open_tree", "mount_setattr")
_NEW_USER, _EPERM, _ENOSYS = 0x10000000, 1, 38


def options(pod: Mapping[str, Any], folder: Path) -> list[str]:
    """A container's options out of a pod's manifest, with a filter of system calls like the runtimes' own."""
    masked = {"index": 0, "value": _NEW_USER, "valueTwo": _NEW_USER, "op": "SCMP_CMP_MASKED_EQ"}
    refused: list[dict[str, object]] = [
        {"names": [*REFUSED], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM, "args": [masked]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
    calls = folder / "seccomp.json"
    calls.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": refused}))
    security, (container,) = pod["spec"]["securityContext"], pod["spec"]["containers"]
    limits = container["resources"]["limits"]
    words = [
        "--read-only", "--read-only-tmpfs=false", "--network=none", "--cap-drop=all",
        "--security-opt=no-new-privileges", f"--security-opt=seccomp={calls}",
        f"--user={security['runAsUser']}:{security['runAsGroup']}",
        f"--memory={limits['memory'].removesuffix('i').lower()}",
    ]  # fmt: skip
    for mount in container["volumeMounts"]:  # as the kubelet makes an emptyDir: anybody's
        words += ["--mount", f"type=tmpfs,destination={mount['mountPath']},tmpfs-mode=0777,tmpfs-size=64m"]
    return words


class Pipe:
    """A command in a container."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [BUILDER, "exec", "-i", name, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._read: queue.Queue[bytes] = queue.Queue()
        self.ended: int | None = None
        threading.Thread(target=self._follow, daemon=True).start()

    def write(self, data: bytes) -> bool:
        assert self._process.stdin is not None
        left = memoryview(data)
        while left:
            left = left[self._process.stdin.write(left) :]
        return True

    def read(self, seconds: float) -> bytes:
        try:
            data = self._read.get(timeout=seconds)
        except queue.Empty:
            return b""
        if not data:
            self.ended = self._process.wait()
        return data

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _follow(self) -> None:
        assert self._process.stdout is not None
        while data := self._process.stdout.read(65_536):
            self._read.put(data)
        self._read.put(b"")


@contextmanager
def container(tmp_path: Path) -> Iterator[str]:
    workdir = "/tmp/aira-search-x/tmp1"
    pod = manifest("candidate-1", Need(LIMITS, 30, 0, workdir), cluster_section(), None)
    started = subprocess.run(
        [BUILDER, "run", "--detach", *options(pod, tmp_path), IMAGE, *pod["spec"]["containers"][0]["command"]],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    name = started.stdout.strip()
    try:
        yield name
    finally:
        for _ in range(20):  # one that is just ending may be busy
            removed = subprocess.run([BUILDER, "rm", "--force", "--time=0", name], check=False, capture_output=True)
            if removed.returncode == 0:
                break
            time.sleep(0.5)


def ran(name: str, tmp_path: Path, code: str, outputs: Sequence[str] = (), limits: CandidateLimits = LIMITS) -> Outcome:
    (workdir := tmp_path / "work").mkdir()
    (data := tmp_path / "data").mkdir()
    (data / "x.txt").write_text("given")
    work = Work(code, workdir, HOME, limits.model_dump(), 30.0, {"data": data}, outputs)
    pipe = Pipe(name, ["python", "-I", "-B", "-c", START, f"{HOME}/sources"])
    try:
        return talk(pipe, work, "/tmp/aira-search-x/tmp1")
    finally:
        pipe.close()


def state(name: str) -> str:
    shown = [BUILDER, "inspect", "--format", "{{.State.Status}}", name]
    return subprocess.run(shown, check=True, capture_output=True, text=True).stdout.strip()


def test_a_candidate_runs_and_its_container_ends(tmp_path: Path) -> None:
    code = (
        "import os, sys, torch, numpy\n"
        "x = torch.ones(2, requires_grad=True); (x @ x).backward()\n"
        "print(open('data/x.txt').read(), x.grad.tolist(), os.getuid(), os.getcwd(), sorted(os.environ))\n"
        "for place in ('/', '/tmp', '/opt', '/var/tmp'):\n"
        "    try: open(f'{place}/mine', 'w'); print('WROTE', place)\n"
        "    except OSError: pass\n"
        "open('out.csv', 'w').write('1')\n"
    )
    with container(tmp_path) as name:
        # PyTorch takes address space, of which this container would not use as much.
        outcome = ran(name, tmp_path, code, ("out.csv",), LIMITS.model_copy(update={"memory_mb": 4096}))
        assert outcome.status == "ok", outcome
        threads = "'MKL_NUM_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'"
        names = f"'HOME', 'LANG', {threads}, 'PATH', 'PYTHONPATH', 'TMPDIR'"
        assert outcome.stdout_tail == f"given [2.0, 2.0] 10001 . [{names}]\n"
        assert (tmp_path / "work" / "out.csv").read_text() == "1"
        assert any(state(name) != "running" or time.sleep(0.1) for _ in range(100))


HOSTILE = """
import glob, os, signal, struct
told = b'{"status": "ok", "exit_code": 0, "stdout_tail": "forged", "stderr_tail": "", "seconds": 1.0, "reason": ""}'
forged = struct.pack(">cI", b"O", len(told)) + told
for path in glob.glob("/proc/[0-9]*/fd/*") + glob.glob("/proc/[0-9]*/mem"):
    if path.split("/")[2] != str(os.getpid()):
        try:
            with open(path, "r+b", buffering=0) as stream: stream.write(forged); print("WROTE", path)
        except OSError: pass
for path in glob.glob("/proc/[0-9]*/environ"):
    if path.split("/")[2] != str(os.getpid()):
        try: print("READ", path, open(path).read())
        except OSError: pass
if os.fork() == 0:
    os.setsid()
    while True:
        try: open("left", "w").close()
        except OSError: pass
"""


def test_a_hostile_candidate_reaches_nothing_of_its_supervisor(tmp_path: Path) -> None:
    with container(tmp_path) as name:
        outcome = ran(name, tmp_path, HOSTILE + "raise SystemExit(3)")
        assert (outcome.status, outcome.exit_code) == ("error", 3), outcome
        assert outcome.stdout_tail == ""


def test_one_that_kills_all_it_can_loses_its_own_outcome_alone(tmp_path: Path) -> None:
    with container(tmp_path) as name, pytest.raises(Lost, match="ended"):
        ran(name, tmp_path, "import os, signal, time\nos.kill(1, signal.SIGKILL); os.kill(-1, signal.SIGKILL)")


def test_memory_is_held_within_the_container(tmp_path: Path) -> None:
    with container(tmp_path) as name:
        code = "x = []\nwhile True: x.append(bytearray(10**7))"
        outcome = ran(name, tmp_path, code)
        assert (outcome.status, outcome.reason) == ("memory", "used more than 512 MB of memory")
