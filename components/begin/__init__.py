"""Begin: which study is meant, what it costs."""

from components.begin.component import begin

__all__ = ["begin"]
