"""Values of a table as the texts of a submission: what the public tasks' own gold submissions write."""

import json
from typing import Any


def cell(value: Any) -> str:
    """A value of a pyarrow table as the text of a CSV cell: lists and mappings as JSON, nothing as an empty text.

    In a list a number that is missing is NaN, which is how series have gaps.
    """
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(_with_gaps(value), ensure_ascii=False, default=str)
    return str(value)


def _with_gaps(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_gaps(one) for name, one in value.items()}
    if isinstance(value, list):
        return [float("nan") if one is None else _with_gaps(one) for one in value]
    return value
