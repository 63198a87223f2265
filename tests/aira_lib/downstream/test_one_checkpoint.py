"""`aira evaluate CHECKPOINT --tasks`: real tasks, slices of their items, a model of some thousand parameters."""

import csv
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from aira_lib.downstream import stage
from aira_lib.downstream.asked import scores_identity
from aira_lib.flow.finished import finished_units
from aira_lib.flow.run import run_stage
from aira_lib.flow.scales import baselines_at
from aira_lib.flow.units import unit_of_point, units_of
from aira_lib.pretrain.points import pretraining_points
from aira_lib.records import Downstream, Manifest, PretrainPoint, TrainingRun, read_row, write_rows
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import DownstreamSection, Study
from aira_lib.track.follow import LOG_NAME, run_of_log
from tests.aira_lib.cli.in_process import Ended, aira
from tests.aira_lib.downstream.made_up import SLICES
from tests.builders import TINY_STUDY, small_text, tiny_study

pytestmark = pytest.mark.usefixtures("plain_kernels")

TASKS = ("piqa:1", "copa", "winogrande")


@dataclass(frozen=True)
class Trained:
    """A study with one finished training in a store of its own."""

    study: Study
    settings: Settings
    point: PretrainPoint
    record: Path

    def evaluate(self, *options: str, record: Path | None = None) -> Ended:
        given = ("--store", self.settings.store, *options)
        return aira("evaluate", str(record or self.record), *given, AIRA_SCRATCH=str(self.settings.scratch))

    def asked(self, *options: str) -> Ended:
        return self.evaluate("--tasks", ",".join(TASKS), "--data", str(SLICES), "--limit", "5", *options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    pretrain = {**TINY_STUDY["pretrain"], "data": small_text(folder / "text")}
    pretrain["isotoken"] = {"scale": "nano", "tokens": 4096, "seeds": [0]}
    asks = {"tasks": list(TASKS), "data": str(SLICES), "limit": 5}
    study = tiny_study(pretrain=pretrain, downstream=asks, scales={}, evaluate={"samples": 8})
    settings = Settings(store=str(folder / "runs"), scratch=folder / "scratch", evaluations="none")
    (designs,) = units_of("extrapolate", study)
    with RecordFolder(open_store(settings.store), designs.folder(study)).claim(settings.scratch) as attempt:
        assert attempt
        write_rows(attempt.path / "designs.jsonl", baselines_at(study, study.trainable_scales()))
        said = {"stage": "extrapolate", "unit": "all", "key": designs.key, "study": study.name, "spec_digest": ""}
        attempt.commit(Manifest(**said, section={}))
    point = pretraining_points(study.pretrain, baselines_at(study, study.trainable_scales()))[0]
    unit = unit_of_point("pretrain", study, point)
    run_stage(study, unit, settings)
    return Trained(study, settings, point, Path(settings.store) / unit.folder(study))


def _counted(rows: list[dict[str, Any]], metric: str) -> float:
    """A share by what is written of the items, without our counting."""
    right = 0
    for row in rows:
        by = row["lengths"] if metric == "acc_norm" else [1] * len(row["lengths"])
        values = [nats / length for nats, length in zip(row["loglikelihoods"], by, strict=True)]
        right += max(range(len(values)), key=lambda choice: values[choice]) == row["gold"]
    return right / len(rows)


def test_its_scores_are_those_of_its_items_and_the_record_is_the_studys_own(trained: Trained, tmp_path: Path) -> None:
    ended = trained.asked("--to", str(tmp_path / "copied"))
    assert ended.code == 0, ended.err
    found = read_row(tmp_path / "copied" / "downstream.json", Downstream)
    items = pq.read_table(tmp_path / "copied" / "items.parquet").to_pylist()
    assert [(score.task, score.shots, score.items) for score in found.tasks] == [
        ("piqa", 1, 5), ("copa", 0, 5), ("winogrande", 0, 5)
    ]  # fmt: skip
    for score in found.tasks:
        mine = [row for row in items if row["task"] == score.task]
        assert len(mine) == 5
        for metric, of in score.metrics.items():
            share = _counted(mine, metric)
            assert of.value == pytest.approx(share, abs=1e-12)
            assert of.stderr == pytest.approx(math.sqrt(share * (1 - share) / 4), abs=1e-12)
        assert score.cut == sum(row["cut"] for row in mine)
    assert found.tasks[0].cut > 0  # an example and an item are more than 128 bytes
    (unit,) = units_of("downstream", trained.study, [trained.point])
    assert finished_units(trained.study, trained.settings, [unit]) == [unit]
    with (tmp_path / "copied" / "scores.csv").open() as file:
        rows = {(row["task"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}
    assert rows["piqa", "acc_norm"] == found.tasks[0].metrics["acc_norm"].value


def test_a_second_time_nothing_is_computed(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained.asked()
    monkeypatch.setattr(stage, "Scorer", None)  # whoever loads the model fails
    again = trained.asked()
    assert again.code == 0, again.err
    assert "Nothing was computed: all of it was there already" in again.out
    assert _table(again) == _table(first)


def _table(ended: Ended) -> list[str]:
    return [line for line in ended.out.splitlines() if any(name.partition(":")[0] in line for name in TASKS)]


def test_further_items_are_computed_alone(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are kept: with one more item of two choices the model is asked for two."""
    from aira_lib.downstream.adapter import HarnessModel

    trained.asked()
    computed = []
    answers = HarnessModel._answers

    def counting(self: Any, kind: str, requests: Any, compute: Any) -> Any:
        return answers(self, kind, requests, lambda some: computed.append(len(some)) or compute(some))  # type: ignore[func-returns-value]

    monkeypatch.setattr(HarnessModel, "_answers", counting)
    more = trained.evaluate("--tasks", "copa", "--data", str(SLICES), "--limit", "6")
    assert more.code == 0, more.err
    assert computed == [2]


def test_a_plan_counts_what_would_be_asked_and_leaves_nothing(trained: Trained, tmp_path: Path) -> None:
    before = sorted(Path(trained.settings.store).rglob("*"))
    ended = trained.evaluate("--tasks", "core-14", "--data", str(SLICES), "--limit", "4", "--dry-run")
    assert ended.code == 0, ended.err
    cells = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.strip()}
    assert cells["copa"][1:4] == ["0", "4", "8"]
    assert cells["openbookqa"][1:4] == ["0", "4", "16"]
    assert "coqa 0-shot has no score: no items of coqa" in ended.out
    assert sorted(Path(trained.settings.store).rglob("*")) == before


def test_what_it_refuses_is_one_line(trained: Trained, tmp_path: Path) -> None:
    of = ("--data", str(SLICES))
    scores = next((trained.record.parents[1] / "downstream").iterdir(), trained.record)
    refused: Mapping[tuple[str, ...], str] = {
        (str(trained.record),): "a folder is no study; to score the model of a record name --tasks, such as six",
        (str(trained.record), "--limit", "3"): "--limit goes with --tasks",
        (str(trained.record), "--tasks", "coppa", *of): "unknown downstream task 'coppa'; did you mean 'copa'",
        (str(trained.record), "--tasks", "copa,copa", *of): "name tasks, each once",
        (str(trained.record), "--tasks", "copa", "--unit", "x"): "--unit names one checkpoint of a study",
        (str(tmp_path / "none"), "--tasks", "copa", *of): "no record of a training; name the folder of one",
        (str(scores), "--tasks", "copa", *of): "a record of downstream, and no training",
        (str(trained.record), "--tasks", "coqa", *of): "no items of coqa",
        (str(trained.record), "--tasks", "copa", *of, "--to", "s3://bucket/scores"): "a folder of this machine",
    }  # fmt: skip
    for arguments, line in refused.items():
        ended = aira("evaluate", *arguments, AIRA_SCRATCH=str(trained.settings.scratch))
        assert (ended.code, line in ended.err, ended.err.count("\n")) == (2, True, 1), (arguments, ended)


def test_a_folder_for_copies_that_cannot_be_is_refused_before_anything_is_scored(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(stage, "Scorer", None)  # whoever loads the model fails
    ended = trained.evaluate("--tasks", "boolq:0", "--data", str(SLICES), "--to", str(tmp_path / "file"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "a file stands where a folder is needed" in ended.err


def test_files_of_a_training_outside_of_a_store_are_known_by_what_they_hold(trained: Trained, tmp_path: Path) -> None:
    (attempt,) = (path.parent for path in trained.record.rglob("run.json"))
    for name in ("one", "moved"):
        shutil.copytree(attempt, tmp_path / name)
    given = ("--tasks", "copa", "--data", str(SLICES), "--limit", "3")
    first, second = (trained.evaluate(*given, record=tmp_path / name) for name in ("one", "moved"))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "/checkpoints/downstream/" in first.out
    assert "Nothing was computed" in second.out
    run = read_row(tmp_path / "one" / "run.json", TrainingRun)
    (tmp_path / "one" / "run.json").write_text(run.model_copy(update={"status": "diverged"}).json_line())
    assert "this training diverged" in trained.evaluate(*given, record=tmp_path / "one").err


def test_the_record_says_what_it_took_and_belongs_to_the_run_of_its_training(trained: Trained) -> None:
    trained.asked()
    (unit,) = units_of("downstream", trained.study, [trained.point])
    record = RecordFolder(open_store(trained.settings.store), unit.folder(trained.study))
    manifest, of = record.manifest(), RecordFolder(open_store(str(trained.record.parent)), trained.record.name)
    training = of.manifest()
    assert manifest
    assert training
    assert manifest.seconds > 0
    assert (manifest.spec_digest, manifest.stand_ins) == (training.spec_digest, training.stand_ins)
    mine, its = (run_of_log(each.fetch(trained.settings.scratch) / LOG_NAME) for each in (record, of))
    assert mine == its == (f"pretrain:{training.key}", f"pretrain/{trained.point.id}")


def test_where_token_shards_lie_is_told_by_the_study_beside_the_record(trained: Trained, tmp_path: Path) -> None:
    """Whichever store scores are kept in."""
    (run,) = trained.record.rglob("run.json")
    data = {"corpus": "shards", "tokenizer": "llama.json", "tokenizer_sha256": "0"}
    record = RecordFolder(open_store(str(tmp_path / "runs")), "tiny/pretrain/p-1")
    with record.claim(tmp_path / "scratch") as attempt:
        assert attempt
        changed = read_row(run, TrainingRun).model_copy(update={"data": data})
        (attempt.path / "run.json").write_text(changed.json_line())
        said = {"stage": "pretrain", "unit": "p", "key": "k", "study": "tiny", "spec_digest": "", "section": {}}
        attempt.commit(Manifest.model_validate(said))
    given, place = ("--tasks", "copa", "--data", str(SLICES), "--dry-run"), tmp_path / "runs/tiny/pretrain/p-1"
    assert "whose tokenizer is not at hand" in trained.evaluate(*given, record=place).err
    section = trained.study.model_dump(mode="json")
    section["pretrain"]["data"] = {"name": "shards", "shards": str(tmp_path / "of-the-study")}
    (tmp_path / "runs/tiny/study.json").write_text(json.dumps(section))
    ended = trained.evaluate(*given, record=place)
    assert (ended.code, "of-the-study" in ended.err) == (2, True), ended


def test_the_command_of_the_stage_finds_what_was_scored_before(trained: Trained, tmp_path: Path) -> None:
    trained.asked()
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(trained.study.model_dump(mode="json", exclude_defaults=True)))
    ended = aira("downstream", str(tmp_path / "study.yaml"), "--store", trained.settings.store)
    assert f"downstream {trained.point.id}: was there already" in ended.out, ended


def test_what_else_lies_beside_the_items_is_not_looked_at(tmp_path: Path) -> None:
    shutil.copytree(SLICES / "copa", tmp_path / "copa")
    section = DownstreamSection(tasks=("copa",), data=str(tmp_path))
    alone = scores_identity(section)
    (tmp_path / "copa" / "notes").symlink_to(tmp_path / "gone")
    (tmp_path / "pictures").mkdir(mode=0)
    assert scores_identity(section) == alone


def test_items_in_a_store_are_fetched_once_and_are_the_same_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    shutil.copytree(SLICES / "copa", tmp_path / "items" / "copa")
    there, here = f"file://{tmp_path / 'items'}", str(tmp_path / "items")
    section = DownstreamSection(tasks=("copa",), data=there)
    local = scores_identity(section.model_copy(update={"data": here}))
    assert scores_identity(section) == local
    (fetched,) = (tmp_path / "scratch").rglob("validation.jsonl")
    before = fetched.stat().st_mtime_ns
    assert scores_identity(section) == local
    assert fetched.stat().st_mtime_ns == before
    (tmp_path / "items" / "copa" / "validation.jsonl").write_text(fetched.read_text().splitlines()[0] + "\n")
    assert scores_identity(section) != local  # others lie there now
