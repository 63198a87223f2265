"""The filter of system calls: as bytes, by a small interpreter of the few instructions that it uses."""

import errno
import platform
import struct
import subprocess
import sys

import pytest

import aira_lib.sandbox.calls as calls

ALLOWED, EPERM, ENOSYS, EAFNOSUPPORT = 0, errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT
PRETENDED = -1  # not made, and told to have succeeded
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    monkeypatch.setattr(calls, "call_filter", calls.call_filter.__wrapped__)
    return str(request.param)


def answer(machine: str, number: int, *arguments: int, architecture: int | None = None, gpu: bool = False) -> int:
    """What the filter answers to a call: 0 for allowed, else an error number."""
    given = (*arguments, 0, 0, 0)[:3]
    call = struct.pack("=IIQQQQ", number, architecture or ARCHITECTURES[machine], 0, *given)
    words = list(struct.iter_unpack("=HBBI", calls.call_filter(gpu)))
    at, held = 0, 0
    while True:
        code, if_true, if_false, value = words[at]
        at += 1
        if code == 0x06:
            return ALLOWED if value == 0x7FFF0000 else (value & 0xFFFF) or PRETENDED
        if code == 0x20:
            (held,) = struct.unpack_from("=I", call, value)
        else:
            true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            at += if_true if true else if_false


def numbers(machine: str) -> dict[str, int]:
    return dict(calls._MACHINES[machine][1])


def test_what_is_refused_and_what_is_not(machine: str) -> None:
    refused = numbers(machine)
    _, _, clone, clone3, socket, _ = calls._MACHINES[machine]
    assert {answer(machine, number) for number in refused.values()} == {EPERM}
    assert answer(machine, clone3) == ENOSYS
    others = set(range(470)) - {*refused.values(), clone3, socket}
    assert {answer(machine, number, 2) for number in others} == {ALLOWED}
    assert answer(machine, clone, 0x10000011) == EPERM
    assert answer(machine, clone, 0x01200011) == ALLOWED  # what fork passes
    assert answer(machine, clone, 0x003D0F00) == ALLOWED  # what a new thread passes
    assert [answer(machine, socket, family) for family in (1, 2, 10, 16)] == [ALLOWED] * 4
    assert [answer(machine, socket, family) for family in (17, 38, 40)] == [EAFNOSUPPORT] * 3


def test_buffers_of_sockets_keep_their_sizes(machine: str) -> None:
    setsockopt, sol_socket, ip = calls._MACHINES[machine][5], 1, 0
    options = range(64)
    assert [option for option in options if answer(machine, setsockopt, 3, sol_socket, option) == PRETENDED] == [7, 8]
    assert {answer(machine, setsockopt, 3, sol_socket, option) for option in {*options} - {7, 8}} == {ALLOWED}
    assert {answer(machine, setsockopt, 3, ip, option) for option in options} == {ALLOWED}


def test_calls_of_another_architecture_are_refused(machine: str) -> None:
    assert answer(machine, 39, architecture=0x40000003) == EPERM
    assert answer(machine, 39 | 0x40000000) == EPERM


def test_a_gpu_needs_memory_files(machine: str) -> None:
    number = numbers(machine)["memfd_create"]
    assert answer(machine, number, gpu=True) == ALLOWED
    assert answer(machine, numbers(machine)["keyctl"], gpu=True) == EPERM


def test_an_unknown_processor_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert calls.call_filter.__wrapped__() == b""


def test_the_numbers_are_those_of_the_system_headers() -> None:
    """The compiler's headers are an independent source of the numbers of the machine that has them."""
    names = [*calls._REFUSED, *calls._OLD_OF_X86_64, "clone", "clone3", "socket", "setsockopt"]
    known = calls._MACHINES.get(platform.machine())
    if sys.platform != "linux" or known is None:
        pytest.skip("no numbers for this machine")
    source = "#include <sys/syscall.h>\n" + "".join(
        f"#ifdef SYS_{name}\n{name} = SYS_{name}\n#endif\n" for name in names
    )
    try:
        told = subprocess.run(["cc", "-E", "-P", "-"], input=source, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler here")
    found = dict(line.split(" = ") for line in told.splitlines() if " = " in line)
    ours = {**known[1], "clone": known[2], "clone3": known[3], "socket": known[4], "setsockopt": known[5]}
    assert len(found) > 20
    assert {name: int(number) for name, number in found.items()} == {name: ours[name] for name in found}
