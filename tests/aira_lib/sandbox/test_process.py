"""Hostile and clumsy candidates: each ends within its limits, with the right status and a readable reason."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aira_lib.sandbox.process as process
from aira_lib.sandbox import ArtefactError, SandboxError, collect, discard, run_candidate
from aira_lib.sandbox.launch import Isolation
from aira_lib.sandbox.sockets import most_of_one
from aira_lib.sandbox.watch import most_threads
from aira_lib.study import CandidateLimits

LIMITS = CandidateLimits(seconds=20, memory_mb=256, output_kb=64, disk_mb=4, processes=12)


def running(*command: str) -> list[int]:
    """The living processes with just this command line."""
    wanted = "".join(f"{word}\0" for word in command).encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{entry}/cmdline").read_bytes() == wanted:
                    found.append(int(entry))
    return found


def test_a_good_candidate(tmp_path: Path, strength: Isolation) -> None:
    outcome = run_candidate("import sys; print('out'); print('err', file=sys.stderr)", tmp_path, LIMITS)
    assert (outcome.status, outcome.exit_code, outcome.reason) == ("ok", 0, "")
    assert (outcome.stdout_tail, outcome.stderr_tail) == ("out\n", "err\n")


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "processes", "12 processes"),
        ("x = []\nwhile True: x.append(bytearray(10**7))", "memory", "256 MB of memory"),
        ("import os\nb = bytes(10**6)\nfor _ in range(1000): os.write(1, b)", "output", "64 KB"),
        ("open('a', 'wb').write(bytes(10**9 // 4 // 4))", "disk", "4 MB"),
        ("f = open('a', 'wb'); f.truncate(10**12)", "disk", "4 MB"),
        ("for i in range(10**6): open(str(i), 'wb').write(bytes(65536))", "disk", "4 MB"),
        ("for i in range(10**6): open(str(i), 'w').close()", "disk", "too many files"),
        ("import os\nfor i in range(10**6): os.mkdir('d'); os.chdir('d')", "disk", ""),
        ("raise ValueError('wrong \\ud800 turn')", "error", "exit code 1"),
        ("raise ValueError('no such layer')", "error", "exit code 1: ValueError: no such layer"),
        ("def f(:", "error", "SyntaxError"),
        ("import sys; sys.exit(3)", "error", "exit code 3"),
        ("import os; os.abort()", "error", "SIGABRT"),
        ("import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "error", "not allowed"),
        ("x = '\x00'", "error", "SyntaxError"),
        ("print(input())", "error", "EOFError"),
    ],
)
def test_a_bad_candidate(tmp_path: Path, code: str, status: str, reason: str) -> None:
    (workdir := tmp_path / "work").mkdir()
    outcome = run_candidate(code, workdir, LIMITS)
    discard(workdir)  # some are too deep for whoever cleans up after tests
    assert outcome.status == status, outcome
    assert reason in outcome.reason
    assert "\n" not in outcome.reason
    assert len(outcome.stdout_tail) + len(outcome.stderr_tail) <= 8_000


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(9)",
        "import os, time; os.close(1); os.close(2); time.sleep(99)",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(99)\nos.wait()",
    ],
)
def test_one_that_does_not_end(tmp_path: Path, strength: Isolation, code: str) -> None:
    outcome = run_candidate(code, tmp_path, LIMITS, seconds=0.4)
    assert outcome.status == "timeout"
    assert outcome.exit_code is None
    assert 0.4 <= outcome.seconds < 10
    assert "0.4 s" in outcome.reason


def test_no_time_left_means_it_is_not_started(tmp_path: Path) -> None:
    outcome = run_candidate("open('started', 'w')", tmp_path, LIMITS, seconds=-1.0)
    assert outcome.status == "timeout"
    assert not (tmp_path / "started").exists()


def test_memory_of_all_processes_together_counts(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        x = bytearray(os.urandom(1)) * (100 * 2**20)\n"
        "        time.sleep(30)\n"
        "time.sleep(30)"
    )
    assert run_candidate(code, tmp_path, LIMITS).status == "memory"


FILLS_SOCKETS = """
import os, socket, sys, time
def fill(pairs):
    held, size = [], 0
    for _ in range(pairs):
        two = socket.socketpair()
        for end in two:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            end.setblocking(False)
            try:
                while True: size += end.send(bytes(1 << 16))
            except BlockingIOError: pass
        held.append(two)
    return held, size
"""


def test_buffers_of_sockets_are_memory(tmp_path: Path, strength: Isolation) -> None:
    """Three processes filled 905 MB each, of which nothing is resident in any."""
    code = FILLS_SOCKETS + (
        "for _ in range(2):\n    if os.fork() == 0: break\n"
        "held, size = fill(120)\nprint(size, flush=True)\ntime.sleep(30)"
    )
    outcome = run_candidate(code, tmp_path, LIMITS)
    assert outcome.status == "memory", outcome
    assert "256 MB of memory, buffers of its sockets included" in outcome.reason
    assert sum(map(int, outcome.stdout_tail.split())) < 256 << 20


def test_one_socket_holds_no_more_than_it_is_counted_with(tmp_path: Path, strength: Isolation) -> None:
    outcome = run_candidate(FILLS_SOCKETS + "print(fill(10)[1])", tmp_path, LIMITS)
    assert outcome.status == "ok", outcome
    assert 0 < int(outcome.stdout_tail) <= 20 * most_of_one()


def test_sockets_under_way_in_messages_count(tmp_path: Path, strength: Isolation) -> None:
    if strength == "none":
        pytest.skip("not promised")
    code = FILLS_SOCKETS + (
        "way = socket.socketpair()\n"
        "for _ in range(10):\n    held, size = fill(100)\n"
        "    for pair in held: socket.send_fds(way[0], [b'x'], [end.fileno() for end in pair])\n"
        "    print(size, flush=True)\n    del held\n"
        "time.sleep(30)"
    )
    outcome = run_candidate(code, tmp_path, LIMITS)
    # The kernel may refuse so many descriptors under way before we count them.
    assert outcome.status == "memory" or "Too many references" in outcome.reason, outcome


def test_threads_are_limited(tmp_path: Path, strength: Isolation) -> None:
    code = (
        "import threading, time\n"
        "for _ in range({}): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "time.sleep(1)"
    )
    most = most_threads(LIMITS)
    limits = LIMITS.model_copy(update={"memory_mb": 4096})  # of address space, which stacks take
    outcome = run_candidate(code.format(5 * most), tmp_path, limits)
    if "can't start new thread" not in outcome.stderr_tail:  # the kernel's own limit, in a namespace of users
        assert (outcome.status, outcome.reason) == (
            "processes", f"started more than {most} threads in all its processes together",
        )  # fmt: skip
    assert run_candidate(code.format(most - 5), tmp_path, limits).status == "ok"


def test_memory_that_forks_share_counts_once(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "x = b'x' * (100 * 2**20)\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(0.5)\n"
        "        os._exit(0)\n"
        "for _ in range(4): os.wait()"
    )
    assert run_candidate(code, tmp_path, LIMITS).status == "ok"


def test_the_environment_is_a_fixed_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    outcome = run_candidate("import os; print(sorted(os.environ)); print(os.environ)", tmp_path, LIMITS)
    assert "sk-planted" not in outcome.stdout_tail
    names = "['HOME', 'LANG', 'MKL_NUM_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'PATH', 'TMPDIR']"
    assert outcome.stdout_tail.startswith(names)


def test_the_environment_of_the_harness_cannot_be_read_from_proc(tmp_path: Path, strength: Isolation) -> None:
    if strength == "none":
        pytest.skip("not promised")
    code = f"print(open('/proc/{os.getpid()}/environ').read())"
    outcome = run_candidate(code, tmp_path, LIMITS)
    assert re.search("FileNotFoundError|PermissionError", outcome.reason), outcome
    assert outcome.stdout_tail == ""
    outside = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "PATH=" in outside


def test_no_network(tmp_path: Path, strength: Isolation) -> None:
    if strength == "none":
        pytest.skip("not promised")
    with listening() as port:
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        outcome = run_candidate(code, tmp_path, LIMITS)
    assert outcome.status == "error"
    # bubblewrap brings up a loopback of its own, on which nobody listens
    assert "unreachable" in outcome.reason or "refused" in outcome.reason


def test_no_names_are_resolved(tmp_path: Path, strength: Isolation) -> None:
    if strength == "none":
        pytest.skip("not promised")
    outcome = run_candidate("import socket; socket.getaddrinfo('example.com', 80)", tmp_path, LIMITS)
    assert outcome.status == "error"
    assert "gaierror" in outcome.reason


def test_the_same_port_is_open_outside() -> None:
    with listening() as port, socket.create_connection(("127.0.0.1", port), 5) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """A listening port on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_nothing_is_left_behind(tmp_path: Path, strength: Isolation) -> None:
    mark = f"4{uuid.uuid4().int % 10**9:09}"
    code = (
        "import subprocess\n"
        f"subprocess.Popen(['sleep', '{mark}'])\n"
        f"subprocess.Popen(['sleep', '{mark}'], start_new_session=True)\n"
        f"subprocess.Popen('(setsid sleep {mark} &) &', shell=True).wait()\n"
    )
    assert run_candidate(code, tmp_path, LIMITS).status == "ok"
    assert running("sleep", mark) == []


def test_candidates_die_with_the_harness(tmp_path: Path, strength: Isolation) -> None:
    mark = f"5{uuid.uuid4().int % 10**9:09}"
    candidate = f"import subprocess; subprocess.run(['sleep', '{mark}'])"
    harness = (
        "import sys; from pathlib import Path; import aira_lib.sandbox.process as p\n"
        "from aira_lib.study import CandidateLimits\n"
        f"p.isolation = lambda: {strength!r}\n"
        f"p.run_here({candidate!r}, Path(sys.argv[1]), CandidateLimits(seconds=60))"
    )
    running_harness = subprocess.Popen([sys.executable, "-c", harness, str(tmp_path)])
    assert eventually(lambda: bool(running("sleep", mark)))
    running_harness.send_signal(signal.SIGKILL)
    running_harness.wait()
    if strength != "none":
        assert eventually(lambda: not running("sleep", mark))
        return
    # Without namespaces the candidate itself dies, but its own children are not told.
    (left,) = running("sleep", mark)
    assert eventually(lambda: parent_of(left) == 1 or not running("sleep", mark))
    os.kill(left, signal.SIGKILL)


def parent_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 1


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_one_that_kills_its_supervisor_is_a_failed_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "isolation", lambda: "none")
    code = "import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(30)"
    outcome = run_candidate(code, tmp_path, LIMITS)
    assert (outcome.status, outcome.exit_code) == ("error", None)


def test_a_machine_that_cannot_run_candidates_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "isolation", lambda: "namespaces")
    refusing = tmp_path / "bootstrap.py"
    source = Path(process.__file__).with_name("bootstrap.py").read_text()
    refusing.write_text(source.replace("if result != 0:", "if True:"))
    monkeypatch.setattr("aira_lib.sandbox.launch._BOOTSTRAP", refusing)
    with pytest.raises(SandboxError, match="unshare"):
        run_candidate("", tmp_path, LIMITS)


def test_read_only_inputs_cannot_be_spoilt(tmp_path: Path, strength: Isolation) -> None:
    source, workdir = tmp_path / "source", tmp_path / "work"
    (source / "train").mkdir(parents=True)
    (source / "train" / "x.txt").write_text("seen")
    workdir.mkdir()
    code = (
        "print(open('data/train/x.txt').read())\n"
        "import os; os.chmod('data/train/x.txt', 0o666)\n"  # works on a copy, where the view is not closed
        "open('data/train/x.txt', 'w').write('spoilt')"
    )
    outcome = run_candidate(code, workdir, LIMITS, readonly={"data": source})
    assert outcome.stdout_tail == "seen\n"
    assert (source / "train" / "x.txt").read_text() == "seen"


def test_large_inputs_are_not_the_candidates_disk(tmp_path: Path) -> None:
    source, workdir = tmp_path / "data.bin", tmp_path / "work"
    source.write_bytes(bytes(8 * 2**20))
    workdir.mkdir()
    assert run_candidate("print(1)", workdir, LIMITS, readonly={"data.bin": source}).status == "ok"


def test_output_does_not_name_the_work_directory(tmp_path: Path) -> None:
    outcome = run_candidate("import os; print(os.getcwd()); 1 / 0", tmp_path, LIMITS)
    assert str(tmp_path) not in outcome.stdout_tail + outcome.stderr_tail
    assert 'File "candidate.py", line 1' in outcome.stderr_tail


def test_a_link_to_a_secret_is_not_collected(tmp_path: Path) -> None:
    outcome = run_candidate("import os; os.symlink('/etc/passwd', 'submission.csv')", tmp_path, LIMITS)
    assert outcome.status == "ok"
    with pytest.raises(ArtefactError, match="links are not followed"):
        collect(tmp_path, "submission.csv", 1_000_000)


def test_files_without_a_name_count_as_disk(tmp_path: Path, strength: Isolation) -> None:
    code = (
        "import os, time\nheld = []\nfor i in range(4):\n    held.append(os.open('a', os.O_CREAT | os.O_WRONLY))\n"
        "    os.remove('a')\n    os.write(held[-1], bytes(2 << 20))\ntime.sleep(30)"
    )
    outcome = run_candidate(code, tmp_path, LIMITS)
    assert (outcome.status, outcome.exit_code) == ("disk", None)
    shorter = code.replace("range(4)", "range(1)").replace("sleep(30)", "sleep(0.5)")
    assert run_candidate(shorter, tmp_path, LIMITS).status == "ok"


def test_output_holds_no_control_characters(tmp_path: Path) -> None:
    code = "print('a\\x1b[2Jb\\x9bc\\td\\u202ee\\r'); raise SystemExit('\\x1b]0;x\\x07')"
    outcome = run_candidate(code, tmp_path, LIMITS)
    assert outcome.stdout_tail == "a\ufffd[2Jb\ufffdc\td\ufffde\n"
    assert outcome.reason == "exit code 1: \ufffd]0;x\ufffd"
