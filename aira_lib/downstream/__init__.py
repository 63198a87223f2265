"""Downstream tasks: a final checkpoint answers the items of public tasks, by lm-evaluation-harness."""
