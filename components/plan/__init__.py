"""Plan: list a study's searches, and its pretraining points once designs exist."""

from components.plan.component import collect, list_points, list_searches

__all__ = ["collect", "list_points", "list_searches"]
