"""The first task of a study on a cluster says in MLflow that it runs, and a loop that fails says so."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow import run
from aira_lib.flow.making import Making
from aira_lib.flow.texts import read_study, write_study
from aira_lib.flow.units import units_of
from aira_lib.remote import entry
from aira_lib.remote.entry import begin_text, fan_out_text
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import digest
from aira_lib.track.follow import tell_study
from tests.builders import CLUSTER, tiny_study
from tests.fakes.mlflow import FakeMLflow

pytestmark = pytest.mark.skipif(not find_spec("mlflow"), reason="MLflow is not installed (extra tracking)")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMLflow]:
    monkeypatch.delenv("AIRA_CLUSTER", raising=False)
    with FakeMLflow() as fake:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", fake.url)
        yield fake


def test_a_study_that_begins_is_a_run_with_what_it_chose(
    server: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = server.plugin_run("aira/smoke", "aira-smoke")
    monkeypatch.setenv("MLFLOW_RUN_ID", server.plugin_run("aira/smoke", "begin", whole))
    store = (tmp_path / "runs").as_uri()
    study = read_study(begin_text("smoke", "", {}, store, "", str(tmp_path / "plan.md")), store)
    made = server.by_key()[f"study:{digest(study)}"]
    assert made["info"]["run_id"] == whole
    assert (made["info"]["run_name"], made["info"]["status"]) == (study.name, "RUNNING")
    assert made["data"]["params"]["proxy.epochs"] == str(study.proxy.epochs)


def test_a_study_whose_report_is_there_ends_as_finished(server: FakeMLflow, tmp_path: Path) -> None:
    """It was begun anew, and nothing was left to do."""
    settings = Settings((tmp_path / "runs").as_uri(), tmp_path / "scratch", tracking=server.url)
    study = tiny_study()
    (unit,) = units_of("report", study, keys=[])
    with RecordFolder(open_store(settings.store), unit.folder(study)).claim(settings.scratch) as attempt:
        assert attempt
        Making(unit, study.name, digest(study), settings, lambda *told: None).fill(attempt, lambda work: None)
    tell_study(server.url, study.name, digest(study), "running")
    assert run.run_stage(study, unit, settings).reused
    (made,) = server.by_key().values()
    assert made["info"]["status"] == "FINISHED"


def test_a_loop_that_fails_fails_its_study(server: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self, *given: object) -> None: ...

        def carry_out(self, start: bool) -> None:
            raise UserError("too many searches failed")

    monkeypatch.setattr(entry, "FanOut", Failing)
    monkeypatch.setattr(entry, "cluster_here", lambda: Cluster.model_validate(CLUSTER))
    store = (tmp_path / "runs").as_uri()
    with pytest.raises(SystemExit):
        fan_out_text("searches", write_study(tiny_study(), store), store, "run")
    (made,) = server.by_key().values()
    assert made["info"]["status"] == "FAILED"
