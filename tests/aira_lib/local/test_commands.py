"""The command that trains a point is one that a person can run, and names the ranks that it starts."""

import shlex
import sys
from pathlib import Path

import pytest
import yaml

from aira_lib.cluster.api import Kubernetes
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow.scales import baselines_at
from aira_lib.flow.units import units_of
from aira_lib.launch.local import LocalLauncher
from aira_lib.launch.trainjob import TrainJobLauncher
from aira_lib.local.commands import commands_of
from aira_lib.records import Manifest, write_rows
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import Study
from tests.aira_lib.cli.in_process import aira
from tests.builders import CLUSTER, TINY_STUDY, tiny_study

POINT = "Llama-3-2@nano.isotoken.8192t.s0"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with the record of a study's designs, as if searches had found none but the baseline."""
    folder = tmp_path_factory.mktemp("store")
    settings = Settings(store=str(folder / "runs"), scratch=folder / "scratch", evaluations="none")
    study = studied()
    (unit,) = units_of("extrapolate", study)
    with RecordFolder(open_store(settings.store), unit.folder(study)).claim(settings.scratch) as attempt:
        assert attempt
        write_rows(attempt.path / "designs.jsonl", baselines_at(study, study.trainable_scales()))
        attempt.commit(
            Manifest(stage=unit.stage, unit=unit.name, key=unit.key, study=study.name, spec_digest="", section={})
        )
    return settings


def studied(**resources: object) -> Study:
    return tiny_study(**({"resources": {"pretrain": resources}} if resources else {}))


def lines(settings: Settings, study: Study, unit: str = POINT) -> list[str]:
    return list(commands_of(Path("a study.yaml"), study, unit, settings, LocalLauncher(settings.scratch / "jobs")))


def test_one_process_needs_one_command(settings: Settings) -> None:
    (line,) = lines(settings, studied())
    assert shlex.split(line)[:5] == ["aira", "pretrain", "a study.yaml", "--unit", POINT]


def test_several_ranks_are_shown_as_they_would_be_started(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRA_DEVICE", "cpu")
    _, remark, command = lines(settings, studied(ranks_per_node=3, by_scale={"nano": {"cores": 2}}))
    assert "3 ranks" in remark
    assert f"{sys.executable} -m torch.distributed.run --nproc-per-node 3 --standalone" in command
    assert command.endswith(f"--no-python {sys.executable} -m aira_lib.training.rank SPEC.json")


def test_of_several_nodes_the_command_of_each_is_shown(settings: Settings) -> None:
    shown = "\n".join(lines(settings, studied(nodes=2, gpus_per_node=8)))
    assert "16 ranks" in shown
    assert shown.count("--nproc-per-node 8") == shown.count("--nnodes 2") == 2


def test_of_several_nodes_on_a_cluster_the_manifest_is_shown(settings: Settings) -> None:
    def no_api(namespace: str) -> Kubernetes:
        raise AssertionError("a dry run asks nobody")

    launcher = TrainJobLauncher(Cluster.model_validate(CLUSTER), no_api)
    shown = list(commands_of(Path("study.yaml"), studied(nodes=2, gpus_per_node=8), POINT, settings, launcher))
    manifest = yaml.safe_load("\n".join(shown[1:]))
    assert manifest["kind"] == "TrainJob"
    meet = manifest["spec"]["trainer"]["command"][-1]
    assert meet.startswith(f"{open_store(settings.store).uri}/tiny/pretrain/{POINT}-")


def test_a_point_that_is_not_there_is_one_line(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no pretraining point 'Llama'"):
        lines(settings, studied(), "Llama")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY_STUDY))
    ended = aira("jobs", "command", str(tmp_path / "tiny.yaml"), "--unit", POINT, AIRA_STORE=str(tmp_path / "empty"))
    assert ended.code == 2
    assert "extrapolate all is not finished" in ended.err
