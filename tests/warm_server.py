"""Forks a process for each request of warm_start.py, after it has imported once what its module needs.

Pythons that such a process starts in turn to run modules (the searches of a launcher, a pipeline and its components)
are forked as well.
"""

import atexit
import builtins
import contextlib
import gc
import importlib
import inspect
import json
import logging
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from functools import cache, partial
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn
from weakref import finalize

from tests.warm_start import READY

_SEARCH = (
    "aira_lib.cli.aira", "aira_lib.flow.run", "aira_lib.local.search_command", "aira_lib.local.search_run",
    "aira_lib.search.stage", "aira_lib.tasks.families", "aira_lib.proxy.evaluation", "aira_lib.tasks.designs.live",
    "aira_lib.store.local", "aira_lib.evaluations.store", "torch._dynamo",
)  # fmt: skip
_STAGES = (
    *_SEARCH, "aira_lib.flow.entry", "aira_lib.archive.stage", "aira_lib.aggregate.stage", "aira_lib.extrapolate.stage",
    "aira_lib.pretrain.stage", "aira_lib.evaluate.stage", "aira_lib.report.stage", "aira_lib.report.content",
)  # fmt: skip
_PIPELINE = (
    *_STAGES,
    "kfp.dsl.executor",
    "kfp.local",
    "pipelines.compose.pipeline",
    "mlflow.store.tracking.sqlalchemy_store",
)
_RANKS = ("aira_lib.training.course", "aira_lib.training.checkpoint.sharded", "aira_lib.training.fsdp")
_OURS = ("aira_lib", "components", "pipelines", "tests")
# For each setting of a task kfp asks who called it, and Python looks for the source through all modules there are.
_STACK = partial(inspect.stack, 0)
_PRINT = print  # kfp.local has another while a component runs
_EXECUTOR = "kfp.dsl.executor_main"
# What is imported before a module is run, or the module with a first argument; others import what they need themselves.
IMPORTED = {
    "aira_lib.cli": _SEARCH,
    "aira_lib.cli run": _PIPELINE,
    "pipelines.units compile": _PIPELINE,
    "tests.drive_study": _STAGES,
    "tests.aira_lib.cli.in_process": _PIPELINE,
    "tests.cluster_study": _PIPELINE,
    "aira_lib.training.rank": _RANKS,
    "tests.aira_lib.training.rank_program": ("tests.aira_lib.training.tiny", *_RANKS),
    "tests.aira_lib.pretrain.kill_training": ("aira_lib.flow.run", "aira_lib.pretrain.stage", "aira_lib.store.s3"),
}


def serve(door: socket.socket) -> None:
    """Answer whoever connects, until all have left."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(door, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is door:
                    asking = door.accept()[0]
                    asking.send(READY)
                    waiting.register(asking, selectors.EVENT_READ)
                elif not answer(key.fileobj):  # type: ignore[arg-type]
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
            if len(waiting.get_map()) == 1:
                return


def answer(asked: socket.socket) -> bool:
    """Fork, or tell how one ended, as is asked; False where nobody asks any more."""
    data, files, *_ = socket.recv_fds(asked, 1 << 20, 2)
    if not data:
        return False
    request = json.loads(data)
    if "ended" in request:
        asked.send(str(os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])).encode())
        return True
    name, *arguments = request["module"], *request["arguments"]
    for module in IMPORTED.get(" ".join([name, *arguments[:1]]), IMPORTED.get(name, ())):
        importlib.import_module(module)
    gc.freeze()  # whoever is forked looks through its own objects only, and leaves the pages of these shared
    assert threading.active_count() == 1, "locks of other threads would stay locked in what is forked"
    if child := os.fork():
        asked.send(str(child).encode())
        for file in files:
            os.close(file)
        return True
    for file, standard in zip(files, (1, 2), strict=True):
        os.dup2(file, standard)
    if request["session"]:
        os.setsid()
    os.chdir(request["cwd"])
    if request["fresh"]:
        forget(request["cwd"], request["env"].get("PYTHONPATH", ""))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has tests in the background ignore it
    become(["-m", name, *arguments], request["env"])


def forget(folder: str, path: str) -> None:
    """Have modules of ours imported anew, with plugins say, and found where a Python finds them that starts cold."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    sys.path[:] = [folder, *filter(None, path.split(os.pathsep)), *sys.path[1:]]
    importlib.invalidate_caches()


def become(words: list[str], env: Mapping[str, str], keep: tuple[int, ...] = ()) -> NoReturn:
    """Run `-m MODULE ...` or `-c TEXT ...` as the program of this process, and end as Python would.

    No files stay open but those of `keep` and the standard ones.
    """
    code = 1
    try:
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > 2 and descriptor not in keep:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        # As of `python -u`: buffers have locks, which another thread may hold when this process forks one in turn.
        sys.stdout = TextIOWrapper(FileIO(1, "w", closefd=False), "utf-8", write_through=True)
        sys.stderr = TextIOWrapper(FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        finalize._registry.clear()  # type: ignore[attr-defined]  # temporary folders are of who forked this process
        logging.root.handlers.clear()
        builtins.print = _PRINT
        inspect.stack = _STACK
        os.environ.clear()
        os.environ.update(env)
        sys.argv = words[1:] if words[0] == "-m" else ["-c", *words[2:]]
        subprocess.Popen = _Popen  # type: ignore[misc]
        if words[0] == "-m":
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            exec(words[1], {"__name__": "__main__"})
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


def words_of(command: list[str]) -> list[str]:
    """What a command has Python run, as `become` takes it; nothing where it is no Python that can be forked.

    A component of `kfp.local` is started by a shell, whose script writes a file and then has Python run that.
    """
    if command[0] == sys.executable and command[1:2] in (["-m"], ["-c"]):
        return command[1:]
    if command[:2] != ["sh", "-ec"] or not command[2].startswith("program_path=") or _EXECUTOR not in command[2]:
        return []
    program = Path(tempfile.mkdtemp(dir=components().name), "ephemeral_component.py")
    program.write_text(command[3])
    return ["-m", _EXECUTOR, "--component_module_path", str(program), *command[4:]]


@cache
def components() -> tempfile.TemporaryDirectory[str]:
    """Where components are written; it goes with the process that starts them, which waits for them."""
    return tempfile.TemporaryDirectory()


def importing() -> bool:
    """Whether a thread was in an import when this process was forked: its locks have nobody here to open them."""
    locks = [each() for each in vars(importlib._bootstrap)["_module_locks"].values()]
    return any(lock is not None and lock.owner is not None for lock in locks)


class _Popen(subprocess.Popen[Any]):
    """Forks a Python that is to run a program: what it would import is there. Starts it cold amid another's import."""

    def __init__(self, args: Any, **options: Any) -> None:
        if not isinstance(args, str) and (words := words_of([os.fspath(each) for each in args])):
            env, keep = dict(options.get("env") or os.environ), tuple(options.get("pass_fds", ()))
            sys.stdout.flush()
            sys.stderr.flush()
            before = options.get("preexec_fn") or (lambda: None)
            options["preexec_fn"] = lambda: before() if importing() else (before(), become(words, env, keep))
        super().__init__(args, **options)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
