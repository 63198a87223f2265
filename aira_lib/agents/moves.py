"""How the embedded agent makes designs: priors to start from, and moves from one design to another.

A move takes layers and returns other layers of the same length. All are total for every length of at least one.
"""

from collections.abc import Callable, Sequence

import numpy as np

from aira_lib.architecture.primitives import PRIMITIVES

Layers = tuple[str, ...]
Rng = np.random.Generator

_MLP = "M"  # stands for what does not mix, where the primitives have none; `draft` puts one of them in its place


def mixers_of(primitives: Sequence[str]) -> list[str]:
    """The primitives that move information between positions."""
    return [primitive for primitive in primitives if PRIMITIVES.named(primitive).mixes] or list(primitives)


def _feed_forward(primitives: Sequence[str], rng: Rng) -> str:
    """A primitive that transforms every position alone."""
    found = [primitive for primitive in primitives if not PRIMITIVES.named(primitive).mixes]
    return _pick(found, rng) if len(found) > 1 else found[0] if found else _MLP


def _pick(options: Sequence[str], rng: Rng) -> str:
    return options[int(rng.integers(len(options)))]


def _cut(motif: Sequence[str], n: int) -> Layers:
    return tuple(motif[i % len(motif)] for i in range(n))


def _alternating(n: int, primitives: Sequence[str], rng: Rng) -> Layers:
    mixers = [str(mixer) for mixer in rng.permutation(mixers_of(primitives))]
    mlp = _feed_forward(primitives, rng)
    return _cut([layer for mixer in mixers for layer in (mixer, mlp)], n)


def _two_to_one(n: int, primitives: Sequence[str], rng: Rng) -> Layers:
    mixers = mixers_of(primitives)
    return _cut([_pick(mixers, rng), _pick(mixers, rng), _feed_forward(primitives, rng)], n)


def _front_loaded(n: int, primitives: Sequence[str], rng: Rng) -> Layers:
    mixers = mixers_of(primitives)
    front = int(rng.integers(n // 4, n // 2 + 1))
    return (*_cut([_pick(mixers, rng)], front), *_cut([_feed_forward(primitives, rng), _pick(mixers, rng)], n - front))


def _mlp_tail(n: int, primitives: Sequence[str], rng: Rng) -> Layers:
    tail = int(rng.integers(n // 8, n // 3 + 1))
    return (*_alternating(n - tail, primitives, rng), *_cut([_feed_forward(primitives, rng)], tail))


def _sandwich(n: int, primitives: Sequence[str], rng: Rng) -> Layers:
    mixers = mixers_of(primitives)
    edge = int(rng.integers(0, n // 4 + 1))
    middle = _alternating(n - 2 * edge, primitives, rng)
    return (*_cut([_pick(mixers, rng)], edge), *middle, *_cut([_feed_forward(primitives, rng)], edge))


def _sparse(n: int, primitives: Sequence[str], rng: Rng) -> Layers:
    mixers = [str(mixer) for mixer in rng.permutation(mixers_of(primitives))]
    period, mlp = int(rng.integers(3, 6)), _feed_forward(primitives, rng)
    return tuple(
        mixers[-1] if i % (2 * period) == period else mlp if i % 2 else mixers[0]
        for i in range(n)
    )  # fmt: skip


PRIORS: dict[str, Callable[[int, Sequence[str], Rng], Layers]] = {
    "mixers and MLPs in turn, as in Transformers": _alternating,
    "two mixers to each MLP": _two_to_one,
    "mixers in front, MLPs between them later": _front_loaded,
    "alternating layers with a tail of MLPs": _mlp_tail,
    "a sandwich: mixers, alternating layers, MLPs": _sandwich,
    "one kind of mixer with a few layers of another, as in hybrids": _sparse,
}


def _substitute(layers: Layers, primitives: Sequence[str], rng: Rng) -> tuple[Layers, str]:
    i = int(rng.integers(len(layers)))
    others = [primitive for primitive in primitives if primitive != layers[i]] or [layers[i]]
    new = _pick(others, rng)
    return (*layers[:i], new, *layers[i + 1 :]), f"layer {i + 1} from {layers[i]} to {new}"


def _swap(layers: Layers, primitives: Sequence[str], rng: Rng) -> tuple[Layers, str]:
    i, j = (int(k) for k in rng.integers(len(layers), size=2))
    new = list(layers)
    new[i], new[j] = new[j], new[i]
    return tuple(new), f"layers {i + 1} and {j + 1} swapped"


def _segment(layers: Layers, rng: Rng) -> tuple[int, int]:
    i = int(rng.integers(len(layers)))
    return i, min(len(layers), i + 1 + int(rng.integers(1, max(2, len(layers) // 3) + 1)))


def _move_run(layers: Layers, primitives: Sequence[str], rng: Rng) -> tuple[Layers, str]:
    i, j = _segment(layers, rng)
    rest = layers[:i] + layers[j:]
    k = int(rng.integers(len(rest) + 1))
    return (*rest[:k], *layers[i:j], *rest[k:]), f"layers {i + 1} to {j} moved to place {k + 1}"


def _duplicate(layers: Layers, primitives: Sequence[str], rng: Rng) -> tuple[Layers, str]:
    i, j = _segment(layers, rng)
    new = (*layers[:j], *layers[i:j], *layers[j:])[: len(layers)]
    return new, f"the motif of layers {i + 1} to {j} repeated"


def _mirror(layers: Layers, primitives: Sequence[str], rng: Rng) -> tuple[Layers, str]:
    i, j = _segment(layers, rng)
    return (*layers[:i], *reversed(layers[i:j]), *layers[j:]), f"layers {i + 1} to {j} mirrored"


_MUTATIONS = (_substitute, _swap, _move_run, _duplicate, _mirror)
_WEIGHTS = (0.5, 0.2, 0.1, 0.1, 0.1)


def mutate(layers: Layers, primitives: Sequence[str], rng: Rng) -> tuple[Layers, str]:
    """Change a design a little: one or, seldom, several moves. Returns the layers and the moves in words."""
    told = []
    for _ in range(min(len(layers), int(rng.geometric(0.65)))):
        layers, move = _MUTATIONS[int(rng.choice(len(_MUTATIONS), p=_WEIGHTS))](layers, primitives, rng)
        told.append(move)
    return layers, ", ".join(told)


def cross(first: Layers, second: Layers, rng: Rng) -> tuple[Layers, str]:
    """Two-point crossover of designs of the same length: a segment of the second within the first."""
    i, j = sorted(int(k) for k in rng.integers(len(first) + 1, size=2))
    return (*first[:i], *second[i:j], *first[j:]), f"layers {i + 1} to {j} of another good design put into it"


def draft(n: int, primitives: Sequence[str], rng: Rng) -> tuple[Layers, str]:
    """A design from a prior of the literature, with a little variation."""
    name = list(PRIORS)[int(rng.integers(len(PRIORS)))]
    layers = tuple(
        layer if layer in primitives else _pick(primitives, rng) for layer in PRIORS[name](n, primitives, rng)
    )
    for _ in range(int(rng.integers(3))):
        layers, _told = _substitute(layers, primitives, rng)
    return layers, name
