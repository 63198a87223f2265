"""`aira submit`, `aira runs` and `aira export` at a terminal."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from aira_lib.cli import app
from aira_lib.cluster import rest
from aira_lib.remote import follow as following
from tests.aira_lib.remote.small_platform import Platform, platform

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with platform(tmp_path) as made:
        path = tmp_path / "cluster.yaml"
        path.write_text(yaml.safe_dump(made.cluster.model_dump(mode="json")))
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        monkeypatch.setenv("AIRA_CLUSTER", str(path))
        monkeypatch.setattr(rest, "BACKOFF", 0.0)
        monkeypatch.setattr(following, "SECONDS", 0.01)
        monkeypatch.chdir(tmp_path)
        Path("run.yaml").write_text("name: first\npipeline: aira-compose\npreset: smoke\n")
        yield made


@pytest.fixture
def aira(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str]:
        code = app(list(arguments), standalone_mode=False) or 0
        return code, capsys.readouterr().out

    return run


def test_a_file_is_submitted_followed_shown_and_exported(there: Platform, aira: Run) -> None:
    there.kubeflow.executor = lambda run: "SUCCEEDED"
    code, out = aira("submit", "run.yaml", "--follow")
    (run_id,) = there.kubeflow.runs
    assert code == 0
    assert "started" in out
    assert f"http://ui.example/#/runs/details/{run_id}" in out
    assert "run: succeeded" in out

    code, out = aira("submit", "run.yaml")
    assert (code, "was there already: succeeded" in out) == (0, True)
    assert run_id in aira("runs", "list")[1]
    assert json.loads(aira("runs", "list", "--json")[1])[0]["id"] == run_id
    code, out = aira("runs", "show", run_id)
    assert "preset: smoke" in out
    assert json.loads(aira("runs", "show", run_id, "--json")[1])["parameters"] == {"preset": "smoke"}
    aira("export", run_id, "-o", "again.yaml")
    assert "was there already" not in aira("submit", "again.yaml")[1]  # its version is pinned: another run


def test_a_run_that_failed_fails_who_follows_it_and_says_how_it_runs_again(there: Platform, aira: Run) -> None:
    there.kubeflow.executor = lambda run: "FAILED"
    aira("submit", "run.yaml")
    (run_id,) = there.kubeflow.runs
    assert aira("runs", "watch", run_id)[0] == 1
    code, out = aira("submit", "run.yaml")
    assert code == 0
    assert "raise attempt (1) in run.yaml" in out


def test_a_run_is_cancelled_by_its_id_or_its_file(there: Platform, aira: Run) -> None:
    aira("submit", "run.yaml")
    (run_id,) = there.kubeflow.runs
    assert aira("runs", "cancel", run_id) == (0, f"{run_id}: canceling\n")
    there.kubeflow.progress(run_id, "CANCELED")
    Path("ended.yaml").write_text(Path("run.yaml").read_text() + "state: terminated\n")
    assert "was there already: canceled" in aira("submit", "ended.yaml")[1]


def test_a_dry_run_prints_json(there: Platform, aira: Run) -> None:
    shown = json.loads(aira("submit", "run.yaml", "--dry-run")[1])
    assert shown["run"]["runtime_config"] == {"parameters": {"preset": "smoke"}}
    assert not there.kubeflow.runs


@pytest.mark.parametrize(
    "command",
    [
        "runs show 00000000-0000-0000-0000-000000000000",
        "runs watch 0/../..",
        "runs cancel no",
        "export no",
        "submit nowhere.yaml",
    ],
)
def test_what_is_not_there_is_one_line_and_exit_code_2(
    there: Platform, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aira_lib.cli import main

    monkeypatch.setattr("sys.argv", ["aira", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("aira: ")
    assert said.count("\n") == 1
