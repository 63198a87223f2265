"""What there is to know about one kind of layer, and the registry of all kinds.

Costs are functions of a `Scale`, so that this package needs no PyTorch; the layer's module is named, and imported where
a model is built. Memory is counted in values, which the caller turns into bytes.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from aira_lib.architecture.scales import Scale
from aira_lib.errors import UserError
from aira_lib.identity import owner
from aira_lib.registry import Registry

PAPER_PRIMITIVES = ("A", "M", "Mb")
"""Those of the paper. Records and tables list them always, others where a design has them."""

Module = str | Callable[..., Any]
"""``"package.module:Class"``, or a callable. Called with a Scale and `kernel` ("auto" or "torch", see
`aira_lib.models.scan`), it returns an nn.Module that maps [batch, length, d_model] to the same shape; no position may
see a later one. Its attribute `output_projection` names its last Linear, whose initial weights shrink with depth, or is
None. For masked documents see `Primitive.documents`. For decoding, a module that mixes positions has a method `extend`:
of the next positions [batch, new, d_model] and its own state, None at the beginning, it returns their outputs and the
next state."""


def nothing(scale: Scale) -> int:
    """The memory of a layer that keeps none."""
    return 0


def no_cache(scale: Scale, context: int) -> int:
    """The cache of a layer that keeps no keys and values."""
    return 0


def untold(scale: Scale) -> str:
    """What a task says of the dimensions of a layer that has none of its own."""
    return ""


@dataclass(frozen=True)
class Primitive:
    """One kind of layer.

    Attributes:
        symbol: How patterns and records write it: a capital letter, small ones after it.
        name: In a legend, such as "attention".
        words: In a prompt: what such a layer does.
        colour: Of its boxes, as ``#rrggbb``.
        ink: Of letters on that colour.
        params: Parameters of a layer without its RMSNorm.
        flops: Training FLOPs a token of a layer, forward and backward: 6 for each weight of a matrix product.
        causal_flops: The same where nothing is computed that causality hides; None: no less than `flops`.
        module: What builds the layer.
        mixes: Whether a position's output depends on other positions.
        documents: Whether its module's forward pass takes `documents` (`aira_lib.models.masks.Documents`), between
            which nothing may pass. What does not mix needs none.
        spellings: Other ways to write it in a pattern.
        cache_values: Keys and values that a layer holds at inference, of a Scale and the tokens of one sequence.
        state_values: What a layer holds of one sequence whatever its length.
        wide_params: Of the parameters those that stay fp32 in a model that is turned to a narrower type.
        wide_state_values: The same of the state.
        dimensions: What a task's description says of its dimensions, such as "Mamba-2 state 128"; empty: nothing.
        cpu_flops_per_second: Of one CPU thread inside such layers, for estimates of time.
        cpu_seconds_per_layer_step: The fixed cost of a layer in a training step on a CPU.
        version: Of its code. Not 1, it is part of the keys of records with such layers: raise it with each change that
            changes results (the versions of `aira_lib.identity` are of what lies in this package, and nothing outside).
    """

    symbol: str
    name: str
    words: str
    colour: str
    ink: str
    params: Callable[[Scale], int]
    flops: Callable[[Scale], int]
    module: Module
    causal_flops: Callable[[Scale], int] | None = None
    mixes: bool = True
    documents: bool = False
    spellings: tuple[str, ...] = ()
    cache_values: Callable[[Scale, int], int] = no_cache
    state_values: Callable[[Scale], int] = nothing
    wide_params: Callable[[Scale], int] = nothing
    wide_state_values: Callable[[Scale], int] = nothing
    dimensions: Callable[[Scale], str] = untold
    cpu_flops_per_second: float = 9e10
    cpu_seconds_per_layer_step: float = 1.5e-3
    version: int = 1

    def true_flops(self, scale: Scale) -> int:
        """Training FLOPs a token of a layer whose kernel computes nothing that causality hides."""
        return (self.causal_flops or self.flops)(scale)

    @property
    def written(self) -> tuple[str, ...]:
        """All ways to write it in a pattern, the symbol first."""
        return (self.symbol, *self.spellings)


class Primitives(Registry[Primitive]):
    """Primitives by their symbols."""

    def __init__(self) -> None:
        super().__init__("primitive")

    @property
    def size(self) -> int:
        """How many there are by now. No module from outside is loaded for it: it tells readers that there are more."""
        return len(self._entries)

    def words(self) -> dict[str, str]:
        """Symbols by all ways to write them, of those there are by now."""
        return {written: primitive.symbol for primitive in self._entries.values() for written in primitive.written}

    def misspelt(self) -> dict[str, str]:
        """What was meant by words that are right but for small and capital letters."""
        right = self.words()
        cases = {"".join(letters): word for word in reversed(right) for letters in product(*map(_cases, word))}
        return {word: meant for word, meant in cases.items() if word not in right}

    def known(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """The paper's three and those among `symbols` (others are ignored), in the order of the registry."""
        shown = {*PAPER_PRIMITIVES, *symbols}
        return tuple(symbol for symbol in self if symbol in shown)

    def require_documents(self, symbols: Iterable[str]) -> None:
        """Refuse layers that cannot keep packed documents apart.

        Raises:
            UserError: the first such primitive among the symbols.
        """
        for primitive in map(self.named, symbols):
            if primitive.mixes and not primitive.documents:
                raise UserError(
                    f"primitive {primitive.symbol!r} does not keep documents apart: let them attend across, leave it "
                    "out, or have its module take `documents` and say so by Primitive(documents=True)"
                )

    def in_key(self, symbols: Iterable[str]) -> dict[str, dict[str, int | str]]:
        """What a key holds of the code of some symbols: versions that are not the first, and whose a layer is.

        Two people may call layers of their own alike, and share a store of evaluations.
        """
        chosen = [self.named(symbol) for symbol in sorted(set(symbols))]
        later: dict[str, int | str] = {each.symbol: each.version for each in chosen if each.version != 1}
        own: dict[str, int | str] = {each.symbol: code for each in chosen if (code := owner(each.module))}
        return ({"primitive_versions": later} if later else {}) | ({"primitive_modules": own} if own else {})


def _cases(letter: str) -> tuple[str, str]:
    return letter.lower(), letter.upper()


PRIMITIVES = Primitives()


def add_primitive(primitive: Primitive) -> Primitive:
    """Add a kind of layer; from then on every part knows it.

    Raises:
        UserError: its symbol or a spelling is malformed or taken, a colour is none, or a word would read as several.
    """
    name, taken = f"primitive {primitive.symbol!r}", PRIMITIVES.words()
    if not re.fullmatch(r"[A-Z][a-z]*", primitive.symbol):
        raise UserError(f"{name}: a symbol is a capital letter, with small ones after it if need be")
    for word in primitive.written:
        if not re.fullmatch(r"[A-Za-z]+", word):
            raise UserError(f"{name}: the spelling {word!r} is no word of letters")
        if word in taken:
            raise UserError(f"{name}: {word!r} is taken by {taken[word]}; choose another")
    for colour in (primitive.colour, primitive.ink):
        if not re.fullmatch(r"#[0-9a-f]{6}", colour):
            raise UserError(f"{name}: a colour is written as #rrggbb in small letters, not {colour!r}")
    _refuse_sequences(name, {*taken, *primitive.written})
    return PRIMITIVES.add(primitive.symbol, primitive)


def _refuse_sequences(name: str, words: set[str]) -> None:
    """Refuse words of which one is others in a row: a pattern needs no separators, so it would read in two ways."""
    for word in words:
        others = "|".join(words - {word})
        if others and re.fullmatch(f"(?:{others})+", word):
            raise UserError(f"{name}: the word {word!r} would be others in a row, too; choose another")
