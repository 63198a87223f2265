"""Servers that no candidate should reach: by whether they answer, a network is told that nothing cuts off."""

from __future__ import annotations

import errno
import os
import select
import socket
import time

METADATA_SERVICE = ("169.254.169.254", 80)
"""Of clouds: it gives a machine's credentials to whoever asks it there."""

_CUT_SECONDS, _ANSWER_SECONDS = 20.0, 1.0


def cluster_api() -> tuple[str, int] | None:
    """The address of the Kubernetes API, in a pod; where it answers, so do all services there that ask for no login."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return (host, int(port)) if host else None


def reachable(addresses: list[tuple[str, int]], patience: float = _CUT_SECONDS) -> str:
    """The address that still answers after a while; empty where the network is cut from all of them.

    Some networks apply a policy a few seconds after a pod has begun, and nothing of a candidate may run before.

    Args:
        addresses: Hosts, by number, with ports.
        patience: Seconds after which it is no delay any more.
    """
    end = time.monotonic() + patience
    while (answering := _answering(addresses)) and time.monotonic() < end:
        time.sleep(_ANSWER_SECONDS)
    return answering


def _answering(addresses: list[tuple[str, int]]) -> str:
    """The first that a connection can be made to, all tried at once."""
    waiting: dict[socket.socket, str] = {}
    asked: set[socket.socket] = set()
    try:
        for host, port in addresses:
            one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            waiting[one] = f"{host}:{port}"
            one.setblocking(False)
            if one.connect_ex((host, port)) in (0, errno.EINPROGRESS):
                asked.add(one)
        end = time.monotonic() + _ANSWER_SECONDS
        while asked and (left := end - time.monotonic()) > 0:
            for one in select.select((), asked, (), left)[1]:
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    return waiting[one]
                asked.discard(one)
        return ""
    finally:
        for one in waiting:
            one.close()
