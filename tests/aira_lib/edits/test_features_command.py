"""`aira features` over scripts and journals: what it prints and writes, and what it refuses in one line."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aira_lib.autoresearch.features.events import events_of
from aira_lib.cli.aira import app
from aira_lib.edits.figures import progress_figure, titles_of
from aira_lib.edits.reading import read_asked
from aira_lib.errors import UserError
from aira_lib.records import Node
from aira_lib.settings import Settings
from tests.aira_lib.autoresearch.features_script import SCRIPT, edited
from tests.aira_lib.standings.finished_searches import study_of, task_folder

TIED = edited(("# the model's own", "self.lm_head.weight = self.wte.weight"))
HOSTILE = "'" + "{" * 3000  # as an f-string it would be slow; as it stands it is no Python
NESTED = "a" + ".b" * 3000


def aira(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["features", *map(str, arguments)], env={"COLUMNS": "200"})
    if done.exception:
        raise done.exception
    return done.output


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    script, journal = tmp_path / "train.py", tmp_path / "journal.jsonl"
    script.write_text(SCRIPT)
    steps = [(SCRIPT, 1.5), (TIED, 1.25), (NESTED, None), (SCRIPT, 1.0)]
    journal.write_text("".join(_node(n, *step).json_line() for n, step in enumerate(steps)))
    return script, journal


def _node(step: int, code: str, score: float | None) -> Node:
    status = "failed" if score is None else "ok"
    return Node(step=step, id=f"n{step}", operator="draft", code=code, status=status, validation=score)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_script_is_printed_with_lines(files: tuple[Path, Path]) -> None:
    printed = aira(files[0])
    at = next(n for n, line in enumerate(SCRIPT.splitlines(), 1) if line.startswith("MATRIX_LR"))
    assert any(line.split()[3:8:2] == ["matrix_lr", "0.04", str(at)] for line in printed.splitlines())
    (scripts,) = [json.loads(aira(files[0], "--json"))["scripts"]]
    found = {each["feature"]: each["value"] for each in scripts}
    assert (found["depth"], found["weight_tying"], found["WARMUP"], len(found)) == ("2", "off", "0.0", 28)


def test_a_journal_gives_the_tables_as_files_and_a_small_page(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    aira(files[1], "--to", out)
    tied = {row["feature"]: row for row in rows(out / "table_20.csv")}["weight_tying"]
    assert (tied["add_count"], tied["add_median_gain"], tied["remove_count"], tied["remove_median_gain"]) == (
        "1", "0.25", "1", "0.25",
    )  # fmt: skip
    assert tied["verdict"] == "equal"
    heads = {row["category"]: row for row in rows(out / "table_21.csv")}["Embeddings / heads"]
    assert (heads["count"], heads["percent_of_improvements"], heads["tried"]) == ("2", "100.0", "2")
    assert len(rows(out / "table_19.csv")) == 27
    assert [row["step"] for row in rows(out / "steps.csv")] == ["0", "1", "2", "3"]
    page = (out / "features.html").read_text()
    assert "<script" not in page
    assert len(page) < 200_000
    assert (out / "figure_28.svg").read_text().startswith("<?xml")
    said = " ".join(json.loads((out / "features.json").read_text())["remarks"])
    assert "2 improvements in 2 attempts" in said
    assert "Left out: 1 attempt whose" in said


def test_the_baseline_may_be_the_origin(files: tuple[Path, Path]) -> None:
    numbers = json.loads(aira(files[1], "--origin", f"{files[0]}=1.2", "--json"))
    assert [row["gain"] for row in numbers["steps"]] == [None, None, None, pytest.approx(0.2)]


# --- studies and folders ----------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> str:
    """A study of two agents, whose finished searches lie in the store as a search leaves them; one seed is missing."""
    loss = task_folder(tmp_path, "SmallBytes", lower_is_better=True, metric="BPB", optimal_score=0.0)
    steps = [(SCRIPT, 1.5), (TIED, 1.25), (SCRIPT, 1.375)]
    return study_of(
        tmp_path, "bytes", loss, {"one": {0: [(1.5, 1.5)], 1: [(None, None)]}, "two": {1: [(1.25, 1.0)]}},
        codes={("one", 0): steps},
    )  # fmt: skip


def test_a_study_is_read_from_its_store(study: str, tmp_path: Path) -> None:
    numbers = json.loads(aira(study, "--store", tmp_path / "runs", "--json", "--to", tmp_path / "out"))
    own = [row for row in numbers["steps"] if row["search"] == "bytes one seed 0"]
    assert [(row["step"], row["score"], row["changed"]) for row in own] == [
        (0, 1.5, ""), (1, 1.25, "weight_tying: off to on"), (2, 1.375, "weight_tying: on to off"),
    ]  # fmt: skip
    assert {row["search"] for row in numbers["steps"]} == {"bytes one seed 0", "bytes two seed 1"}
    assert {row["feature"]: row["count"] for row in numbers["table_19"] if row["count"]} == {"weight_tying": 1}
    said = " ".join(numbers["remarks"])
    assert "3 searches: 1 improvement in 2 attempts" in said
    assert "study bytes: 1 of 4 searches are not finished" in said
    assert "bytes two seed 1" in (tmp_path / "out/features.html").read_text()


def test_a_folder_of_records_is_read_as_its_study_is(study: str, tmp_path: Path) -> None:
    by_study = json.loads(aira(study, "--store", tmp_path / "runs", "--json"))
    by_folder = json.loads(aira(tmp_path / "runs/bytes", "--json"))
    assert by_folder["table_19"] == by_study["table_19"]
    names = {row["search"].rpartition("-")[0] for row in by_folder["steps"]}
    assert names == {"bytes/search/one.s0", "bytes/search/two.s1"}


def test_of_a_record_with_several_attempts_that_of_its_manifest_counts(study: str, tmp_path: Path) -> None:
    (record,) = (tmp_path / "runs/bytes/search").glob("one.s0-*")
    manifest = json.loads((record / "manifest.json").read_text())
    for attempt, score in (("1-0123abcd", 1.5), ("2-0123abcd", 1.0), ("3-0123abcd", 0.5)):
        (record / attempt).mkdir()
        (record / attempt / "journal.jsonl").write_text(_node(0, SCRIPT, score).json_line())
    (record / "journal.jsonl").unlink()
    (record / "manifest.json").write_text(json.dumps(manifest | {"attempt": "2-0123abcd"}))

    def scores(folder: Path) -> list[float]:
        return [row["score"] for row in json.loads(aira(folder, "--json"))["steps"]]

    assert scores(record) == [1.0]
    assert scores(record / "1-0123abcd") == [1.0]
    (record / "manifest.json").unlink()
    assert scores(record) == [0.5]


def test_a_study_whose_score_is_better_higher_is_refused(tmp_path: Path) -> None:
    accuracy = study_of(tmp_path, "high", task_folder(tmp_path, "High"), {"one": {0: [(0.5, 0.5)]}})
    with pytest.raises(UserError, match="better higher"):
        aira(accuracy, "--store", tmp_path / "runs")


def test_a_study_without_finished_searches_is_refused(tmp_path: Path) -> None:
    folder = task_folder(tmp_path, "SmallBytes", lower_is_better=True)
    with pytest.raises(UserError, match=r"no search of .* is finished"):
        aira(study_of(tmp_path, "none", folder, {"one": {}}), "--store", tmp_path / "runs")


# --- choices ----------------------------------------------------------------------------------------------------------


def test_a_choice_is_printed_written_and_compared(tmp_path: Path) -> None:
    by_profile = edited(("DEPTH = 2", "PROFILE = ask()\nDEPTH = 8 if PROFILE == 'gpu' else 2"))
    steps = [(by_profile, 1.5), (by_profile.replace("DEPTH = 8", "DEPTH = 12"), 1.25)]
    journal, script = tmp_path / "journal.jsonl", tmp_path / "train.py"
    journal.write_text("".join(_node(n, *step).json_line() for n, step in enumerate(steps)))
    script.write_text(by_profile)
    numbers = json.loads(aira(script, journal, "--json", "--to", tmp_path / "out"))
    depth = next(row for row in numbers["scripts"] if row["feature"] == "depth")
    assert depth["value"] == "8 if PROFILE == 'gpu' else 2"
    assert numbers["steps"][1]["changed"] == "depth: 8 to 12 if PROFILE == 'gpu' else the same"
    assert rows(tmp_path / "out/steps.csv")[1]["changed"] == numbers["steps"][1]["changed"]
    assert {row["category"]: row["count"] for row in numbers["table_21"]}["Depth / width"] == 1
    assert "8 if PROFILE == &#39;gpu&#39; else 2" in (tmp_path / "out/features.html").read_text()


def test_a_constant_that_changes_far_behind_is_another(tmp_path: Path) -> None:
    table = "TABLE = (" + "1000000, " * 60 + "{})"
    steps = [(f"{SCRIPT}\n{table.format(n)}\n", 1.5 - n / 8) for n in range(2)]
    journal = tmp_path / "journal.jsonl"
    journal.write_text("".join(_node(n, *step).json_line() for n, step in enumerate(steps)))
    numbers = json.loads(aira(journal, "--json"))
    assert [row["constant"] for row in numbers["constants"]] == ["TABLE"]
    assert len(numbers["steps"][1]["constants"]) < 400


# --- the figure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "titles"), [
    (["runs/s/search/a.s0-1/journal.jsonl", "runs/s/search/b.s0-2/journal.jsonl"], ["a.s0-1", "b.s0-2"]),
    (["runs/s/a.s0-1", "runs/t/a.s0-1"], ["s", "t"]), (["/a/b/journal.jsonl"], ["b"]),
    (["journal.jsonl"], ["journal.jsonl"]), (["/x/c"], ["c"]),
    (["here/a b seed 1", "here/a b seed 2"], ["a b seed 1", "a b seed 2"]), (["one", "two"], ["one", "two"]),
])  # fmt: skip
def test_titles_tell_searches_apart(names: list[str], titles: list[str]) -> None:
    assert titles_of(names) == titles


def test_a_long_title_keeps_its_end_in_two_lines() -> None:
    names = [f"runs/{'a-very-long-name-' * 6}of-an-agent.s{seed}" for seed in range(12)]
    found = titles_of(names)
    assert len(set(found)) == 12
    for title in found:
        assert title.count("\n") == 1
        assert all(len(line) <= 26 for line in title.splitlines())


def test_every_search_has_its_panel_and_bad_steps_do_not_squash_it() -> None:
    scores = [2.2, 2.1, 2.15, 2.05, 9.0, 2.0, 2.1, 2.05, 2.1, 2.0, 2.0, 2.0]
    events = [e for name in "abcde" for e in events_of(name, [_node(n, SCRIPT, x) for n, x in enumerate(scores)])]
    figure = progress_figure(events)
    assert figure is not None
    panels = [axes for axes in figure.canvas.axes if axes.lines]
    assert [axes.get_title() for axes in panels] == list("abcde")
    for axes in panels:
        dots, beyond, best = axes.lines
        assert axes.get_ylim()[1] < 3
        assert [*beyond.get_xdata()] == [4]
        assert axes.get_ylim()[0] < min(best.get_ydata()) == 2.0
        assert sorted([*dots.get_xdata(), *beyond.get_xdata()]) == [*range(12)]
        assert [*best.get_ydata()] == [min(scores[: n + 1]) for n in range(12)]
    assert len({axes.get_ylim() for axes in panels}) == 1
    labelled = [axes for axes in panels if axes.xaxis.get_tick_params()["labelbottom"]]
    assert [axes.get_title() for axes in labelled] == ["b", "c", "d", "e"]


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content", "says"), [
    ("train.py", "def f(:", "no training script"), ("train.py", NESTED, "train.py: "),
    ("train.py", HOSTILE, "train.py: "),
    ("train.py", "x = " + "[" * 150 + "]" * 150, "levels deep"), ("train.py", "\0", "train.py: "),
    ("journal.jsonl", "no node\n", "journal.jsonl:1"), ("train.txt", "", "give training scripts"),
    ("journal.jsonl", "", "no step is finished"), ("journal.jsonl", '{"step": 0', "no step is finished"),
    ("journal.jsonl", "\x7fELF\0\0", "journal.jsonl:1: not a node"), ("train.py", "\x7fELF\0", "no text in UTF-8"),
    ("train.py", " \n", "train.py: empty"), ("study.yaml", "", "study.yaml: a study is"),
])  # fmt: skip
def test_what_cannot_be_read_ends_in_one_line(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as refused:
        aira(tmp_path / name)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400 + len(str(tmp_path))


def test_a_file_that_is_not_there_and_an_origin_without_a_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a file"):
        aira(tmp_path / "none.py")
    with pytest.raises(UserError, match="no such file or folder; give training scripts"):
        aira(tmp_path / "none")
    for origin in ("baseline.py", "baseline.py=nan", "=1.0", "baseline.py=low"):
        with pytest.raises(UserError, match="FILE=SCORE"):
            aira(tmp_path / "none.py", "--origin", origin)


def test_bytes_that_are_no_text_are_no_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes(b"DEPTH = 1 # \xff\xfe\n")
    with pytest.raises(UserError, match="no text in UTF-8"):
        aira(tmp_path / "train.py")


def test_a_folder_without_journals_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no journal of a search lies in this folder; give training scripts"):
        aira(tmp_path / "empty")


def test_where_nothing_can_be_written_nothing_is_printed(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = CliRunner().invoke(app, ["features", str(files[0]), "--to", str(tmp_path / "taken")])
    assert isinstance(done.exception, UserError)
    assert done.output == ""
    with pytest.raises(UserError, match="copy it to a bucket"):
        aira(files[0], "--to", "s3://bucket/x")


def test_nothing_of_a_script_is_run(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n{SCRIPT}")
    read_asked([str(tmp_path / "train.py")], None, Settings())
    assert not (tmp_path / "run").exists()
