"""Evaluate: what a final checkpoint is worth on held-out text."""
