"""Reading submission.csv: a design as a pattern or as a list of layers; every refusal is feedback to the agent."""

import csv
import io

from aira_lib.architecture.pattern import Layers, parse
from aira_lib.errors import PatternError
from aira_lib.tasks.task import SearchTask

SUBMISSION = "submission.csv"
MAX_SUBMISSION_BYTES = 64 * 1024


class SubmissionError(Exception):
    """An invalid submission: not a user's mistake but a candidate's; the text tells the agent what to mend."""


def read_submission(content: bytes, task: SearchTask, n_layers: int) -> Layers:
    """Read a design out of the bytes of submission.csv.

    The file has one column: `architecture` with one row that holds a pattern, or `layer` with one row a layer.

    Raises:
        SubmissionError: the bytes are no such file, or the design has a wrong length or an unknown primitive.
    """
    header, rows = _table(content)
    if header == "architecture":
        layers = _from_pattern(rows)
    elif header == "layer":
        layers = tuple(_single(line, cells) for line, cells in rows)
    else:
        raise SubmissionError(
            f"{SUBMISSION}: the first line must be the header 'architecture' or 'layer', found {_short(header)}"
        )
    _require_primitives(layers, task)
    if len(layers) != n_layers:
        raise SubmissionError(f"{SUBMISSION}: the design has {len(layers)} layers, but it must have exactly {n_layers}")
    return layers


def design_file(design: str) -> str:
    """The submission.csv of a design as a pattern."""
    return f"architecture\n{design}\n"


def _table(content: bytes) -> tuple[str, list[tuple[int, list[str]]]]:
    """The header and the rows that are not empty, each with its line number."""
    if len(content) > MAX_SUBMISSION_BYTES:
        raise SubmissionError(f"{SUBMISSION} is larger than {MAX_SUBMISSION_BYTES} bytes")
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError:
        raise SubmissionError(f"{SUBMISSION} is not UTF-8 text") from None
    except csv.Error as error:
        raise SubmissionError(f"{SUBMISSION} is not a CSV file: {error}") from None
    if not lines:
        raise SubmissionError(f"{SUBMISSION} is empty")
    return ",".join(cell.strip() for cell in lines[0][1]).lower(), lines[1:]


def _from_pattern(rows: list[tuple[int, list[str]]]) -> Layers:
    if len(rows) != 1:
        raise SubmissionError(
            f"{SUBMISSION}: the column 'architecture' must have exactly one row, found {len(rows)}; "
            "a list with one layer a row belongs in a column 'layer'"
        )
    try:
        return parse(_single(*rows[0]))
    except PatternError as error:
        raise SubmissionError(f"{SUBMISSION}: {error}") from None


def _single(line: int, cells: list[str]) -> str:
    if len(cells) != 1:
        raise SubmissionError(f"{SUBMISSION}, line {line}: one value expected under one column, found {len(cells)}")
    return cells[0].strip()


def _require_primitives(layers: Layers, task: SearchTask) -> None:
    for place, layer in enumerate(layers, 1):
        if layer not in task.primitives:
            raise SubmissionError(
                f"{SUBMISSION}: layer {place} is {_short(layer)}, which is not a primitive of this task; "
                f"its primitives are {', '.join(task.primitives)}"
            )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
