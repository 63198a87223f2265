"""A unit that fails within a run leaves word of it, and the others go on; every stage is a stand-in of milliseconds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aira_lib.errors import UserError
from aira_lib.flow.entry import collect, point_names, run_text, search_names
from aira_lib.flow.failing import LINES
from aira_lib.flow.outcomes import RunFolder
from aira_lib.flow.stage import STAGES, Unit
from aira_lib.flow.texts import read_list, write_study
from aira_lib.launch.launcher import RETRY
from aira_lib.records import Failure, write_rows
from aira_lib.study import Study
from tests.aira_lib.pretrain.test_branching import study as branching
from tests.builders import TINY_STUDY, small_text, tiny_study

pytestmark = pytest.mark.usefixtures("plain_kernels")

TEN = [{"scaffold": "one-shot", "model": "offline", "seeds": 10}]
RUN = "run-1"


class Lab:
    """A store, a study, and what each stage is to do; `done` are the units that were worked on."""

    def __init__(self, store: Path, study: Study) -> None:
        self.store, self.study = str(store), study
        self.text = write_study(study, self.store)
        self.mishaps: dict[str, Callable[[], None]] = {}
        self.done: list[str] = []
        self.read: list[str] = []

    def make(self, study: Study, unit: Unit, inputs: list[Any], work: Any) -> None:
        self.done.append(f"{unit.stage} {unit.name}")
        self.read = [f"{each.manifest.stage} {each.manifest.unit}" for each in inputs]
        self.mishaps.get(unit.name, lambda: None)()
        if unit.stage == "extrapolate":
            from aira_lib.flow.scales import baselines_at

            write_rows(work.path / "designs.jsonl", baselines_at(study, study.trainable_scales()))
        (work.path / "said.txt").write_text(unit.name)

    def run(self, stage: str, unit: str = "", *inputs: str, run: str = RUN) -> str:
        return run_text(stage, self.text, self.store, unit, inputs, run)

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.store, self.study, RUN)

    def failure(self, uri: str) -> Failure:
        return self.folder.failure(uri)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    pretrain = {**TINY_STUDY["pretrain"], "data": small_text(tmp_path / "text")}
    made = Lab(tmp_path / "runs", tiny_study(agents=TEN, pretrain=pretrain))
    rows = {row.name: replace(row, make=made.make) for row in STAGES.entries()}
    monkeypatch.setattr(STAGES, "_entries", rows)
    monkeypatch.setenv("AIRA_SCRATCH", str(tmp_path / "scratch"))
    return made


def mishap(error: BaseException, *said: str) -> Callable[[], None]:
    def happen() -> None:
        for line in said:
            print(line)
        raise error

    return happen


def test_one_search_of_ten_may_fail_and_a_later_run_tries_it_again(lab: Lab) -> None:
    names = search_names(lab.text, lab.store)
    lab.mishaps[names[3]] = mishap(UserError("no such model; name another"))
    left = [lab.run("search", name) for name in names]
    assert [lab.folder.is_failure(uri) for uri in left] == [name == names[3] for name in names]
    assert lab.failure(left[3]).reason == "no such model; name another"
    assert lab.failure(left[3]).exit_code == 2
    searches = collect(lab.text, lab.store, RUN, ["search"])
    assert set(read_list(searches, lab.store)) == {*left} - {left[3]}
    lab.run("archive", "", searches)
    assert lab.read == sorted(f"search {name}" for name in names if name != names[3])
    del lab.mishaps[names[3]]
    before = len(lab.done)
    again = [lab.run("search", name, run="run-2") for name in names]
    assert lab.done[before:] == [f"search {names[3]}"]
    assert again[:3] + again[4:] == left[:3] + left[4:]
    assert again[3] in read_list(collect(lab.text, lab.store, "run-2", ["search"]), lab.store)


def test_two_of_ten_are_too_many(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    names = search_names(lab.text, lab.store)
    lab.mishaps = {name: mishap(UserError(f"wrong {name}")) for name in names[:2]}
    for name in names:
        lab.run("search", name)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        collect(lab.text, lab.store, RUN, ["search"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("aira: search: 2 of 10 units failed, and 9 have to succeed")
    assert said.count("\n") == 1
    assert len(lab.folder.of("search").made) == 8  # those after the failures were made all the same


def test_a_bug_is_kept_with_its_traceback_the_last_lines_and_no_secret(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "a-key-of-mine")
    monkeypatch.setenv("KFP_POD_NAME", "search-pod-7")
    name = search_names(lab.text, lab.store)[0]
    lines = [f"line {i}" for i in range(2 * LINES)]
    error = ValueError("refused: a-key-of-mine\nsk-0123456789abc s3://me:a-password@host/x")
    lab.mishaps[name] = mishap(error, *lines, "bar 1\rbar 2", "with a-key-of-mine \x1b[31m")
    kept = lab.failure(lab.run("search", name))
    assert (kept.stage, kept.unit, kept.exit_code, kept.pod) == ("search", name, 1, "search-pod-7")
    assert kept.reason.startswith("ValueError: refused: ")
    text = kept.json_line()
    assert not any(secret in text for secret in ("a-key-of-mine", "sk-0123456789abc", "a-password", "\x1b"))
    assert "line 99" in kept.log
    assert "line 20" not in kept.log
    assert "bar 2" in kept.log
    assert any(line.startswith("Traceback") for line in kept.log)
    assert any("in happen" in line for line in kept.log)
    # What a pod prints has it, too.
    out, err = capsys.readouterr()
    assert "line 0\n" in out
    assert "ValueError: refused" in err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)])
def test_a_process_that_is_ended_leaves_no_word_and_is_started_again(lab: Lab, error: BaseException) -> None:
    name = search_names(lab.text, lab.store)[0]
    lab.mishaps[name] = mishap(error)
    with pytest.raises(type(error)):
        lab.run("search", name)
    assert lab.folder.of("search").failed == {}
    assert lab.folder.of("search").made == {}
    del lab.mishaps[name]
    record = lab.run("search", name)
    assert lab.folder.of("search").made == {name: record}


def test_neither_does_what_may_get_on_when_it_is_started_again(lab: Lab) -> None:
    class Interrupted(UserError):
        exit_code = RETRY

    name = search_names(lab.text, lab.store)[0]
    lab.mishaps[name] = mishap(Interrupted("a rank died"))
    with pytest.raises(SystemExit) as ended:
        lab.run("search", name)
    assert ended.value.code == RETRY == 75
    assert lab.folder.of("search").failed == {}


def test_neither_does_a_pod_without_the_gpu_that_it_was_promised(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setenv("AIRA_GPUS", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    name = search_names(lab.text, lab.store)[0]
    with pytest.raises(SystemExit) as ended:
        lab.run("search", name)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("aira: this stage asked for 1 GPU (AIRA_GPUS=1), and PyTorch sees none")
    assert lab.done == []
    assert lab.folder.of("search").failed == {}


def test_without_a_run_a_failure_ends_the_process(lab: Lab) -> None:
    names = search_names(lab.text, lab.store)
    lab.mishaps = {names[0]: mishap(UserError("wrong")), names[1]: mishap(ValueError("wrong"))}
    for name, kind in ((names[0], SystemExit), (names[1], ValueError)):
        with pytest.raises(kind):
            lab.run("search", name, run="")
    lab.run("search", names[2], run="")
    assert not (Path(lab.store) / lab.study.name / "outcomes").exists()


def test_a_stage_with_one_unit_leaves_word_and_ends_the_process(lab: Lab) -> None:
    lab.mishaps["all"] = mishap(UserError("none of the searches found a valid design"))
    with pytest.raises(SystemExit):
        lab.run("archive")
    assert [each.reason for each in lab.folder.failures("archive")] == ["none of the searches found a valid design"]


def test_a_point_that_failed_is_not_scored_and_the_report_says_so(lab: Lab) -> None:
    designs = lab.run("extrapolate")
    first, second = point_names(lab.text, lab.store, designs)
    lab.mishaps[first.partition("#")[2]] = mishap(ValueError("no more memory"))
    failed, trained = lab.run("pretrain", first), lab.run("pretrain", second)
    assert lab.run("evaluate", first, failed) == failed
    scored = lab.run("evaluate", second, trained)
    assert lab.done[-1] == f"evaluate {second.partition('#')[2]}"
    assert lab.folder.of("evaluate").made == {second.partition("#")[2]: scored}
    assert lab.folder.of("evaluate").failed == {}
    # The report of what there is has another key than that of all, and it reads what exists.
    incomplete = lab.run("report", "", designs, trained, scored)
    assert "no more memory" in _section(lab, incomplete)
    lab.mishaps.clear()
    whole = [designs, trained, scored, lab.run("pretrain", first, run="run-2")]
    complete = lab.run("report", "", *whole, run="run-2")
    assert complete != incomplete
    assert "failed" not in _section(lab, complete)


def test_the_same_records_with_other_failures_are_another_report(lab: Lab) -> None:
    designs = lab.run("extrapolate")
    first, _ = point_names(lab.text, lab.store, designs)
    reports = set()
    for number, error in enumerate(("one", "other", None)):
        lab.mishaps = {first.partition("#")[2]: mishap(ValueError(error))} if error else {}
        if error:
            run_text("pretrain", lab.text, lab.store, first, (), f"r{number}")
        reports.add(run_text("report", lab.text, lab.store, "", [designs], f"r{number}"))
    assert len(reports) == 3


def _section(lab: Lab, record: str) -> str:
    from aira_lib.flow.run import record_at
    from aira_lib.settings import Settings

    manifest = record_at(record, Settings(store=lab.store)).manifest()
    assert manifest
    return str({key: value for key, value in manifest.section.items() if key != "study"})


def test_a_list_holds_more_stages_than_a_reader_reads(lab: Lab) -> None:
    designs = lab.run("extrapolate")
    points = point_names(lab.text, lab.store, designs)
    for point in points:
        lab.run("evaluate", point, lab.run("pretrain", point))
    listed = collect(lab.text, lab.store, RUN, ["pretrain", "evaluate"])
    assert len(read_list(listed, lab.store)) == 4
    searches = [lab.run("search", name) for name in search_names(lab.text, lab.store)[:2]]
    lab.run("archive", "", listed, *searches, "")
    assert len(lab.read) == 2
    lab.run("report", "", designs, listed, *searches)
    assert len(lab.read) == 7


def test_a_branch_of_a_trunk_that_failed_is_not_begun(tmp_path: Path, lab: Lab) -> None:
    lab.study = branching(small_text(tmp_path / "other"))
    lab.text = write_study(lab.study, lab.store)
    designs = lab.run("extrapolate")
    points = point_names(lab.text, lab.store, designs)
    (trunk,) = (point for point in points if ".trunk." in point)
    lab.mishaps[trunk.partition("#")[2]] = mishap(ValueError("no more memory"))
    assert lab.folder.is_failure(lab.run("pretrain", trunk))
    before = list(lab.done)
    branch = next(point for point in points if point != trunk)
    assert "which failed: ValueError: no more memory" in lab.failure(lab.run("pretrain", branch)).reason
    assert lab.done == before
