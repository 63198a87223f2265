"""Extrapolate: designs at target scales."""

from components.extrapolate.component import extrapolate

__all__ = ["extrapolate"]
