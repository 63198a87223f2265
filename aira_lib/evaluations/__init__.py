"""The store of evaluations: what the proxy has scored once is never trained again, by anyone who shares the store."""

from aira_lib.evaluations.entry import StoredEvaluation
from aira_lib.evaluations.store import EvaluationStore

__all__ = ["EvaluationStore", "StoredEvaluation"]
