"""Report: one page for the study."""

from components.report.component import report

__all__ = ["report"]
