"""The system calls that candidates are refused, as a seccomp filter: what no rlimit and no namespace holds back.

- Memory that no limit of a process counts: memfd_create, System V shared memory, and file systems in memory, for which
  a fresh user namespace would give the right (unshare, clone, clone3, setns, mount and its successors); pages lent to a
  pipe (vmsplice), queues of file events (inotify, fanotify), and larger buffers of sockets.
- Kernel keys, which no namespace hides from the same user: add_key, request_key, keyctl.
- Sockets of families that a network namespace does not cut off (vsock, the way from a guest to its host, among them);
  and io_uring, which would open sockets past this filter.
- Large attack surfaces without use to a candidate: bpf, perf_event_open, userfaultfd, kernel modules, kexec.

Refused calls fail with EPERM, sockets with EAFNOSUPPORT, clone3 with ENOSYS, for which C libraries take clone instead.
Asking for a larger buffer of a socket ends well and changes nothing, as where the kernel grants less than is asked for.
"""

import errno
import functools
import platform
import struct
import sys

_REFUSED = (
    "add_key", "request_key", "keyctl", "shmget", "memfd_create", "memfd_secret", "unshare", "setns", "mount",
    "umount2", "pivot_root", "chroot", "fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr",
    "io_uring_setup", "bpf", "perf_event_open", "userfaultfd", "init_module", "finit_module", "kexec_load",
    "open_by_handle_at", "name_to_handle_at", "process_vm_readv", "process_vm_writev", "ptrace", "msgget", "semget",
    "vmsplice", "inotify_init1", "fanotify_init",
)  # fmt: skip
# Numbers of x86_64, then of aarch64 (include/uapi/asm-generic/unistd.h of Linux), in the order above.
_X86_64 = (
    248, 249, 250, 29, 319, 447, 272, 308, 165, 166, 155, 161, 430, 432, 428, 429, 442, 425, 321, 298, 323, 175, 313,
    246, 304, 303, 310, 311, 101, 68, 64, 278, 294, 300,
)  # fmt: skip
_AARCH64 = (
    217, 218, 219, 194, 279, 447, 97, 268, 40, 39, 41, 51, 430, 432, 428, 429, 442, 425, 280, 241, 282, 105, 273,
    104, 265, 264, 270, 271, 117, 186, 190, 75, 26, 262,
)  # fmt: skip
_OLD_OF_X86_64 = {"inotify_init": 253}
# machine -> (AUDIT_ARCH of seccomp, refused calls, clone, clone3, socket, setsockopt)
_MACHINES = {
    "x86_64": (0xC000003E, dict(zip(_REFUSED, _X86_64, strict=True)) | _OLD_OF_X86_64, 56, 435, 41, 54),
    "aarch64": (0xC00000B7, dict(zip(_REFUSED, _AARCH64, strict=True)), 220, 435, 198, 208),
}
_GPU_NEEDS = ("memfd_create",)  # the CUDA driver and compilers map code and share memory through it
_NEW_NAMESPACE = 0x7E020000  # CLONE_NEW*
_FAMILIES = (1, 2, 10, 16)  # unix, IPv4, IPv6, netlink: all of them see the candidate's own network alone
_SOL_SOCKET, _SO_SNDBUF, _SO_RCVBUF = 1, 7, 8  # of both machines; the variants that need no limit need a capability
_X32 = 0x40000000  # calls of the x32 ABI have this bit

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Offsets in struct seccomp_data; the low words of arguments (little endian).
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 24, 32
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_DO_NOTHING = _ERROR  # without an error's number: the call is not made, and succeeds


@functools.cache
def call_filter(gpu: bool = False) -> bytes:
    """The filter as an array of struct sock_filter; empty where no numbers of calls are known (not Linux, other CPUs).

    Args:
        gpu: Whether it is for a candidate that uses a GPU.
    """
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return b""
    architecture, refused, clone, clone3, socket, setsockopt = machine
    wrong, unknown_family = _ERROR | errno.EPERM, _ERROR | errno.EAFNOSUPPORT
    words = [
        _word(_LOAD, _ARCHITECTURE), *_unless(_EQUAL, architecture, wrong),
        _word(_LOAD, _NUMBER), *_if(_AT_LEAST, _X32, wrong),
    ]  # fmt: skip
    for name, number in refused.items():
        if not (gpu and name in _GPU_NEEDS):
            words += _if(_EQUAL, number, wrong)
    words += _if(_EQUAL, clone3, _ERROR | errno.ENOSYS)
    words += [_word(_EQUAL, clone, 0, 4), _word(_LOAD, _FIRST_ARGUMENT), *_if(_ANY_BIT, _NEW_NAMESPACE, wrong)]
    words += [_word(_RETURN, _ALLOW)]
    words += _keep_buffers(setsockopt)
    words += [_word(_EQUAL, socket, 0, 2 + len(_FAMILIES)), _word(_LOAD, _FIRST_ARGUMENT)]
    words += [_word(_EQUAL, family, len(_FAMILIES) - i, 0) for i, family in enumerate(_FAMILIES)]
    words += [_word(_RETURN, unknown_family), _word(_RETURN, _ALLOW)]
    return b"".join(words)


def _keep_buffers(setsockopt: int) -> list[bytes]:
    """Do nothing where the size of a socket's buffer is set."""
    return [
        _word(_EQUAL, setsockopt, 0, 7),
        _word(_LOAD, _SECOND_ARGUMENT), _word(_EQUAL, _SOL_SOCKET, 0, 3),
        _word(_LOAD, _THIRD_ARGUMENT), _word(_EQUAL, _SO_SNDBUF, 2, 0), _word(_EQUAL, _SO_RCVBUF, 1, 0),
        _word(_RETURN, _ALLOW),
        _word(_RETURN, _DO_NOTHING),
    ]  # fmt: skip


def _word(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _if(test: int, value: int, answer: int) -> list[bytes]:
    return [_word(test, value, 0, 1), _word(_RETURN, answer)]


def _unless(test: int, value: int, answer: int) -> list[bytes]:
    return [_word(test, value, 1, 0), _word(_RETURN, answer)]
