"""Downstream: one checkpoint on public tasks."""

from components.downstream.component import downstream

__all__ = ["downstream"]
