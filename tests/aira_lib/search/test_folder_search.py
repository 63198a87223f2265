import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from aira_lib.errors import UserError
from aira_lib.flow import run as stages
from aira_lib.flow.finished import units_to_make
from aira_lib.flow.units import search_units
from aira_lib.local.run import LocalRun
from aira_lib.local.search_run import _Show
from aira_lib.records import PAGE, Node, read_rows
from aira_lib.records.opened import OPENED, SUBMISSION
from aira_lib.sandbox import closes_files, isolation
from aira_lib.search.stage import search
from aira_lib.settings import Settings
from aira_lib.study import ProxySection, Study, TaskSection
from aira_lib.watch.searches import Lookout, Watched
from tests.aira_lib.search.folder_searches import (
    AGENT,
    BETTER,
    BUGGY,
    GOOD,
    INVALID,
    MENDED,
    Searched,
    folder_study,
    without_seconds,
)
from tests.aira_lib.search.third_party_folder import NAME, raw_rows, third_party_folder
from tests.builders import work_in


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    where = tmp_path_factory.mktemp("recorded")
    return Searched(where, TaskSection(), AGENT, GOOD, BUGGY, INVALID, MENDED, BETTER)


def mean_absolute_error(rows: list[dict[str, str]], factor: float) -> float:
    return sum(abs(factor * float(row["area"]) - float(row["price"])) for row in rows) / len(rows)


def test_a_third_party_folder_is_searched_unchanged(recorded: Searched) -> None:
    good, buggy, invalid, mended, better = recorded.nodes
    assert [node.operator for node in recorded.nodes] == ["draft", "draft", "debug", "debug", "improve"]
    assert [node.status for node in recorded.nodes] == ["ok", "failed", "failed", "ok", "ok"]
    assert "ZeroDivisionError" in buggy.reason
    assert invalid.reason.startswith("held_out_submission.csv is invalid: exit code 2")
    assert "expected 10 rows, got 9" in invalid.reason
    assert invalid.validation is invalid.test is None
    assert better.parents == (mended.id,)
    assert {node.design for node in recorded.nodes} == {None}
    assert not any(node.self_reported for node in recorded.nodes)
    assert better.gain == pytest.approx(better.validation - mended.validation)  # type: ignore[operator]
    test = raw_rows(recorded.shared, "test")
    for node, factor in ((good, 1.0), (mended, 2.0), (better, 3.0)):
        assert node.test == pytest.approx(mean_absolute_error(test, factor), abs=1e-3)
        assert "40 rows to learn from" in node.output


def test_lower_is_better_where_the_metadata_say_so(recorded: Searched) -> None:
    summary = recorded.summary
    assert summary["best"]["step"] == 4
    assert (summary["task"], summary["metric"]) == (NAME, "MeanAbsoluteError")
    assert (summary["lower_is_better"], summary["validation"]) == (True, "held-out")
    assert "layers" not in summary
    last = recorded.model.prompts[-1]
    assert "Improve the best program so far" in last
    assert last.index('"step": 3') < last.index('"step": 0')  # both good programs are told of, the better first


def test_prompts_say_what_is_asked_for_and_never_the_test_score(recorded: Searched) -> None:
    first = recorded.model.prompts[0]
    for said in ("Predict the price of a house", "./data/held_out", "`held_out_submission.csv`", "lower is better",
                 "- ./data/train/rows.csv", "numpy (", "machine-learning researcher"):  # fmt: skip
        assert said in first
    assert "neural architectures" not in first
    assert "expected 10 rows, got 9" in recorded.model.prompts[3]
    for node in recorded.nodes:
        assert node.test is None or not any(f"{node.test:.6g}" in prompt for prompt in recorded.model.prompts)


@pytest.mark.parametrize("cut", [2])
def test_an_interrupted_search_ends_as_the_recorded_one(
    recorded: Searched, cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRA_TASK_DATA", str(recorded.shared))
    lines = (recorded.work.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    work = work_in(tmp_path)
    (work.path / "journal.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][: 20 * cut])
    agent = AGENT.model_copy(update={"model": f"replay:{recorded.work.path}", "record_replies": False})
    search(recorded.task, ProxySection(), agent, 0, work)
    assert without_seconds(read_rows(work.path / "journal.jsonl", Node)) == without_seconds(recorded.nodes)


def test_a_search_that_was_killed_after_its_last_step_says_the_same(recorded: Searched, tmp_path: Path) -> None:
    work = work_in(tmp_path)
    for name in ("journal.jsonl", OPENED):
        (work.path / name).write_bytes((recorded.work.path / name).read_bytes())
    search(recorded.task, ProxySection(), AGENT, 0, work)
    assert json.loads((work.path / "search.json").read_text()) == recorded.summary
    told = {"validation": "self-reported", "validation_why": "of the data"}
    (work.path / OPENED).write_text(json.dumps(told))
    search(recorded.task, ProxySection(), AGENT, 0, work)
    assert [entry.detail for entry in work.stand_ins if "report it" in entry.what] == ["of the data"]
    assert "self-reported by candidates and not measured, since of the data" in (work.path / PAGE).read_text()


def test_the_terminal_says_once_and_at_the_start_that_nobody_measures(recorded: Searched, tmp_path: Path) -> None:
    said = "validation is self-reported by candidates and not measured, since of the data"
    searches = [Watched(f"a.s{seed}", (), 3, False, validation=said) for seed in range(3)]
    console = Console(file=io.StringIO(), width=400)
    show = _Show(LocalRun(folder_study(recorded), Settings(store=str(tmp_path)), 1, None), console, None)
    show([replace(each, validation="") for each in searches], [])
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    show(searches, [])
    show(searches, [])
    assert console.file.getvalue() == f"{NAME}: {said}\n"  # type: ignore[attr-defined]


def test_the_search_stage_makes_a_record_and_later_stages_say_why_not(
    recorded: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRA_TASK_DATA", str(recorded.shared))
    study, settings = folder_study(recorded), Settings(store=str(tmp_path))
    (unit,) = search_units(study)
    made = stages.run_stage(study, unit, settings)
    (node,) = read_rows(stages.fetch(made.uri, settings).path / "journal.jsonl", Node)
    assert without_seconds([node]) == without_seconds(recorded.nodes[:1])
    assert stages.run_stage(study, unit, settings).reused
    (watched,) = Lookout(study, settings).look()
    assert watched.validation == "validation is measured on 10 held-out rows"
    with pytest.raises(UserError, match="searches a task folder"):
        units_to_make("archive", study, None, settings)


def test_a_key_depends_on_what_is_in_the_folder_and_not_on_where_it_lies(recorded: Searched, tmp_path: Path) -> None:
    here, _ = third_party_folder(tmp_path)
    there, elsewhere = folder_study(recorded), folder_study(recorded, folder=str(here) + "/")
    assert search_units(there)[0].key == search_units(elsewhere)[0].key
    assert search_units(there)[0].key != search_units(folder_study(recorded, validation="held-out"))[0].key
    (here / "utils.py").write_text((here / "utils.py").read_text() + "\n")
    assert search_units(there)[0].key != search_units(elsewhere)[0].key


def test_a_study_names_a_task_or_a_folder(recorded: Searched) -> None:
    assert Study.model_validate_json(folder_study(recorded).model_dump_json()) == folder_study(recorded)
    with pytest.raises(UserError, match="not both"):
        folder_study(recorded, name="NeuralArchitectureSearchMAD2PrimitivesAccuracy")
    with pytest.raises(UserError, match=r"start from `aira tasks new`"):
        search_units(folder_study(recorded, folder=str(recorded.shared)))
    built_in = "aira_lib/tasks/compose/NeuralArchitectureSearchMAD2PrimitivesAccuracy"
    with pytest.raises(UserError, match="a built-in task; name it instead"):
        search_units(folder_study(recorded, folder=built_in))
    with pytest.raises(UserError, match="model offline writes designs only"):
        search(recorded.task, ProxySection(), AGENT.model_copy(update={"model": "offline"}), 0, recorded.work)


SPY = (
    """
import glob, os, sys
for root in ROOTS:
    for folder, folders, files in os.walk(root):
        # The installed Python is shown on purpose, and large: a checkout under /tmp has it there.
        folders[:] = [name for name in folders if os.path.join(folder, name) != sys.prefix]
        for file in files:
            path = os.path.join(folder, file)
            text = open(path, errors="replace").read() if os.access(path, os.R_OK) else ""
            for secret in SECRETS:
                if secret in text and file != "candidate.py":
                    print("FOUND", path)
for pid in glob.glob("/proc/[0-9]*"):
    for name in ("environ", "cmdline", "cwd/..", "root/tmp"):
        try:
            found = os.listdir(f"{pid}/{name}") if "/" in name else open(f"{pid}/{name}").read()
        except OSError:
            continue
        if "task" in found or "shared" in found or "AIRA_TASK_DATA" in found:
            print("SEEN", pid, name)
print(sorted(glob.glob("**", recursive=True)))
"""
    + GOOD
)


def test_no_label_that_counts_is_within_a_candidates_reach(recorded: Searched, tmp_path: Path) -> None:
    if not closes_files(isolation()):
        pytest.skip("this machine cannot close the file system to candidates")
    secrets = [row["price"] for row in raw_rows(recorded.shared, "test")]
    secrets += [f"{float(secret):.3f}" for secret in secrets]
    roots = [str(recorded.shared), str(recorded.folder), str(tmp_path), ".", "..", "/tmp"]
    spy = SPY.replace("SECRETS", repr(secrets)).replace("ROOTS", repr(roots))
    (node,) = Searched(tmp_path, TaskSection(), AGENT.model_copy(update={"steps": 1}), spy).nodes
    assert node.status == "ok", node.reason
    assert "FOUND" not in node.output
    assert "SEEN" not in node.output
    names = ["candidate.py", "data"]
    names += [f"data/{split}{file}" for split in ("held_out", "test", "train") for file in ("", "/rows.csv")]
    assert str(names) in node.output


def test_a_record_says_at_its_start_how_it_is_measured_and_keeps_the_best_submission(recorded: Searched) -> None:
    assert json.loads((recorded.work.path / OPENED).read_text()) == {"validation": "held-out", "held_out_rows": 10}
    assert recorded.summary["held_out_rows"] == 10
    kept = recorded.work.path / SUBMISSION
    assert sorted(path.name for path in kept.iterdir()) == ["by.json", "held_out_submission.csv", "submission.csv"]
    areas = [float(row["area"]) for row in raw_rows(recorded.shared, "test")]
    submitted = [float(line) for line in (kept / "submission.csv").read_text().split()[1:]]
    assert submitted == pytest.approx([3.0 * area for area in areas])
    assert json.loads((kept / "by.json").read_text())["step"] == 4


def test_prompts_name_both_files_and_the_packages_that_are_there(recorded: Searched) -> None:
    import numpy

    for prompt in recorded.model.prompts:
        assert "It must write `submission.csv` and `held_out_submission.csv` into the current directory" in prompt
        assert f"Python's standard library, numpy {numpy.__version__}" in prompt
    assert "whatever is said of one above" in recorded.model.prompts[0]


READS = """
import os, sys
sys.path.insert(0, "models")
import weights
try:
    open("models/mine", "w")
except OSError:
    print("read-only,", weights.FACTOR, sorted(os.listdir("models")))
"""


def test_further_folders_are_seen_read_only_and_described_and_in_the_key(
    recorded: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not closes_files(isolation()):
        pytest.skip("this machine cannot close the file system to candidates")
    models = tmp_path / "kept"
    models.mkdir()
    (models / "weights.py").write_text("FACTOR = 3")
    task = TaskSection.model_validate({"folder": "x", "folders": {"models": str(models)}})
    done = Searched(tmp_path, task, AGENT.model_copy(update={"steps": 1}), READS + GOOD)
    assert done.nodes[0].status == "ok", done.nodes[0].reason
    assert "read-only, 3 ['weights.py']" in done.nodes[0].output
    assert "- ./models/weights.py: 10 bytes" in done.model.prompts[0]
    monkeypatch.setenv("AIRA_TASK_DATA", str(recorded.shared))
    (plain,), (with_them,) = (search_units(folder_study(recorded, **more)) for more in (
        {}, {"folders": {"models": str(models)}},
    ))  # fmt: skip
    assert "folders" not in plain.section
    (models / "weights.py").write_text("FACTOR = 4")
    (changed,) = search_units(folder_study(recorded, folders={"models": str(models)}))
    assert len({plain.key, with_them.key, changed.key}) == 3
    with pytest.raises(UserError, match=r"task\.folders: models: nowhere is no folder"):
        search_units(folder_study(recorded, folders={"models": "nowhere"}))
    for wrong in ({"data": "/x"}, {"../up": "/x"}, {"a": ""}):
        with pytest.raises(UserError, match="folders"):
            folder_study(recorded, folders=wrong)


def test_a_whole_run_of_such_a_study_is_its_searches_and_their_report(recorded: Searched) -> None:
    from aira_lib.planning.estimate import estimate

    assert [stage.stage for stage in estimate(folder_study(recorded))] == ["search", "report"]
