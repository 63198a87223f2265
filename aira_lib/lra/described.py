"""What agents are told of the tasks of Long Range Arena: the text of each folder's project_description.md."""

from pathlib import Path
from string import Template

from aira_lib.lra.baselines import baseline_path
from aira_lib.lra.configurable import BOUNDS, MOST_WORK, VARIABLES
from aira_lib.lra.configuration import law
from aira_lib.lra.data.sizes import SIZES, LraTask, size_of

_TEXT = Path(__file__).parent / "described.md"
_NAMES = {"text": "Text", "listops": "ListOps", "retrieval": "Retrieval"}
_ABOUT: dict[LraTask, str] = {
    "text": """\
Say of a text whether it praises or blames. A row is the text's first bytes, each as its value plus 1; there are 257 ids
and 2 classes.""",
    "listops": """\
Compute the value, a digit, of a nested expression of MIN, MAX, MED (the median, cut to a whole number) and SM (the sum
modulo 10), such as `[MAX 4 3 [MIN 2 3 ] 1 ]`. A row is the expression's tokens: digits, four operators that open, and
one that closes; there are 17 ids and 10 classes. At the benchmark's size always the most frequent class is right in
16.6 % of rows, knowing the outermost operator alone in 37.0 %, one level of the expression exactly in 57.5 %, and two
levels in 73.3 %: what is above has read the hierarchy.""",
    "retrieval": """\
Say of two documents whether they belong together (in the benchmark: one paper cites the other). A document is its first
bytes, each as its value plus 1; there are 257 ids and 2 classes. Each document is encoded without the other.""",
}
_SINGLE = """\
`model.py` must define `class CustomEncoder(flax.linen.Module)` with
`__call__(self, inputs, *, train: bool)`, from `inputs` int32 `[B, L]` to logits float `[B, num_classes]`."""
_DUAL = """\
`model.py` must define `class CustomDualEncoder(flax.linen.Module)` with two methods:
- `encode(self, inputs, *, train: bool)`, from `inputs` int32 `[B, L]` to encodings `[B, d]`, `d` at most 4 x `emb_dim`;
- `classify(self, encoded1, encoded2, *, train: bool)`, from the encodings of both documents to logits float
  `[B, num_classes]`.

They are called apart, so that there can be no attention from one document to the other: to be scored, documents are
encoded where those that they are compared with are not, and classified where no documents are."""
_LAW = """\
## What is given
Sizes, training and data are given; you decide about the model alone. Constants in your file change nothing. `L` is the
length of a row; fields of your class are set to the values below."""
_CONFIGURABLE = """\
## What may be configured
Constants at the top of the file, each a plain number (`LR = 1e-3`), are read from its text, without running it; what
you do not set is as in the table of sizes below. The product of batch size, length and steps may be at most
{most} times that of your run's size, and the length at most that of its rows. The seed is not yours to choose.

| constant | sets | from | to |
|---|---|---|---|
{rows}

## Sizes
`L` is the length of a row; fields of your class are set to these values."""


def folder_name(task: LraTask, configurable: bool) -> str:
    """The name of a task's folder."""
    return f"LongContextReasoningLRA{_NAMES[task]}{'Configurable' if configurable else ''}Accuracy"


def description(task: LraTask, configurable: bool) -> str:
    """The text of a folder's project_description.md."""
    return Template(_TEXT.read_text(encoding="utf-8")).substitute(
        about=_ABOUT[task],
        interface=_DUAL if task == "retrieval" else _SINGLE,
        given=_CONFIGURABLE.format(most=MOST_WORK, rows=_bounds(task)) if configurable else _LAW,
        sizes=_sizes(task),
        example=baseline_path("linear").read_text(encoding="utf-8").strip(),
    )


def _bounds(task: LraTask) -> str:
    rows = []
    for key, (least, most) in BOUNDS[task].items():
        names = " or ".join(f"`{name}`" for name, sets in VARIABLES.items() if sets == key)
        rows.append(f"| {names} | {key.replace('_', ' ')} | {least:g} | {most:g} |")
    return "\n".join(rows)


def _sizes(task: LraTask) -> str:
    laws = {size: law(task, size) for size in SIZES}
    lines = [f"| | {' | '.join(SIZES)} |", f"|---|{'---|' * len(SIZES)}"]
    lines.append(f"| rows: train | {' | '.join(f'{size_of(task, size).train:,}' for size in SIZES)} |")
    for key in vars(laws["paper"]):
        if key != "random_seed":
            values = " | ".join(f"{getattr(each, key):g}" for each in laws.values())
            lines.append(f"| {key.replace('_', ' ')} | {values} |")
    return "\n".join(lines)
