"""Latency: blocks and designs are timed."""

from components.latency.component import latency

__all__ = ["latency"]
