"""Aggregate: base patterns of the archive."""

from components.aggregate.component import aggregate

__all__ = ["aggregate"]
