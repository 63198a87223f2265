"""Time of reading 100,000 patterns, and its ratio to a plain recursive-descent parser without regular expressions.

Bound: 2 s on two cores. The patterns are the printed ones of the published designs, each with another count or
separator, and rendered random designs of 16 to 76 layers; no two are the same text.
"""

import random
import sys
import time
from collections.abc import Callable

from aira_lib.architecture.pattern import Layers, parse, render
from aira_lib.architecture.primitives import PAPER_PRIMITIVES
from aira_lib.architecture.reference import designs

N = 100_000
BOUND_SECONDS = 2.0


class Descent:
    """One method a rule of the grammar, one character at a time."""

    def __init__(self, text: str) -> None:
        self.text = "".join(text.split())
        self.at = 0

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self, expected: str) -> bool:
        if self.peek() == expected:
            self.at += 1
            return True
        return False

    def pattern(self) -> list[str]:
        layers = self.item()
        while self.peek() not in ("", ")"):
            if self.peek() in "-+":
                self.at += 1
            layers += self.item()
        return layers

    def item(self) -> list[str]:
        start = self.at
        while self.peek() and self.peek() in "0123456789":
            self.at += 1
        count = int(self.text[start : self.at] or 1)
        if self.take("("):
            inner = self.pattern()
            if not self.take(")"):
                raise ValueError(self.at)
            return inner * count
        return [self.primitive()] * count

    def primitive(self) -> str:
        if self.take("A"):
            return "A"
        if self.take("m") and self.take("A"):
            return "A"
        if self.take("M"):
            return "Mb" if self.take("b") else "M"
        raise ValueError(self.at)


def plain(text: str) -> Layers:
    return tuple(Descent(text).pattern())


def texts(n: int) -> list[str]:
    rng = random.Random(0)
    printed = [design.printed for design in designs()]
    found: dict[str, None] = {}
    while len(found) < n:
        if rng.random() < 0.5:
            number = rng.randint(1, 9)
            first, middle, last = (rng.choice(some) for some in (PAPER_PRIMITIVES, printed, PAPER_PRIMITIVES))
            text = f"{number}{first}-{middle}-{last}"
            found[text.replace("-", rng.choice(["-", "+", " + ", " - "]))] = None
        else:
            unit = [rng.choice(PAPER_PRIMITIVES) for _ in range(rng.randint(4, 16))]
            found[render((unit * 19)[: rng.randint(16, 76)])] = None
    return list(found)


def seconds(parser: Callable[[str], Layers], patterns: list[str]) -> float:
    start = time.perf_counter()
    for pattern in patterns:
        parser(pattern)
    return time.perf_counter() - start


def main() -> int:
    patterns = texts(N)
    assert all(parse(p) == plain(p) for p in patterns[:2000])
    ours = min(seconds(parse, patterns) for _ in range(3))
    theirs = min(seconds(plain, patterns) for _ in range(3))
    characters = sum(map(len, patterns)) / N
    print(f"parse {N:,} patterns ({characters:.0f} characters on average): {ours:.2f} s (bound {BOUND_SECONDS} s)")
    print(f"plain recursive descent: {theirs:.2f} s, ratio {theirs / ours:.1f}")
    return 0 if ours <= BOUND_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
