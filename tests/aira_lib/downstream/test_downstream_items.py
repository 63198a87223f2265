"""Items of downstream tasks are read from files of any public form; what cannot be scored is one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aira_lib.downstream.data import data_folder, task_data
from aira_lib.downstream.tables import TASKS
from aira_lib.errors import UserError
from tests.aira_lib.downstream.made_up import (
    COQA,
    ITEMS,
    LAMBADA,
    LSAT,
    SLICES,
    SQUAD,
    XWINOGRAD,
    write_all,
    write_json,
    write_lines,
)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def refused(name: str, folder: Path) -> str:
    with pytest.raises(UserError) as error:
        task_data(TASKS[name], folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", sorted(path.name for path in SLICES.iterdir() if path.is_dir()))
def test_real_items_have_the_right_choice_that_their_file_says(name: str) -> None:
    data, raw = task_data(TASKS[name], SLICES), lines(SLICES / name / "validation.jsonl")
    assert len(data) == len(set(data.digests)) == 8
    assert data.split == "validation"
    assert bool(data.note) == (TASKS[name].paper_split == "test")
    said = {
        "copa": lambda item: item["label"],
        "boolq": lambda item: int(item["answer"]),
        "hellaswag": lambda item: int(item["label"]),
        "piqa": lambda item: item["label"],
        "winogrande": lambda item: {"1": 0, "2": 1}[item["answer"]],
        "sciq": lambda item: 3,
    }.get(name, lambda item: "ABCDE".index(item["answerKey"]))
    assert list(data.golds) == [said(item) for item in raw]


def test_the_five_other_tasks_are_read_from_their_publishers_files(tmp_path: Path) -> None:
    write_all(tmp_path)
    found = {name: task_data(TASKS[name], tmp_path) for name in ITEMS}
    assert {name: len(data) for name, data in found.items()} == ITEMS
    assert all(data.split == TASKS[name].paper_split and not data.note for name, data in found.items())
    assert found["agieval_lsat_ar"].golds == tuple("ABCDE".index(item["label"]) for item in LSAT)
    asked = found["agieval_lsat_ar"].table.to_pylist()[1]["query"]
    assert asked.startswith("Bo has 1 boxes.\nQ: How many are red? Answer Choices: (A)1 (B)2")
    assert asked.endswith("(E)5\nA: Among A through E, the answer is")
    assert [len(row["answers"]["text"]) for row in found["squadv2"].table.to_pylist()] == [2, 0] * 8
    assert found["coqa"].table.to_pylist()[0]["others"] == ["in A barn", "a barn", "near the farm house"]


def columns(turns: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Turns as Hugging Face has them."""
    return {key: [turn[key] for turn in turns] for key in turns[0]}


def hosted_coqa(item: dict[str, Any]) -> dict[str, Any]:
    others = {key: columns(turns) for key, turns in item["additional_answers"].items()}
    plain = {key: item[key] for key in ("id", "source", "story")}
    return {**plain, "questions": columns(item["questions"]), "answers": columns(item["answers"])} | {
        "additional_answers": others
    }


def hosted_squad() -> list[dict[str, Any]]:
    return [
        {
            "id": question["id"], "title": article["title"], "context": paragraph["context"],
            "question": question["question"],
            "answers": {
                "text": [answer["text"] for answer in question["answers"]],
                "answer_start": [answer["answer_start"] for answer in question["answers"]],
            },
        }
        for article in SQUAD["data"] for paragraph in article["paragraphs"] for question in paragraph["qas"]
    ]  # fmt: skip


def hosted_lsat(item: dict[str, Any]) -> dict[str, Any]:
    asked = f"{item['passage']}Q: {item['question']} Answer Choices: {' '.join(item['options'])}\n"
    query = asked + "A: Among A through E, the answer is"
    return {"query": query, "choices": item["options"], "gold": ["ABCDE".index(item["label"])]}


def test_the_same_item_is_the_same_from_its_publisher_and_from_a_host(tmp_path: Path) -> None:
    write_all(tmp_path / "theirs")
    hosted = tmp_path / "hosted"
    parquet(hosted / "agieval_lsat_ar" / "test-00000-of-00001.parquet", [hosted_lsat(item) for item in LSAT])
    parquet(hosted / "lambada" / "test-00000-of-00001.parquet", LAMBADA)
    parquet(hosted / "xwinograd" / "test-00000-of-00002.parquet", XWINOGRAD[:5])
    parquet(hosted / "xwinograd" / "test-00001-of-00002.parquet", XWINOGRAD[5:])
    parquet(hosted / "coqa" / "validation-00000-of-00001.parquet", [hosted_coqa(item) for item in COQA["data"]])
    parquet(hosted / "squadv2" / "validation-00000-of-00001.parquet", hosted_squad())
    for name in ITEMS:
        theirs, host = task_data(TASKS[name], tmp_path / "theirs"), task_data(TASKS[name], hosted)
        assert theirs.digests == host.digests
        assert theirs.golds == host.golds
        assert theirs.source["sha256"] == host.source["sha256"]
        assert theirs.table.equals(host.table)


def ai2(item: dict[str, Any], stem: str) -> dict[str, Any]:
    texts, labels = item["choices"]["text"], item["choices"]["label"]
    choices = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
    return {"id": item["id"], "question": {"stem": item[stem], "choices": choices}, "answerKey": item["answerKey"]}


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("arc_e", lambda item: ai2(item, "question")),
        ("openbookqa", lambda item: ai2(item, "question_stem")),
        ("commonsenseqa", lambda item: ai2(item, "question")),
        ("boolq", lambda item: {**item, "label": int(item.pop("answer")), "idx": 1}),
        ("hellaswag", lambda item: {**item, "label": int(item["label"])}),
    ],
)
def test_other_public_forms_of_real_items_are_the_same_items(
    name: str, otherwise: Callable[[dict[str, Any]], dict[str, Any]], tmp_path: Path
) -> None:
    rows = lines(SLICES / name / "validation.jsonl")
    write_lines(tmp_path / name / "dev.jsonl", [otherwise(row) for row in rows])
    assert task_data(TASKS[name], tmp_path).digests == task_data(TASKS[name], SLICES).digests


def test_the_split_of_the_paper_is_taken_where_it_is_there_and_never_the_training_one(tmp_path: Path) -> None:
    folder = tmp_path / "arc_e"
    shutil.copytree(SLICES / "arc_e", folder)
    assert "scored on validation; the paper's harness scores test" in task_data(TASKS["arc_e"], tmp_path).note
    rows = lines(folder / "validation.jsonl")
    parquet(folder / "test-00000-of-00001.parquet", rows[:3])
    write_lines(folder / "train.jsonl", rows[:1])
    data = task_data(TASKS["arc_e"], tmp_path)
    assert (len(data), data.split, data.note) == (3, "test", "")
    for path in folder.glob("[vt]*[nt]*"):
        if "train" not in path.name:
            path.unlink()
    assert "only train" in refused("arc_e", tmp_path)


def test_what_is_not_there_says_where_it_can_be_had(tmp_path: Path) -> None:
    assert "make eval-data fetches them" in refused("piqa", tmp_path)
    line = refused("coqa", tmp_path)
    assert "coqa-dev-v1.0.json" in line
    assert "make eval-data" not in line
    (tmp_path / "coqa").mkdir()
    assert "nothing in .parquet, .jsonl or .json" in refused("coqa", tmp_path)


def test_files_that_could_both_be_meant_and_missing_parts_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "xwinograd" / "en.jsonl", XWINOGRAD)
    write_lines(tmp_path / "xwinograd" / "fr.jsonl", XWINOGRAD)
    assert "several files of split test (en.jsonl, fr.jsonl)" in refused("xwinograd", tmp_path)
    parquet(tmp_path / "lambada" / "test-00000-of-00002.parquet", LAMBADA)
    assert "not all parts" in refused("lambada", tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("arc_e", lambda item: item.pop("answerKey"), "it has no 'answerKey'"),
        ("arc_e", lambda item: item.update(answerKey="Z"), "'answerKey' is 'Z', which no choice has"),
        ("arc_e", lambda item: item.update(choices=["a", "b"]), "built otherwise"),
        ("arc_e", lambda item: item["choices"]["text"].pop(), "not as many texts as labels"),
        ("commonsenseqa", lambda item: item["choices"].update(label=list("BACDE")), "its choices are not A to E"),
        (
            "hellaswag",
            lambda item: item.update(label=""),
            "not a number from 0 to 3; a split whose answers are held back",
        ),
        ("hellaswag", lambda item: item.pop("ctx_b"), "it has no 'ctx_b'"),
        ("piqa", lambda item: item.update(label=-1), "not a number from 0 to 1"),
        ("piqa", lambda item: item.update(sol1=None), "'sol1' is no text"),
        ("boolq", lambda item: item.update(answer="yes"), "not a number"),
        ("winogrande", lambda item: item.update(sentence="No blank."), "has no blank"),
        ("winogrande", lambda item: item.update(answer=""), "not 1 or 2"),
        ("copa", lambda item: item.update(question="why"), "not cause or effect"),
        ("sciq", lambda item: item.update(distractor2=3), "'distractor2' is no text"),
    ],
)
def test_an_item_that_is_none_of_its_task_is_named(
    name: str, change: Callable[[dict[str, Any]], Any], says: str, tmp_path: Path
) -> None:
    rows = lines(SLICES / name / "validation.jsonl")
    change(rows[2])
    write_lines(tmp_path / name / "validation.jsonl", rows)
    line = refused(name, tmp_path)
    assert says in line
    assert "item 2 is none of" in line
    assert TASKS[name].source in line


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("dev.json", "{", "not JSON of items"),
        ("dev.json", '{"version": 1}', "not JSON of items"),
        ("dev.json", "[]", "it has no items"),
        ("dev.jsonl", "[1]\n", "built otherwise"),
        ("dev.jsonl", "\ud800".encode("utf-8", "surrogatepass"), "not JSON of items"),
        ("dev.parquet", "PAR1", "not Parquet"),
    ],
)
def test_a_file_of_something_else_is_one_line(name: str, content: str | bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "coqa").mkdir()
    (tmp_path / "coqa" / name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert says in refused("coqa", tmp_path)


def test_turns_without_answers_and_odd_right_choices_are_refused(tmp_path: Path) -> None:
    item = json.loads(json.dumps(COQA["data"][0]))
    item["answers"].pop()
    write_json(tmp_path / "coqa" / "dev.json", [item])
    assert "not as many answers as questions" in refused("coqa", tmp_path)
    write_lines(tmp_path / "agieval_lsat_ar" / "test.jsonl", [{**hosted_lsat(LSAT[0]), "gold": [0, 1]}])
    assert "not the number of one choice" in refused("agieval_lsat_ar", tmp_path)
    write_lines(tmp_path / "lambada" / "test.jsonl", [{"text": "alone"}])
    assert "single word" in refused("lambada", tmp_path)


def test_items_lie_where_a_study_says_else_below_the_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path))
    assert data_folder("") == tmp_path / "evaluation-data"
    assert data_folder("/somewhere") == Path("/somewhere")
    monkeypatch.setenv("HOME", "/home/someone")
    assert data_folder("~/items") == Path("/home/someone/items")
