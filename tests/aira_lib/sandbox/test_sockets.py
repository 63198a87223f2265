"""What sockets may hold, read from what the kernel tells; the candidates that fill them are in test_process.py."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import aira_lib.sandbox.sockets as sockets
from aira_lib.sandbox.family import Process

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   {}: 0100007F:1F90 0100007F:8AE2 01 {:08X}:{:08X} 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1\n"


def test_bytes_of_tcp_are_both_queues_twice() -> None:
    assert sockets._in_tcp(HEAD) == 0
    assert sockets._in_tcp(HEAD + ROW.format(0, 5, 0x1000) + ROW.format(1, 0, 7)) == 2 * (5 + 0x1000 + 7)


def test_the_kernels_own_table_is_understood() -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        with other:
            one.sendall(bytes(100_000))
            assert sockets._in_tcp(Path("/proc/self/net/tcp").read_text()) >= 200_000


def test_without_a_network_of_its_own_a_socket_counts_once() -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    me = Process(os.getpid(), 0, 0)
    before = sockets.buffered([me], own_network=False)
    with socket.socket() as one, socket.fromfd(one.fileno(), socket.AF_INET, socket.SOCK_STREAM):
        assert sockets.buffered([me, me], own_network=False) == before + sockets.most_of_one()


def test_without_a_filter_buffers_may_be_raised_to_the_machines_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"wmem_default": 10, "rmem_default": 20, "wmem_max": 300, "rmem_max": 200}
    monkeypatch.setattr(sockets, "_setting", lambda name: sizes[name])
    monkeypatch.setattr(sockets, "call_filter", lambda: b"x")
    assert sockets.most_of_one.__wrapped__() == 2 * 20
    monkeypatch.setattr(sockets, "call_filter", lambda: b"")
    assert sockets.most_of_one.__wrapped__() == 2 * 2 * 300


def test_the_tables_of_a_network_without_sockets_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("unshare"):
        pytest.skip("enters a network namespace")
    read: list[Path] = []

    def tables(network: Path) -> list[str]:
        read.append(network)
        return []

    monkeypatch.setattr(sockets, "_tables", tables)
    program = (
        "import socket, sys; print(flush=True); sys.stdin.read(1); s = socket.socket(); print(flush=True); input()"
    )
    command = ["unshare", "--net", sys.executable, "-I", "-S", "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        if not process.stdout.read(1):
            pytest.skip("no network namespace can be had")
        one = [Process(process.pid, 0, 0)]
        assert sockets.buffered(one, own_network=True) == 0
        assert read == []
        process.stdin.write(b"x")
        process.stdout.read(1)
        assert sockets.buffered(one, own_network=True) == sockets.most_of_one()
        assert read
        process.stdin.write(b"\n")
