"""What is kept, what is not, and what makes two evaluations the same."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from aira_lib.aggregate.table import DesignTable
from aira_lib.architecture.pattern import parse
from aira_lib.evaluations import EvaluationStore
from aira_lib.evaluations.entry import Damaged, decode, encode
from aira_lib.evaluations.key import key_of, settings_of
from aira_lib.evaluations.store import entry_name
from aira_lib.evaluations.table import Choice, read_entries, read_uses, statistics, write_parquet
from aira_lib.proxy.evaluation import evaluate
from aira_lib.records import Evaluation, FailureCause
from aira_lib.study import LanguageData, MADSettings, ProxySection
from tests.aira_lib.evaluations.asking import SECTION, Training, ask

pytestmark = pytest.mark.usefixtures("plain_kernels")

TINY = ProxySection(
    tasks=("memorization",), d_model=16, n_heads=2, d_ff=32, d_state=8, ssm_head_dim=16, train_examples=16,
    test_examples=8, batch_size=8, epochs=1, retrain_for_test=False,
)  # fmt: skip


def returning(**values: Any) -> Any:
    return lambda *_, **__: Evaluation(**{"seconds": 2.0, **values})


def test_what_is_found_is_what_was_trained(store_uri: str) -> None:
    first, second = (EvaluationStore(store_uri, evaluate, asker) for asker in ("one/greedy.s0", "two/tree.s1"))
    trained = ask(first, "A-Mb", TINY)
    found = ask(second, "A-Mb", TINY)
    assert trained.seconds > 0
    assert found == trained.model_copy(update={"seconds": 0.0})
    entry = second.find(found.key)
    assert entry is not None
    assert entry.made.asked_by == "one/greedy.s0"
    assert entry.evaluation.seconds == trained.seconds
    assert (first.use.trained, first.use.found, second.use.trained, second.use.found) == (1, 0, 0, 1)
    assert second.use.seconds_saved == trained.seconds


@pytest.mark.parametrize("damage", [b"", b"{}", b"half", b"flip"])
def test_a_damaged_entry_is_made_anew_with_a_line_in_the_log(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training = Training(tmp_path / "log")
    store = EvaluationStore(str(tmp_path / "store"), training)
    key = ask(store, "A-M").key
    path = tmp_path / "store" / entry_name(key)
    whole = path.read_bytes()
    path.write_bytes({b"half": whole[:-20], b"flip": whole.replace(b"0.5", b"0.7")}.get(damage, damage))
    with caplog.at_level(logging.WARNING):
        assert ask(EvaluationStore(str(tmp_path / "store"), training), "A-M").validation == 0.5
    assert training.trained() == ["A-M", "A-M"]
    assert "it is made anew" in caplog.text
    assert store.find(key) is not None


def test_an_entry_under_another_key_is_damage(tmp_path: Path) -> None:
    store = EvaluationStore(str(tmp_path), Training(tmp_path / "log"))
    entry = store.find(ask(store, "A-M").key)
    assert entry is not None
    assert decode(encode(entry), entry.key) == entry
    with pytest.raises(Damaged, match="another key"):
        decode(encode(entry), "0" * 64)


def test_divergence_is_a_result_and_lack_of_memory_is_none(tmp_path: Path) -> None:
    reason = "x: the loss became nan in epoch 1, though it never ran out of memory"
    failed = returning(status="failed", reason=reason, cause=FailureCause.DIVERGED)
    diverged = EvaluationStore(str(tmp_path), failed)
    assert ask(diverged, "A-M").status == "failed"
    assert ask(diverged, "A-M").seconds == 0.0
    assert diverged.use.trained == 1
    infinite = EvaluationStore(str(tmp_path), returning(status="ok", validation=float("inf"), test=0.5))
    assert [ask(infinite, "2A").reason for _ in range(2)] == ["a score is not a finite number"] * 2
    assert infinite.use.trained == 1


@pytest.mark.parametrize("cause", [FailureCause.OUT_OF_MEMORY, FailureCause.PROCESS_KILLED])
@pytest.mark.parametrize("scores", [{}, {"validation_by_task": {"x": float("nan")}}], ids=["no score", "one of NaN"])
def test_what_the_machine_did_is_not_kept_whatever_its_wording(
    cause: FailureCause, scores: dict[str, Any], tmp_path: Path
) -> None:
    failed = returning(status="failed", reason="x: ended by the kernel", cause=cause, **scores)
    store = EvaluationStore(str(tmp_path), failed)
    assert [ask(store, "3A").status for _ in range(2)] == ["failed"] * 2
    assert store.use.trained == 2
    assert store.store.list("entries") == []


def test_an_entry_that_is_older_than_causes_is_read(tmp_path: Path) -> None:
    store = EvaluationStore(str(tmp_path), returning(status="failed", reason="x: the loss became nan in epoch 1"))
    entry = store.find(store.answer(("A",), SECTION, seed=0).entry.key)  # type: ignore[union-attr]
    assert entry is not None
    values = entry.model_dump(mode="json")
    assert values["evaluation"].pop("cause") is None
    body = json.dumps(values, ensure_ascii=False).encode()
    old = b'{"sha256": "%s", "entry": %s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)
    assert decode(old, entry.key) == entry


def test_the_evaluator_says_lack_of_memory_as_the_store_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("aira_lib.proxy.scored_task.epochs", exhausted)
    store = EvaluationStore(str(tmp_path), evaluate)
    assert ask(store, "A-M", TINY).status == "failed"
    assert store.store.list("entries") == []


def test_an_evaluation_that_raises_leaves_nothing(tmp_path: Path) -> None:
    def broken(*_: Any, **__: Any) -> Evaluation:
        raise RuntimeError("a bug")

    store = EvaluationStore(str(tmp_path), broken)
    with pytest.raises(RuntimeError, match="a bug"):
        ask(store, "A-M")
    assert store.store.list() == []


@pytest.mark.parametrize(
    "other",
    [
        SECTION.model_copy(update={"learning_rate": 1e-3}),
        SECTION.model_copy(update={"seed": 2}),
        SECTION.model_copy(update={"d_model": 64}),
        SECTION.model_copy(update={"tasks": ("memorization",)}),
        SECTION.model_copy(update={"difficulty": {"in-context-recall": MADSettings(vocab_size=32)}}),
        SECTION.model_copy(update={"dataset": "dclm", "language": LanguageData(seq_len=8, train_examples=20,
                                                                               test_examples=5)}),
    ],
)  # fmt: skip
def test_settings_that_matter_are_in_the_key(other: ProxySection) -> None:
    assert key_of(("A",), SECTION, 1).digest != key_of(("A",), other, 1).digest


def test_settings_that_do_not_matter_are_not_in_the_key() -> None:
    same = SECTION.model_copy(
        update={
            "dataset": "mad", "language": LanguageData(seq_len=8),
            # The task's own default, said aloud; and the difficulty of a task that is not scored.
            "difficulty": {"in-context-recall": MADSettings(vocab_size=16), "compression": MADSettings(vocab_size=8)},
        }
    )  # fmt: skip
    assert settings_of(same) == settings_of(SECTION)
    assert key_of(("A",), same, 1) == key_of(("A",), SECTION, 1)
    assert key_of(("A",), SECTION, 1).digest != key_of(("A",), SECTION, 2).digest
    assert key_of(("A", "M"), SECTION, 1).digest != key_of(("M", "A"), SECTION, 1).digest


def test_a_text_is_known_by_what_it_holds_not_by_its_place(tmp_path: Path) -> None:
    digests = []
    for folder, last in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder).mkdir()
        texts = [f"{word} " * 30 for word in ("one", "two", "three", "four", "five", "six", "seven", "eight", last)]
        for i, text in enumerate(texts):
            (tmp_path / folder / f"{i}.txt").write_text(text)
        data = LanguageData(
            paths=(str(tmp_path / folder),), test_paths=(str(tmp_path / folder / "8.txt"),), seq_len=4,
            train_examples=20, test_examples=5,
        )  # fmt: skip
        digests.append(key_of(("A",), SECTION.model_copy(update={"dataset": "dclm", "language": data}), 1).digest)
    assert digests[0] == digests[1] != digests[2]


@pytest.fixture
def filled(store_uri: str, tmp_path: Path) -> EvaluationStore:
    store = EvaluationStore(store_uri, Training(tmp_path / "log"), "first/greedy.s0")
    for design in ("2A-2M", "A-3M", "3A-M", "2A"):
        ask(store, design)
    ask(EvaluationStore(store_uri, returning(status="failed", reason="diverged")), "4M")
    other = EvaluationStore(store_uri, Training(tmp_path / "log"), "second/tree.s0")
    ask(other, "2A-2M", SECTION.model_copy(update={"epochs": 2}))
    ask(other, "2A-2M")
    return store


def test_entries_are_chosen_best_first(filled: EvaluationStore, tmp_path: Path) -> None:
    entries = read_entries(filled.store, tmp_path / "cache")
    assert read_entries(filled.store, tmp_path / "cache") == entries
    assert [entry.design for entry in Choice().of(entries)] == ["2A", "3A-M", "2A-2M", "2A-2M", "A-3M"]
    settings = key_of(("A",), SECTION, 1).settings_digest
    assert len(Choice(settings=settings[:10]).of(entries)) == 4
    assert [entry.design for entry in Choice(design="A-A-M-M", settings=settings).of(entries)] == ["2A-2M"]
    assert [entry.design for entry in Choice(design="A-3").of(entries)] == ["A-3M"]
    assert [entry.design for entry in Choice(design="4M", failed=True).of(entries)] == ["4M"]
    assert len(Choice(asked_by="second/").of(entries)) == 1
    assert len(Choice(layers=2).of(entries)) == 1


def test_statistics_count_what_was_trained_and_what_was_found(filled: EvaluationStore, tmp_path: Path) -> None:
    entries = read_entries(filled.store, tmp_path / "cache")
    found = statistics(entries, read_uses(filled.store))
    assert (found["evaluations"], found["failed"], found["designs"]) == (6, 1, 5)
    assert (found["trained"], found["found"], found["asked"]) == (6, 1, 7)
    assert found["seconds_trained"] == 5 * 12.5 + 2.0
    assert found["seconds_saved"] == 12.5
    assert found["asked_by"]["second/tree.s0"] == {"trained": 1, "found": 1}
    assert list(found["by_settings"].values()) == [5, 1]
    assert found["bytes"] == sum(len(filled.store.read(name)) for name in filled.store.list("entries"))


def test_the_exported_table_can_be_aggregated(filled: EvaluationStore, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    settings = key_of(("A",), SECTION, 1).settings_digest
    chosen = Choice(layers=4, settings=settings).of(read_entries(filled.store, tmp_path / "cache"))
    write_parquet(chosen, tmp_path / "out" / "designs.parquet")
    table = DesignTable.from_parquet(tmp_path / "out" / "designs.parquet")
    assert [table.design(row) for row in range(len(table))] == ["3A-M", "2A-2M", "A-3M"]
    assert table.fitness("validation").tolist() == [0.75, 0.5, 0.25]
    assert (table.datasets, table.lower_is_better, set(table.found_by)) == (("mad",), (False,), {"greedy"})
    rows = pq.read_table(tmp_path / "out" / "designs.parquet").to_pylist()
    assert rows[0]["test.memorization"] == 0.25
    assert rows[0]["seconds"] == 12.5
    assert tuple(rows[0]["layers"]) == parse("3A-M")
