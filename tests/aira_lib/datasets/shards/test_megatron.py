"""Indexes of shards, against the bytes that the format prescribes, spelt out by hand."""

import struct
from pathlib import Path

import numpy as np
import pytest

from aira_lib.datasets.shards.megatron import Index, map_tokens, read_index, token_type, write_index
from aira_lib.errors import UserError


def index_bytes(code: int, lengths: list[int], places: list[int], starts: list[int]) -> bytes:
    head = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, code, len(lengths), len(starts))
    return head + struct.pack(f"<{len(lengths)}i{len(places)}q{len(starts)}q", *lengths, *places, *starts)


def test_index_has_the_bytes_of_the_format(tmp_path: Path) -> None:
    write_index(tmp_path / "a.idx", Index("uint16", np.array([3, 1, 7])))
    assert (tmp_path / "a.idx").read_bytes() == index_bytes(8, [3, 1, 7], [0, 6, 8], [0, 1, 2, 3])


def test_sequences_of_other_tools_are_put_together_to_documents(tmp_path: Path) -> None:
    (tmp_path / "a.idx").write_bytes(index_bytes(4, [2, 5, 1], [0, 8, 28], [0, 2, 3]))
    index = read_index(tmp_path / "a.idx")
    assert (index.type, index.lengths.tolist(), index.tokens) == ("int32", [7, 1], 8)


def test_an_empty_index_comes_back(tmp_path: Path) -> None:
    write_index(tmp_path / "a.idx", Index("uint8", np.zeros(0, np.int64)))
    assert read_index(tmp_path / "a.idx").tokens == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin"),
        (b"MMIDIDX\x00\x00\x01", "does not begin"),
        (index_bytes(6, [1], [0], [0, 1]), "type 6 is not read"),
        (index_bytes(8, [3, 1], [0, 6], [0, 1, 2])[:-9], "cut short"),
        (index_bytes(8, [3, 1], [0, 7], [0, 1, 2]), "one after another"),
        (index_bytes(8, [3, -1], [0, 6], [0, 1, 2]), "one after another"),
        (index_bytes(8, [3, 1], [0, 6], [0, 1, 3]), "bounds of documents"),
        (index_bytes(8, [3, 1], [0, 6], []), "cut short"),
    ],
)
def test_what_is_no_index_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.idx").write_bytes(data)
    with pytest.raises(UserError, match=words) as error:
        read_index(tmp_path / "a.idx")
    assert "a.idx" in str(error.value)


def test_the_smallest_type_that_holds_a_vocabulary() -> None:
    assert [token_type(size) for size in (256, 257, 65_536, 65_537, 128_256)] == [
        "uint8",
        "uint16",
        "uint16",
        "int32",
        "int32",
    ]


def test_tokens_are_mapped_and_odd_sizes_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(struct.pack("<3H", 1, 65_535, 7))
    assert map_tokens(tmp_path / "a.bin", "uint16").tolist() == [1, 65_535, 7]
    with pytest.raises(UserError, match="no whole int32 tokens"):
        map_tokens(tmp_path / "a.bin", "int32")
    with pytest.raises(UserError, match="missing"):
        map_tokens(tmp_path / "b.bin", "int32")
