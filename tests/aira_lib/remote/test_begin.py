"""Which study a run on a cluster is of, what it costs, and that nobody pays by surprise."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.errors import UserError
from aira_lib.flow.texts import read_study, write_study
from aira_lib.remote.begin import OWN, begin
from aira_lib.remote.cost import confirmation, costs, gpu_hours, require_confirmed
from aira_lib.remote.entry import begin_text
from aira_lib.remote.overrides import overridden
from aira_lib.remote.shipped import PRESETS, shipped_study
from aira_lib.study import Study, canonical_json, digest
from aira_lib.study.reading import parse_study
from tests.a_cluster import a_cluster
from tests.builders import TINY_STUDY, tiny_study

SHARDS = {"pretrain.data.shards": "s3://bucket/shards"}


def _begun(store: Path, preset: str = "", study: str = "", **more: Any) -> Study:
    lines: list[str] = []
    given = {"overrides": {}, "confirmed": "", "cluster": None, **more}
    reference = begin(preset=preset, study=study, store=str(store), say=lines.append, **given)
    assert any(line.startswith("| pretrain |") for line in lines)
    return read_study(reference, str(store))


def test_every_preset_is_a_study_and_the_first_is_cheap(tmp_path: Path) -> None:
    for preset in PRESETS:
        parse_study(shipped_study(preset), preset)
    assert _begun(tmp_path, PRESETS[0]).name == "smoke"


def test_a_study_is_given_as_text_as_a_file_or_as_what_another_run_kept(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/mine.yaml").write_text(yaml.safe_dump(TINY_STUDY))
    kept = write_study(tiny_study(), str(tmp_path))
    uri = kept if "://" in kept else f"file://{kept}"
    for text in (
        json.dumps(TINY_STUDY), yaml.safe_dump(TINY_STUDY), f"file://{tmp_path}/studies/mine.yaml", uri,
        canonical_json(tiny_study()),
    ):  # fmt: skip
        assert _begun(tmp_path / "store", OWN, text) == tiny_study(), text


@pytest.mark.parametrize(
    ("preset", "study", "line"),
    [
        ("smoke", json.dumps(TINY_STUDY), "preset is 'smoke', and a study is given, too; choose preset 'own-study'"),
        (OWN, "", "no study is given; choose a preset"),
        ("smok", "", "preset 'smok': there is none; did you mean 'smoke'?"),
        (OWN, "pipelines/compose/laptop.yaml", "is no study; give YAML or JSON, or the URI"),
        (OWN, json.dumps({**TINY_STUDY, "proxi": {}}), "unknown key 'proxi'; did you mean 'proxy'?"),
    ],
)
def test_what_is_not_one_study_is_refused(preset: str, study: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=line.replace("?", r"\?")):
        _begun(tmp_path, preset, study)
    assert not list(tmp_path.rglob("*.json"))


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    changed = {
        "proxy.epochs": 2.0,
        "agents.0": {"steps": 5.0},
        "pretrain": {"isotoken.seeds": [3.0]},
        "evaluate.samples": 9,
    }
    study = parse_study(overridden(TINY_STUDY, changed), "tiny")
    assert (study.proxy.epochs, study.agents[0].steps, study.pretrain.isotoken.seeds) == (2, 5, (3,))  # type: ignore[union-attr]
    assert study.agents[0].n_drafts == tiny_study().agents[0].n_drafts
    assert study.proxy.d_model == tiny_study().proxy.d_model
    assert TINY_STUDY["proxy"]["epochs"] == 1


def test_numbers_that_kubeflow_made_floats_are_the_study_that_was_meant() -> None:
    """google.protobuf.Value knows doubles alone."""
    meant: dict[str, Any] = {"proxy.epochs": 3, "proxy.learning_rate": 0.001, "pretrain.isotoken": {"tokens": 16384}}
    came = {"proxy.epochs": 3.0, "proxy.learning_rate": 0.001, "pretrain.isotoken": {"tokens": 16384.0}}
    studies = [parse_study(overridden(TINY_STUDY, each), "tiny") for each in (meant, came)]
    assert digest(studies[0]) == digest(studies[1])
    budgets = {"pretrain.isoflop": {"scales": ["nano"], "budgets": [2e19, 4e19]}}
    assert parse_study(overridden(TINY_STUDY, budgets), "tiny").pretrain.isoflop.budgets == (2e19, 4e19)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"proxy.epoch": 2}, "unknown key 'proxy.epoch'; did you mean 'epochs'"),
        ({"proxi.epochs": 2}, "unknown key 'proxi'; did you mean 'proxy'"),
        ({"agents.7.steps": 2}, "'agents.7.steps': a list has entries 0 to 1, and none '7'"),
        ({"agents.greedy.steps": 2}, "and none 'greedy'"),
        ({"name.x": 2}, "'name.x' leads through 'tiny', which has no keys"),
        ({"proxy.epochs": 2.5}, "proxy.epochs"),
    ],
)
def test_an_override_that_names_nothing_is_refused_with_the_nearest_name(
    overrides: dict[str, Any], line: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        _begun(tmp_path, OWN, json.dumps(TINY_STUDY), overrides=overrides)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_expensive_is_confirmed_for_this_very_study_or_refused(tmp_path: Path) -> None:
    cluster = a_cluster(confirm_gpu_hours=100)
    given: dict[str, Any] = {"preset": "paper-3", "study": "", "cluster": cluster, "say": lambda line: None}

    def started(confirmed: str, **overrides: Any) -> str:
        return begin(**given, store="s3://nowhere/x", confirmed=confirmed, overrides={**SHARDS, **overrides})

    study = parse_study(overridden(shipped_study("paper-3"), SHARDS), "paper-3")
    wanted = confirmation(study, costs(study, cluster))
    assert gpu_hours(costs(study, cluster)) > 10_000
    with pytest.raises(UserError, match=f"takes about 10,774 GPU hours, more than 100; .*confirm: {wanted}$"):
        started("")
    with pytest.raises(UserError, match=f"and '{wanted}' confirms another; to run"):
        started(wanted, **{"pretrain.isotoken.seeds": [0, 1]})


def test_who_asks_for_no_gpus_confirms_all_the_same_what_cores_take(tmp_path: Path) -> None:
    cluster, plain = a_cluster(), {**shipped_study("paper-3"), "resources": {}}
    meant = {**SHARDS, "pretrain.isoflop": {"scales": ["350M"], "budgets": [2e19], "seeds": [0]}}
    study = parse_study(overridden(plain, meant), "on cores")
    of = costs(study, cluster)
    assert gpu_hours(of) == 0
    assert sum(each.estimate.flops for each in of) / 4e14 / 3600 > 1000  # hours, had it asked for GPUs
    wanted = confirmation(study, of)
    assert wanted.endswith(f"-core-hours-{digest(study)[:8]}")
    with pytest.raises(UserError, match=f"0 GPU hours and [0-9,]+ core hours .*more than 100; .*confirm: {wanted}$"):
        require_confirmed(study, of, "", cluster.confirm_gpu_hours)
    require_confirmed(study, of, wanted, cluster.confirm_gpu_hours)
    for cheap in ("smoke", "laptop"):
        small = parse_study(shipped_study(cheap), cheap)
        require_confirmed(small, costs(small, cluster), "", cluster.confirm_gpu_hours)


def test_confirmed_it_goes_on(tmp_path: Path) -> None:
    study = tiny_study()
    cheap = costs(study, None)
    assert gpu_hours(cheap) < 1
    dear = a_cluster(confirm_gpu_hours=0)
    # On this cluster nothing of the study has a GPU: there is nothing to confirm.
    assert gpu_hours(costs(study, dear)) == 0
    with_gpus = tiny_study(resources={"pretrain": {"gpus_per_node": 1}})
    of = costs(with_gpus, dear)
    assert [each.estimate.stage for each in of if each.gpus] == ["pretrain"]
    assert 0 < gpu_hours(of) < 1


def test_a_cluster_refuses_a_store_of_one_pod_and_files_of_one_machine(tmp_path: Path) -> None:
    given: dict[str, Any] = {"study": "", "confirmed": "", "cluster": a_cluster(), "say": lambda line: None}
    with pytest.raises(UserError, match="each pod would have its own; name s3://"):
        begin(preset="smoke", overrides={}, store=str(tmp_path), **given)
    for study in ("file:///etc/aira/cluster.yaml", "file:///etc/aira/studies/x.json#" + "0" * 64):
        with pytest.raises(UserError, match=r"study: 'file:///.*' is a folder, and each pod would have its own"):
            begin(preset=OWN, overrides={}, store="s3://nowhere/x", **{**given, "study": study})
    with pytest.raises(
        UserError, match=r"pretrain\.data\.shards: 'data/dclm-baseline-llama3' is a path of this machine"
    ):
        begin(preset="paper-3", overrides={}, store="s3://nowhere/x", **given)


def test_as_a_task_it_prints_the_cost_before_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRA_CLUSTER", raising=False)
    plan = tmp_path / "plan.md"
    with pytest.raises(SystemExit) as ended:
        begin_text("paper-3", "", SHARDS, str(tmp_path), "", str(plan))
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert "| pretrain | 96 |" in said.out
    assert said.err.count("\n") == 1
    assert "10,7" in plan.read_text()
    reference = begin_text("smoke", "", {}, str(tmp_path), "", str(plan))
    assert read_study(reference, str(tmp_path)).name == "smoke"
