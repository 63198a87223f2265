import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from aira_lib.tasks.airs.held_out import CannotHoldOut, HeldOutRows, hold_out, read_split
from aira_lib.tasks.airs.overview import data_overview

Rows = list[dict[str, str]]
ROWS: Rows = [{"text": f'a "{i}",\nb', "id": str(i), "label": "yes" if i % 3 else "no"} for i in range(20)]


def write_csv(rows: Rows, columns: Sequence[str], folder: Path, name: str = "data.csv") -> None:
    folder.mkdir(parents=True)
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_dataset(rows: Rows, columns: Sequence[str], folder: Path) -> None:
    """As Hugging Face's save_to_disk does, in two shards; labels as numbers of classes, with metadata."""
    folder.mkdir(parents=True)
    values = {name: [row[name] for row in rows] for name in columns}
    arrays = {name: pa.array([v == "yes" for v in vs] if name == "label" else vs) for name, vs in values.items()}
    whole = pa.table(arrays).replace_schema_metadata({"huggingface": json.dumps({"columns": list(columns)})})
    names = [f"data-0000{i}-of-00002.arrow" for i in range(2)]
    for name, part in zip(names, (whole.slice(0, 7), whole.slice(7)), strict=True):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(part)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "abc", "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": list(columns)}))


def held_out(kind: str, where: Path, fraction: float = 0.25) -> HeldOutRows:
    write = write_csv if kind == "csv" else write_dataset
    write(ROWS, ["text", "id", "label"], where / "prepared/train")
    write(ROWS[:3], ["id", "text"], where / "prepared/test")
    write(ROWS[:3], ["label", "id"], where / "labels")
    (where / "prepared" / "vocabulary.txt").write_text("all words")
    return hold_out(where / "prepared", where / "labels", where / "out", fraction, ["label"])


def rows_of(folder: Path) -> Rows:
    return [{name: str(value) for name, value in row.items()} for row in read_split(folder).table.to_pylist()]


@pytest.mark.parametrize("kind", ["csv", "dataset"])
def test_every_row_is_on_one_side_and_held_out_labels_are_with_the_scorer_alone(kind: str, tmp_path: Path) -> None:
    made = held_out(kind, tmp_path)
    agent = made.agent_data
    assert made.rows == 5
    before, train = rows_of(tmp_path / "prepared/train"), rows_of(agent / "train")
    inputs, labels = rows_of(agent / "held_out"), rows_of(made.labels)
    assert [list(row) for row in (inputs[0], labels[0])] == [["id", "text"], ["label", "id"]]
    joined = [{"text": i["text"], "id": i["id"], "label": k["label"]} for i, k in zip(inputs, labels, strict=True)]
    assert [i["id"] for i in inputs] == [k["id"] for k in labels]
    assert sorted(train + joined, key=lambda row: int(row["id"])) == before
    assert len(train) == 15
    gold = list(csv.DictReader(made.gold.decode().splitlines()))
    assert [row["label"] for row in gold] == [row["label"] for row in labels]
    assert sorted(path.name for path in agent.iterdir()) == ["held_out", "test", "train", "vocabulary.txt"]
    assert rows_of(agent / "test") == rows_of(tmp_path / "prepared/test")


def test_a_data_set_keeps_its_types_and_its_own_fingerprint(tmp_path: Path) -> None:
    made = held_out("dataset", tmp_path)
    pairs = {"train": "prepared/train", "held_out": "prepared/test"}
    prints = set()
    for mine, like in pairs.items():
        assert read_split(made.agent_data / mine).table.schema.equals(
            read_split(tmp_path / like).table.schema, check_metadata=True
        )
        info = [json.loads((f / "dataset_info.json").read_text()) for f in (made.agent_data / mine, tmp_path / like)]
        assert info[0] == info[1]
        prints.add(json.loads((made.agent_data / mine / "state.json").read_text())["_fingerprint"])
    assert len({*prints, "abc"}) == 3


def test_the_same_rows_are_drawn_each_time_and_some_stay_on_both_sides(tmp_path: Path) -> None:
    first, second = held_out("csv", tmp_path / "1"), held_out("csv", tmp_path / "2")
    assert first.gold == second.gold
    assert (held_out("csv", tmp_path / "3", 1e-9).rows, held_out("csv", tmp_path / "4", 1 - 1e-9).rows) == (1, 19)


@pytest.mark.parametrize(
    ("train", "test", "labels", "reason"),
    [
        (
            ["text"],
            ["text"],
            ["label"],
            "test_with_labels has no column|labels has a column 'label' that train has not",
        ),
        (["text", "label"], ["text", "id"], ["label"], "test has a column 'id' that train has not"),
        (["text", "label"], ["text", "label"], ["label"], "test has the scoring column 'label'"),
        (["text", "label"], ["text"], ["text"], "no column 'label'"),
    ],
)
def test_other_columns_are_refused_with_the_reason(
    train: list[str], test: list[str], labels: list[str], reason: str, tmp_path: Path
) -> None:
    write_csv(ROWS, train, tmp_path / "prepared/train")
    write_csv(ROWS, test, tmp_path / "prepared/test")
    write_csv(ROWS, labels, tmp_path / "labels")
    with pytest.raises(CannotHoldOut, match=reason):
        hold_out(tmp_path / "prepared", tmp_path / "labels", tmp_path / "out", 0.2, ["label"])


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotHoldOut, match="neither a data set"):
        read_split(tmp_path / "nothing")
    write_csv(ROWS, ["id"], tmp_path / "two")
    (tmp_path / "two/more.csv").touch()
    with pytest.raises(CannotHoldOut, match="neither a data set"):
        read_split(tmp_path / "two")
    (tmp_path / "ragged").mkdir()
    (tmp_path / "ragged/data.csv").write_text("a,b\n1\n")
    with pytest.raises(CannotHoldOut, match="another length"):
        read_split(tmp_path / "ragged")


def test_an_overview_tells_columns_and_stays_short(tmp_path: Path) -> None:
    write_csv(ROWS, ["id", "label"], tmp_path / "train")
    write_dataset(ROWS, ["text", "label"], tmp_path / "test")
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe")
    (tmp_path / "many").mkdir()
    for i in range(300):
        (tmp_path / "many" / f"{i:03}.bin").touch()
    text = data_overview(tmp_path)
    assert "./data/train/data.csv: " in text
    assert "'id,label'" in text
    assert "columns text (string), label (bool)" in text
    assert "./data/many: 292 more" in text
    assert "- ./data/broken.csv: 2 bytes\n" in text
    for i in range(8):
        write_csv([{"id": "1"}], [f"{'long' * 100}{i}{j}" for j in range(9)], tmp_path / f"wide{i}")
    assert len(data_overview(tmp_path)) < 6_100
