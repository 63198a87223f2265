"""Whether a test split tells the labels of rows that shall be held out of the train split.

Where a task forecasts, the series that the test split goes on from is often the very one that a row of the train split
asks for. A score of such rows measures reading, not forecasting. Only equal values are found: a label that is part of a
longer text or series is not.
"""

from collections.abc import Iterator, Sequence
from typing import Any

_TELLING = 20  # characters, or bytes of numbers, from which on two equal values are hardly so by chance
_SAMPLE = 100  # rows


def shown_in(rows: Any, test: Any, scoring: Sequence[str]) -> str | None:
    """The column of the test split that shows the labels of most rows; None where none does.

    Args:
        rows: Rows that shall be held out, as a pyarrow table with the scoring columns.
        test: The test split, as a pyarrow table.
        scoring: The names of the scoring columns.
    """
    for label in scoring:
        sought = {value for value in _values(rows[label].slice(0, _SAMPLE)) if len(value) >= _TELLING}
        for name in test.column_names if sought else ():
            missing = set(sought)
            for value in _values(test[name]):
                missing.discard(value)
            if len(missing) * 2 < len(sought):
                return str(name)
    return None


def _values(column: Any) -> Iterator[bytes]:
    """The values of texts, of numbers and of lists of numbers within each other; nothing for columns of others."""
    import pyarrow as pa

    inner = column.type
    while pa.types.is_list(inner) or pa.types.is_large_list(inner):
        inner = inner.value_type
    if pa.types.is_string(inner) or pa.types.is_large_string(inner):
        if inner == column.type:
            yield from (value.encode() for value in column.to_pylist() if value is not None)
        return
    if not (pa.types.is_floating(inner) or pa.types.is_integer(inner)):
        return
    for chunk in column.chunks:
        for row in range(len(chunk)):
            values = chunk.slice(row, 1)
            while values.type != inner:
                values = values.flatten()
            yield values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).tobytes()
