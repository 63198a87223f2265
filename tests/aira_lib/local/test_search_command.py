"""`aira search TASK` from end to end: several seeds at once, pages, resuming, kills, and mistakes in one line."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from aira_lib.errors import UserError
from aira_lib.flow.units import search_units
from aira_lib.local.search_command import search_command
from aira_lib.local.search_study import SearchOptions, study_for
from aira_lib.records import PAGE
from aira_lib.settings import Settings
from aira_lib.tasks.airs import new_task_folder
from tests import warm_start
from tests.builders import TINY_STUDY
from tests.record_tree import record_tree

pytestmark = pytest.mark.usefixtures("plain_kernels")

TASK = "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy"


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("profile") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY_STUDY))
    return str(path)


def start(*arguments: str, columns: str | None = None) -> warm_start.Process:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AIRA_", "MLFLOW_", "COLUMNS"))}
    env |= {"AIRA_KERNELS": "plain", "NO_COLOR": "1", **({"COLUMNS": columns} if columns else {})}
    return warm_start.start("aira_lib.cli", "search", *arguments, env=env)


def search(*arguments: str, columns: str | None = None) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, columns=columns)
    out, err = process.communicate(timeout=180)
    return subprocess.CompletedProcess([], process.wait(), out, err)


def options(profile: str, store: Path) -> list[str]:
    return [TASK, "--seeds", "2", "--steps", "6", "--profile", profile, "--store", str(store), "--tracking", "none"]


@pytest.fixture(scope="module")
def whole(profile: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with two searches that nothing interrupted, and what the command printed."""
    store = tmp_path_factory.mktemp("whole") / "runs"
    done = search(*options(profile, store))
    assert done.returncode == 0, done.stdout + done.stderr
    return store, done.stdout


def test_it_says_what_it_found_and_where_the_pages_are(whole: tuple[Path, str]) -> None:
    store, said = whole
    assert "2 of 2 searches made in" in said
    assert "100% of 12 nodes valid" in said
    assert re.search(r"Best over all: \S+  0\.\d{4} \(greedy-offline\.s[01], step \d\)", said)
    assert re.search(r"greedy-offline: 0\.\d{4} ± 0\.\d{4} over 2 seeds", said)
    pages = [Path(page) for page in re.findall(r"^Page: (.+)$", said, re.MULTILINE)]
    assert [page.parent.name.partition("-0")[0][:17] for page in pages] == ["greedy-offline.s0", "greedy-offline.s1"]
    for page in pages:
        assert page.parent.parent.parent.parent == store
        assert page.read_text().count("<circle") == 12  # six nodes, each in both pictures
        assert "still running" not in page.read_text()
        assert PAGE not in (page.parent / "manifest.json").read_text()  # a view of the record, no part of it


def test_a_second_run_recomputes_nothing_and_more_seeds_keep_those_there_are(
    whole: tuple[Path, str], profile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store, said = whole
    manifests = {path: path.stat().st_mtime_ns for path in store.rglob("manifest.json")}
    next(store.rglob(PAGE)).unlink()  # as if an earlier version had made the record
    again = search(*options(profile, store))
    assert again.returncode == 0, again.stderr
    assert "Nothing was recomputed: all 2 searches were there already." in again.stdout
    assert {path: path.stat().st_mtime_ns for path in store.rglob("manifest.json")} == manifests
    for line in said.splitlines():
        if line.startswith(("Best", "Page", "greedy")):
            assert line in again.stdout
    assert len(list(store.rglob(PAGE))) == 2
    three = study_for(TASK, SearchOptions(seeds=3, steps=6, profile=profile))[0]
    assert (
        search_command(
            TASK,
            SearchOptions(seeds=3, steps=6, profile=profile),
            None,
            Settings(store=str(store)),
            None,
            "none",
            dry_run=True,
        )
        == 0
    )
    assert "2 of 3 searches are finished" in capsys.readouterr().out
    assert (store / three.name).is_dir()


@pytest.mark.parametrize("columns", [None, "80"], ids=["a pipe", "a narrow terminal"])
def test_another_terminal_sees_the_same_searches(columns: str | None, whole: tuple[Path, str]) -> None:
    shown = search(TASK, "--watch", "--store", str(whole[0]), columns=columns)
    assert shown.returncode == 0, shown.stderr
    rows = [line for line in shown.stdout.splitlines() if "finished" in line]
    assert [row.split()[1] for row in rows] == ["greedy-offline.s0", "greedy-offline.s1"], shown.stdout
    assert all("6/6" in row and re.search(r" 0\.\d{4} ", row) for row in rows)
    assert "12/12 steps" in shown.stdout


def children(parent: int) -> dict[str, int]:
    """The searches that a launcher runs: name, as that of the log that each writes -> process."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            ppid = int(status.read_text().rpartition(")")[2].split()[1])
            log = Path(os.readlink(status.parent / "fd/1"))
            if ppid == parent and log.suffix == ".log":
                found[log.stem] = int(status.parent.name)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what: Callable[[], bool], process: warm_start.Process | None = None) -> None:
    for _ in range(1200):
        if what():
            return
        if process is not None and process.poll() is not None:
            pytest.fail("it ended before:\n" + "".join(process.communicate()))
        time.sleep(0.05)
    raise AssertionError("waited for a minute in vain")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(
    whole: tuple[Path, str], profile: str, tmp_path: Path
) -> None:
    store = tmp_path / "runs"

    def nodes(seed: int) -> int:
        return sum(path.read_bytes().count(b"\n") for path in store.glob(f"*/search/*.s{seed}-*/*/journal.jsonl"))

    process = start(*options(profile, store))  # Ctrl-C, while most steps are still to be done
    wait_for(lambda: nodes(0) >= 1, process)
    searching = children(process.pid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "the same command goes on" in out
    assert "Traceback" not in out + err
    assert searching
    assert not any(alive(pid) for pid in searching.values())

    before = nodes(0)
    process = start(*options(profile, store))  # one search is killed: the other one goes on, and the command says so
    wait_for(lambda: nodes(0) > before, process)
    os.kill(children(process.pid)["greedy-offline.s0"], signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "search greedy-offline.s0: its process was ended by SIGKILL" in out
    assert nodes(1) == 6

    if (before := nodes(0)) < 5:
        process = start(*options(profile, store))  # the launcher is killed: its searches end with it
        wait_for(lambda: nodes(0) > before, process)
        searching = children(process.pid)
        assert set(searching) == {"greedy-offline.s0"}
        process.kill()
        process.wait()
        wait_for(lambda: not any(alive(pid) for pid in searching.values()))

    last = search(*options(profile, store))
    assert last.returncode == 0, last.stdout + last.stderr
    assert record_tree(store) == record_tree(whole[0])


def test_a_mistake_is_one_line_and_exit_code_2(profile: str) -> None:
    done = search(*options(profile, Path("/proc/nowhere")))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("aira: /proc/nowhere: ")
    assert done.stderr.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("what", "unit", "given", "line"),
    [
        (None, None, {}, "name a task"),
        ("NeuralArchitectureSearchMAD3PrimitiveMbAccuracy", None, {}, f"did you mean '{TASK}'?"),
        (TASK, "greedy-offline.s0", {}, "only a study's file has units"),
        ("tiny.yaml", None, {"steps": 3}, "--steps belongs to `aira search TASK`"),
        ("nowhere.yaml", None, {}, "nowhere.yaml: cannot be read"),
    ],
)
def test_what_does_not_go_together_is_refused(
    what: str | None, unit: str | None, given: dict[str, int], line: str
) -> None:
    with pytest.raises(UserError) as error:
        search_command(what, SearchOptions(**given), unit, Settings(), None, None, dry_run=True)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"agent": "gredy"}, "--agent: unknown scaffold 'gredy'; did you mean 'greedy'?"),
        ({"steps": -1}, "--steps -1: "),
        ({"hours": 0.0}, "--hours 0.0: "),
        ({"hours": float("inf")}, "--hours inf: "),
        ({"seeds": 0}, "--seeds 0: "),
        ({"max_dollars": -1.0}, "--max-dollars -1.0: "),
        ({"max_tokens": 0}, "--max-tokens 0: "),
        ({"profile": "labtop"}, "did you mean 'laptop'?"),
        ({"profile": "nowhere.yaml"}, "nowhere.yaml: cannot be read"),
        ({"model": "replay:/nowhere"}, "/nowhere"),
    ],
)
def test_a_wrong_option_is_named(wrong: dict[str, object], line: str) -> None:
    with pytest.raises(UserError) as error:
        study_for(TASK, SearchOptions(**{"profile": "laptop", **wrong}))  # type: ignore[arg-type]
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_equal_options_are_the_same_study_and_seeds_only_add_to_it() -> None:
    study, remark = study_for(TASK, SearchOptions(seeds=2, profile="laptop"))
    more, _ = study_for(TASK, SearchOptions(seeds=3, profile="laptop"))
    other, _ = study_for(TASK, SearchOptions(seeds=2, profile="laptop", steps=499))
    assert remark == ""
    assert [u.folder(study) for u in search_units(study)] == [u.folder(more) for u in search_units(more)][:2]
    assert other.name != study.name
    assert "laptop, a stand-in" in study_for(TASK, SearchOptions())[1] or "paper" in study_for(TASK, SearchOptions())[1]


def test_a_task_folder_is_searched_by_programs_of_a_language_model(tmp_path: Path) -> None:
    folder = new_task_folder(tmp_path / "MyTask")
    with pytest.raises(UserError, match="--model offline: it writes designs only"):
        study_for(str(folder), SearchOptions())
    study, _ = study_for(str(folder), SearchOptions(model="replay:PLACE".replace("PLACE", str(recording(tmp_path)))))
    assert (study.task.name, study.task.folder) == ("MyTask", str(folder))
    assert len(search_units(study)) == 10


def recording(folder: Path) -> Path:
    path = folder / "replies.jsonl"
    path.write_text("")
    return path


def test_a_study_file_runs_all_its_searches(profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(store=str(tmp_path))
    assert search_command(profile, SearchOptions(), None, settings, None, "none", dry_run=True) == 0
    shown = capsys.readouterr().out
    assert "0 of 3 searches are finished" in shown
    assert "one-shot-offline (one-shot, offline): 1 seed" in shown
    assert list(tmp_path.iterdir()) == []
