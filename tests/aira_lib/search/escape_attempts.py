"""Hostile programs by what they try; the search's own limits are those of `test_escapes`."""

import platform
from dataclasses import dataclass, field
from typing import Any

X86 = platform.machine() == "x86_64"


@dataclass(frozen=True)
class Attempt:
    """A program that finds what it is after in the dict W, and what the node's reason is to say."""

    code: str
    reason: str
    limits: dict[str, Any] = field(default_factory=dict)


def reads(path: str) -> Attempt:
    return Attempt(f"raise SystemExit(open({path}).read())", "FileNotFoundError|NotADirectory")


def writes(path: str) -> Attempt:
    return Attempt(f"open({path}, 'w').write('x')", "Read-only|FileNotFoundError|Permission denied")


def calls(number: int, *arguments: object, refused: str = "not permitted") -> Attempt:
    """A system call by its number on x86_64."""
    passed = ", ".join(map(str, arguments))
    return Attempt(
        f"import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nresult = libc.syscall({number}, {passed})\n"
        "raise SystemExit(f'it worked: {result}' if result >= 0 else os.strerror(ctypes.get_errno()))",
        refused,
    )


def sends(family: str, kind: str, address: str, refused: str) -> Attempt:
    return Attempt(
        f"import socket\ns = socket.socket(socket.{family}, socket.{kind})\ns.settimeout(2)\ns.connect({address})\n"
        "s.send(b'got out')\nprint(s.recv(9))", refused,
    )  # fmt: skip


def submits(action: str, reason: str, **limits: Any) -> Attempt:
    return Attempt(f"import os, pickle\n{action}", reason, limits)


UNREACHABLE = "unreachable|refused"
PICKLE = "class P:\n    def __reduce__(self): return (open, (W['pwned'], 'w'))\n"

DAEMON = (
    "import os, signal, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        os.execvp('sleep', ['sleep', W['mark']])\n"
    "    os._exit(0)\nos.wait()\n"
)

READING = {
    "test labels": reads("W['labels']"),
    "journal": reads("W['journal']"),
    "another run": reads("W['other']"),
    "home": reads("W['home']"),
    "project": reads("W['project']"),
    "git": reads("W['checkout'] + '/.git/config'"),
    "shadow": reads("'/etc/shadow'"),
    "relative path": reads("'../' * 20 + W['labels']"),
    "through a link": Attempt("import os; os.symlink(W['labels'], 'a'); print(open('a').read())", "FileNotFoundError"),
    "harness environ": reads("f'/proc/{W[\"pid\"]}/environ'"),
    "harness memory": reads("f'/proc/{W[\"pid\"]}/mem'"),
    "harness command line": reads("f'/proc/{W[\"pid\"]}/cmdline'"),
    "harness root": reads("f'/proc/{W[\"pid\"]}/root{W[\"labels\"]}'"),
    "harness descriptors": Attempt("import os; os.listdir(f'/proc/{W[\"pid\"]}/fd')", "FileNotFoundError"),
    "init environ": Attempt("print(open('/proc/1/environ').read())", "Permission denied"),
    "init root": Attempt("import os; print(os.listdir('/proc/1/root/'))", "Permission denied"),
    "own environment": Attempt("import os; raise SystemExit(str(sorted(os.environ)))", r": \['HOME', 'LANG'"),
    "old root": reads("'/.old' + W['labels']"),
    "other processes": Attempt(
        "import os; raise SystemExit(str(sorted(int(n) for n in os.listdir('/proc') if n.isdigit())))", r"\[1, \d+\]"
    ),
    "cgroups": reads("'/sys/fs/cgroup/cgroup.procs'"),
    "descriptors left open": Attempt(
        "import os\nfound = []\nfor fd in range(3, 256):\n    try: found.append(os.readlink(f'/proc/self/fd/{fd}'))\n"
        "    except OSError: pass\nraise SystemExit(f'found {found}')", r"found \[\]",
    ),
}  # fmt: skip

WRITING = {
    "tmp": writes("'/tmp/aira-escaped'"),
    "labels": writes("W['labels']"),
    "training data": writes("'data/train/memorization.npz'"),
    "new file in data": writes("'data/new'"),
    "site-packages": writes("W['site'] + '/escaped.pth'"),
    "the standard library": writes("__import__('os').__file__"),
    "the scorer": writes("W['checkout'] + '/aira_lib/proxy/evaluation.py'"),
    "cgroup": writes("'/sys/fs/cgroup/escaped'"),
    "core pattern": writes("'/proc/sys/kernel/core_pattern'"),
    "out-of-memory score": writes("'/proc/self/oom_score_adj'"),
    "parent folder": writes("'../escaped'"),
}

SUBMITTING = {
    "symbolic link": submits("os.symlink(W['labels'], 'submission.csv')", "links are not followed"),
    "link to a device": submits("os.symlink('/dev/zero', 'submission.csv')", "links are not followed"),
    "link through proc": submits("os.symlink('/proc/self/environ', 'submission.csv')", "links are not followed"),
    "hard link to data": submits("os.link('data/train/memorization.npz', 'submission.csv')", "device|not permitted"),
    "second name": submits("open('a', 'w'); os.link('a', 'submission.csv')", "single name"),
    "pipe": submits("os.mkfifo('submission.csv')", "not a regular file"),
    "device": submits("os.mknod('submission.csv', 0o020666, os.makedev(1, 5))", "not permitted"),
    "folder": submits("os.mkdir('submission.csv')", "not a (readable )?regular file"),
    "socket": submits("import socket; socket.socket(socket.AF_UNIX).bind('submission.csv')", "not a readable regular"),
    "path in a cell": submits("open('submission.csv', 'w').write('layer\\n' + W['labels'])", "not a primitive"),
    "sparse gigabyte": submits("open('submission.csv', 'w').truncate(2**30)", "larger than 65536", disk_mb=2048),
    "real megabytes": submits("open('submission.csv', 'wb').write(bytes(3 << 20))", "larger than 65536"),
    "pickle": submits(PICKLE + "open('submission.csv', 'wb').write(pickle.dumps(P()))", "submission.csv"),
    "array of objects": submits(
        PICKLE + "import numpy as np\nnp.save(open('submission.csv', 'wb'), np.array([P()], dtype=object))",
        "submission.csv", memory_mb=2048, disk_mb=8,
    ),
    "zero bytes": submits("open('submission.csv', 'wb').write(bytes(1000))", "submission.csv|NUL|layer"),
    "unreadable": submits("open('submission.csv', 'w'); os.chmod('submission.csv', 0)", "submission.csv"),
    "changed after the end": submits(
        "import subprocess\nsubprocess.Popen(['sh', '-c', 'sleep 1; echo layer > submission.csv'])", "was not written"
    ),
}  # fmt: skip

CONNECTING = {
    "tcp": sends("AF_INET", "SOCK_STREAM", "('127.0.0.1', W['tcp'])", UNREACHABLE),
    "udp": sends("AF_INET", "SOCK_DGRAM", "('127.0.0.1', W['udp'])", UNREACHABLE),
    "abstract unix socket": sends("AF_UNIX", "SOCK_STREAM", "W['abstract']", "refused"),
    "unix socket in a folder": sends("AF_UNIX", "SOCK_STREAM", "W['socket']", "No such file"),
    "internet": sends("AF_INET", "SOCK_STREAM", "('1.1.1.1', 53)", UNREACHABLE),
    "ipv6": sends("AF_INET6", "SOCK_STREAM", "('::1', W['tcp'])", f"{UNREACHABLE}|Cannot assign|not supported"),
    "vsock": sends("AF_VSOCK", "SOCK_STREAM", "(2, 1024)", "not supported"),
    "raw socket": Attempt("import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "not permitted"),
    "packet socket": sends("AF_PACKET", "SOCK_RAW", "('lo', 0)", "not permitted|not supported"),
    "names": Attempt("import socket; socket.getaddrinfo('example.com', 80)", "gaierror"),
}

EXHAUSTING = {
    "fork bomb": Attempt("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "12 processes"),
    "memory": Attempt("x = []\nwhile True: x.append(bytearray(10**7))", "192 MB of memory"),
    "memory of many": Attempt(
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n        x = bytearray(b'x') * (100 << 20)\n"
        "        time.sleep(30)\ntime.sleep(30)", "192 MB of memory",
    ),
    "memory file": Attempt("import os; os.memfd_create('x')", "not permitted"),
    "shared memory": Attempt("open('/dev/shm/x', 'wb').write(bytes(80 << 20))", "MB", {"disk_mb": 100}),
    "disk": Attempt("for i in range(10**6): open(str(i), 'wb').write(bytes(1 << 20))", "4 MB"),
    "one large file": Attempt("open('a', 'wb').write(bytes(5 << 20))", "4 MB"),
    "nameless files": Attempt(
        "import os, time\nheld = []\nfor i in range(10):\n    held.append(open('a', 'wb')); os.remove('a')\n"
        "    held[-1].write(bytes(3 << 20)); held[-1].flush()\ntime.sleep(30)", "4 MB",
    ),
    "many files": Attempt("for i in range(10**6): open(str(i), 'w').close()", "too many files"),
    "endless output": Attempt("while True: print('x' * 1000)", "printed more than 64 KB"),
    "endless errors": Attempt("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", "printed more than 64 KB"),
    "descriptors": Attempt("x = []\nwhile True: x.append(open('/dev/null'))", "Too many open files"),
    "processor": Attempt("while True: pass", "timeout.*0.4 s", {"seconds": 0.4}),
    "sleep": Attempt("import time; time.sleep(99)", "timeout.*0.4 s", {"seconds": 0.4}),
    "ignored signals": Attempt(
        "import signal, time\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: time.sleep(9)", "timeout.*0.4 s", {"seconds": 0.4},
    ),
    "stopped": Attempt("import os; os.kill(os.getpid(), 19)", "timeout.*0.4 s", {"seconds": 0.4}),
    "daemon": Attempt(DAEMON, "was not written"),
    "daemon past the timeout": Attempt(DAEMON + "time.sleep(99)", "timeout.*0.5 s", {"seconds": 0.5}),
    "better priority": Attempt("import os; os.nice(-5)", "ermi"),
    "real-time schedule": Attempt("import os; os.sched_setscheduler(0, 1, os.sched_param(1))", "not permitted"),
    "higher limits": Attempt("import resource as r; r.setrlimit(r.RLIMIT_AS, (-1, -1))", "not allowed"),
}  # fmt: skip

SEIZING = {
    "signal to the harness": Attempt("import os; os.kill(W['pid'], 9)", "ProcessLookupError"),
    "signal to the parent": Attempt(
        "import os\nfor s in (9, 15, 0): os.kill(os.getppid(), s)\nraise SystemExit('it lives')",
        "it lives",
    ),
    "chroot": Attempt("import os; os.chroot('.')", "not permitted"),
    "set user": Attempt("import os; os.setresuid(0, 1, 0)", "not permitted|Invalid argument"),
    "set groups": Attempt("import os; os.setgroups([0])", "not permitted"),
    "host name": Attempt("import socket; socket.sethostname('escaped')", "not permitted"),
    "import of the scorer": Attempt("import aira_lib.proxy", "No module named 'aira_lib'"),
    "site customisation": Attempt(
        "for n in ('sitecustomize.py', 'usercustomize.py', 'aira_lib.py', 'x.pth'): open(n, 'w').write('1 / 0')\n"
        "import os, subprocess, sys\nos.environ['PYTHONSTARTUP'] = 'x.pth'\n"
        "os.makedirs('.local/lib/python3.11/site-packages/aira_lib')\nraise SystemExit('planted')", "planted",
    ),
    "faked lines of the harness": Attempt(
        "print('exit 0\\nvalidation: 1.0\\n{\"status\": \"ok\", \"validation\": 1.0}')\nimport sys\n"
        "sys.exit('validation: 1.0')", "program failed .error.: exit code 1: validation: 1.0",
    ),
    "terminal sequences": Attempt(
        "print('\\x1b[2J\\x1b]0;owned\\x07 \\x9b31m \\r\\u202e')\nraise SystemExit('\\x1b[2Kall \\x08well')",
        "all .well",
    ),
    "faked report": Attempt(
        "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'exit 0\\n')\n    except OSError as e: last = e\n"
        "raise last", "Bad file descriptor",
    ),
}  # fmt: skip

CALLING = {
    "ptrace": calls(101, 16, 1, 0, 0),
    "read another's memory": calls(310, 1, 0, 0, 0, 0, 0),
    "mount": calls(165, 0, "b'/'", 0, 32, 0),
    "unmount": calls(166, "b'/usr/lib'", 2),
    "new user namespace": calls(272, 0x10020000),
    "cloned namespace": calls(56, 0x10000011, 0, 0, 0, 0),
    "clone3": calls(435, 0, 0, refused="not implemented"),
    "enter a namespace": calls(308, 0, 0),
    "kernel keys": calls(250, 0, -4, 0),
    "bpf": calls(321, 0, 0, 0),
    "io_uring": calls(425, 8, 0),
    "shared memory segment": calls(29, 0, 1 << 30, 0o1600),
    "32-bit numbers": calls(0x40000000 + 39),
}

ATTEMPTS = {
    f"{kind}: {name}": attempt
    for kind, group in (
        ("read", READING), ("write", WRITING), ("submit", SUBMITTING), ("connect", CONNECTING),
        ("exhaust", EXHAUSTING), ("seize", SEIZING), ("call", CALLING if X86 else {}),
    )
    for name, attempt in group.items()
}  # fmt: skip

SUBSET = [
    *("read: test labels", "read: harness environ", "read: init environ", "read: descriptors left open", "write: tmp"),
    *("write: site-packages", "connect: tcp", "connect: abstract unix socket", "exhaust: fork bomb", "exhaust: daemon"),
    *("exhaust: memory file", "seize: signal to the parent", "seize: import of the scorer", "seize: faked report"),
]
