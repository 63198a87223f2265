"""The program that compiles code of agents, in a process of its own, and says what it found. It runs nothing of it.

Python's compiler holds its interpreter's lock, and code can be written that takes it minutes (f-strings of many fields
grow with the square) or all of the memory. So it works here, and `aira_lib.agents.compiling` asks it. It needs nothing
but Python: it is run by its path, without packages.

Stdin holds questions: eight bytes with the length (big endian) of what follows, code in UTF-8. Each is answered by one
line of JSON: the problem, in one line, empty if there is none; whether the code does something; the processor seconds
that it took. Code that takes more than the seconds of the command line is not answered: SIGPROF ends the process.
"""

import ast
import json
import resource
import signal
import sys
import time
import warnings
from contextlib import suppress

_MEMORY = 2**30  # bytes of address space
_LENGTH = 8  # bytes that say how long a question is
_MOST_PROBLEM = 200  # characters: some of Python's messages quote a name, however long


def problem_of(code: str) -> str:
    """Why code does not compile, in one line; empty if it does."""
    try:
        compile(code, "candidate.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{(error.msg or '')[:_MOST_PROBLEM]} (line {error.lineno})"
    except (ValueError, OverflowError, MemoryError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"[:_MOST_PROBLEM]
    return ""


def does_something(code: str) -> bool:
    """More than literals and names: JSON, a pattern such as A-M-A or a lone word compile, but run to nothing."""
    try:
        statements = ast.parse(code).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return any(
        not isinstance(statement, ast.Expr) or any(isinstance(node, ast.Call) for node in ast.walk(statement))
        for statement in statements
    )


def main(seconds: float) -> None:
    """Answer until there is no further question."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks is interrupted, and then there is no question
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # a system that does not limit it
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    warnings.simplefilter("ignore")
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while length := questions.read(_LENGTH):
        code = questions.read(int.from_bytes(length, "big")).decode("utf-8", "surrogatepass")
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds)
        problem = problem_of(code)
        found = [problem, not problem and does_something(code)]
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(json.dumps([*found, time.process_time() - started]).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]))
