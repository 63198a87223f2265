"""Asked for by many at once, an evaluation is trained once: real processes, a folder and S3."""

from pathlib import Path

import pytest

from aira_lib.evaluations import EvaluationStore
from aira_lib.evaluations.key import platform
from aira_lib.evaluations.store import LEASES
from aira_lib.store import open_store
from aira_lib.store.lease import lease
from tests.aira_lib.evaluations.asking import SECTION, Training, ask, kill, process, wait_for

DESIGNS = ["A-M", "2A-2M", "Mb-M"]


@pytest.fixture(autouse=True)
def _torch_is_loaded() -> None:
    platform()


def test_eight_processes_train_each_of_three_designs_once(store_uri: str, tmp_path: Path) -> None:
    training = Training(tmp_path / "log", seconds=0.3)
    (tmp_path / "answers").mkdir()
    asking = [
        process(store_uri, training, DESIGNS[i % 3 :] + DESIGNS[: i % 3], 10.0, tmp_path / "answers") for i in range(8)
    ]
    for each in asking:
        each.join()
    assert training.trained() == sorted(DESIGNS)
    answers = sorted(eval(path.read_text()) for path in (tmp_path / "answers").iterdir())
    expected = [0.5, 0.5, 0.0]
    assert answers == sorted(expected[i % 3 :] + expected[: i % 3] for i in range(8))
    assert open_store(store_uri).list(LEASES) == []


def test_a_dead_holder_is_taken_over(store_uri: str, tmp_path: Path) -> None:
    endless, training = Training(tmp_path / "log", seconds=600), Training(tmp_path / "log")
    victim = process(store_uri, endless, ["A-M"], 2.0, tmp_path)
    wait_for(endless, 1)
    kill(victim)
    store = EvaluationStore(store_uri, training, lease_seconds=2.0)
    assert ask(store, "A-M").validation == 0.5
    assert training.trained() == ["A-M", "A-M"]
    assert store.use.trained == 1
    assert store.store.list(LEASES) == []


def test_a_living_holder_keeps_its_lease_for_longer_than_it_is_granted(s3_uri: str, tmp_path: Path) -> None:
    slow, impatient = Training(tmp_path / "slow", seconds=3.0), Training(tmp_path / "impatient")
    holder = process(s3_uri, slow, ["A-M"], 2.0, tmp_path)
    wait_for(slow, 1)
    notes: list[str] = []
    store = EvaluationStore(s3_uri, impatient, lease_seconds=2.0)
    answer = store.answer(("A", "M"), SECTION, seed=1, progress=lambda done, total, note: notes.append(note))
    holder.join()
    assert impatient.trained() == []
    assert answer.found
    assert any("waiting for its score" in note for note in notes)


def test_a_lease_is_refused_while_it_is_held_and_free_after_an_error(store_uri: str) -> None:
    store = open_store(store_uri)

    def fails() -> None:
        with lease(store, "leases/a", lambda holder: False) as mine:
            assert mine
            with lease(store, "leases/a", lambda holder: True) as second:
                assert not second
            with lease(store, "leases/b", lambda holder: True) as other:
                assert other
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with lease(store, "leases/a", lambda holder: True) as again:
        assert again


def test_a_conditional_write_needs_the_object_it_names(s3_uri: str) -> None:
    from aira_lib.store.s3 import S3Store

    store = open_store(s3_uri)
    assert isinstance(store, S3Store)
    assert store.read_tagged("x") is None
    assert store.write_if("x", b"0", '"no such tag"') is None
    first = store.write_if("x", b"1", None)
    assert first
    assert store.write_if("x", b"2", None) is None
    second = store.write_if("x", b"2", first)
    assert second
    assert store.write_if("x", b"3", first) is None
    # What an earlier attempt wrote, whose answer was lost, counts as written.
    assert store.write_if("x", b"2", first) == second
    there = store.read_tagged("x")
    assert there is not None
    assert (there.data, there.tag) == (b"2", second)
    assert -1 <= there.age < 60
