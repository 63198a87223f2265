"""Rows of two sides that are encoded apart: nothing can look from one side to the other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from aira_lib.errors import UserError
from aira_lib.sandbox import closes_files, isolation
from aira_lib.tasks.airs import new_task_folder
from aira_lib.tasks.programs.arrays import ArrayError, read_encodings
from aira_lib.tasks.programs.encoding import WidthError, encoded
from aira_lib.tasks.programs.folder import load_program_folder
from aira_lib.tasks.programs.live import describe
from aira_lib.tasks.programs.measure import Measure
from aira_lib.tasks.programs.opening import open_programs
from aira_lib.tasks.programs.parts import PartFailure
from tests.aira_lib.tasks.pair_folder import HONEST, pair_folder

SHOWN = pytest.mark.skipif(not closes_files(isolation()), reason="where files are open, nothing is opened")
ROWS = 40
SIDES = {f"inputs{side}.npy": np.arange(ROWS)[:, None] * 10 + side for side in (1, 2, 3)}


def asked(apart: bool) -> tuple[dict[str, NDArray[np.generic]], list[list[int]]]:
    """Encodings that say what was encoded, and what each process was asked for."""
    processes: list[list[int]] = []

    def encode(rows: NDArray[np.generic]) -> NDArray[np.floating]:
        processes.append(rows[:, 0].tolist())
        return np.concatenate([rows, -rows], axis=1).astype(np.float32)

    return dict(encoded(SIDES, encode, np.random.default_rng(3), apart)), processes


@pytest.mark.parametrize("apart", [True, False])
def test_every_side_has_its_encoding_in_its_place(apart: bool) -> None:
    found, processes = asked(apart)
    assert list(found) == list(SIDES)
    for name, rows in SIDES.items():
        np.testing.assert_array_equal(found[name], np.concatenate([rows, -rows], axis=1))
    every = sorted(place for process in processes for place in process)
    assert every == sorted(int(row) for rows in SIDES.values() for row in rows[:, 0])


def test_no_process_sees_two_sides_of_a_row_nor_knows_which_it_sees() -> None:
    _, processes = asked(apart=True)
    assert len(processes) == 3
    for process in processes:
        assert sorted(place // 10 for place in process) == list(range(ROWS))
        assert {place % 10 for place in process} == {1, 2, 3}
        assert process != sorted(process)
    assert len({tuple(place // 10 for place in process) for process in processes}) == 3  # orders differ
    assert len(asked(apart=False)[1]) == 1


def test_widths_may_not_tell_anything() -> None:
    widths = iter((2, 3))
    with pytest.raises(WidthError, match="2 numbers of some rows and 3 of others"):
        encoded(
            {name: SIDES[name] for name in ("inputs1.npy", "inputs2.npy")},
            lambda rows: np.zeros((len(rows), next(widths)), np.float32), np.random.default_rng(0),
        )  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_numbers_of_one_process_are_not_rounded_to_those_of_another() -> None:
    kinds = iter((np.float32, np.float64))

    def encode(rows: NDArray[np.generic]) -> NDArray[np.floating]:
        kind = next(kinds)
        return np.full((len(rows), 1), np.finfo(kind).max / 2, kind)

    found = encoded({name: SIDES[name] for name in ("inputs1.npy", "inputs2.npy")}, encode, np.random.default_rng(0))
    values = np.concatenate(list(found.values()))
    assert sorted(set(values.ravel())) == [np.finfo(np.float32).max / 2, np.finfo(np.float64).max / 2]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 3), np.float32), r"has the shape \(4, 3\), where \(4, d\) with d of at most 2"),
        (np.zeros((4, 0), np.float32), "with d of at most 2"),
        (np.zeros(4, np.float32), "with d of at most 2"),
        (np.zeros((3, 2), np.float32), r"where \(4, 2\) is asked for"),
        (np.zeros((4, 2), np.int64), "holds int64"),
        (np.full((4, 2), np.nan, np.float32), "NaN"),
    ],
)
def test_encodings_are_read_as_what_was_asked_for_or_not_at_all(
    tmp_path: Path, array: NDArray[np.generic], reason: str
) -> None:
    np.save(tmp_path / "e.npy", array)
    with pytest.raises(ArrayError, match=reason):
        read_encodings((tmp_path / "e.npy").read_bytes(), 4, 2, "encodings.npy")


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Measure:
    folder = load_program_folder(pair_folder(tmp_path_factory.mktemp("pairs") / "PairsMadeAccuracy"))
    return open_programs(folder, 0.2, tmp_path_factory.mktemp("scratch") / "task", None)


def validation(measure: Measure, code: str, notes: Callable[[str], None] = lambda note: None) -> float:
    return measure.validation({"model.py": code.encode()}, lambda: 60, notes).score


def failure(measure: Measure, code: str) -> str:
    with pytest.raises(PartFailure) as failed:
        validation(measure, code)
    assert "\n" not in str(failed.value)
    return str(failed.value)


@SHOWN
def test_an_honest_design_is_encoded_and_classified_apart(measure: Measure) -> None:
    notes: list[str] = []
    assert validation(measure, HONEST, notes.append) == 1.0
    assert notes == ["training", "encoding", "encoding", "predicting", "encoding", "asking rows again"]


# What an encoder kept of the documents is not there when they are compared.
CACHES = f"""{HONEST}
kept, plain = dict(), encode
def encode(points):
    kept.update({{place: row for place, row in enumerate(points)}})
    open("kept", "w").write("kept")
    return plain(points) * 0
def classify(one, other):
    import os
    if kept or os.path.exists("kept"): raise SystemExit("kept")
    seen = [str(path) for path in __import__("pathlib").Path("data").rglob("*.npy")]
    raise SystemExit(f"{{len(kept)}} kept, {{sorted(seen)}}, {{one.shape[1]}} numbers of a document")
"""

# An encoder that looks among the documents that it is shown for the one that its own is compared with.
LOOKS = """
import numpy as np
def encode(points):
    places = {}
    for place, mark in enumerate(points[:, 1]): places.setdefault(float(mark), []).append(place)
    pairs = [each for each in places.values() if len(each) == 2]
    found = np.zeros((len(points), 1), np.float32)
    for pair in pairs: found[pair] = np.prod(np.sign(points[pair, 0]))
    return found
def classify(one, other):
    return np.concatenate([-one - other, one + other], axis=1)
"""


@SHOWN
def test_nothing_passes_from_encode_to_classify_but_encodings(measure: Measure) -> None:
    said = failure(measure, CACHES)
    assert said.endswith("0 kept, ['data/inputs/inputs1.npy', 'data/inputs/inputs2.npy'], 1 numbers of a document")


@SHOWN
def test_an_encoder_that_looks_for_the_other_document_is_found(measure: Measure) -> None:
    """Were all documents encoded in one process, it would be right about every pair."""
    looks: dict[str, Callable[..., NDArray[np.floating]]] = {}
    exec(LOOKS, looks)
    asked = measure.splits.steers
    together = encoded(asked.inputs, looks["encode"], np.random.default_rng(0), apart=False)
    assert (looks["classify"](*together.values()).argmax(axis=1) == asked.labels).all()
    apart = encoded(asked.inputs, looks["encode"], np.random.default_rng(0))
    assert not any(each.any() for each in apart.values())
    assert failure(measure, LOOKS).startswith("predictions depend on more than their row")


@SHOWN
def test_sides_that_are_not_there_or_differ_are_one_line(tmp_path: Path) -> None:
    for name, reason in {
        "no": "prepare.py writes no no.npy",
        "other": "inputs1.npy, other.npy differ in shape",
    }.items():
        folder = pair_folder(tmp_path / f"Pairs{name.title()}Accuracy")
        path = folder / "program.yaml"
        said = yaml.safe_load(path.read_text())
        said["encode"]["files"] = ["inputs1.npy", f"{name}.npy"]
        path.write_text(yaml.safe_dump(said))
        prepare = folder / "prepare.py"
        prepare.write_text(prepare.read_text().replace("inputs2=other", "inputs2=other, other=other[:, :2]"))
        with pytest.raises(UserError, match=f"program.yaml: encode: .*{reason}"):
            open_programs(load_program_folder(folder), 0.2, tmp_path / name, None)


@SHOWN
def test_an_encoding_that_is_too_wide_is_refused(measure: Measure) -> None:
    wide = HONEST.replace("np.sign(points[:, :1])", "np.repeat(points, 2, axis=1)")
    assert "encode: encodings.npy has the shape (100, 6), where (100, d) with d of at most 2" in failure(measure, wide)


def test_agents_are_told_that_sides_are_encoded_apart(tmp_path: Path) -> None:
    told = describe(load_program_folder(pair_folder(tmp_path / "PairsMadeAccuracy")))
    assert "*encode* runs `encode.py` in other sandboxes" in told
    assert "(inputs1.npy, inputs2.npy)" in told
    assert "of at most 2 numbers" in told
    plain = describe(load_program_folder(new_task_folder(tmp_path / "RingsMadeAccuracy", "program")))
    assert "*encode*" not in plain
