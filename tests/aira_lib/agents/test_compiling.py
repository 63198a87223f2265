"""The process that compiles: what it says, and what code can do to it."""

import os
import signal
import subprocess
import sys

import pytest

from aira_lib.agents import compiling
from aira_lib.agents.bounds import MAX_CODE, ReplyError
from aira_lib.agents.compiling import SECONDS, Allowance, check, is_program, syntax_problem

# Python's compiler takes minutes for as many fields as fit into a program.
SLOW = "x = f'" + "{a}" * (MAX_CODE // 3 - 10) + "'\n"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = 1\n", ""),
        ("x = (\n", r"'\(' was never closed (line 1)".replace("\\", "")),
        ("return 1", "'return' outside function (line 1)"),
        ("\ud800", "UnicodeEncodeError"),
        ("x = '\x00'", "null bytes"),
        (f"def f():\n    {'a' * 1_000} = 1\n    global {'a' * 1_000}\n", "name 'aaa"),
        (SLOW, f"longer than {SECONDS:g} s"),
        ("x" * (MAX_CODE + 1), "longer than 200,000 characters"),
    ],
)
def test_why_code_does_not_compile_in_one_short_line(code: str, problem: str) -> None:
    said = syntax_problem(code)
    assert problem in said
    assert bool(said) == bool(problem)
    assert "\n" not in said
    assert len(said) < 250


@pytest.mark.parametrize(("code", "does"), [("x = 1", True), ("f(1)", True), ("A-M-A", False), ('{"a": [1]}', False)])
def test_a_program_does_something(code: str, does: bool) -> None:
    assert is_program(code) is does


def test_it_goes_on_after_a_slow_one_and_after_its_own_death() -> None:
    assert "longer" in syntax_problem(SLOW + "# one")
    assert is_program("print('after a slow one')")
    process = compiling._THE_COMPILER._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert is_program("print('after its death')")


def test_what_is_tried_of_one_reply_has_one_time_for_all() -> None:
    allowance = Allowance()
    assert allowance.check(SLOW + "# all").problem
    with pytest.raises(ReplyError, match="the code of the reply takes longer than"):
        allowance.check("print(1)")


def test_a_forked_process_asks_one_of_its_own() -> None:
    assert is_program("print('before')")
    parents = compiling._THE_COMPILER._process
    if (child := os.fork()) == 0:
        good = is_program("print('in the child')") and compiling._THE_COMPILER._process is not parents
        compiling._THE_COMPILER.end()
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert is_program("print('still here')")
    assert compiling._THE_COMPILER._process is parents


def test_it_ends_with_the_process_that_asks_however_that_ends() -> None:
    code = (
        "import os, time\nfrom aira_lib.agents import compiling\ncompiling.is_program('print(1)')\n"
        "print(compiling._THE_COMPILER._process.pid, flush=True)\ntime.sleep(60)"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert asking.stdout is not None
    compiler = os.pidfd_open(int(asking.stdout.readline()))
    asking.kill()
    asking.wait()
    asking.stdout.close()
    import select

    assert select.select([compiler], [], [], 30)[0], "a pidfd is readable once its process has ended"
    os.close(compiler)


def test_the_same_code_is_asked_once() -> None:
    check.cache_clear()
    for _ in range(3):
        check("print('once')")
    assert check.cache_info().misses == 1
