"""What runs between the harness and a candidate: cuts the network, sets the limits, then runs the candidate.

Three processes: this one (the outer), `init` (the first process of a fresh process namespace, where there is one),
and the candidate. The outer is needed because only children enter a new process namespace. init reaps orphans and
reports how the candidate ended; then it waits to be killed, so that whatever the candidate left behind still
descends from here and the harness can find and kill all of it. Each process asks to die with its parent.

Standard library only and nothing of this project: it runs by path, isolated, before any limit holds.
Its one argument is a JSON object: command, environment, workdir, limits, isolation, parent, report (a descriptor).
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any, NoReturn

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = (
    0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 1 << 14, 1 << 18

_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Set up, start init, wait to be killed."""
    plan = json.loads(sys.argv[1])
    os.set_inheritable(plan["report"], False)
    _die_with_parent()
    if os.getppid() != plan["parent"]:
        os._exit(1)
    try:
        if plan["isolation"] != "none":
            _enter_namespaces(own_users=plan["isolation"] == "user namespaces")
        _adopt_orphans()
        alive = os.pipe()
        if (init := os.fork()) == 0:
            os.close(alive[1])
            _init(plan, alive[0])
    except OSError as error:
        _report(plan, {"setup": str(error)})
    else:
        os.waitpid(init, 0)
        _report(plan, {"lost": "the candidate's supervisor was killed"})
    _wait_to_be_killed()


def _init(plan: dict[str, Any], parent_alive: int) -> NoReturn:
    """The candidate's parent: reap every orphan, report the candidate's end."""
    _die_with_parent()
    os.set_blocking(parent_alive, False)
    with contextlib.suppress(BlockingIOError):
        os.read(parent_alive, 1)  # end of file: the outer died before we asked to die with it
        os._exit(1)
    try:
        _adopt_orphans()
        if plan["isolation"] != "none":
            _private_proc()
        if (candidate := os.fork()) == 0:
            _become_candidate(plan)
        while True:
            pid, status = os.wait()
            if pid == candidate:
                break
        _report(plan, {"exit": os.waitstatus_to_exitcode(status)})
    except OSError as error:
        _report(plan, {"setup": str(error)})
    _wait_to_be_killed()


def _become_candidate(plan: dict[str, Any]) -> NoReturn:
    """Take on the limits, give up all privileges, and run the command. A failure is told on stderr."""
    try:
        os.setsid()
        _die_with_parent()
        os.chdir(plan["workdir"])
        for name, value in plan["limits"].items():
            _limit(name, value)
        _drop_privileges()
        os.execve(plan["command"][0], plan["command"], plan["environment"])
    except OSError as error:
        os.write(2, f"the candidate could not be started: {error}\n".encode())
    os._exit(127)


def _limit(name: str, value: int) -> None:
    which = getattr(resource, name, None)
    if which is None:
        return
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    # At its hard limit of processor time a process gets SIGKILL; at the soft one SIGXCPU, which says why.
    soft = value - 1 if name == "RLIMIT_CPU" else value
    # macOS refuses RLIMIT_AS; the harness watches memory in any case.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (soft, value))


def _enter_namespaces(own_users: bool) -> None:
    """Leave the network, and the processes, mounts and IPC of others.

    With `own_users` this needs no privilege: user and group keep their numbers inside, and mean nothing outside.
    """
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNET | _CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWIPC
    _check(_libc.unshare(flags | (_CLONE_NEWUSER if own_users else 0)), "unshare")
    if own_users:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        _die_with_parent()  # new credentials may have cleared it


def _private_proc() -> None:
    """Show only our own processes in /proc. Some containers mask /proc and refuse; then others stay visible."""
    if _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0:
        _libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)


def _drop_privileges() -> None:
    """Without capabilities root cannot raise its limits again, read others' /proc or override file permissions."""
    if not _LINUX:
        return
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _die_with_parent() -> None:
    if _LINUX:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _adopt_orphans() -> None:
    if _LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _report(plan: dict[str, Any], what: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        os.write(plan["report"], json.dumps(what).encode() + b"\n")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _wait_to_be_killed() -> NoReturn:
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
