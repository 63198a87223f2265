"""Report: everything a study found, on one page that opens offline, with its tables and figures as files."""

from aira_lib.report.inputs import LossCurve, ReportInputs, SearchRun
from aira_lib.report.stage import report

__all__ = ["LossCurve", "ReportInputs", "SearchRun", "report"]
