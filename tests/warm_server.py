"""Forks a process for each request of warm_start.py, after it has imported once what its module needs.

Pythons that such a process starts in turn to run modules (the searches of a launcher) are forked as well.
"""

import atexit
import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

_SEARCH = (
    "aira_lib.cli.aira", "aira_lib.flow.run", "aira_lib.local.search_command", "aira_lib.local.search_run",
    "aira_lib.search.stage", "aira_lib.tasks.families", "aira_lib.proxy.evaluation", "aira_lib.tasks.designs.live",
    "aira_lib.store.local", "aira_lib.evaluations.store", "torch._dynamo",
)  # fmt: skip
_STAGES = (
    *_SEARCH, "aira_lib.flow.entry", "aira_lib.archive.stage", "aira_lib.aggregate.stage", "aira_lib.extrapolate.stage",
    "aira_lib.pretrain.stage", "aira_lib.evaluate.stage", "aira_lib.report.stage", "aira_lib.report.content",
)  # fmt: skip
_RANKS = ("aira_lib.training.course", "aira_lib.training.checkpoint.sharded", "aira_lib.training.fsdp")
# What is imported before a module is run; others import what they need themselves.
IMPORTED = {
    "aira_lib.cli": _SEARCH,
    "tests.drive_study": _STAGES,
    "aira_lib.training.rank": _RANKS,
    "tests.aira_lib.training.rank_program": ("tests.aira_lib.training.tiny", *_RANKS),
    "tests.aira_lib.pretrain.kill_training": ("aira_lib.flow.run", "aira_lib.pretrain.stage", "aira_lib.store.s3"),
}


def serve(asked: socket.socket) -> None:
    """Fork, or tell how one ended, for each request."""
    while (got := socket.recv_fds(asked, 1 << 20, 2))[0]:
        request, files = json.loads(got[0]), got[1]
        if "ended" in request:
            asked.send(str(os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])).encode())
            continue
        for module in IMPORTED.get(request["module"], ()):
            importlib.import_module(module)
        assert threading.active_count() == 1, "locks of other threads would stay locked in what is forked"
        if child := os.fork():
            asked.send(str(child).encode())
            for file in files:
                os.close(file)
            continue
        for file, standard in zip(files, (1, 2), strict=True):
            os.dup2(file, standard)
        if request["session"]:
            os.setsid()
        os.chdir(request["cwd"])
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has tests in the background ignore it
        become(request["module"], request["arguments"], request["env"])


def become(module: str, arguments: list[str], env: Mapping[str, str], keep: tuple[int, ...] = ()) -> NoReturn:
    """Run a module as the program of this process, with no files open but `keep`, and end as Python would."""
    code = 1
    try:
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > 2 and descriptor not in keep:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = [module, *arguments]
        subprocess.Popen = _Popen  # type: ignore[misc]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def importing() -> bool:
    """Whether a thread was in an import when this process was forked: its locks have nobody here to open them."""
    locks = [each() for each in vars(importlib._bootstrap)["_module_locks"].values()]
    return any(lock is not None and lock.owner is not None for lock in locks)


class _Popen(subprocess.Popen[Any]):
    """Forks a Python that is to run a module: what it would import is there. Starts it cold amid another's import."""

    def __init__(self, args: Any, **options: Any) -> None:
        if list(args[:2]) == [sys.executable, "-m"]:
            env, keep = options.get("env") or os.environ, tuple(options.get("pass_fds", ()))
            sys.stdout.flush()
            sys.stderr.flush()
            options["preexec_fn"] = lambda: None if importing() else become(args[2], args[3:], env, keep)
        super().__init__(args, **options)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
