"""Rows with several sides, such as pairs of documents: each side is encoded where the others of its row are not.

Every side of a row goes to another process, chosen at random, and there it stands among those of other rows in an order
drawn at random: a process that encodes cannot know what a side is compared with. The process that predicts sees
encodings alone, of bounded width. What a width holds may still be a whole text, written into the bits of its numbers:
no bound that leaves a model room prevents that.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from aira_lib.tasks.programs.arrays import Arrays, rows_in

Encode = Callable[[NDArray[np.generic]], NDArray[np.floating]]
"""One process: sides [m, ...] to their encodings [m, d], in their order."""


class WidthError(Exception):
    """Processes gave encodings of different widths; the text is one line."""


def encoded(sides: Arrays, encode: Encode, rng: np.random.Generator, apart: bool = True) -> Arrays:
    """The encodings of all sides of rows, by the names of their files.

    Args:
        sides: By file, arrays of one shape and dtype [n, ...].
        encode: Asks a new process each time.
        rng: Nobody can foretell it who runs in such a process.
        apart: Whether no process sees two sides of a row; else there is one for all, which is cheaper: whoever is
            asked both ways answers otherwise if it looks from one side to the other.

    Raises:
        WidthError: encodings differ in width from process to process.
    """
    arrays, found = list(sides.values()), dict[str, NDArray[np.floating]]()
    for places in _processes(rows_in(sides), len(sides), rng, apart):
        rows, side = np.divmod(places, len(sides))
        asked = np.empty((len(places), *arrays[0].shape[1:]), arrays[0].dtype)
        for number, array in enumerate(arrays):
            asked[side == number] = array[rows[side == number]]
        made = encode(asked)
        for number, (name, array) in enumerate(sides.items()):
            kept = found.setdefault(name, np.empty((len(array), made.shape[1]), made.dtype))
            if made.shape[1] != kept.shape[1]:
                raise WidthError(f"encodings have {kept.shape[1]} numbers of some rows and {made.shape[1]} of others")
            found[name] = kept = kept.astype(
                np.result_type(kept, made), copy=False
            )  # float64 where one process says so
            kept[rows[side == number]] = made[side == number]
    return found


def _processes(rows: int, sides: int, rng: np.random.Generator, apart: bool) -> Iterator[NDArray[np.int64]]:
    """For each process the places that it is asked for, of rows times sides, in the order of asking."""
    if not apart:
        yield rng.permutation(rows * sides)
        return
    turns = rng.permuted(np.tile(np.arange(sides), (rows, 1)), axis=1)  # which side of each row a process gets
    for turn in range(sides):
        yield rng.permutation(np.arange(rows) * sides + turns[:, turn])
