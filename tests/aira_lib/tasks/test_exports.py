import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

import aira_lib.tasks.airs.exports as exports
from aira_lib.sandbox import ArtefactError
from aira_lib.tasks.airs.exports import collect_exports
from aira_lib.tasks.airs.live import read_validation


def test_plain_names_and_patterns_are_collected(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "data").mkdir()
    for name in ("model.py", "configs/a.yaml", "configs/b.yaml", "configs/c.txt", "data/d.yaml", "candidate.py"):
        (tmp_path / name).write_text(name)
    found = collect_exports(tmp_path, ["model.py", "*.yaml"], ("data", "candidate.py"))
    assert found == {name: name.encode() for name in ("model.py", "configs/a.yaml", "configs/b.yaml")}
    with pytest.raises(ArtefactError, match=r"no file '\*\.csv' was written"):
        collect_exports(tmp_path, ["*.csv"])
    with pytest.raises(ArtefactError, match=r"submission\.csv was not written"):
        collect_exports(tmp_path, ["submission.csv"])


def test_links_are_neither_read_nor_entered(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "labels.csv").write_text("1")
    work = tmp_path / "work"
    work.mkdir()
    (work / "out").symlink_to(tmp_path / "secret")
    (work / "linked.csv").symlink_to(tmp_path / "secret" / "labels.csv")
    os.link(tmp_path / "secret" / "labels.csv", work / "hard.csv")
    for pattern in ("*.csv", "out/*.csv", "linked.csv", "hard.csv", "out/labels.csv"):
        with pytest.raises(ArtefactError):
            collect_exports(work, [pattern])


def test_pickles_are_refused_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "submission.csv").write_bytes(pickle.dumps({"price": 1}))
    (tmp_path / "model.pkl").write_bytes(b"harmless")
    for name in ("submission.csv", "model.pkl"):
        with pytest.raises(ArtefactError, match="is a pickle"):
            collect_exports(tmp_path, [name])
    with zipfile.ZipFile(tmp_path / "weights.bin", "w") as archive:  # as torch.save writes
        archive.writestr("archive/data.pkl", pickle.dumps(1))
    with pytest.raises(ArtefactError, match="is a pickle"):
        collect_exports(tmp_path, ["weights.bin"])


class Runs:
    """Unpickled, it would call print."""

    def __reduce__(self) -> tuple[object, ...]:
        return print, ("code that ran",)


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("arrays/x.npy", content)
    return packed.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content, "with a newline behind": lambda content: content + b"\n",
    "before a table": lambda content: content + b"price\n1\n", "gzip": gzip.compress, "zlib": zlib.compress,
    "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped,
}  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("way", PACKED)
def test_pickles_are_seen_by_what_they_hold(way: str, protocol: int, tmp_path: Path) -> None:
    for value in (Runs(), {"price": [1.5, "x"]}, b"x" * 2**21):
        (tmp_path / "submission.csv").write_bytes(PACKED[way](pickle.dumps(value, protocol)))
        if isinstance(value, bytes) and way not in ("plain", "with a newline behind", "before a table"):
            continue  # too long to be unpacked, and it runs nothing
        with pytest.raises(ArtefactError, match="is a pickle"):
            collect_exports(tmp_path, ["submission.csv"])


@pytest.mark.parametrize(
    "text",
    ["0.5\n0.25\n", "price\n1.0\n", "city\nBerlin\nParis\n", "Velocity\n12.5\n", "label\n0\n1\n", "I1\n", "N", ".", "",
     "Price\n.5\n", "cos\nsin\n1.0\n", "answers\nno\n", "(1.0, 2.0)\n", "idx\na\nb\n.\n", "PK", "BZh", "\x1f\x8b"],
)  # fmt: skip
def test_tables_are_no_pickles(text: str, tmp_path: Path) -> None:
    (tmp_path / "submission.csv").write_bytes(text.encode("latin-1"))
    assert collect_exports(tmp_path, ["submission.csv"])


def test_the_size_limit_is_that_of_all_files_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MAX_BYTES", 100)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(b"x" * 60)
    assert len(collect_exports(tmp_path, ["a.csv"])) == 1
    with pytest.raises(ArtefactError, match="larger than 40 bytes"):
        collect_exports(tmp_path, ["a.csv", "b.csv"])


@pytest.mark.parametrize("text", ['{"validation": 0.25}', '{"validation": 1}', ' {"validation": -2e-3}\n'])
def test_a_reported_validation_is_read(text: str) -> None:
    assert read_validation(text.encode()) == pytest.approx(float(text.split(":")[1].strip(" }\n")))


@pytest.mark.parametrize(
    "content",
    [b"", b"0.5", b"{}", b'{"validation": "0.5"}', b'{"validation": true}', b'{"validation": null}', b"[" * 100_000,
     b'{"validation": NaN}', b'{"validation": 1e999}', b'{"validation": 0.5, "test": 1}', b"\xff",
     b'{"validation": 1' + b"0" * 400 + b"}", b'{"validation": [0.5]}'],
)  # fmt: skip
def test_anything_else_is_no_validation(content: bytes) -> None:
    with pytest.raises(ArtefactError, match=r"^validation\.json"):
        read_validation(content)
