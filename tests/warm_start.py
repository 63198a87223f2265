"""Processes that start warm. Importing torch and the rest costs a cold Python two seconds of processor time.

    done = warm_start.run("aira_lib.cli", "search", "--watch")      # as `python -m aira_lib.cli search --watch`
    process = warm_start.start("aira_lib.cli", "search", "study.yaml")      # much as subprocess.Popen

They are forked by a server, one for all processes of a run of tests (see warm_server.py), and are processes like any
others, with the environment and arguments that they were asked for with, to be waited for, interrupted and killed.
"""

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
READY = b"ready"
_ASKING = threading.Lock()
_started: list[subprocess.Popen[bytes]] = []  # nobody waits for it: others may need it for longer


class Process:
    """A process that was forked; what it prints goes to files and can be read when it has ended."""

    def __init__(
        self, module: str, arguments: tuple[str, ...], env: Mapping[str, str] | None, session: bool, cwd: Path = ROOT,
        fresh: bool = False,
    ) -> None:  # fmt: skip
        self.returncode: int | None = None
        self._out, self._err = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115 (they live as long)
        request = {
            "module": module,
            "arguments": arguments,
            "env": dict(env or os.environ),
            "session": session,
            "fresh": fresh,
            "cwd": str(cwd),
        }
        self.pid = _ask(request, self._out.fileno(), self._err.fileno())
        self._end = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Its exit code, or minus the signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            os.close(self._end)
            self.returncode = _ask({"ended": self.pid})
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it printed to standard output and to standard error."""
        self.wait(timeout)
        for file in (self._out, self._err):
            file.seek(0)
        return self._out.read(), self._err.read()

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """As Popen.kill."""
        self.send_signal(signal.SIGKILL)


def start(module: str, *arguments: str, env: Mapping[str, str] | None = None, session: bool = False) -> Process:
    """Run a module as a program, from the project's folder; in a session of its own if asked to."""
    return Process(module, arguments, env, session)


def run(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300, cwd: Path = ROOT,
    fresh: bool = False,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """The same to its end; `fresh`: our own modules are imported anew, for they may be others in this environment."""
    process = Process(module, arguments, env, False, cwd, fresh)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess([module, *arguments], process.wait(), out, err)


@functools.cache
def _server() -> socket.socket:
    """A connection to the server, which the first who asks starts, and which ends with the last connection."""
    address = f"\0aira-warm-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"  # of no file
    for _ in range(10):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door, contextlib.suppress(OSError):
            door.bind(address)  # fails where it is there
            door.listen()
            command = [sys.executable, "-m", "tests.warm_server", str(door.fileno())]
            _started.append(subprocess.Popen(command, cwd=ROOT, pass_fds=[door.fileno()], stdin=subprocess.DEVNULL))
        here = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.suppress(OSError):  # it may be ending at this moment
            here.connect(address)
            if here.recv(100) == READY:
                return here
        here.close()
    raise RuntimeError("the server of warm processes does not start")


def _ask(request: dict[str, Any], *files: int) -> int:
    with _ASKING:
        socket.send_fds(_server(), [json.dumps(request).encode()], files)
        return int(_server().recv(100))
