"""What is told of a candidate besides how it ended: the most memory that was seen, and its processor time."""

import sys
from pathlib import Path

import pytest

from aira_lib.sandbox import run_candidate
from aira_lib.sandbox.launch import Isolation
from aira_lib.study import CandidateLimits

LIMITS = CandidateLimits(seconds=20, memory_mb=256, processes=12)

HOLDS = "import os, sys, time\nx = b'x' * (60 * 2**20)\ntime.sleep(0.5)\n"
PEAKS = {
    "given back": HOLDS + "del x\ntime.sleep(0.3)",
    "then an error": HOLDS + "sys.exit(3)",
    "of a child": "import os, time\nif os.fork() == 0:\n    x = b'x' * (60 * 2**20)\n    time.sleep(0.5)\n"
                  "    os._exit(0)\nos.wait()",
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_most_memory_that_was_seen_is_told_however_a_candidate_ends(tmp_path: Path, strength: Isolation) -> None:
    def peak(name: str, code: str) -> float:
        (workdir := tmp_path / name).mkdir()
        found = run_candidate(code, workdir, LIMITS).peak_memory
        assert found is not None
        return found / 2**20

    idle = peak("idle", "import time\ntime.sleep(0.5)")
    assert 2 < idle < 60
    for name, code in PEAKS.items():
        assert 50 < peak(name, code) - idle < 100, name


BURNS = "import os, sys, time\ndef burn(s):\n    t = time.process_time()\n    while time.process_time() - t < s: pass\n"
BURNT = {
    "itself": ("burn(0.5)", 0.5),
    "an error": ("burn(0.5)\nsys.exit(3)", 0.5),
    "a child": ("if os.fork() == 0:\n    burn(0.4)\n    os._exit(0)\nos.wait()\nburn(0.2)", 0.6),
    "an orphan": ("if os.fork() == 0:\n    if os.fork() == 0: burn(0.4)\n    os._exit(0)\nos.wait()\n"
                  "time.sleep(1.5)", 0.4),
}  # fmt: skip


def test_processor_time_is_told_by_the_supervisor(tmp_path: Path, strength: Isolation) -> None:
    """Not by what the kernel adds up for whoever waits: killed on the way, a process hands nothing on."""
    for name, (code, seconds) in BURNT.items():
        (workdir := tmp_path / name.replace(" ", "")).mkdir()
        used = run_candidate(BURNS + code, workdir, LIMITS).cpu_seconds
        assert used is not None
        assert seconds <= used < seconds + 0.3, name
    assert run_candidate("while True: pass", tmp_path, LIMITS, seconds=0.3).cpu_seconds is None
