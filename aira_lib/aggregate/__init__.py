"""Aggregate: the archive becomes base patterns, each with its provenance."""
