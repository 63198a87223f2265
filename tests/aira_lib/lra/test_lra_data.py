"""The data of a task as others get it: arrays, what they are, the cache, the commands."""

import hashlib
import json
import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from aira_lib.datasets.cached import cached_folder
from aira_lib.errors import UserError
from aira_lib.lra.data import ABOUT, SIZES, TASKS, lra_data, read_data, size_of
from aira_lib.lra.data.sources import SOURCES, source_named
from aira_lib.lra.data.tokens import text_of
from tests.aira_lib.cli.in_process import aira

TSV = "Source\tTarget\n( ( ( [MAX 4 ) 3 ) ] )\t4\n( ( ( [SM 9 ) 9 ) ] )\t8\n"


@pytest.fixture(autouse=True)
def _scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))


@pytest.mark.parametrize("task", TASKS)
def test_arrays_are_what_is_said_of_them(task):
    data = lra_data(task, "smoke")
    size, about = size_of(task, "smoke"), data.about
    assert (about.task, about.size, about.seed, about.max_len) == (task, "smoke", 0, size.max_len)
    for split in ("train", "validation", "test"):
        part = getattr(data, split)
        assert len(part) == about.rows[split] == getattr(size, split)
        assert len(part.inputs) == (2 if task == "retrieval" else 1)
        for array in part.inputs:
            assert array.shape == (len(part), size.max_len)
            assert array.dtype == part.labels.dtype == np.int32
            assert array.min() == 0
            assert array.max() < about.vocab_size
            filled = array > 0
            assert filled[:, 0].all()
            assert (np.diff(filled.astype(int), axis=1) <= 0).all(), "what fills up is behind"
        assert part.labels.min() >= 0
        assert part.labels.max() < about.num_classes
        lengths = np.concatenate([(array > 0).sum(axis=1) for array in part.inputs])
        said = about.provenance["lengths"][split]
        assert (said["shortest"], said["longest"], said["cut"]) == (lengths.min(), lengths.max(), 0)
    assert about.stand_in is not None, "smaller than the benchmark, if it is not another"
    assert "seed 0; on its test: majority" in about.stand_in.detail
    assert all(each.examples == len(data.test) for each in about.ceilings)
    held = {name: hashlib.sha256((data.folder / name).read_bytes()).hexdigest() for name in about.arrays}
    assert held == about.arrays
    assert len(held) == (9 if task == "retrieval" else 6)


@pytest.mark.parametrize("task", TASKS)
def test_no_row_is_in_two_splits(task):
    data = lra_data(task, "smoke", seed=3)
    rows = [
        b"".join(array[i].tobytes() for array in part.inputs)
        for part in (data.train, data.validation, data.test)
        for i in range(len(part))
    ]
    assert len(set(rows)) == len(rows)
    assert data.about.provenance["test_rows_also_in_train"] == 0


def test_the_same_in_any_process_and_other_with_another_seed(tmp_path):
    code = (
        "from aira_lib.lra.data import *\nimport sys\n"
        "print([lra_data(task, 'smoke', seed=1).about.arrays for task in TASKS])\n"
        "sys.exit('jax' in sys.modules or 'torch' in sys.modules or 'tensorflow' in sys.modules)"
    )
    # This process orders sets in an order of its own, that one by this seed.
    env = {**os.environ, "PYTHONHASHSEED": "1", "AIRA_SCRATCH": str(tmp_path / "other")}
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    here = [lra_data(task, "smoke", seed=1).about.arrays for task in TASKS]
    assert there.strip() == str(here)
    for task, arrays in zip(TASKS, here, strict=True):
        assert not set(lra_data(task, "smoke", seed=2).about.arrays.values()) & set(arrays.values())


def listops_files(folder: Path, test: str = TSV) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("train", "val", "test"):
        (folder / f"basic_{name}.tsv").write_text(test if name == "test" else TSV)
    return folder


def test_files_count_by_what_they_hold(tmp_path):
    one = lra_data("listops", "smoke", f"tsv:{listops_files(tmp_path / 'one')}")
    same = lra_data("listops", "smoke", f"tsv:{listops_files(tmp_path / 'other')}")
    assert one.folder == same.folder
    assert str(tmp_path / "one") not in (one.folder / ABOUT).read_text(), "no place is told"
    changed = lra_data("listops", "smoke", f"tsv:{listops_files(tmp_path / 'one', TSV.replace('9 ) ]', '8 ) ]'))}")
    assert changed.folder != one.folder
    assert changed.about.provenance["contents"] != one.about.provenance["contents"]
    assert one.about.provenance["test_rows_also_in_train"] == 2, "said, where a source has it"
    assert lra_data("listops", "paper", f"tsv:{tmp_path / 'other'}").stand_in is None


def test_expressions_that_are_too_long_are_left_out_and_said(tmp_path):
    long = "( " * 81 + "[MAX" + " 1 )" * 80 + " ] )"
    folder = listops_files(tmp_path / "long", TSV + f"{long}\t1\n( ( ( [FIRST 4 ) 3 ) ] )\t4\n")
    data = lra_data("listops", "smoke", f"tsv:{folder}")
    assert data.about.rows["test"] == 3
    assert data.about.provenance["expressions_too_long"] == 1
    assert data.about.provenance["expressions_with_other_tokens"] == 1
    (folder / "basic_test.tsv").write_text(f"Source\tTarget\n{long}\t1\n")
    with pytest.raises(UserError, match=r"no expression of 64 tokens or fewer; choose the size paper"):
        lra_data("listops", "smoke", f"tsv:{folder}")


def test_what_was_damaged_is_made_anew():
    data = lra_data("listops", "smoke")
    before = np.array(data.test.inputs[0])
    (data.folder / "test" / "inputs.npy").write_bytes(b"nothing")
    assert np.array_equal(lra_data("listops", "smoke").test.inputs[0], before)
    (data.folder / "train" / "labels.npy").unlink()
    assert len(lra_data("listops", "smoke").train) == 600


def test_a_folder_is_whole_or_not_there(tmp_path):
    calls = []

    def failing(place: Path) -> None:
        (place / "half").write_bytes(b"1")
        raise UserError("enough")

    with pytest.raises(UserError, match="enough"):
        cached_folder("kind", "k", failing)
    root = tmp_path / "scratch" / "kind"
    assert [path.name for path in root.iterdir() if path.is_dir()] == []
    (root / ".k.part").mkdir()  # of a process that was killed
    (root / ".k.part" / "left").write_bytes(b"")

    def making(place: Path) -> None:
        calls.append(list(place.iterdir()))
        (place / "sub").mkdir()
        (place / "sub" / "file").write_bytes(b"whole")

    assert cached_folder("kind", "k", making) == cached_folder("kind", "k", making) == root / "k"
    assert calls == [[]], "made once, in an empty folder"


def _make_slowly(scratch: str, name: str) -> None:
    os.environ["AIRA_SCRATCH"] = scratch

    def make(place: Path) -> None:
        with open(f"{scratch}-made", "a") as made:
            made.write(name)
        (place / "file").write_bytes(b"x" * 1000)

    cached_folder("kind", "same", make)


def test_processes_that_want_the_same_make_it_once(tmp_path):
    scratch = str(tmp_path / "together")
    context = get_context("fork")
    processes = [context.Process(target=_make_slowly, args=(scratch, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(Path(f"{scratch}-made").read_text()) == 1


def test_names_that_are_not_there_are_refused_with_what_is():
    for arguments, said in (
        (("texts",), "did you mean 'text'"),
        (("text", "huge"), "unknown size 'huge'"),
        (("text", "smoke", "imbd"), "did you mean 'imdb'"),
        (("text", "smoke", "imdb"), r"needs a folder: imdb:FOLDER; unpack aclImdb"),
        (("text", "smoke", "reversals:/x"), "is generated and reads no folder"),
        (("text", "smoke", "man-pages"), "text has no source 'man-pages'"),
    ):
        with pytest.raises(UserError, match=said):
            lra_data(*arguments)


@pytest.mark.parametrize("source", [each for each in SOURCES if each.files], ids=lambda source: source.name)
def test_each_missing_source_says_where_to_get_it_and_what_serves_meanwhile(source, tmp_path):
    with pytest.raises(UserError) as refused:
        lra_data(source.task, "smoke", f"{source.name}:{tmp_path / 'nowhere'}")
    line = str(refused.value)
    assert str(tmp_path / "nowhere") in line
    generator = next(each.name for each in SOURCES if each.task == source.task)
    assert f"source {generator} needs no" in line
    assert "\n" not in line
    assert not list(tmp_path.rglob("about.json"))


def test_every_task_has_one_source_without_files_first():
    for task in TASKS:
        assert source_named(task, "")[0].files is None
    assert {size for size in SIZES for task in TASKS if size_of(task, size).whole} == {"paper"}


def test_commands_show_and_write_what_lra_data_has(tmp_path):
    shown = aira("data", "lra", "show", "listops", "--size", "smoke")
    assert shown.code == 0
    assert "making it from generated, once" in shown.err
    assert aira("data", "lra", "show", "listops", "--size", "smoke").err == ""
    assert "root operator" in shown.out
    assert "class " in shown.out
    assert "[M" in shown.out
    told = json.loads(aira("data", "lra", "show", "retrieval", "--size", "smoke", "--json").out)
    assert told == json.loads(lra_data("retrieval", "smoke").about.model_dump_json())
    files, arrays = tmp_path / "files", tmp_path / "arrays"
    assert aira("data", "lra", "write", "listops", "--size", "smoke", "--tsv", "--to", str(files)).code == 0
    assert aira("data", "lra", "write", "text", "--size", "smoke", "--to", str(arrays)).code == 0
    ours, back = lra_data("listops", "smoke"), lra_data("listops", "smoke", f"tsv:{files}")
    assert sorted(map(bytes, ours.train.inputs[0])) == sorted(map(bytes, back.train.inputs[0]))
    assert ours.ceilings[2:] == back.ceilings[2:]
    copied, original = read_data(arrays), lra_data("text", "smoke")
    assert copied.about == original.about
    assert np.array_equal(copied.test.inputs[0], original.test.inputs[0])
    assert text_of(copied.test.inputs[0][0]).isascii()
    for wrong in (
        ("listops", "--to", str(files)),
        ("text", "--tsv", "--to", str(tmp_path / "new")),
        ("no", "--to", "x"),
    ):
        ended = aira("data", "lra", "write", *wrong, "--size", "smoke")
        assert ended.code == 2
        assert ended.err.count("\n") == 1
