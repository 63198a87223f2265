"""What crosses between the processes that run submitted code, and the probes: without a sandbox."""

import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.records.opened import facts_of
from aira_lib.tasks.airs.metadata import TaskFolderError
from aira_lib.tasks.programs.arrays import ArrayError, most_bytes, read_predictions, read_split, write_split
from aira_lib.tasks.programs.costs import Costs, costs_of
from aira_lib.tasks.programs.described import DescribedError, beyond, read_described
from aira_lib.tasks.programs.metrics import accuracy, mean_squared_error
from aira_lib.tasks.programs.probes import depends, learns, request_for
from aira_lib.tasks.programs.section import Predictions, Probes
from aira_lib.tasks.programs.splits import open_splits

SCORES = Predictions(shape=(2,))


def npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def with_header(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(118 - 10) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_predictions_are_read_as_they_were_written(dtype: str, order: str) -> None:
    made = np.asarray(np.arange(10).reshape(5, 2), dtype, order)  # type: ignore[call-overload]
    content = npy(made)
    assert len(content) <= most_bytes(5, SCORES)
    np.testing.assert_array_equal(read_predictions(content, 5, SCORES, "p.npy"), np.arange(10).reshape(5, 2))


def test_whole_numbers_where_they_are_asked_for() -> None:
    wanted = Predictions(kind="int")
    read = read_predictions(npy(np.array([3, 1], np.int32)), 2, wanted, "p.npy")
    assert (read.dtype, read.tolist()) == (np.int64, [3, 1])
    with pytest.raises(ArrayError, match="holds float64, where int numbers"):
        read_predictions(npy(np.zeros(2)), 2, wanted, "p.npy")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no .npy file"),
        (b"PK\x03\x04", "no .npy file"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 2), }"), "0 bytes of numbers"),
        (with_header("{'descr': '|O', 'fortran_order': False, 'shape': (5, 2), }"), "holds object"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2), }"), "has the shape"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-5, -2), }"), "has the shape"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9," * 30 + "), }"), "has the shape"),
        (with_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (5, 2), }"), "where float numbers"),
        (with_header("__import__('os').abort()"), "no .npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 70_000, "no .npy file"),
        (b"\x93NUMPY\x03\x00" + bytes(200), "another version"),
        (npy(np.zeros((5, 2), "c8")), "holds complex64"),
        (npy(np.zeros((5, 2), "?")), "holds bool"),
        (npy(np.zeros((5, 3))), r"has the shape \(5, 3\), where \(5, 2\)"),
        (npy(np.zeros((5, 2)))[:-1], "79 bytes of numbers"),
        (npy(np.array([[np.inf, 0]] * 2 + [[0.0, 0]] * 3)), "NaN or infinity in 2 of 5 rows"),
    ],
)
def test_other_predictions_are_refused_in_a_line_and_take_no_memory(content: bytes, reason: str) -> None:
    tracemalloc.start()
    with pytest.raises(ArrayError, match=reason) as refused:
        read_predictions(content, 5, SCORES, "p.npy")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert "\n" not in str(refused.value)


def test_rows_that_are_not_finite_are_counted_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.zeros((7, 2))
    scores[[0, 3, 6], [0, 1, 0]] = np.nan, np.inf, -np.inf
    for numbers in (1, 2, 4, 6, 100):
        monkeypatch.setattr("aira_lib.tasks.programs.arrays._LOOKED_AT", numbers)
        with pytest.raises(ArrayError, match="in 3 of 7 rows"):
            read_predictions(npy(scores), 7, SCORES, "p.npy")


@given(st.integers(1, 200), st.integers(2, 40), st.integers(1, 9), st.binary(max_size=4))
def test_all_rows_are_asked_for_once_and_some_again(rows: int, again: int, repeats: int, weights: bytes) -> None:
    probes = Probes(rows=again, repeats=repeats)
    request = request_for(rows, probes, b"secret", weights)
    assert sorted(request.first[:rows]) == list(range(rows))
    assert set(request.first[rows:]) <= set(request.first[: max(1, rows // 4)])
    assert 1 <= request.repeats == len(request.first) - rows <= repeats
    assert len(set(request.second)) == len(request.second) == min(again, max(1, rows // 2))
    values = np.arange(rows) * 10
    np.testing.assert_array_equal(request.in_order(values[request.first]), values)


def test_the_order_is_another_for_other_labels_and_other_weights() -> None:
    orders = {
        request_for(50, Probes(), secret, weights).first.tobytes()
        for secret, weights in ((b"a", b"w"), (b"b", b"w"), (b"a", b"v"), (b"a", b"w"))
    }
    assert len(orders) == 3


@given(st.integers(0, 2**20), st.sampled_from([1e-5, 1e-4]))
def test_rounding_passes_the_probes_and_a_dependence_does_not(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    request = request_for(60, Probes(rows=20, repeats=5), b"s", seed.to_bytes(4, "little"))
    honest = rng.normal(size=(60, 2))
    first = honest[request.first] + rng.uniform(-noise, noise, (65, 2))
    second = honest[request.second] + rng.uniform(-noise, noise, (20, 2))
    assert learns(request, first, SCORES) == depends(request, first, second, SCORES) == ""
    assert "5 early rows" in learns(request, first + np.arange(65)[:, None], SCORES)
    assert "20 were answered otherwise" in depends(request, first, second + 0.1, SCORES)


@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1.0, 1e6), (1e-3, 1e4)])
def test_scores_that_are_small_or_far_from_zero_hide_no_dependence(scale: float, offset: float) -> None:
    """What decides between two classes is their difference, however small beside the scores themselves."""
    rng = np.random.default_rng(7)
    request = request_for(200, Probes(rows=100, repeats=16), b"s", b"w")
    honest = rng.normal(size=(200, 2))
    first = offset + scale * honest[request.first]
    assert depends(request, first, offset + scale * honest[request.second], SCORES) == ""
    turned = offset + scale * honest[request.second][:, ::-1]
    assert "100 were answered otherwise" in depends(request, first, turned, SCORES)


def test_a_third_score_that_is_far_below_hides_none_either() -> None:
    rng = np.random.default_rng(7)
    request = request_for(200, Probes(rows=100, repeats=16), b"s", b"w")
    honest = np.column_stack([rng.normal(size=(200, 2)), np.full(200, -1e9)])
    first, wanted = honest[request.first], Predictions(shape=(3,))
    assert depends(request, first, honest[request.second], wanted) == ""
    assert "100 were answered otherwise" in depends(request, first, honest[request.second][:, [1, 0, 2]], wanted)


def test_of_other_numbers_the_distance_between_rows_counts() -> None:
    rng = np.random.default_rng(7)
    request = request_for(200, Probes(rows=100, repeats=16), b"s", b"w")
    honest = 1e-6 * rng.normal(size=200)
    wanted = Predictions()
    assert depends(request, honest[request.first], honest[request.second], wanted) == ""
    assert depends(request, honest[request.first], honest[request.second][::-1], wanted)


def test_of_whole_numbers_each_must_be_equal() -> None:
    request = request_for(30, Probes(rows=10, repeats=4), b"s", b"w")
    first = np.arange(30)[request.first]
    assert depends(request, first, request.second, Predictions(kind="int", tolerance=9)) == ""
    other = request.second + (np.arange(len(request.second)) == 3)
    assert "1 were answered otherwise, by up to 1" in depends(
        request, first, other, Predictions(kind="int", tolerance=9)
    )


def test_scores() -> None:
    assert accuracy(np.array([[1.0, 0], [0, 1], [2, 3]]), np.array([0, 0, 1])) == 2 / 3
    assert accuracy(np.array([4, 2]), np.array([4, 3])) == 0.5
    assert mean_squared_error(np.array([1.0, 3.0]), np.array([0, 1])) == 2.5
    with pytest.raises(ValueError, match="shape"):
        mean_squared_error(np.zeros((2, 1)), np.zeros(2))


def prepared(where: Path, validation: int = 0) -> tuple[Path, Path]:
    """What the scripts of a task wrote: 20 rows of train, whose input tells their number."""
    for name, rows in (("train", 20), ("validation", validation), ("test", 7)):
        if rows:
            arrays = {"inputs.npy": np.arange(rows, dtype=np.int32)[:, None], "labels.npy": np.arange(rows) % 3}
            write_split(
                {key: arrays[key] for key in arrays if name != "test" or key == "inputs.npy"}, where / "p" / name
            )
    write_split({"labels.npy": np.arange(7) % 3}, where / "labels")
    return where / "p", where / "labels"


def test_validation_is_drawn_from_train_where_there_is_none(tmp_path: Path) -> None:
    splits = open_splits(*prepared(tmp_path), "labels.npy", 0.25, tmp_path / "open")
    train = read_split(splits.train)
    assert (splits.held_out, splits.steers.rows, len(train["labels.npy"]), splits.final.rows) == (True, 5, 15, 7)
    drawn = splits.steers.inputs["inputs.npy"][:, 0]
    assert sorted([*drawn, *train["inputs.npy"][:, 0]]) == list(range(20))
    assert splits.steers.labels.tolist() == (drawn % 3).tolist()
    assert [path.name for path in splits.train.parent.iterdir()] == ["train"]


def test_a_validation_split_of_its_own_is_kept(tmp_path: Path) -> None:
    splits = open_splits(*prepared(tmp_path, validation=4), "labels.npy", 0.25, tmp_path / "open")
    assert (splits.held_out, splits.steers.rows) == (False, 4)
    assert splits.labelled.keys() == {"train", "validation"}


def test_what_a_task_says_of_its_data_is_kept(tmp_path: Path) -> None:
    for number, (text, told) in enumerate({'{"seed": 7, "stand_in": "made"}': 2, "": None, '{"a": [1]}': None}.items()):
        folder, labels = prepared(tmp_path / str(number))
        (folder / "about.json").write_text(text)
        if told:
            about = open_splits(folder, labels, "labels.npy", 0.25, tmp_path / str(number) / "open").about
            assert about == {"seed": 7, "stand_in": "made"}
            facts = facts_of({"validation": "measured", "validation_rows": 5, "data": about})
            assert ("data: stand_in", "made") in facts
        else:
            with pytest.raises(TaskFolderError, match=r"about\.json: must be a JSON object"):
                open_splits(folder, labels, "labels.npy", 0.25, tmp_path / str(number) / "open")


def test_splits_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def refused(name: str, spoil: dict[str, np.ndarray | None]) -> str:
        where = tmp_path / name.replace("/", "-") / str(len(list(tmp_path.iterdir())))
        folder, labels = prepared(where, validation=4)
        for path, array in spoil.items():
            (folder / path).unlink(missing_ok=True)
            if array is not None:
                np.save(folder / path, array)
        with pytest.raises(TaskFolderError) as error:
            open_splits(folder, labels, "labels.npy", 0.2, where / "open")
        return str(error.value)

    assert "train has no labels.npy" in refused("a", {"train/labels.npy": None})
    assert "equally many rows" in refused("b", {"validation/labels.npy": np.zeros(3, int)})
    assert "test/labels.npy, which submitted code would see" in refused("c", {"test/labels.npy": np.zeros(7, int)})
    assert "test has other inputs than train" in refused("d", {"test/inputs.npy": np.zeros((7, 2), np.int32)})
    assert "must hold numbers in rows, not <U1" in refused("e", {"train/words.npy": np.array(["a"] * 20)})
    assert "test has 6 rows and 7 labels" in refused("f", {"test/inputs.npy": np.zeros((6, 1), np.int32)})


def test_what_is_described_are_numbers_by_name() -> None:
    assert read_described(b'{"parameters": 4, "flops_exponent": 1.5}') == {
        "described_parameters": 4.0,
        "described_flops_exponent": 1.5,
    }
    assert read_described(b"{}") == {}


def test_what_a_folder_allows_is_compared_by_the_harness() -> None:
    told = {"described_flops_exponent": 1.5, "train_seconds": 9.0, "described_parameters": 40.0}
    assert beyond(told, {}) == ""
    assert beyond(told, {"flops_exponent": 1.5, "parameters": 40}) == ""
    assert beyond(told, {"parameters": 40, "flops_exponent": 1.4}) == "flops_exponent is 1.5; at most 1.4 is allowed"
    assert beyond(told, {"memory_exponent": 1.5}).startswith("described.json has no memory_exponent, which may be at")
    assert beyond(told, {"train_seconds": 9.0}).startswith("described.json has no train_seconds")


def test_growth_is_a_measured_word() -> None:
    def word(**measures: float) -> str | None:
        return costs_of({f"described_{name}": value for name, value in measures.items()}).growth

    assert word(flops_exponent=1.0, memory_exponent=1.02) == "linear"
    assert word(flops_exponent=1.3) == "sub-quadratic"
    assert word(flops_exponent=1.0, memory_exponent=1.9) == "not sub-quadratic"
    assert word(flops_exponent=1.95, memory_exponent=1.0) == "not sub-quadratic"
    assert word(memory_exponent=1.0) is None
    assert costs_of({}) == Costs()
    speed = costs_of({"described_steps": 200.0, "train_seconds": 50.0, "flops_exponent": 2.0})
    assert speed == Costs(steps_per_second=4.0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "no JSON object"),
        (b"", "no JSON object"),
        (b"[1]", "must be a JSON object of at most 64"),
        (b"[" * 10_000, "no JSON object"),
        (b'{"a": NaN}', "no JSON object of finite numbers"),
        (b'{"a": Infinity}', "no JSON object of finite numbers"),
        (b'{"a": 1, "a": 2}', "no JSON object"),
        (b'{"a": 1e999}', "a is not finite"),
        (b'{"a": ' + b"9" * 400 + b"}", "a is not finite"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "no JSON object"),
        (b'{"a": true}', "a is no number"),
        (b'{"a": {"b": 1}}', "a is no number"),
        (b'{"Score\\n": 1}', "is no name of lower-case letters"),
        (json.dumps({f"a{number}": 1 for number in range(65)}).encode(), "at most 64 numbers"),
    ],
)
def test_whatever_else_is_in_its_place_is_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(DescribedError, match=reason) as error:
        read_described(content)
    assert "\n" not in str(error.value)
