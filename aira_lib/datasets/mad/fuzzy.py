"""Fuzzy in-context recall: keys and values are motifs of one to three tokens.

A motif is an ordered draw of distinct tokens, of a size drawn uniformly from 1 to the largest; keys come from the lower
half of the vocabulary (without the pad, its last id), values from the upper half. Key-value pairs follow one another,
a key's value is drawn once a sequence. A probe pair is drawn first: it enters the body where a random offset falls,
unless its key came up before, and its key ends the sequence. Rows are padded on the left to `seq_len`. Answers are all
tokens of the values of keys that were shown before. In test rows every key has the largest size.

Like mad-lab's training, next-token targets include the pads. Two departures:
- mad-lab lists and shuffles every permutation of the vocabulary for each instance; motifs are drawn directly here.
- In mad-lab the random offset can lie behind the last pair, and the final probe then asks for a pair that was never
  shown. Here the last pair gives way to the probe, so that every answer can be known.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aira_lib.datasets.mad.task import IGNORE, Examples, MADTask, SplitName, Tokens, first_occurrence, next_token
from aira_lib.study import MADTaskName

PROBE = 0  # the column of `_Pairs` that holds the probe


@dataclass(frozen=True)
class FuzzyInContextRecall(MADTask):
    """Fuzzy in-context recall at mad-lab's baseline: 7 key tokens, 8 value tokens, motifs of up to three.

    Attributes:
        k_motif_size: largest number of tokens of a key.
        v_motif_size: largest number of tokens of a value.
    """

    name: ClassVar[MADTaskName] = "fuzzy-in-context-recall"

    k_motif_size: int = 3
    v_motif_size: int = 3

    def __post_init__(self) -> None:
        least = 1 + max(2 * self.k_motif_size, 2 * self.v_motif_size - 1)
        largest = self.k_motif_size + self.v_motif_size
        self._require(min(self.k_motif_size, self.v_motif_size) >= 1, "motif sizes must be at least 1")
        self._require(
            self.vocab_size >= least,
            f"vocab_size {self.vocab_size} is too small for motifs of distinct tokens: at least {least}",
        )
        self._require(
            self.seq_len > 2 * largest,
            f"seq_len {self.seq_len} is too short for two pairs of motifs: at least {2 * largest + 1}",
        )

    @property
    def pad(self) -> int:
        """The id that fills rows on the left."""
        return self.vocab_size - 1

    @property
    def n_keys(self) -> int:
        """Number of tokens that form keys: ids 0 to n_keys - 1. Those from n_keys to pad - 1 form values."""
        return self.pad // 2

    def draw(self, n: int, rng: np.random.Generator, split: SplitName) -> Examples:
        """Draw n instances."""
        shortest_key = self.k_motif_size if split == "test" else 1
        largest = self.k_motif_size + self.v_motif_size
        n_pairs = -(-(self.seq_len - (shortest_key + 1) - largest) // (shortest_key + 1))
        pairs = self._draw_pairs(n, n_pairs, shortest_key, rng)
        probe_size = pairs.sizes()[:, PROBE]
        body = self.seq_len - probe_size - largest  # no pair begins at or after this length
        offset = rng.integers(self.seq_len - 2 * probe_size)
        pairs = pairs.with_probe_at(offset, body)
        return next_token(*self._write(pairs, body), split)

    def _draw_pairs(self, n: int, n_pairs: int, shortest_key: int, rng: np.random.Generator) -> "_Pairs":
        shape = (n, 1 + n_pairs)
        return _Pairs(
            keys=_motifs(self.n_keys, self.k_motif_size, shape, rng),
            key_sizes=rng.integers(shortest_key, self.k_motif_size + 1, size=shape),
            values=self.n_keys + _motifs(self.pad - self.n_keys, self.v_motif_size, shape, rng),
            value_sizes=rng.integers(1, self.v_motif_size + 1, size=shape),
        )

    def _write(self, pairs: "_Pairs", body: Tokens) -> tuple[Tokens, Tokens]:
        """Lay the pairs out, the probe last, padded on the left; return tokens and answers [n, seq_len + 1]."""
        starts, ends = pairs.spans()
        used = starts < body[:, None]
        scored = pairs.shown_before()
        starts[:, PROBE] = np.where(used, ends, 0).max(axis=1)
        used[:, PROBE] = scored[:, PROBE] = True
        starts += self.seq_len + 1 - (starts + pairs.sizes())[:, [PROBE]]
        tokens = np.full((len(starts), self.seq_len + 1), self.pad)
        answers = np.full_like(tokens, IGNORE)
        for i in range(self.k_motif_size):
            row, column = np.nonzero(used & (i < pairs.key_sizes))
            tokens[row, starts[row, column] + i] = pairs.keys[row, column, i]
        starts += pairs.key_sizes
        for i in range(self.v_motif_size):
            row, column = np.nonzero(used & (i < pairs.value_sizes))
            place, token = starts[row, column] + i, pairs.values[row, column, i]
            tokens[row, place] = token
            answers[row, place] = np.where(scored[row, column], token, IGNORE)
        return tokens, answers


class _Pairs:
    """Key-value pairs of n sequences in the order in which they are shown, the probe in column 0.

    Motifs are int64 [n, S, largest size], of which the first `sizes` tokens count. Equal keys get the value of the
    first of them, which is how a value is drawn once a sequence; the probe comes before all.
    """

    def __init__(self, keys: Tokens, key_sizes: Tokens, values: Tokens, value_sizes: Tokens) -> None:
        self.keys, self.key_sizes = keys, key_sizes
        digits = np.where(np.arange(keys.shape[2]) < key_sizes[:, :, None], keys + 1, 0)
        self.first = first_occurrence(digits @ (int(keys.max()) + 2) ** np.arange(keys.shape[2]))
        self._drawn_values, self._drawn_value_sizes = values, value_sizes
        self.values = np.take_along_axis(values, self.first[:, :, None], axis=1)
        self.value_sizes = np.take_along_axis(value_sizes, self.first, axis=1)

    def sizes(self) -> Tokens:
        """Number of tokens of each pair [n, S]."""
        return self.key_sizes + self.value_sizes

    def spans(self) -> tuple[Tokens, Tokens]:
        """Where each pair begins and ends [n, S] when all but the probe follow one another from 0."""
        sizes = self.sizes()
        ends = np.cumsum(sizes, axis=1) - sizes[:, [PROBE]]
        return ends - sizes, ends

    def shown_before(self) -> NDArray[np.bool_]:
        """Which pairs [n, S] have a key that an earlier one showed; column 0 is not a pair that is shown."""
        is_probe = self.first == PROBE
        again = np.cumsum(is_probe, axis=1) > 2
        return np.where(is_probe, again, self.first != np.arange(self.first.shape[1]))

    def with_probe_at(self, offset: Tokens, body: Tokens) -> "_Pairs":
        """Replace by the probe the first pair at or after `offset`, or the last of the body, unless it was shown."""
        starts, ends = self.spans()
        due = (starts >= offset[:, None]) | (ends >= body[:, None])
        due[:, PROBE] = False
        place = due.argmax(axis=1)
        shown = (self.first == PROBE) & (np.arange(due.shape[1]) < place[:, None])
        rows = np.nonzero(shown.sum(axis=1) == 1)[0]  # the probe's own column is the one
        self.keys[rows, place[rows]] = self.keys[rows, PROBE]
        self.key_sizes[rows, place[rows]] = self.key_sizes[rows, PROBE]
        return _Pairs(self.keys, self.key_sizes, self._drawn_values, self._drawn_value_sizes)


def _motifs(n_tokens: int, size: int, shape: tuple[int, ...], rng: np.random.Generator) -> Tokens:
    """Uniform ordered draws of `size` distinct ids below `n_tokens` [*shape, size]; so is each prefix of one."""
    motifs = np.empty((*shape, size), np.int64)
    for i in range(size):
        rank = rng.integers(n_tokens - i, size=shape)
        for taken in np.moveaxis(np.sort(motifs[..., :i], axis=-1), -1, 0):
            rank += rank >= taken
        motifs[..., i] = rank
    return motifs
