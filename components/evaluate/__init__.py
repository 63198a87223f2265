"""Evaluate: one checkpoint."""

from components.evaluate.component import evaluate

__all__ = ["evaluate"]
