"""`shared-record`: pairs of documents that agree in one line or do not, generated in the place of AAN.

Each document has the same keys, in an order of its own, each with a value: `key = value` in lines of filler. Two
documents of a pair have the values of some keys in common. The class is 1 where that of one fixed key, `seal`, is among
them. Each document alone is drawn alike. At the size paper pairs of both classes have equally many values in common: so
whoever counts common words or lines gets 50 %, and whoever remembers one value exactly, 100 %. Small models learn
nothing of that within minutes; so below it the other keys agree by chance, and pairs of class 1 have one value more in
common on average, of which counting tells something. What it tells is measured.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random

from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.filler import filled
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import Size

SECRET = "seal"
_KEYS = (
    SECRET, "port", "hue", "ward", "crop", "gate", "lane", "mill", "bell", "ship", "ford", "vale", "tree", "tune",
    "coin", "wind", "herb", "rank", "road", "star", "tool", "clan", "bird", "fort",
)  # fmt: skip
_VALUES = tuple("ABCDEFGHIJKLMNOP")  # one byte each, which nothing else has
_FILLER = (
    "we", "note", "here", "that", "these", "entries", "were", "kept", "with", "care", "and", "read", "again", "by",
    "each", "who", "came", "after", "them",
)  # fmt: skip
STAND_IN = "documents that share values of keys (shared-record)"


@dataclass(frozen=True)
class SharedRecord:
    """What a document has.

    Attributes:
        keys: lines with a key; at most 24.
        values: that a key may have; at most 16.
        shared: keys that have one value in both documents of a pair.
        matched: whether pairs of both classes have equally many of these; else each key but the secret one has its
            value in common by chance, the same for both classes, so that common words tell something.
    """

    keys: int
    values: int
    shared: int
    matched: bool


SETTINGS = {
    "paper": SharedRecord(24, 16, 8, matched=True),
    "laptop": SharedRecord(4, 16, 2, matched=False),
    "smoke": SharedRecord(3, 8, 2, matched=False),
}


def generate(size: Size, seed: int, settings: SharedRecord) -> Rows:
    """Draw distinct pairs, half of each class, and measure the ceilings on the test."""
    random = Random(f"shared-record {seed}")
    wanted = size.train + size.validation + size.test
    found: dict[Row, None] = {}
    while len(found) < wanted:
        found[_draw(random, settings, size.max_len)] = None
    rows = list(found)
    train, validation = rows[: size.train], rows[size.train : size.train + size.validation]
    test = rows[size.train + size.validation :]
    ceilings = [_common_lines(train, test), _memory(test)]
    return Rows(train, validation, test, asdict(settings), ceilings)


def _draw(random: Random, settings: SharedRecord, longest: int) -> Row:
    keys, values = _KEYS[: settings.keys], _VALUES[: settings.values]
    label = int(random.random() < 0.5)
    others = _others(random, keys[1:], settings, label)
    shared = {*others, SECRET} if label else set(others)
    one = {key: random.choice(values) for key in keys}
    # Of the values that differ each is as likely, so that the second document alone is drawn as the first.
    other = {
        key: value if key in shared else values[(values.index(value) + random.randrange(1, len(values))) % len(values)]
        for key, value in one.items()
    }
    return Row((_text(one, longest, random), _text(other, longest, random)), label)


def _others(random: Random, keys: Sequence[str], settings: SharedRecord, label: int) -> list[str]:
    """The keys beside the secret one whose values agree."""
    if settings.matched:
        return random.sample(keys, settings.shared - label)
    return [key for key in keys if random.random() < (settings.shared - 1) / len(keys)]


def _text(record: dict[str, str], longest: int, random: Random) -> bytes:
    lines = [f"{key} = {value}" for key, value in record.items()]
    random.shuffle(lines)
    text = ""
    ended = True
    for piece in filled(lines, _FILLER, longest, random):
        line = "=" in piece
        text += ("" if not text else "\n" if line or ended else " ") + piece
        ended = line
    return text.encode()


def values_of(text: bytes) -> dict[bytes, bytes]:
    """What a document says: the value of each key."""
    lines = (line.split(b" = ") for line in text.split(b"\n"))
    return {pair[0]: pair[1] for pair in lines if len(pair) == 2}


def _memory(test: Sequence[Row]) -> Ceiling:
    right = 0
    for row in test:
        one, other = (values_of(text)[SECRET.encode()] for text in row.texts)
        right += (one == other) == bool(row.label)
    return Ceiling(name="value of the key", accuracy=right / len(test), examples=len(test))


def _common_lines(train: Sequence[Row], test: Sequence[Row]) -> Ceiling:
    """The class that is most frequent in training among pairs with as many lines in common."""
    counts: dict[int, Counter[int]] = {}
    for row in train:
        counts.setdefault(_in_common(row), Counter())[row.label] += 1
    answers = {number: int(found[1] > found[0]) for number, found in counts.items()}
    right = sum(answers.get(_in_common(row), 1) == row.label for row in test)
    return Ceiling(name="number of common lines", accuracy=right / len(test), examples=len(test))


def _in_common(row: Row) -> int:
    one, other = (values_of(text).items() for text in row.texts)
    return len(one & other)
