import errno
import os
from pathlib import Path

import pytest

from aira_lib.agents import Journal
from aira_lib.errors import StoreError
from aira_lib.records import Node, read_rows
from tests.builders import node


def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    nodes = [node(i, "A-M", 0.5, output="odd line ends: \u2028 \x85 \r\n \x0c \x1c", plan="Ω") for i in range(3)]
    for entry in nodes:
        Journal(path).append(entry)
    assert Journal(path).nodes == nodes
    assert read_rows(path, Node) == nodes


def test_a_write_cut_short_anywhere_loses_only_that_node(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append(node(0, "A-M", 0.5))
    size = path.stat().st_size
    journal.append(node(1, "M-A", 0.6, plan="two\nlines and \u2028"))
    whole = path.read_bytes()
    for cut in [*range(size, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:cut])
        again = Journal(path)
        assert [entry.step for entry in again.nodes] == [0]
        again.append(node(1, "M-A", 0.6, plan="two\nlines and \u2028"))
        assert path.read_bytes() == whole


def test_a_last_line_of_rubbish_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append(node(0, "A-M", 0.5))
    with path.open("ab") as file:
        file.write(b"\0" * 100 + b"\n")
    assert len(Journal(path).nodes) == 1


def test_rubbish_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    line = node(0, "A-M", 0.5).json_line()
    path.write_text(line + '{"step": 1}\n' + line)
    with pytest.raises(StoreError, match=r"journal.jsonl:2: not a node"):
        Journal(path)


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(node(0, "A-M", 0.5))
    before = journal.path.read_bytes()
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content[:-50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match="No space left on device"):
        journal.append(node(1, "M-A", 0.6))
    assert journal.path.read_bytes() == before
    assert [entry.step for entry in journal.nodes] == [0]
