"""Where a stage works and with how much of the machine. Nothing here changes a result, so nothing here is in a study.

Every setting can come from the environment, which is how a launcher hands them to the stages it starts:

    AIRA_STORE            where records are kept: a folder, file:// or s3://       (default: runs)
    AIRA_EVALUATIONS      where evaluations are shared, or none: nowhere          (default: evaluations/ in the store)
    AIRA_SCRATCH          local folder for files of a remote store                 (default: ~/.cache/aira)
    AIRA_PROGRESS         folder for progress files                                (default: none)
    AIRA_THREADS          threads a stage may use                                  (default: 1)
    AIRA_DEVICE           cpu, cuda or cuda:N: of the proxy, pretraining, evaluation (default: cuda where there is one)
    AIRA_GPUS             GPUs that a launcher has promised: fewer, and the stage refuses to begin
    AIRA_TASK_DATA        folder of raw data sets that AIRS-Bench task folders read (default: an empty one)
                          (what lies there is in the keys of their searches: set it alike to find them again)
    AIRA_TRUST_AGENTS     1: agents' code may run without isolation beside secrets (default: it is refused)
    AIRA_LIFELINE         a lock file that the launcher holds: when it is let go, the stage ends
    AIRA_CONCURRENT_CALLS calls to models in flight at once on this machine        (see aira_lib.agents.calls)
    AIRA_CALL_SECONDS     seconds that one call to a model may take
    MLFLOW_TRACKING_URI   where a stage logs its run; unset: it only leaves track.jsonl in its record
"""

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aira_lib.errors import UserError

DEFAULT_STORE = "runs"
TRUST_AGENTS = "AIRA_TRUST_AGENTS"
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
MOST_THREADS = 1024


@dataclass(frozen=True)
class Settings:
    """See the module's docstring."""

    store: str = DEFAULT_STORE
    scratch: Path = field(default_factory=lambda: scratch_folder())
    progress: Path | None = None
    threads: int = 1
    tracking: str | None = None
    evaluations: str | None = None

    @property
    def shared_evaluations(self) -> str | None:
        """URI of the store of evaluations, beside the records unless it is named; None: they are not shared."""
        if self.evaluations:
            return None if self.evaluations == "none" else self.evaluations
        return f"{self.store.rstrip('/')}/evaluations"

    @classmethod
    def from_environment(cls, store: str | None = None) -> "Settings":
        """Read the settings; `store` wins over AIRA_STORE.

        Raises:
            UserError: AIRA_THREADS is no whole number from 1 to `MOST_THREADS`.
        """
        env = os.environ
        progress = env.get("AIRA_PROGRESS")
        return cls(
            store=store or env.get("AIRA_STORE") or DEFAULT_STORE,
            scratch=scratch_folder(),
            progress=Path(progress) if progress else None,
            threads=_threads(env.get("AIRA_THREADS")),
            tracking=tracking if (tracking := env.get("MLFLOW_TRACKING_URI")) and tracking != "none" else None,
            evaluations=env.get("AIRA_EVALUATIONS") or None,
        )


def _threads(text: str | None) -> int:
    if not text:
        return 1
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_THREADS:
        raise UserError(f"AIRA_THREADS={text!r}: threads of a stage are a whole number from 1 to {MOST_THREADS:,}")
    return int(text)


def scratch_folder() -> Path:
    """The local folder for copies and caches (AIRA_SCRATCH); it may be lost at any time."""
    return Path(os.environ.get("AIRA_SCRATCH") or Path.home() / ".cache" / "aira")


def task_data_folder() -> Path | None:
    """The folder of raw data sets, `--global-shared-data-dir` of a task folder's scripts (AIRA_TASK_DATA)."""
    name = os.environ.get("AIRA_TASK_DATA")
    return Path(name) if name else None


def trusts_agents() -> bool:
    """Whether agents' code may run without isolation where secrets are within its reach (AIRA_TRUST_AGENTS).

    Raises:
        UserError: the variable says neither yes nor no.
    """
    said = os.environ.get(TRUST_AGENTS, "").strip().lower()
    if said not in (*_YES, *_NO):
        raise UserError(f"{TRUST_AGENTS}={said}: 1 for agents that are trusted, 0 or nothing for others")
    return said in _YES


# Waits for the launcher's end, then kills the process that started it; ends with that process, whose death ends its
# standard input. Run by a Python without packages, so that it costs a few milliseconds.
_WATCHER = """
import fcntl, os, signal, sys, threading
lock, watched = map(int, sys.argv[1:])
def end_with_watched():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=end_with_watched, daemon=True).start()
fcntl.flock(lock, fcntl.LOCK_SH)
if os.getppid() == watched:
    os.kill(watched, signal.SIGKILL)
"""
_watchers: list["subprocess.Popen[bytes]"] = []


def hold_lifeline() -> None:
    """End this process when the launcher dies, however it dies, and whatever this process is doing.

    The launcher holds an exclusive lock for as long as it lives; the kernel lets go of it at its death, even by
    kill -9. Waiting for a shared lock therefore waits for exactly that. A process of its own does so: a thread would
    have to wait for the interpreter's lock, too, which a regular expression or `compile` may hold for hours.

    Raises:
        UserError: the launcher's lock file (AIRA_LIFELINE) cannot be read.
    """
    path = os.environ.get("AIRA_LIFELINE")
    if not path:
        return
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"AIRA_LIFELINE={path}: {error.strerror}; a launcher sets it, unset it elsewhere") from None
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHER, str(lock), str(os.getpid())],
        pass_fds=[lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # who reads this process's output to its end should not wait for the watcher
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(lock)
    _watchers.append(watcher)


@contextmanager
def lifeline(path: Path) -> Iterator[bool]:
    """Hold the launcher's lock. Gives False at once where another launcher holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
