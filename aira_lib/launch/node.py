"""The ranks of one node of several: `python -m aira_lib.launch.node PROGRAM [ARGUMENT]...`, the command of its pod.

Which node it is, of how many, and where they meet, is in the variables PET_* that Kubeflow Trainer sets and torchrun
reads. torchrun ends with exit code 1 whatever its ranks ended with; this ends with that of the rank that failed first,
which says whether another attempt may get on (see `aira_lib.launch.launcher.retryable`).
"""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence

from aira_lib.launch.descendants import adopt_orphans, kill_children
from aira_lib.launch.launcher import how_it_ended
from aira_lib.launch.torchrun import failed_rank
from aira_lib.settings import scratch_folder

MEET_SECONDS = 3600
"""For which a node waits for the others: one may have to fetch its image first."""

_LAST_LINES = 2000
_TERMINATED = 128 + signal.SIGTERM


def run(command: Sequence[str]) -> int:
    """Run the ranks of this node to their end; the exit code for the pod. What they print is printed."""
    adopt_orphans()
    logs = scratch_folder() / "torchrun"
    logs.mkdir(parents=True, exist_ok=True)
    meeting = ["--max-restarts", "0", "--rdzv-conf", f"timeout={MEET_SECONDS}"]
    words = [*meeting, "--log-dir", str(logs), "--tee", "3", "--no-python", *command]
    process = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # it is told once, by this process
    )
    told = threading.Event()

    def pass_on(number: int, frame: object) -> None:
        told.set()
        process.terminate()  # it tells its ranks, and gives them 30 s

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    last: deque[bytes] = deque(maxlen=_LAST_LINES)
    reader = threading.Thread(target=_print, args=(process, last))
    reader.start()
    code = process.wait()
    kill_children()  # whatever still holds the pipe
    reader.join()
    return _code(code, b"".join(last).decode(errors="replace"), told.is_set())


def _print(process: "subprocess.Popen[bytes]", last: deque[bytes]) -> None:
    assert process.stdout
    for line in process.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        last.append(line)


def _code(code: int, printed: str, told: bool) -> int:
    if code == 0:
        return 0
    if told:
        return _TERMINATED
    if not (found := failed_rank(printed)):
        return 128 - code if code < 0 else code
    print(f"aira: rank {found.rank}: {how_it_ended(found.exit_code)}", flush=True)
    return 128 - found.exit_code if found.exit_code < 0 else found.exit_code


if __name__ == "__main__":
    os._exit(run(sys.argv[1:]))  # nothing of the interpreter's end may hang a pod
