"""Reading what a model sent is bounded, whatever holds the interpreter's lock meanwhile."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aira_lib.agents.in_time import TooSlow, in_time

ROOT = Path(__file__).parents[3]


def explode() -> None:
    """A regular expression that would take years."""
    re.match("(a+)+$", "a" * 60 + "b")


def test_a_regular_expression_is_interrupted() -> None:
    with pytest.raises(TooSlow, match="longer than 1 s"), in_time(-5.0):
        explode()


@pytest.mark.parametrize("failing", [False, True])
def test_afterwards_no_alarm_is_left(failing: bool) -> None:
    before = signal.getsignal(signal.SIGALRM)
    try:
        with in_time(1.0):
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
            if failing:
                raise KeyError
    except KeyError:
        assert failing
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_other_threads_have_no_alarm_and_go_on() -> None:
    done = []

    def body() -> None:
        with in_time(1.0):
            done.append(signal.getitimer(signal.ITIMER_REAL)[0])

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert done == [0.0]


def test_what_heeds_no_signal_ends_the_process_and_says_where_it_was() -> None:
    code = (
        "import aira_lib.agents.in_time as bound\nbound._UNTIL_KILLED = 0.5\n"
        "def stuck():\n    return 9 ** 9 ** 9\nwith bound.in_time(0.0):\n    stuck()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "in stuck" in done.stderr
