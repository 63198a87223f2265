"""The designs among which a baseline chooses: all, or those that share their first and last layers."""

import itertools
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from aira_lib.agents.moves import Layers, Rng

_LISTED = 4_096  # spaces up to this size are listed, larger ones sampled
_DRAWS = 10_000


@dataclass(frozen=True)
class Space:
    """Designs between a settled `prefix` and `suffix`: a word of `searched` layers, repeated over all between them."""

    primitives: tuple[str, ...]
    n_layers: int
    searched: int
    prefix: Layers = ()
    suffix: Layers = ()

    @property
    def undecided(self) -> int:
        """The layers between prefix and suffix."""
        return self.n_layers - len(self.prefix) - len(self.suffix)

    @property
    def size(self) -> int:
        """How many designs there are."""
        return int(len(self.primitives) ** self.searched)

    def design(self, word: Layers) -> Layers:
        """The design of a word."""
        times = -(-self.undecided // max(1, len(word)))
        return (*self.prefix, *(word * times)[: self.undecided], *self.suffix)

    def word(self, design: Layers) -> Layers | None:
        """The word of a design; None where the design is not in this space."""
        start = len(self.prefix)
        word = design[start : start + self.searched]
        return word if len(design) == self.n_layers and self.design(word) == design else None

    def neighbours(self, word: Layers) -> Iterator[Layers]:
        """The words that differ in one layer."""
        for i, layer in enumerate(word):
            for primitive in self.primitives:
                if primitive != layer:
                    yield (*word[:i], primitive, *word[i + 1 :])

    def everything(self) -> Iterator[Layers]:
        """All words."""
        return itertools.product(self.primitives, repeat=self.searched)

    def draw(self, rng: Rng) -> Layers:
        """A word, uniformly."""
        picked = rng.integers(len(self.primitives), size=self.searched)
        return tuple(self.primitives[int(i)] for i in picked)

    def fresh(self, tried: Container[Layers], rng: Rng) -> Layers | None:
        """A word, uniformly among those whose designs have not been tried; None if there is none."""
        if self.size <= _LISTED:
            untried = [word for word in self.everything() if self.design(word) not in tried]
            return untried[int(rng.integers(len(untried)))] if untried else None
        words = (self.draw(rng) for _ in range(_DRAWS))
        return next((word for word in words if self.design(word) not in tried), None)


def whole(primitives: Sequence[str], n_layers: int) -> Space:
    """All designs of some layers."""
    return Space(tuple(primitives), n_layers, n_layers)
