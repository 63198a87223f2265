"""Servers that no candidate should reach: by whether they answer, a network is told that nothing cuts off."""

import os

METADATA_SERVICE = ("169.254.169.254", 80)
"""Of clouds: it gives a machine's credentials to whoever asks it there."""


def cluster_api() -> tuple[str, int] | None:
    """The address of the Kubernetes API, in a pod; where it answers, so do all services there that ask for no login."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return (host, int(port)) if host else None
