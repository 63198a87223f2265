"""The files in which rank 0 tells how it goes, in a folder of its own. It imports nothing."""

LOG = "log.jsonl"
OUTCOME = "outcome.json"
WARNINGS = "warnings.jsonl"
