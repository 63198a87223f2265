"""The whole line of stages in one process: twice the same, killed anywhere the same, nothing done twice."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.flow import run as stages
from aira_lib.flow.units import units_of
from aira_lib.records import Manifest
from aira_lib.settings import Settings
from aira_lib.store import open_store
from aira_lib.study import Study, canonical_json
from tests import warm_start
from tests.builders import TINY_STUDY, tiny_study
from tests.record_tree import files_of, record_tree

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]


def study_with(*seeds: int) -> Study:
    """The tiny study with these seeds of each pretraining."""
    isotoken = {**TINY_STUDY["pretrain"]["isotoken"], "seeds": seeds}
    return tiny_study(pretrain={**TINY_STUDY["pretrain"], "isotoken": isotoken})


STUDY = study_with(0)


def drive(study: Study, store: Path) -> None:
    """Every stage of a study, in a process of their own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(canonical_json(study))
        file.flush()
        done = warm_start.run("tests.drive_study", file.name, str(store))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the tiny study, run without interruption."""
    store = tmp_path_factory.mktemp("whole")
    drive(STUDY, store)
    return store


def _manifests(store: Path) -> dict[str, int]:
    found = store.rglob("manifest.json")
    return {str(p): p.stat().st_mtime_ns for p in found if "checkpoints" not in p.parts}


def test_a_second_run_makes_nothing(whole: Path) -> None:
    before = _manifests(whole)
    assert len(before) == 3 + 1 + 1 + 1 + 2 * len(list((whole / "tiny/pretrain").iterdir())) + 1
    drive(STUDY, whole)
    assert _manifests(whole) == before


def test_records_say_what_made_them(whole: Path) -> None:
    from aira_lib.study import digest

    for path in whole.rglob("manifest.json"):
        if "checkpoints" not in path.parts:
            manifest = Manifest.model_validate_json(path.read_text())
            assert manifest.spec_digest == digest(STUDY)
            assert path.parent.name.endswith(manifest.key[:12])
            assert manifest.versions["torch"]


def test_stand_ins_reach_the_report(whole: Path) -> None:
    (path,) = (whole / "tiny/report").glob("*/manifest.json")
    instead_of = {entry.instead_of for entry in Manifest.model_validate_json(path.read_text()).stand_ins}
    assert instead_of >= {"a large language model", "DCLM-Baseline with the Llama 3 tokenizer"}
    page = (files_of(path) / "report.html").read_text()
    cost = (files_of(path) / "tables/cost.csv").read_text().splitlines()
    flow = ["search", "archive", "aggregate", "extrapolate", "pretrain", "evaluate", "all stages"]
    assert [line.partition(",")[0].strip('"') for line in cost[1:]] == flow
    assert all(words in page for words in ("offline agent", "standard library", "Llama 3.2"))


def test_a_changed_budget_leaves_the_searches_alone(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "copy")
    before = _manifests(tmp_path / "copy")
    drive(study_with(0, 1), tmp_path / "copy")
    new = {Path(p).parts[-3] for p in _manifests(tmp_path / "copy").keys() - before.keys()}
    assert new == {"pretrain", "evaluate", "report"}


@pytest.mark.slow
def test_killed_at_many_points_it_ends_the_same(whole: Path, tmp_path: Path) -> None:
    """kill -9 now sooner, now later after the first sign of work, then the same command, until it is through."""
    study = tmp_path / "study.json"
    study.write_text(canonical_json(STUDY))
    store = tmp_path / "store"
    rng, kills = random.Random(7), 0
    while True:
        before = _written(store)
        process = warm_start.start("tests.drive_study", str(study), str(store), session=True)
        while process.poll() is None and (kills == 8 or _written(store) == before):
            time.sleep(0.02)
        try:
            process.wait(timeout=rng.uniform(0, 0.8))
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    assert process.returncode == 0
    assert kills >= 3
    assert record_tree(store) == record_tree(whole)


def _written(store: Path) -> int:
    """Bytes in a store, more or less: files may come and go meanwhile."""
    size = 0
    for folder, _, names in os.walk(store):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                size += os.stat(os.path.join(folder, name)).st_size
    return size


def test_a_stage_without_its_inputs_is_one_line(tmp_path: Path) -> None:
    study = tiny_study()
    missing = f"{open_store(str(tmp_path)).uri}/{units_of('archive', study)[0].folder(study)}"
    with pytest.raises(UserError, match="is not a finished record; run the stage before this one first"):
        stages.run_stage(study, units_of("aggregate", study)[0], Settings(store=str(tmp_path)), [missing])


def test_the_end_of_the_launcher_ends_a_stage(tmp_path: Path) -> None:
    """A stage that waits on its launcher's lock dies when the lock is let go."""
    lock = tmp_path / "lock"
    code = (
        "import time; from aira_lib.settings import hold_lifeline\n"
        "hold_lifeline(); print(1, flush=True); time.sleep(60)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", f"import time; from pathlib import Path; from aira_lib.settings import lifeline\n"
         f"with lifeline(Path({str(lock)!r})): print(1, flush=True); time.sleep(60)"],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert launcher.stdout is not None
    launcher.stdout.readline()
    stage = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "AIRA_LIFELINE": str(lock)}
    )
    assert stage.stdout is not None
    stage.stdout.readline()
    time.sleep(0.3)
    assert stage.poll() is None
    launcher.kill()
    launcher.wait()
    assert stage.wait(timeout=5) == -signal.SIGKILL


def test_a_full_disk_is_one_line_and_nothing_half_written(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs here")
    try:
        study = tmp_path / "study.json"
        study.write_text(canonical_json(STUDY))
        done = warm_start.run("tests.drive_study", str(study), str(small))
        assert done.returncode == 2, done.stderr
        assert done.stderr.strip().count("\n") == 0, done.stderr
        assert "space" in done.stderr
        for manifest in small.rglob("manifest.json"):
            json.loads(manifest.read_text())
    finally:
        subprocess.run(["umount", str(small)], check=True)
