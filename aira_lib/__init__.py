"""AIRA: research agents discover neural architectures."""

__version__ = "0.1.0"
