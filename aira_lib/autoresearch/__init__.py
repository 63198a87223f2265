"""Autoresearch: training scripts for a small language model, scored by bits per byte that a submission cannot reach."""
