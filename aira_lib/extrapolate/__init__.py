"""Extrapolate: base patterns become full architectures at target scales."""
