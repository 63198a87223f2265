"""A stage is one row: one from outside has a command, runs in the pipeline, is foretold, tracked and reported."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.cluster.presets import pod_of
from aira_lib.cluster.section import Cluster
from aira_lib.flow.pipelines import UNITS, pipeline_command
from aira_lib.remote.chunk import Chunk
from aira_lib.study.reading import parse_study
from tests import warm_start
from tests.aira_lib.cli.in_process import aira_elsewhere
from tests.builders import CLUSTER, TINY_STUDY, small_text

pytestmark = pytest.mark.usefixtures("plain_kernels")

ROOT = Path(__file__).parents[3]
STUDY = {
    **TINY_STUDY,
    "agents": [{"scaffold": "one-shot", "model": "offline"}],
    "pretrain": {**TINY_STUDY["pretrain"], "isotoken": {"scale": "nano", "tokens": 2048, "seeds": [0]}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    pretrain = {**STUDY["pretrain"], "data": small_text(folder / "text")}
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, "pretrain": pretrain}))
    return folder


def aira(folder: Path, *commands: Sequence[str]) -> list[str]:
    """What each command says, of several in one process that knows the stage from its start."""
    environment = {
        **os.environ,
        "AIRA_PLUGINS": "tests.own_stage",
        "PYTHONPATH": str(ROOT),
        "AIRA_SCRATCH": str(folder / "scratch"),
    }
    ended = aira_elsewhere(environment, ROOT, *commands)
    for each in ended:
        assert each.code == 0, each.out + each.err
    return [each.out for each in ended]


@pytest.mark.slow
def test_a_stage_from_outside_runs_with_all_others(folder: Path) -> None:
    study, store = str(folder / "study.yaml"), ("--store", str(folder / "runs"))
    run = ("run", study, *store, "--tracking", "none")
    plan, _, weighed, again = aira(folder, (*run, "--dry-run"), run, ("weigh", study, *store), run)
    assert "checkpoints to weigh" in plan
    records = list((folder / "runs/tiny/weigh").glob("*/*/weight.json"))
    assert len(records) == len(list((folder / "runs/tiny/pretrain").glob("*/manifest.json"))) > 1
    (page,) = (folder / "runs/tiny/report").glob("*/*/report.html")
    weight = json.loads(records[0].read_text())
    assert "Weigh the checkpoints of all points." in page.read_text()
    assert str(weight["bytes"]) in page.read_text()
    assert f'"checkpoint_bytes": {weight["bytes"]}' in (records[0].parent / "track.jsonl").read_text()
    # Its command finds what the pipeline made, and the next run recomputes nothing.
    assert "was there already" in weighed
    assert "Nothing was recomputed" in again


def test_its_command_has_its_help_and_the_compiled_pipelines_its_component(folder: Path) -> None:
    pretrain = {**STUDY["pretrain"], "data": {}}  # text of this machine is none of a pod's
    (folder / "away.yaml").write_text(yaml.safe_dump({**STUDY, "pretrain": pretrain}))
    (folder / "cluster.yaml").write_text(yaml.safe_dump(CLUSTER))
    of = ("--cluster", str(folder / "cluster.yaml"))
    compiled = ("compile", str(folder / "away.yaml"), "-o", str(folder / "pipeline.yaml"), *of)
    overview, _ = aira(folder, ["--help"], compiled)
    assert "Weigh the checkpoints of all points." in overview.replace("\n", " ").replace("│", "")
    pipeline = next(yaml.safe_load_all((folder / "pipeline.yaml").read_text()))
    report = pipeline["root"]["dag"]["tasks"]["report"]
    assert "further" in report["inputs"]["parameters"]
    assert "comp-weigh" in _components_of_a_point(folder)


def _components_of_a_point(folder: Path) -> set[str]:
    """What a run of a cluster does for a point: a pipeline of its own has the stages that each point has."""
    study = parse_study(STUDY, "x")
    pods = {stage: pod_of(stage, study, Cluster.model_validate(CLUSTER)) for stage in ("pretrain", "evaluate")}
    pods["weigh"] = pods["evaluate"]  # this process knows no such stage
    chunk = Chunk("aira-tiny-points", "tiny", "s3://b/x#0", "s3://b", "a-run", "point", ("d#p1",), pods, 1)
    (folder / "chunk.json").write_bytes(chunk.to_json())
    command = [*pipeline_command(UNITS)[2:], "compile", "--request", str(folder / "chunk.json"), "-o", "chunk.yaml"]
    environment = {**os.environ, "AIRA_PLUGINS": "tests.own_stage", "PYTHONPATH": str(ROOT)}
    assert not warm_start.run(*command, cwd=folder, env=environment, fresh=True).returncode
    spec: dict[str, Any] = next(yaml.safe_load_all((folder / "chunk.yaml").read_text()))
    (loop,) = (each for name, each in spec["components"].items() if name.startswith("comp-for-loop"))
    return {each["componentRef"]["name"] for each in loop["dag"]["tasks"].values()}


def test_stages_that_wait_for_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from aira_lib.flow.stage import STAGES, stages_in_order

    rows = {**STAGES._entries, "archive": replace(STAGES.named("archive"), reads=("aggregate",))}
    monkeypatch.setattr(STAGES, "_entries", rows)
    with pytest.raises(ValueError, match="stages that wait for each other"):
        stages_in_order()
