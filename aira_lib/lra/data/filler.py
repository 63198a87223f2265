"""Words without meaning around what counts, so that a text is long."""

from collections.abc import Sequence
from random import Random

_SHORTEST = 0.6


def filled(items: Sequence[str], words: Sequence[str], longest: int, random: Random) -> list[str]:
    """The items in their order, drawn words before, between and behind them.

    Joined by one character each, they are `longest` bytes at most, if the items alone are, and mostly at least six
    tenths of it.
    """
    room = random.randint(int(_SHORTEST * longest), longest) + 1 - sum(len(item) + 1 for item in items)
    between: list[str] = []
    for word in random.choices(words, k=max(0, room) // 2):
        room -= len(word) + 1
        if room < 0:
            break
        between.append(word)
    total = len(items) + len(between)
    places = set(random.sample(range(total), len(items)))
    of_items, of_words = iter(items), iter(between)
    return [next(of_items) if place in places else next(of_words) for place in range(total)]
