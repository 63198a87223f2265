"""Kept answers: whole transactions or none, whatever ends a process; nothing from a damaged file; not without end."""

import os
import random
import sqlite3
from pathlib import Path

import pytest

from aira_lib.downstream import requests_cache
from aira_lib.downstream.requests_cache import Answer, RequestsCache, key_of

IDENTITY = "a" * 64


def answers(count: int, first: int = 0) -> dict[bytes, Answer]:
    numbers = range(first, first + count)
    return {key_of("loglikelihood", (f"prompt {n}", "x")): Answer(-n / 7, n % 2 == 0, n % 3) for n in numbers}


def test_answers_come_back_to_the_last_digit(tmp_path: Path) -> None:
    kept = {**answers(1200), key_of("generate_until", ("p", {"until": ["\n"]})): Answer("text \u2028 é", False, 4)}
    cache = RequestsCache(tmp_path, IDENTITY)
    cache.keep(kept)
    assert RequestsCache(tmp_path, IDENTITY).found(kept) == kept
    assert RequestsCache(tmp_path, "b" * 64).found(kept) == {}
    assert cache.found([key_of("loglikelihood_rolling", ("prompt 1", "x"))]) == {}
    cache.close()


def test_a_process_that_is_killed_leaves_whole_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = answers(50), answers(1500, 50)
    child = os.fork()
    if not child:
        cache = RequestsCache(tmp_path, IDENTITY)
        cache.keep(first)
        left = iter(range(1200))
        # Pages are written before the transaction ends: what is kept is more than SQLite holds in memory.
        cache._file.execute("PRAGMA cache_size = 2")  # type: ignore[union-attr]
        sum_ = requests_cache._sum
        monkeypatch.setattr(
            requests_cache, "_sum", lambda key, text: sum_(key, text) if next(left, None) is not None else os._exit(9)
        )
        cache.keep(second)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / f"{IDENTITY[:32]}.sqlite-journal").exists()
    cache = RequestsCache(tmp_path, IDENTITY)
    assert cache.found([*first, *second]) == first
    cache.keep(second)
    assert cache.found([*first, *second]) == {**first, **second}


def test_what_a_damaged_file_still_says_is_true(tmp_path: Path) -> None:
    kept, rng, lost = answers(300), random.Random(0), 0
    cache = RequestsCache(tmp_path, IDENTITY)
    cache.keep(kept)
    cache.close()
    whole = cache.path.read_bytes()
    for _ in range(25):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        cache.path.write_bytes(damaged)
        opened = RequestsCache(tmp_path, IDENTITY)
        found = opened.found(kept)
        assert found.items() <= kept.items()
        lost += len(found) < len(kept)
        opened.keep(kept)
        opened.close()
    assert lost > 8
    cache.path.write_bytes(b"no database at all" * 300)
    anew = RequestsCache(tmp_path, IDENTITY)
    anew.keep(kept)
    assert anew.found(kept) == kept


def test_it_stops_at_its_bound_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = RequestsCache(tmp_path, IDENTITY, most_bytes=64 * 1024)
    for first in range(0, 3000, 100):
        cache.keep(answers(100, first))
    assert cache.path.stat().st_size <= 64 * 1024
    assert "answers are no longer kept" in caplog.text
    assert RequestsCache(tmp_path, IDENTITY).found(answers(100)) == answers(100)


def test_models_that_were_asked_longest_ago_are_forgotten_first(tmp_path: Path) -> None:
    for number, identity in enumerate("abc"):
        cache = RequestsCache(tmp_path, identity * 64)
        cache.keep(answers(400))
        cache.close()
        os.utime(cache.path, (number, number))
    size = cache.path.stat().st_size
    RequestsCache(tmp_path, "a" * 64, most_bytes=2 * size).close()
    assert {path.name[0] for path in tmp_path.glob("*.sqlite")} == {"a", "c"}


def test_a_disk_that_refuses_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / f"{IDENTITY[:32]}.sqlite").mkdir()
    cache = RequestsCache(tmp_path, IDENTITY)
    cache.keep(answers(3))
    assert cache.found(answers(3)) == {}
    assert "answers are not kept" in caplog.text


def test_two_processes_keep_answers_in_one_file(tmp_path: Path) -> None:
    one, other = RequestsCache(tmp_path, IDENTITY), RequestsCache(tmp_path, IDENTITY)
    one.keep(answers(10))
    other.keep(answers(10, 10))
    assert one.found(answers(20)) == other.found(answers(20)) == answers(20)
    with sqlite3.connect(one.path) as file:
        assert file.execute("SELECT count(*) FROM answers").fetchone() == (20,)
