"""A server that several processes share: one at a time, gone with the last user, however that one dies."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aira_lib.agents.local_server import SharedServer
from aira_lib.errors import UserError

# A server without a model: its address is its own process id.
SERVER = """
import os, sys, time
from pathlib import Path
from aira_lib.agents.local_server import offer
listening = offer(Path(sys.argv[1]))
if listening:
    time.sleep(0.1)
    listening(str(os.getpid()))
    time.sleep(600)
"""
USER = f"""
import sys
from pathlib import Path
from aira_lib.agents.local_server import SharedServer
server = SharedServer(Path(sys.argv[1]), [sys.executable, "-c", {SERVER!r}])
print(server.url(), flush=True)
sys.stdin.read()
"""


def user(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def address(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1:
                return True  # dead with all its threads, which hold its locks, and not yet collected by who adopted it
        time.sleep(0.05)
    return False


def leave(process: subprocess.Popen[str], how: str) -> None:
    assert process.stdin
    assert process.stdout
    if how == "kill -9":
        process.send_signal(signal.SIGKILL)
    process.stdin.close()
    process.wait()
    process.stdout.close()


def test_one_server_for_all_until_the_last_is_gone(tmp_path: Path) -> None:
    users = [user(tmp_path) for _ in range(3)]
    servers = {address(each) for each in users}
    assert len(servers) == 1
    server = servers.pop()
    leave(users[0], "end")
    leave(users[1], "kill -9")
    late = user(tmp_path)
    assert address(late) == server
    leave(users[2], "kill -9")
    os.kill(server, 0)  # it is still there
    leave(late, "kill -9")
    assert gone(server)


def test_a_server_that_died_is_started_again_and_ends_with_its_user(tmp_path: Path) -> None:
    server = SharedServer(tmp_path, [sys.executable, "-c", SERVER])
    first = int(server.url())
    assert int(server.url()) == first
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    second = int(server.url())
    assert second != first
    del server
    assert gone(second)


def test_a_server_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"did not start: ValueError: no such model .see .*log") as caught:
        SharedServer(tmp_path, [sys.executable, "-c", "raise ValueError('no such model')"]).url()
    assert "\n" not in str(caught.value)
