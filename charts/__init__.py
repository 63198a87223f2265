"""Helm charts: `aira` makes a namespace ready for studies; what its values may be, and its page."""
