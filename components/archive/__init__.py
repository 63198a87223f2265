"""Archive: all journals in one table."""

from components.archive.component import archive

__all__ = ["archive"]
