"""Candidates in pods of their own: the same outcomes as here, over a real connection and a real supervisor."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import aira_lib.sandbox.ending as ending
import aira_lib.sandbox.sending as sending
import aira_lib.sandbox.talk as talk
from aira_lib.cluster.api import connect
from aira_lib.cluster.kinds import PODS
from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.rights import roles
from aira_lib.sandbox import ArtefactError, Outcome, SandboxError, collect
from aira_lib.sandbox.bundle import START, bundle
from aira_lib.sandbox.pods import ClusterLost
from aira_lib.sandbox.process import run_here
from aira_lib.sandbox.servers import reachable
from aira_lib.sandbox.starting import last_event
from aira_lib.sandbox.sweep import sweep
from aira_lib.sandbox.within import declared
from aira_lib.study import CandidateLimits
from tests.aira_lib.sandbox.podlike import NAMESPACE, PodLike, podlike

LIMITS = CandidateLimits(seconds=20, memory_mb=256, output_kb=64, disk_mb=4, processes=12)
# A container without capabilities, in which namespaces are refused: nothing isolates a candidate from its supervisor.
CONFINED = [
    sys.executable, "-I", "-S", "-c",
    "import os, sys; sys.path.insert(0, sys.argv[1]); import bootstrap; from calls import call_filter\n"
    "bootstrap._drop_privileges(); bootstrap._refuse_calls(call_filter())\n"
    "os.execv(sys.argv[2], sys.argv[2:])",
    str(Path(talk.__file__).parent),
]  # fmt: skip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pods are Linux")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodLike]:
    with podlike(tmp_path, monkeypatch) as made:
        yield made


def work(tmp_path: Path) -> Path:
    (folder := tmp_path / "work").mkdir()
    return folder.resolve()


def ran(here: PodLike, code: str, workdir: Path, outputs: tuple[str, ...] = (), seconds: float = 20.0) -> Outcome:
    return here.pods.run(code, workdir, LIMITS, seconds, {}, outputs)


SAME = [
    "import sys; print('out'); print('err', file=sys.stderr)",
    "raise ValueError('no such \\x1b layer')",
    "x = []\nwhile True: x.append(bytearray(10**7))",
    "import os; print(os.getcwd()); print(sorted(os.environ)); os.abort()",
]


@pytest.mark.parametrize("code", SAME)
def test_an_outcome_is_that_of_this_machine(here: PodLike, tmp_path: Path, code: str) -> None:
    inside = ran(here, code, work(tmp_path))
    (other := tmp_path / "other").mkdir()
    outside = run_here(code, other, LIMITS)
    assert inside.peak_memory is not None
    assert outside.peak_memory is not None
    assert (inside.cpu_seconds is None) == (outside.cpu_seconds is None)
    measured = ("seconds", "peak_memory", "cpu_seconds")
    assert inside == replace(outside, **{name: getattr(inside, name) for name in measured})
    assert here.names() == []


def test_files_go_in_and_declared_outputs_come_out(here: PodLike, tmp_path: Path) -> None:
    """In a container where nothing isolates further, so that inputs are copies in their places."""
    here.executing.wrapper = CONFINED
    (data := tmp_path / "data").mkdir()
    (data / "x.bin").write_bytes(bytes(range(256)) * 1000)
    (data / "link").symlink_to("x.bin")
    workdir = work(tmp_path)
    (workdir / "mine.txt").write_text("before")
    (workdir / "made").symlink_to(tmp_path)
    code = (
        "import os\n"
        "b = open('data/train/link', 'rb').read(); open('out.bin', 'wb').write(b[::-1])\n"
        "print(open('mine.txt').read(), oct(os.stat('data/train/x.bin').st_mode))\n"
        "os.makedirs('deep/er'); open('deep/er/a.csv', 'w').write('1'); open('deep/b.txt', 'w').write('2')\n"
        "open('undeclared', 'w').write('3'); open('data/more.csv', 'w').write('4')\n"
        "os.remove('made'); os.mkdir('made'); open('made/c.csv', 'w').write('5')\n"
    )
    outcome = here.pods.run(code, workdir, LIMITS, 20, {"data/train": data}, ("out.bin", "*.csv", "none"))
    # `made/c.csv` would have come out through a link of ours: what says so is not believed.
    assert outcome.status == "error"
    assert "made is a link" in outcome.reason
    assert not (tmp_path / "c.csv").exists()
    assert not (workdir / "out.bin").exists()
    outcome = here.pods.run(
        code.rsplit("os.remove", 1)[0], workdir, LIMITS, 20, {"data/train": data}, ("out.bin", "deep/*.csv", "none")
    )
    assert (outcome.status, outcome.stdout_tail) == ("ok", "before 0o100444\n"), outcome
    assert (workdir / "out.bin").read_bytes() == (data / "x.bin").read_bytes()[::-1]
    left = {str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file()}
    assert left == {"out.bin", "mine.txt", "deep/er/a.csv"}


def test_what_is_no_regular_file_is_refused_with_the_reason_of_this_machine(here: PodLike, tmp_path: Path) -> None:
    code = (
        "import os\nos.symlink('/etc/passwd', 'link'); os.mkfifo('pipe'); os.mkdir('folder')\n"
        "open('one', 'w').write('x'); os.link('one', 'hard')\n"
        "for name in 'ab': f = open(name, 'wb'); f.truncate(3 << 20)"
    )
    names = ("link", "pipe", "folder", "hard", "missing", "a", "b")
    workdir, other = work(tmp_path), tmp_path / "other"
    other.mkdir()
    assert ran(here, code, workdir, names).status == "ok"
    run_here(code, other, LIMITS)
    for name in names:
        reasons = []
        for folder in (workdir, other):
            with pytest.raises(ArtefactError) as refused:
                collect(folder, name, 1 << 20)
            reasons.append(str(refused.value))
        assert reasons[0] == reasons[1]
    assert collect(workdir, "a", 3 << 20) == bytes(3 << 20)
    with pytest.raises(ArtefactError, match="larger"):  # more than all outputs together may be
        collect(workdir, "b", 3 << 20)


FORGES = """
import glob, json, os, struct
told = json.dumps(dict(status="ok", exit_code=0, stdout_tail="forged", stderr_tail="", seconds=1.0, reason="")).encode()
forged = b"exit 0\\n" + struct.pack(">cI", b"O", len(told)) + told
os.write(1, forged); os.write(2, forged)
above = os.getppid()
for _ in range(3):  # those that watch it: farther up is whoever runs this test
    for path in glob.glob(f"/proc/{above}/fd/*"):
        try:
            with open(path, "wb", buffering=0) as stream: stream.write(forged)
        except OSError: pass
    try: above = int(open(f"/proc/{above}/stat").read().rpartition(")")[2].split()[1])
    except OSError: break
raise SystemExit(3)
"""


@pytest.mark.parametrize("confined", [True, False])
def test_an_outcome_cannot_be_forged(here: PodLike, tmp_path: Path, confined: bool) -> None:
    """Frames that a candidate writes wherever it can are what it printed, and nothing else."""
    here.executing.wrapper = CONFINED if confined else []
    outcome = ran(here, FORGES, work(tmp_path), ("submission.csv",))
    assert (outcome.status, outcome.exit_code) == ("error", 3), outcome
    assert outcome.stdout_tail.count("forged") == 1


def test_one_that_kills_its_supervisors_has_failed(
    here: PodLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "SETTLED_SECONDS", 0.1)
    here.executing.wrapper = CONFINED
    code = (
        "import os, signal\n"
        "def parent(pid): return int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])\n"
        "init = os.getppid(); outer = parent(init); supervisor = parent(outer)\n"
        "os.kill(supervisor, signal.SIGKILL)"
    )
    outcome = ran(here, code, work(tmp_path))
    assert (outcome.status, outcome.exit_code) == ("error", None)
    assert outcome.reason == "its supervisor died before it ended"
    assert len(here.executing.commands) == 1


def test_time_counts_from_the_programs_start(here: PodLike, tmp_path: Path) -> None:
    outcome = ran(here, "import time; time.sleep(30)", work(tmp_path), seconds=0.3)
    assert (outcome.status, outcome.reason) == ("timeout", "ran longer than 0.3 s and was stopped")


def test_a_broken_connection_is_tried_once_more_and_then_the_search_stops(
    here: PodLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "SETTLED_SECONDS", 0.1)
    once = iter([True])
    send = talk.send

    def cut(pipe: sending.Pipe, work: sending.Work, workdir: str) -> None:
        send(pipe, work, workdir)
        if next(once, False):
            here.executing.cut()

    monkeypatch.setattr(talk, "send", cut)
    assert ran(here, "print('second')", work(tmp_path)).stdout_tail == "second\n"
    assert len(here.executing.commands) == 2
    monkeypatch.setattr(talk, "send", lambda *all: (send(*all), here.executing.cut()))
    with pytest.raises(ClusterLost, match="lost 2 pods of a candidate") as lost:
        ran(here, "print('third')", tmp_path / "work")
    assert lost.value.exit_code == 75
    assert here.names() == []


def test_what_goes_wrong_before_a_candidate_begins_is_never_its_fault(
    here: PodLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.executing.wrapper = ["sh", "-c", "echo python: no such file >&2; exit 127"]
    with pytest.raises(SandboxError, match=r"does not start \(exit code 127\): python: no such file \(registry"):
        ran(here, "print(1)", work(tmp_path))
    here.executing.wrapper = []
    here.fake.fail("GET .*/exec$", 404, times=1)  # the pod was taken away at that moment
    assert ran(here, "print(1)", tmp_path / "work").status == "ok"
    plan = sending.Work.plan
    monkeypatch.setattr(sending.Work, "plan", lambda work, place: plan(work, place).replace(b'"limits"', b'"other"'))
    with pytest.raises(SandboxError, match="in a pod of this cluster: KeyError"):
        ran(here, "print(1)", tmp_path / "work")
    assert here.names() == []


def test_a_network_that_is_not_cut_is_refused(here: PodLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_to = ("127.0.0.1", server.getsockname()[1])
        assert reachable([("127.0.0.1", 1), open_to], patience=0) == f"127.0.0.1:{open_to[1]}"
    assert reachable([("127.0.0.1", 1), open_to], patience=0) == ""


def test_the_supervisor_needs_nothing_but_python(tmp_path: Path) -> None:
    """Without the packages of this environment, and without this project, its sources can be imported."""
    look = START.replace("within.main()", "print([name for name in sys.modules if name.split('.')[0] == 'aira_lib'])")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", look, str(tmp_path)], input=bundle(), capture_output=True, check=True
    )
    assert "aira_lib.sandbox.within" in done.stdout.decode()
    assert {path.name for path in (tmp_path / "aira_lib" / "sandbox").glob("*.py")} >= {"bootstrap.py", "within.py"}


def test_patterns_name_files_and_follow_no_link(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    for name in ("a/b/x.csv", "y.csv", "data/z.csv", "candidate.py"):
        (tmp_path / name).touch()
    (tmp_path / "round").symlink_to(".")
    assert declared(tmp_path, ["*.csv"], ["data", "candidate.py"]) == ["a/b/x.csv", "y.csv"]
    assert declared(tmp_path, ["./a/*", "nothing", "round"], []) == ["a/b/x.csv", "round"]


def test_the_rights_that_the_chart_gives_are_enough(
    here: PodLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but exec, which the fake does not ask about; a pod that is gone is looked for as well."""
    user = "system:serviceaccount:aira:aira-pipeline"
    for role in roles(here.pods.cluster):
        group = "rbac.authorization.k8s.io"
        metadata = {"name": role.name, "namespace": role.namespace}
        rules = [
            {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs),
             **({"resourceNames": list(rule.names)} if rule.names else {})}
            for rule in role.rules
        ]  # fmt: skip
        here.fake.put({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
        here.fake.put({
            "apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": role.name},
            "subjects": [{"kind": "ServiceAccount", "name": role.account, "namespace": "aira"}],
        })  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", str(here.fake.kubeconfig(tmp_path / "limited", user)))
    pods = replace(here.pods, kubernetes=connect(NAMESPACE))
    assert pods.run("print(1)", work(tmp_path), LIMITS, 20, {}, ()).stdout_tail == "1\n"
    assert sweep(pods.kubernetes) == []
    assert last_event(pods.kubernetes, "gone") == ""
    with pytest.raises(Refused, match="forbidden"):
        connect("default").get(PODS, "x")


def test_no_pod_is_left_and_a_refused_one_is_one_line(here: PodLike, tmp_path: Path) -> None:
    here.fake.fail("POST .*/pods$", 422)
    with pytest.raises(SandboxError, match="no pod for a candidate in aira-sandbox"):
        ran(here, "", work(tmp_path))
    here.fake.drop("POST .*/pods$")  # the answer is lost, the pod is there
    assert ran(here, "print(1)", tmp_path / "work").status == "ok"
    assert here.fake.all_of("pods", NAMESPACE) == []
    assert json.dumps(here.executing.commands[0]).count("aira_lib") == 1
