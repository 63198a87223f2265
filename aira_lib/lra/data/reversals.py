"""`reversals`: texts whose mood only a reading of the whole finds, generated in the place of IMDB.

An odd number of words that praise or blame stand in filler, each as it is or behind "NOT"; every "CONVERSELY" turns
what all words behind it mean, until the next. Capitals have these alone, so that single bytes lead to them. The class
is 1 where praise prevails. Ceilings, by the definition and measured on each test:

- with an odd number of turns, reading all words and all "NOT" but no order gets 50 %: the text with its order reversed
  holds the same words, and its mood is the opposite. So a bag of words gets 50 % too. (With two turns 62 %.)
- the first quarter gets about two thirds; all of it 100 %.

Dials: how many words, how many turns, how many "NOT", how much filler. Where half of the words are negated and the
turns are always odd, as at the size paper, nothing short of the whole is of use, and small models learn nothing within
minutes. So below it fewer words are negated and most texts have no turn: then a bag of words, reading of "NOT" and
reading of turns are rungs one above the other, which the measured ceilings show.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random

from aira_lib.lra.data.ceilings import Ceiling
from aira_lib.lra.data.filler import filled
from aira_lib.lra.data.rows import Row, Rows
from aira_lib.lra.data.sizes import Size

_PRAISE = ("GOOD", "FINE", "GREAT", "LOVELY", "SUPERB", "BRILLIANT", "CHARMING", "MOVING", "CLEVER", "FRESH")
_BLAME = ("BAD", "POOR", "AWFUL", "DULL", "DREADFUL", "CLUMSY", "BORING", "HOLLOW", "STALE", "WEAK")
_NOT, _TURN = "NOT", "CONVERSELY"
_FILLER = (
    "the", "film", "a", "scene", "of", "and", "with", "in", "plot", "actor", "camera", "music", "story", "that", "this",
    "was", "when", "then", "later", "it", "on", "for", "as", "by", "from", "hour", "light", "street", "house", "door",
    "river", "train", "letter", "winter", "morning", "city", "voice", "window", "garden", "table", "coat", "night",
)  # fmt: skip
_SIGN = {**dict.fromkeys(_PRAISE, 1), **dict.fromkeys(_BLAME, -1)}
STAND_IN = "texts whose mood words are turned by what precedes them (reversals)"


@dataclass(frozen=True)
class Reversals:
    """What a text has.

    Attributes:
        cues: words that praise or blame, an odd number.
        turns: how often their meaning is turned, in a text where it is.
        turned: share of texts where it is.
        negated: share of cues behind "NOT".
    """

    cues: int
    turns: int
    turned: float
    negated: float


SETTINGS = {
    "paper": Reversals(15, 3, 1.0, 0.5),
    "laptop": Reversals(9, 1, 1 / 3, 0.2),
    "smoke": Reversals(3, 1, 1 / 3, 0.2),
}


def generate(size: Size, seed: int, settings: Reversals) -> Rows:
    """Draw distinct texts of at most `size.max_len` bytes, and measure the ceilings on the test."""
    random = Random(f"reversals {seed}")
    wanted = size.train + size.validation + size.test
    texts: dict[str, None] = {}
    while len(texts) < wanted:
        texts[_draw(random, settings, size.max_len)] = None
    rows = [Row((text.encode(),), int(mood(text.split()) > 0)) for text in texts]
    train, validation = rows[: size.train], rows[size.train : size.train + size.validation]
    test = rows[size.train + size.validation :]
    return Rows(train, validation, test, asdict(settings), _ceilings(test))


def _draw(random: Random, settings: Reversals, longest: int) -> str:
    items = [_TURN] * (settings.turns if random.random() < settings.turned else 0)
    for _ in range(settings.cues):
        cue = random.choice(random.choice((_PRAISE, _BLAME)))
        items.append(f"{_NOT} {cue}" if random.random() < settings.negated else cue)
    random.shuffle(items)
    return " ".join(filled(items, _FILLER, longest, random))


def mood(words: Sequence[str], turning: bool = True) -> int:
    """The sum of what the words mean, read from the first to the last; positive for praise.

    Args:
        words: of a text, or of a part of it.
        turning: whether "CONVERSELY" is heeded.
    """
    total, turned = 0, 1
    for before, word in zip(("", *words), words, strict=False):
        if word == _TURN and turning:
            turned = -turned
        total += turned * _SIGN.get(word, 0) * (-1 if before == _NOT else 1)
    return total


def _ceilings(test: Sequence[Row]) -> list[Ceiling]:
    read = [row.texts[0].decode() for row in test]
    answers = {
        "all words but no turns": [mood(text.split(), turning=False) for text in read],
        "first quarter": [mood(text[: len(text) // 4].split()) for text in read],
        "whole text": [mood(text.split()) for text in read],
    }
    return [
        Ceiling(
            name=name,
            accuracy=sum((value > 0) == bool(row.label) for value, row in zip(values, test, strict=True)) / len(test),
            examples=len(test),
        )
        for name, values in answers.items()
    ]
