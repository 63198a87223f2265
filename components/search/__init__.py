"""Search: one agent, one seed."""

from components.search.component import search

__all__ = ["search"]
