"""The pattern language: layers as text, such as ``2(2(2A-M)-3(A-M)-4A)-2A``.

    pattern   = item, { [separator], item }
    item      = [count], ( primitive | "(", pattern, ")" )
    separator = "-" | "+"                 the paper's tables write the first, its text the second
    primitive = "A" | "mA" | "M" | "Mb" | "W" | ...   a way to write one of `aira_lib.architecture.primitives`
    count     = digits 0-9, at least 1

Case matters: ``m``, ``MB`` or ``ma`` are errors that name the spelling meant. White space may stand anywhere except
inside a primitive or a number. A count belongs to the one primitive or group after it, so a separator may be left out
(``2A5M``, ``(A-M)(M-A)``, ``A M A``; ``MA`` is an MLP, then attention); two in a row, or one at an end, are errors.

Not covered: what a layer costs (`cost`) and which designs are known (`reference`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.errors import PatternError

Layers = tuple[str, ...]

EXACT_LIMIT = 128
"""`render` searches for the shortest of all forms up to this many layers."""

_WORD = re.compile(r"[A-Za-z]+")
_MAX_DIGITS = 9
_WINDOW = 60


@dataclass(frozen=True)
class _Words:
    """What the registry says of the primitives' words, as a reader of many patterns wants it."""

    tokens: Callable[[str], list[str]]
    primitives: dict[str, str]
    symbols: frozenset[str]


@lru_cache(maxsize=1)
def _words(n_primitives: int) -> _Words:
    """Made once, and anew where the registry has grown; the first call also loads modules from outside."""
    symbols = frozenset(PRIMITIVES)
    words = PRIMITIVES.words()
    # Every character of a text belongs to one token, so a token's place is the length of those before it.
    longest_first = "|".join(sorted((word for word in words if len(word) > 1), key=len, reverse=True))
    letters = "".join(word for word in words if len(word) == 1)
    token = re.compile(rf"[0-9]+|{longest_first}|[{letters}]|[-+()]|\s+|.", re.DOTALL)
    return _Words(token.findall, words, symbols)


def parse(text: str, max_layers: int = 4096) -> Layers:
    """Read a pattern.

    Time and memory grow with the text and `max_layers`, never with the number of layers a text asks for; nesting may
    be as deep as the text is long.

    Raises:
        PatternError: with the text and a caret under the place; also for more than `max_layers` layers.
    """
    words = _words(PRIMITIVES.size)
    tokens, primitive_of = words.tokens(text), words.primitives.get
    layers: list[str] = []
    around: list[tuple[list[str], int, int]] = []  # of each open group: the layers before it, its count, its "("
    count = 0  # 0: none is waiting for its item
    total = 0  # layers of all open groups; the expansion has at least so many
    complete = False  # an item has just ended
    for index, token in enumerate(tokens):
        if primitive := primitive_of(token):
            total += count or 1
            if total > max_layers:
                raise _too_long(text, tokens, index, max_layers)
            if count:
                layers.extend([primitive] * count)
                count = 0
            else:
                layers.append(primitive)
            complete = True
        elif token in "-+":
            if not complete:
                raise _error(text, tokens, index, _missing(count, f"before {token!r}"))
            complete = False
        elif token == "(":
            around.append((layers, count or 1, index))
            layers, count, complete = [], 0, False
        elif token == ")":
            if not around or not complete:
                raise _error(text, tokens, index, _missing(count, "before ')'") if around else "no '(' for this ')'")
            before, times, opened = around.pop()
            total += (times - 1) * len(layers)
            if total > max_layers:
                raise _too_long(text, tokens, opened, max_layers)
            repeated = layers * times if times > 1 else layers
            layers = before + repeated if before else repeated
        elif "0" <= token[0] <= "9":
            if count or not token.strip("0"):
                raise _error(text, tokens, index, "two counts in a row" if count else "a count is at least 1")
            count = int(token) if len(token) <= _MAX_DIGITS else max_layers + 1
            complete = False
        elif not token.isspace():
            raise _unknown(text, tokens, index)
    if around:
        raise _error(text, tokens, around[-1][2], "no ')' for this '('")
    if not complete:
        empty = "the pattern is empty; write layers such as 2A-M"
        raise _error(text, tokens, len(tokens), _missing(count, "at the end") if text.strip() else empty)
    return tuple(layers)


def _missing(count: int, where: str) -> str:
    return f"a primitive ({', '.join(PRIMITIVES)}) or '(' is missing {where}" + (", after the count" if count else "")


def _too_long(text: str, tokens: list[str], index: int, max_layers: int) -> PatternError:
    counted = index > 0 and tokens[index - 1].isdecimal()
    return _error(text, tokens, index - counted, f"this makes more than {max_layers:,} layers")


def _unknown(text: str, tokens: list[str], index: int) -> PatternError:
    misspelt = PRIMITIVES.misspelt()
    for start in (max(0, index - 1), index):  # in "MB" the M alone was a primitive
        word = _WORD.match(text, len("".join(tokens[:start])))
        if word and (meant := misspelt.get(word[0])):
            return _error(text, tokens, start, f"unknown primitive {word[0]!r}; did you mean {meant!r}?")
    if word:
        reason = f"unknown primitive {word[0][:_WINDOW]!r}; primitives are {_listed()}"
        return _error(text, tokens, index, reason)
    return _error(text, tokens, index, f"{tokens[index]!r} does not belong in a pattern")


def _listed() -> str:
    """All primitives with their other spellings, such as ``A (or mA), M and Mb``."""
    written = [" (or ".join(p.written) + ")" * bool(p.spellings) for p in PRIMITIVES.entries()]
    return " and ".join([", ".join(written[:-1]), written[-1]])


def _error(text: str, tokens: list[str], index: int, reason: str) -> PatternError:
    """The error for a token: a line with the reason, the text around the place, and a caret under it."""
    place = len("".join(tokens[:index]))
    start = max(0, place - _WINDOW)
    end = min(len(text), place + _WINDOW)
    # What is not printable, tabs among it, would move the caret.
    shown = "".join(c if c.isprintable() else " " for c in text[start:end])
    left, right = "..." * (start > 0), "..." * (end < len(text))
    caret = " " * (len(left) + place - start) + "^"
    return PatternError(f"pattern, column {place + 1}: {reason}\n  {left}{shown}{right}\n  {caret}")


def render(layers: Sequence[str]) -> str:
    """Write layers in the canonical compact form: ``parse(render(layers)) == tuple(layers)``.

    Up to `EXACT_LIMIT` layers no text with a "-" between all items is shorter. Of equally short ones it is the one
    whose first item spans most layers, and so on from the left. Above, repeats of the whole (with a remainder) are
    found, then runs of one primitive; that takes linear time and may miss shorter forms.

    Raises:
        PatternError: no layers, or one that is no primitive.
    """
    layers = tuple(layers)
    if not layers:
        raise PatternError("pattern: there are no layers to write; a pattern has at least one")
    if unknown := set(layers).difference(_words(PRIMITIVES.size).symbols):
        raise PatternError(f"pattern: unknown primitive {min(unknown)!r}; primitives are {', '.join(PRIMITIVES)}")
    return _shortest(layers) if len(layers) <= EXACT_LIMIT else _short(layers)


@lru_cache(maxsize=16_384)
def _shortest(layers: Layers) -> str:
    """The shortest form by dynamic programming over intervals.

    ``length[i][j]`` is the number of characters of ``layers[i:j]``. Its form starts with an item that ends at some
    k <= j: one primitive, or a repeat of ``layers[i:i+period]``; ``first[i][j]`` remembers (k, period).
    """
    n = len(layers)
    length = [[0] * (n + 1) for _ in range(n + 1)]
    first: list[dict[int, tuple[int, int]]] = [{} for _ in range(n)]
    runs = _matching_runs(layers)
    length[n][n] = -1  # no "-" before nothing
    for i in reversed(range(n)):
        row = length[i]
        row[i] = -1
        periods = _periods_by_end(i, runs)
        items: list[tuple[int, int, int]] = []  # length, end and period of every item that starts here
        for j in range(i + 1, n + 1):
            if j == i + 1:
                items.append((len(layers[i]), j, 1))
            elif j in periods:
                items.append(min((_item_length(layers[i], row[i + p], p, (j - i) // p), j, p) for p in periods[j]))
            row[j], minus_end, period = min((size + 1 + length[k][j], -k, p) for size, k, p in items)
            first[i][j] = (-minus_end, period)
    return _write(layers, first, 0, n)


def _item_length(primitive: str, unit_length: int, period: int, times: int) -> int:
    return len(str(times)) + (len(primitive) if period == 1 else 2 + unit_length)


def _matching_runs(layers: Layers) -> list[list[int]]:
    """``runs[p][i]``: how many layers from i on equal the layer p further."""
    n = len(layers)
    runs = [[0] * (n + 1) for _ in range(n // 2 + 1)]
    for p in range(1, n // 2 + 1):
        for i in reversed(range(n - p)):
            runs[p][i] = runs[p][i + 1] + 1 if layers[i] == layers[i + p] else 0
    return runs


def _periods_by_end(start: int, runs: list[list[int]]) -> dict[int, list[int]]:
    """The repeats that start at a layer: for each end, the periods, shortest first."""
    periods: dict[int, list[int]] = {}
    for p in range(1, len(runs)):
        for times in range(2, runs[p][start] // p + 2):
            periods.setdefault(start + p * times, []).append(p)
    return periods


def _write(layers: Layers, first: list[dict[int, tuple[int, int]]], i: int, j: int) -> str:
    # Every level of recursion is a repeat inside a repeat: no deeper than log2 of the number of layers.
    items = []
    while i < j:
        end, period = first[i][j]
        times = (end - i) // period
        unit = layers[i] if period == 1 else f"({_write(layers, first, i, i + period)})"
        items.append(f"{times}{unit}" if times > 1 else unit)
        i = end
    return "-".join(items)


def _short(layers: Layers) -> str:
    period = _whole_period(layers)
    times = len(layers) // period
    if period == 1 or times == 1:
        runs = ((sum(1 for _ in run), primitive) for primitive, run in groupby(layers))
        return "-".join(f"{n}{primitive}" if n > 1 else primitive for n, primitive in runs)
    rest = layers[times * period :]
    return f"{times}({render(layers[:period])})" + (f"-{render(rest)}" if rest else "")


def _whole_period(layers: Layers) -> int:
    """The smallest p with every layer equal to the one p further (Knuth, Morris and Pratt's prefix function)."""
    border = [0] * len(layers)
    for i in range(1, len(layers)):
        k = border[i - 1]
        while k and layers[i] != layers[k]:
            k = border[k - 1]
        border[i] = k + (layers[i] == layers[k])
    return len(layers) - border[-1]


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """The fewest layers to insert, delete or replace that turn one design into the other (Levenshtein).

    A column of the table of distances is two integers, one bit a layer of `a`, for the steps of +1 and of -1 down
    the column (G. Myers, A fast bit-vector algorithm for approximate string matching, 1999).
    """
    if not a:
        return len(b)
    where: dict[str, int] = {}
    for i, layer in enumerate(a):
        where[layer] = where.get(layer, 0) | 1 << i
    full = (1 << len(a)) - 1
    last = 1 << (len(a) - 1)
    up, down, distance = full, 0, len(a)
    for layer in b:
        equal = where.get(layer, 0)
        diagonal = equal | down
        flat = (((equal & up) + up) ^ up) | equal
        right_up = down | ~(flat | up)
        right_down = up & flat
        distance += bool(right_up & last) - bool(right_down & last)
        right_up = right_up << 1 | 1
        up = (right_down << 1 | ~(diagonal | right_up)) & full
        down = right_up & diagonal & full
    return distance
