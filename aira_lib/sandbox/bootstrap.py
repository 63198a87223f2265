"""What runs between the harness and a candidate: cuts the network, closes the view of the file system, sets the
limits, then runs the candidate.

Three processes: this one (the outer), `init` (the first process of a fresh process namespace, where there is one),
and the candidate. With bubblewrap, which makes the namespaces and the view, bubblewrap is the outer and this is init.
The outer is needed because only children enter a new process namespace. init reaps orphans and reports how the
candidate ended; then it waits to be killed, so that whatever the candidate left behind still descends from here and
the harness can find and kill all of it. Each process asks to die with its parent.

Nothing of this project, and of the standard library only what starts fast: every candidate waits for these imports.
It is run compiled (see launch.py), isolated, before any limit holds. The argument after it is the plan, marshalled:
command, environment, workdir, limits, isolation, filter, parent, report (a descriptor), and `view` where this program
closes the view of the file system. It reports a line: "exit CODE CPU_SECONDS", "setup WHY" or "lost WHY".
"""

# ruff: noqa: SIM105 (importing contextlib alone would cost every candidate milliseconds)
from __future__ import annotations

import ctypes
import marshal
import os
import resource
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_SIGKILL = 9
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = (
    0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 1 << 12, 1 << 14, 1 << 18
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MNT_DETACH = 442, -100, 0x8000, 2
_OLD = "/.old"  # where the machine's own root is while the new one is built

_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Set up, start init, wait to be killed."""
    plan = marshal.loads(bytes.fromhex(sys.argv[2]))
    os.set_inheritable(plan["report"], False)
    if plan["isolation"] == "bubblewrap":
        _live_with_harness(plan)
        _init(plan)
    _die_with_parent()
    if os.getppid() != plan["parent"]:
        os._exit(1)
    try:
        if "namespaces" in plan["isolation"]:
            _enter_namespaces(own_users=plan["isolation"].startswith("user"))
        _untouchable()
        _adopt_orphans()
        alive = os.pipe()
        if (init := os.fork()) == 0:
            os.close(alive[1])
            _live_with_outer(alive[0])
            _init(plan)
    except OSError as error:
        _report(plan, f"setup {error}")
    else:
        os.waitpid(init, 0)
        _report(plan, "lost the candidate's supervisor was killed")
    _wait_to_be_killed()


def _init(plan: dict[str, Any]) -> NoReturn:
    """The candidate's parent: reap every orphan, report the candidate's end."""
    try:
        _adopt_orphans()
        if "view" in plan:
            _private_view(plan["view"])
        elif "namespaces" in plan["isolation"]:
            _private_proc()
        _untouchable()
        if (candidate := os.fork()) == 0:
            _become_candidate(plan)
        while True:
            pid, status = os.wait()
            if pid == candidate:
                break
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        _report(plan, f"exit {os.waitstatus_to_exitcode(status)} {used.ru_utime + used.ru_stime:.6f}")
    except OSError as error:
        _report(plan, f"setup {error}")
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
        _refuse_calls(plan["filter"])
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
    try:
        resource.setrlimit(which, (soft, value))
    except (ValueError, OSError):
        pass


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
        _libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_RDONLY, None)


def _private_view(view: dict[str, Any]) -> None:
    """Replace the root by an empty one, and put into it what is to be seen.

    The new root is first mounted over the work directory, only because that exists; by pivoting, the machine's root
    moves to `_OLD` within it, the work directory in it uncovered again, and is let go of at the end.
    """
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", view["work"], "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    os.mkdir(view["work"] + _OLD)
    _check(_libc.pivot_root(view["work"].encode(), (view["work"] + _OLD).encode()), "pivot_root")
    os.chdir("/")
    for path in view["readonly"]:
        _show(path, path, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    for name, target in view["links"]:
        os.makedirs(os.path.dirname(name), exist_ok=True)
        os.symlink(target, name)
    for target in view["hidden"]:
        _mount("tmpfs", target, "tmpfs", _MS_RDONLY | _MS_NOSUID | _MS_NODEV, "size=4k")
    for target in view["emptied"]:
        _mount(_OLD + "/dev/null", target, None, _MS_BIND)
    _special_files(view)
    _show(view["work"], view["work"], _MS_NOSUID | _MS_NODEV)
    for source, target in view["data"]:
        _show(source, target, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    _check(_libc.umount2(_OLD.encode(), _MNT_DETACH), "umount")
    os.rmdir(_OLD)
    _set_flags("/", _MS_RDONLY, 0)


def _special_files(view: dict[str, Any]) -> None:
    """/dev and /proc. The latter is read-only: settings of the whole machine there can be root's without privilege."""
    for device in view["devices"]:
        if os.path.exists(_OLD + device):
            _show(device, device, _MS_RDONLY | _MS_NOSUID)
    os.makedirs("/dev/shm", exist_ok=True)
    flags = _MS_NOSUID | _MS_NODEV
    _mount("tmpfs", "/dev/shm", "tmpfs", flags, f"size={view['shared_memory_mb']}m,nr_inodes=4096,mode=1777")
    os.makedirs("/proc", exist_ok=True)
    try:
        _mount("proc", "/proc", "proc", flags | _MS_NOEXEC | _MS_RDONLY)
    except PermissionError:
        pass  # refused in containers that mask their /proc: then there is none


def _show(source: str, target: str, flags: int) -> None:
    """Bind a file or folder of the machine's root, all that is mounted below included."""
    if os.path.isdir(_OLD + source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o644))
    _mount(_OLD + source, target, None, _MS_BIND | _MS_REC)
    _set_flags(target, flags, _AT_RECURSIVE)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    typed = kind.encode() if kind else None
    _check(_libc.mount(source.encode(), target.encode(), typed, flags, options.encode()), f"mount {target}")


def _set_flags(target: str, flags: int, how: int) -> None:
    """Add mount flags; the numbers of these few are those of `mount`. Needs Linux 5.12."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    number, here = ctypes.c_long(_MOUNT_SETATTR), ctypes.c_long(_AT_FDCWD)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _check(_libc.syscall(number, here, target.encode(), ctypes.c_long(how), attributes, size), f"protect {target}")


def _untouchable() -> None:
    """Keep the candidate, which is the same user, from tracing this process and from its descriptors: the report."""
    if _LINUX:
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _drop_privileges() -> None:
    """Without capabilities root cannot raise its limits again, read others' /proc or override file permissions."""
    if not _LINUX:
        return
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _refuse_calls(program: bytes) -> None:
    """Refuse system calls by a filter (see calls.py) that no descendant can take off. Old kernels may know none."""
    if not program:
        return

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]

    told = Filter(len(program) // 8, program)
    _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0)


def _die_with_parent() -> None:
    if _LINUX:
        _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def _live_with_outer(alive: int) -> None:
    """Die with the outer, also if it died before we asked for that: then the pipe that it holds has ended."""
    _die_with_parent()
    os.set_blocking(alive, False)
    try:
        os.read(alive, 1)
    except BlockingIOError:
        return
    os._exit(1)


def _live_with_harness(plan: dict[str, Any]) -> None:
    """End if the harness died before bubblewrap asked to die with it: then nobody reads the report."""
    try:
        os.write(plan["report"], b" ")
    except OSError:
        os._exit(1)


def _adopt_orphans() -> None:
    if _LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _report(plan: dict[str, Any], line: str) -> None:
    try:
        os.write(plan["report"], line.encode() + b"\n")
    except OSError:
        pass  # nobody is left to be told


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _wait_to_be_killed() -> NoReturn:
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
