"""The archive in columns: what a million evaluated designs need to be ranked and voted on.

Layers are numbers, a byte each; a design's text is made from them where it is shown (`render` is canonical, so it is
the archive's own).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aira_lib.architecture.pattern import Layers, render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.errors import UserError
from aira_lib.records import ArchiveRow

RankBy = Literal["validation", "test"]
Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]

_BATCH = 1 << 16
_NONE = 255


# Compared and hashed by identity: a table is large and never changes.
@dataclass(frozen=True, eq=False)
class DesignTable:
    """Distinct evaluated designs of one length, with their fitness on one or several data sets."""

    codes: Codes
    """[n, layers], column-major: places in PRIMITIVES."""
    validation: Floats
    """[n]"""
    test: Floats
    """[n]; NaN where a design has no test fitness."""
    dataset: NDArray[np.int32]
    """[n]: places in `datasets`. A design evaluated on two data sets is two rows."""
    datasets: tuple[str, ...]
    """Sorted names."""
    lower_is_better: tuple[bool, ...]
    """Of each data set's fitness."""
    found_by: dict[str, NDArray[np.bool_]]
    """[n] by agent (all its seeds): whether it found the design. Empty when it was not read."""
    search: NDArray[np.int32]
    """[n]: the number of the search that found the design, the first by name of several; -1 when it was not read."""

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def from_parquet(cls, path: Path, agents: bool = True) -> "DesignTable":
        """Read an archive.

        Args:
            path: a file by `aira_lib.records.write_archive`.
            agents: also read who found each design; needed only where a study chooses by agent, and for the intervals
                of a Bayesian vote.

        Raises:
            UserError: the archive is empty, mixes lengths or directions, or has a layer that is no primitive.
        """
        import pyarrow.parquet as pq

        wanted = ["layers", "validation", "test", "dataset", "lower_is_better", *(["agents"] if agents else [])]
        held = [name for name in wanted if name in pq.read_schema(path).names]
        # As dictionaries, every distinct text is decoded once, not sixteen million times.
        texts = {"layers": "layers.list.element", "dataset": "dataset", "agents": "agents.list.element"}
        with pq.ParquetFile(path, read_dictionary=[texts[name] for name in held if name in texts]) as file:
            return _joined([_read(batch, path) for batch in file.iter_batches(_BATCH, columns=held)], path)

    @classmethod
    def from_rows(cls, rows: Sequence[ArchiveRow]) -> "DesignTable":
        """The same from records in memory, for small archives.

        Raises:
            UserError: as for `from_parquet`.
        """
        import pyarrow as pa

        path = Path("the archive")
        names = ("layers", "validation", "test", "dataset", "lower_is_better", "agents")
        columns = {name: [getattr(row, name) for row in rows] for name in names}
        columns["test"] = pa.array(columns["test"], pa.float64())
        return _joined([_read(pa.RecordBatch.from_pydict(columns), path)] if rows else [], path)

    def fitness(self, rank_by: RankBy) -> Floats:
        """[n]: validation or test fitness, as it was measured."""
        return self.validation if rank_by == "validation" else self.test

    def design(self, row: int) -> str:
        """The text of one design."""
        return render(layers_of(self.codes[row]))


def layers_of(codes: Iterable[int]) -> Layers:
    """Primitives by their places in PRIMITIVES."""
    symbols = PRIMITIVES.names()
    return tuple(symbols[code] for code in codes)


def fittest_first(goodness: Floats, codes: Codes) -> NDArray[np.intp]:
    """[n] places by falling goodness; equals by their layers from the input on, in the order of PRIMITIVES.

    The order of designs depends on nothing but the designs: that of the rows in a file does not matter.
    """
    order = np.argsort(-goodness, kind="stable")
    ranked = goodness[order]
    same = np.concatenate([[False], ranked[1:] == ranked[:-1], [False]])
    tied = same[1:] | same[:-1]
    among = order[tied]
    layers = [codes[among, layer] for layer in reversed(range(codes.shape[1]))]
    order[tied] = among[np.lexsort([*layers, -ranked[tied]])]
    return order


# --- from Arrow ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A stretch of the rows."""

    codes: Codes
    validation: Floats
    test: Floats
    names: list[str]
    dataset: NDArray[np.intp]  # places in names
    lower: NDArray[np.bool_]
    found_by: dict[str, NDArray[np.bool_]]
    searches: list[str]
    search: NDArray[np.intp]  # places in searches, or -1


def _read(batch: Any, path: Path) -> _Part:
    held, n = batch.schema.names, batch.num_rows
    names, dataset = _dictionary(batch["dataset"]) if "dataset" in held else (["mad"], np.zeros(n, np.intp))
    lower = batch["lower_is_better"].to_numpy(zero_copy_only=False) if "lower_is_better" in held else np.zeros(n, bool)
    validation, test = (_floats(batch[name]) for name in ("validation", "test"))
    found_by = _found_by(batch["agents"]) if "agents" in held else {}
    searches, search = _first_search(batch["agents"]) if "agents" in held else ([], np.full(n, -1))
    codes = _codes(batch["layers"], path)
    return _Part(codes, validation, test, names, dataset, lower.astype(bool), found_by, searches, search)


def _floats(column: Any) -> Floats:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)  # null becomes NaN


def _dictionary(column: Any) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct texts, and the place of each row's among them."""
    encoded = column if hasattr(column, "dictionary") else column.dictionary_encode()
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.intp)


def _codes(column: Any, path: Path) -> Codes:
    sizes = np.diff(column.offsets.to_numpy())
    if (sizes != sizes[0]).any() or not sizes[0]:
        raise UserError(f"{path}: designs of {sizes.min()} and of {sizes.max()} layers; aggregate one length at a time")
    names, places = _dictionary(column.flatten())
    code_of = {symbol: code for code, symbol in enumerate(PRIMITIVES)}
    known = np.array([code_of.get(name, _NONE) for name in names], dtype=np.uint8)
    codes = known[places]
    if (codes == _NONE).any():
        unknown = names[places[int(codes.argmax())]]
        raise UserError(f"{path}: {unknown!r} is no primitive; they are {PRIMITIVES.names()}")
    return codes.reshape(-1, int(sizes[0]))


def _found_by(column: Any) -> dict[str, NDArray[np.bool_]]:
    """Whether an agent found each design, of its seeds ``NAME.sSEED`` together."""
    offsets = column.offsets.to_numpy()
    row = np.repeat(np.arange(len(column)), np.diff(offsets))
    units, places = _dictionary(column.flatten())
    found: dict[str, NDArray[np.bool_]] = {}
    for place, unit in enumerate(units):
        mask = found.setdefault(unit.rpartition(".s")[0] or unit, np.zeros(len(column), dtype=bool))
        mask[row[places == place]] = True
    return found


def _first_search(column: Any) -> tuple[list[str], NDArray[np.intp]]:
    """Names of searches, and the place among them of the first that each row lists; -1: it lists none."""
    offsets = column.offsets.to_numpy()
    units, places = _dictionary(column.flatten())
    return units, np.where(np.diff(offsets) > 0, np.append(places, -1)[offsets[:-1] - offsets[0]], -1)


def _joined(parts: list[_Part], path: Path) -> DesignTable:
    parts = [part for part in parts if len(part.codes)]
    if not parts:
        raise UserError(f"{path} has no designs, so there is nothing to aggregate")
    lengths = {part.codes.shape[1] for part in parts}
    if len(lengths) > 1:
        raise UserError(
            f"{path}: designs of {min(lengths)} and of {max(lengths)} layers; aggregate one length at a time"
        )
    datasets = tuple(sorted({part.names[place] for part in parts for place in np.unique(part.dataset)}))
    places = {name: place for place, name in enumerate(datasets)}
    dataset = np.concatenate([np.array([places.get(x, -1) for x in p.names], np.int32)[p.dataset] for p in parts])
    codes = np.empty((len(dataset), lengths.pop()), dtype=np.uint8, order="F")
    np.concatenate([part.codes for part in parts], out=codes)
    agents = sorted({agent for part in parts for agent in part.found_by})
    numbers = {name: number for number, name in enumerate(sorted({name for part in parts for name in part.searches}))}
    return DesignTable(
        codes=codes,
        validation=np.concatenate([part.validation for part in parts]),
        test=np.concatenate([part.test for part in parts]),
        dataset=dataset,
        datasets=datasets,
        lower_is_better=_directions(np.concatenate([part.lower for part in parts]), dataset, datasets, path),
        found_by={agent: _mask(agent, parts) for agent in agents},
        search=np.concatenate([np.array([*map(numbers.get, p.searches), -1], np.int32)[p.search] for p in parts]),
    )


def _mask(agent: str, parts: list[_Part]) -> NDArray[np.bool_]:
    return np.concatenate([part.found_by.get(agent, np.zeros(len(part.codes), dtype=bool)) for part in parts])


def _directions(
    lower: NDArray[np.bool_], dataset: NDArray[np.int32], datasets: tuple[str, ...], path: Path
) -> tuple[bool, ...]:
    found = [lower[dataset == place] for place in range(len(datasets))]
    for name, flags in zip(datasets, found, strict=True):
        if flags.any() != flags.all():
            raise UserError(f"{path}: on data set {name!r} lower is better in some rows and worse in others")
    return tuple(bool(flags[0]) for flags in found)
