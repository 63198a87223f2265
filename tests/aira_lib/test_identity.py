"""One policy for keys, from both sides: what can change a result changes them, what cannot does not.

Every setting of a study stands in one of the tables below, with another value and the stages whose keys it changes; a
setting that stands in none fails a test, so that whoever adds one decides.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aira_lib import identity
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.scales import RopeScaling, Scale, scale_named
from aira_lib.evaluations.key import key_of
from aira_lib.extrapolate.stage import describe
from aira_lib.flow.stage import STAGES
from aira_lib.flow.units import units_of
from aira_lib.identity import PIECES, VERSIONS
from aira_lib.pretrain.points import pretraining_points
from aira_lib.records import PretrainPoint
from aira_lib.study import DownstreamSection, LatencySection, ResourcesAtScale, Study
from aira_lib.study.agent import NoiseSettings
from aira_lib.study.reading import parse_study
from aira_lib.tasks import further
from aira_lib.tasks.airs.packages import installed
from tests.builders import TINY_STUDY
from tests.golden.results import defaults

# What follows from what, by the records that are read.
AFTER_SEARCH = {"search", "archive", "aggregate", "extrapolate", "report"}
AFTER_AGGREGATE = {"aggregate", "extrapolate", "report"}
AFTER_EXTRAPOLATE = {"extrapolate", "report"}
AFTER_PRETRAIN = {"pretrain", "evaluate", "report"}
AFTER_EVALUATE = {"evaluate", "report"}
ONLY_REPORT = {"report"}
NEITHER: set[str] = set()
SCORED = AFTER_SEARCH | {"evaluation"}

SETTINGS: dict[str, tuple[Any, set[str]]] = {
    # The report shows the study as a whole, and is made anew in seconds.
    "description": ("Another one.", ONLY_REPORT),
    "task.name": ("NeuralArchitectureSearchMAD2PrimitivesAccuracy", AFTER_SEARCH),
    "task.layers": (6, AFTER_SEARCH),
    "task.primitives": (["A", "W", "M", "Mb"], AFTER_SEARCH),
    "task.packages": (["PyYAML"], AFTER_SEARCH),
    "proxy.tasks": (["memorization"], SCORED),
    "proxy.difficulty": ({"memorization": {"seq_len": 40}}, SCORED),
    "proxy.d_model": (32, SCORED),
    "proxy.n_heads": (4, SCORED),
    "proxy.d_ff": (48, SCORED),
    "proxy.d_state": (16, SCORED),
    "proxy.d_conv": (3, SCORED),
    "proxy.expand": (4, SCORED),
    "proxy.ssm_head_dim": (8, SCORED),
    "proxy.n_groups": (2, SCORED),
    "proxy.window": (7, SCORED),
    "proxy.full_width_layers": (1, SCORED),  # designs have four layers: they get narrower
    "proxy.train_examples": (80, SCORED),
    "proxy.test_examples": (16, SCORED),
    "proxy.validation_fraction": (0.5, SCORED),
    "proxy.batch_size": (16, SCORED),
    "proxy.epochs": (2, SCORED),
    "proxy.learning_rate": (1e-3, SCORED),
    "proxy.weight_decay": (0.1, SCORED),
    "proxy.rank_by_accuracy": ("macro", SCORED),
    # A rule does not change what a whole training scores.
    "proxy.stopping.rule": ("successive-halving", AFTER_SEARCH),
    "proxy.precision": ("bf16", SCORED),
    "proxy.retrain_for_test": (True, SCORED),
    "proxy.seed": (1, SCORED),
    "agents.0.scaffold": ("tree", AFTER_SEARCH),
    "agents.0.model": ("openai/gpt-5", AFTER_SEARCH),
    "agents.0.seeds": ([0, 1, 2], AFTER_SEARCH - {"search"}),  # more of them; those there are stay
    "agents.0.steps": (4, AFTER_SEARCH),
    "agents.0.hours": (1.0, AFTER_SEARCH),
    "agents.0.max_tokens_total": (1000, AFTER_SEARCH),
    "agents.0.max_dollars": (1.0, AFTER_SEARCH),
    "agents.0.n_drafts": (1, AFTER_SEARCH),
    "agents.0.debug_probability": (0.5, AFTER_SEARCH),
    "agents.0.max_debug_depth": (3, AFTER_SEARCH),
    "agents.0.tree.num_children": (2, AFTER_SEARCH),
    "agents.0.evolution.islands": (2, AFTER_SEARCH),
    "agents.0.temperature": (0.5, AFTER_SEARCH),
    "agents.0.edit": ("patch", AFTER_SEARCH),
    "agents.0.analyse": ("failed", AFTER_SEARCH),
    "agents.0.memory": ("none", AFTER_SEARCH),
    "agents.0.memory_tokens": (500, AFTER_SEARCH),
    "agents.0.complexity_cues": (True, AFTER_SEARCH),
    "agents.0.reasoning_effort": ("low", AFTER_SEARCH),
    "agents.0.record_replies": (True, AFTER_SEARCH),
    "agents.0.keep_prompts": (True, AFTER_SEARCH),
    "agents.0.operators.debug.temperature": (0.5, AFTER_SEARCH),
    "agents.0.operators.debug.memory": ("ancestors", AFTER_SEARCH),
    "agents.0.tries": (2, AFTER_SEARCH),
    "agents.0.limits.seconds": (7.0, AFTER_SEARCH),
    "aggregate.0.name": ("ballot", AFTER_AGGREGATE),
    "aggregate.0.method": ("top-k", AFTER_AGGREGATE),
    "aggregate.0.clusters": (2, AFTER_AGGREGATE),
    "aggregate.0.context": (1, AFTER_AGGREGATE),
    "aggregate.0.top_k": (2, AFTER_AGGREGATE),
    "aggregate.0.half_life": (2.0, AFTER_AGGREGATE),
    "aggregate.0.prior": (2.0, AFTER_AGGREGATE),
    "aggregate.0.credibility": (0.5, AFTER_AGGREGATE),
    "aggregate.0.rank_by": ("test", AFTER_AGGREGATE),
    "aggregate.0.datasets": (["mad"], AFTER_AGGREGATE),
    "aggregate.0.agents": (["greedy-offline"], AFTER_AGGREGATE),
    "aggregate.0.resamples": (7, AFTER_AGGREGATE),
    "aggregate.0.seed": (7, AFTER_AGGREGATE),
    "extrapolate.methods": (["stack"], AFTER_EXTRAPOLATE),
    "extrapolate.scales": (["1B"], AFTER_EXTRAPOLATE),
    "extrapolate.baselines": (["Composer"], AFTER_EXTRAPOLATE),
    "pretrain.data.max_train_bytes": (50_000, AFTER_PRETRAIN),
    "pretrain.data.max_validation_bytes": (9_000, AFTER_PRETRAIN),
    "pretrain.data.packing": ("masked", AFTER_PRETRAIN),
    "pretrain.optimizer.learning_rate": (1e-3, AFTER_PRETRAIN),
    "pretrain.optimizer.reference_width": (8, AFTER_PRETRAIN),
    "pretrain.optimizer.betas": ([0.8, 0.9], AFTER_PRETRAIN),
    "pretrain.optimizer.weight_decay": (0.2, AFTER_PRETRAIN),
    "pretrain.optimizer.clip": (0.5, AFTER_PRETRAIN),
    "pretrain.optimizer.schedule": ("cosine", AFTER_PRETRAIN),
    "pretrain.optimizer.warmup_fraction": (0.2, AFTER_PRETRAIN),
    "pretrain.optimizer.warmup_steps": (2, AFTER_PRETRAIN),
    "pretrain.optimizer.warmup_tokens": ({"nano": 2048}, AFTER_PRETRAIN),
    "pretrain.optimizer.decay_fraction": (0.3, AFTER_PRETRAIN),
    "pretrain.optimizer.on_nonfinite": ("skip", AFTER_PRETRAIN),
    "pretrain.methods": (["stack"], ONLY_REPORT),  # which points there are; each is what it was
    "pretrain.micro_batch_tokens": (512, AFTER_PRETRAIN),
    "pretrain.precision": ("bf16", AFTER_PRETRAIN),
    "pretrain.checkpoint_seconds": (7.0, ONLY_REPORT),
    "pretrain.recompute": (True, ONLY_REPORT),  # the same bits
    "pretrain.compile": (True, AFTER_PRETRAIN),
    "evaluate.samples": (9, AFTER_EVALUATE),
    "evaluate.batch_size": (2, ONLY_REPORT),
    **{
        f"resources.pretrain.{key}": (value, NEITHER)
        for key, value in (
            ("nodes", 2),
            ("ranks_per_node", 2),
            ("gpus_per_node", 8),
            ("cores", 3),
            ("memory_gib", 1.5),
            ("deadline_hours", 3.0),
            ("min_success", 0.5),
            ("by_scale", {"nano": {"ranks_per_node": 2}}),
        )
    },
}

# Settings of which one of their kind stands above, and those that another test changes.
LIKE_OTHERS = {
    "agents.name", "agents.one_change", "agents.tree.uct_c", "scales", "proxy.dataset", "pretrain.trainer",
    "pretrain.data.name", "pretrain.data.paths", "pretrain.data.text_field", "pretrain.data.shards",
    "pretrain.data.tokenizer", "pretrain.data.shards_at_once", "pretrain.isotoken", "pretrain.isoflop",
    "pretrain.optimizer.final_fraction", "pretrain.optimizer.max_skips", "pretrain.lr_check",
    "pretrain.lr_check.factors", "pretrain.lr_check.design", "pretrain.isoflop.branch", "pretrain.isoflop.replicates",
    "pretrain.isotoken.seeds", "pretrain.isoflop.seeds", "pretrain.isoflop.rounding", "aggregate", "task.folder",
    "task.validation", "task.validation_fraction", "task.folders", "task.literature", "task.settings",
    "proxy.stopping.eta", "proxy.stopping.rungs",
    "proxy.stopping.margin", "proxy.stopping.bars", "proxy.difficulty.vocab_size", "proxy.difficulty.seq_len",
    "proxy.difficulty.n_tokens_to_copy",
    *(f"agents.evolution.{name}" for name in (
        "island_size", "individuals", "crossover_probability", "crossover_after", "migration_probability", "parents",
        "temperature", "tournament_size")),
    *(f"agents.operators.{operator}.{name}" for operator in ("draft", "improve", "debug", "crossover", "analyse")
      for name in ("model", "temperature", "reasoning_effort", "memory", "prompt")),
    *(f"agents.limits.{name}" for name in (
        "memory_mb", "output_kb", "disk_mb", "processes", "gpu", "gpu_memory_fraction")),
    *(f"agents.noise.{name}" for name in NoiseSettings.model_fields),  # refused here, where no task has a baseline
    *(f"proxy.language.{name}" for name in (
        "paths", "test_paths", "text_field", "tokenizer", "vocab_size", "seq_len", "train_examples", "test_examples")),
    *(f"scales.{name}" for name in Scale.model_fields),
    "latency", *(f"latency.{name}" for name in LatencySection.model_fields),
    "resources", "resources.by_scale", "resources.min_success",
    "downstream", *(f"downstream.{name}" for name in DownstreamSection.model_fields),
    *(f"resources.by_scale.{name}" for name in ResourcesAtScale.model_fields),
    *(f"resources.{name}" for name in ResourcesAtScale.model_fields),
    *(f"scales.rope_scaling.{name}" for name in RopeScaling.model_fields),
}  # fmt: skip


def study_with(place: str = "", value: Any = None) -> Study:
    data = json.loads(json.dumps(TINY_STUDY))
    if place:
        *folders, last = place.split(".")
        section: Any = data
        for name in folders:
            section = section[int(name)] if name.isdigit() else section.setdefault(name, {})
        section[last] = value
    return parse_study(data, "test")


def point(study: Study, **changes: Any) -> PretrainPoint:
    design = describe(
        name="d@nano", base="d", kind="baseline", method="repeat", layers=("A", "M"), scale=scale_named("nano", 3),
        trainable=True,
    )  # fmt: skip
    first = pretraining_points(study.pretrain, [design])[0]
    return first.model_copy(update=changes)


def keys(study: Study, of: PretrainPoint | None = None) -> dict[str, Any]:
    points = [of or point(study)]
    found: dict[str, Any] = {
        stage: [unit.key for unit in units_of(stage, study, points)][:2] for stage in STAGES if stage != "search"
    }
    found["search"] = units_of("search", study)[0].key
    layers = ("A", "M") * 2
    found["evaluation"] = key_of(layers, study.proxy, study.proxy.seed).digest
    return found


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.mark.parametrize("place", SETTINGS)
def test_a_setting_is_in_the_keys_of_what_it_changes(place: str) -> None:
    value, expected = SETTINGS[place]
    assert changed(keys(study_with()), keys(study_with(place, value))) == expected


def test_every_setting_is_decided_upon() -> None:
    """Whoever adds a setting says here which keys it changes."""
    decided = {place.replace(".0", "") for place in SETTINGS} | LIKE_OTHERS
    places = {place.removeprefix("study.") for place in defaults()}
    assert places - decided == set()


def test_a_new_setting_with_a_default_changes_no_key() -> None:
    """Said aloud or left out: a default is a default."""
    said = parse_study({**json.loads(json.dumps(TINY_STUDY)), "evaluate": {"samples": 8, "batch_size": 8}}, "test")
    whole = parse_study(said.model_dump(mode="json"), "test")  # every setting, as if all had been written down
    assert keys(whole) == keys(study_with())


def test_names_and_places_are_in_no_key() -> None:
    study = study_with()
    before = keys(study)
    assert changed(before, keys(study_with("name", "another"))) == {"report"}
    renamed = point(study, id="other", aliases=("a", "b"), budget_flops=1e9)
    assert changed(before, keys(study, renamed)) == NEITHER
    design = point(study).design.model_copy(update={"name": "other", "base": "x", "change": "said otherwise"})
    assert changed(before, keys(study, point(study, design=design))) == NEITHER
    assert changed(before, keys(study, point(study, steps=7))) == AFTER_PRETRAIN
    assert changed(before, keys(study, point(study, seed=7))) == AFTER_PRETRAIN


CODE: dict[str, set[str]] = {
    "mad": SCORED,
    "text": AFTER_PRETRAIN,
    "models": SCORED | AFTER_PRETRAIN,
    "proxy": SCORED,
    "search": AFTER_SEARCH,
    "archive": AFTER_SEARCH - {"search"},
    "aggregate": AFTER_AGGREGATE,
    "extrapolate": AFTER_EXTRAPOLATE,
    "training": AFTER_PRETRAIN,
    "evaluate": AFTER_EVALUATE,
    "downstream": NEITHER,  # the study asks for no such tasks
    "latency": NEITHER,  # of a study that asks for no times
    "programs": NEITHER,  # of task folders whose submissions are code: see test_program_folders
}


DOWNSTREAM: dict[str, tuple[Any, set[str]]] = {
    "tasks": (["copa"], {"downstream", "report"}),
    "limit": (2, {"downstream", "report"}),
    "seed": (1, {"downstream", "report"}),
    "batch_tokens": (7, ONLY_REPORT),
    "protocols": (["isoflop", "isotoken"], ONLY_REPORT),  # which points; each is what it was
    "data": ("moved", ONLY_REPORT),  # the same items elsewhere
}


@pytest.fixture
def asking(tmp_path: Path) -> Callable[..., Study]:
    """A study that asks for downstream tasks, of which two folders have the same items and one has others."""
    for folder, word in (("here", "first"), ("moved", "first"), ("other", "second")):
        _piqa(tmp_path / folder, word)

    def made(**changes: Any) -> Study:
        section = {"tasks": ["piqa", "copa"], "data": "here", **changes}
        return study_with("downstream", {**section, "data": str(tmp_path / section["data"])})

    return made


def _piqa(folder: Path, word: str) -> None:
    (folder / "piqa").mkdir(parents=True)
    rows = ({"goal": f"{word} {n}", "sol1": "one", "sol2": "two", "label": n % 2} for n in range(3))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "piqa" / "validation.jsonl").write_text(text)


@pytest.mark.parametrize("name", DownstreamSection.model_fields)
def test_what_a_checkpoint_is_asked_is_in_the_keys_of_its_scores(name: str, asking: Callable[..., Study]) -> None:
    value, expected = DOWNSTREAM[name]
    assert changed(keys(asking()), keys(asking(**{name: value}))) == expected


def test_items_are_known_by_what_they_say(asking: Callable[..., Study], tmp_path: Path) -> None:
    before = keys(asking())
    assert changed(before, keys(asking(data="other"))) == {"downstream", "report"}
    _piqa(tmp_path / "none", "first")
    (tmp_path / "none" / "piqa" / "validation.jsonl").unlink()
    assert changed(before, keys(asking(data="none"))) == {"downstream", "report"}  # with items another record
    assert changed(keys(study_with()), before) == {"downstream", "report"}


def test_downstream_scores_depend_on_the_layers_and_on_what_scores_them(
    asking: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(asking())
    monkeypatch.setitem(VERSIONS, "downstream", 9)
    assert changed(before, keys(asking())) == {"downstream", "report"}
    monkeypatch.setitem(VERSIONS, "downstream", 1)
    monkeypatch.setitem(VERSIONS, "models", 9)
    assert "downstream" in changed(before, keys(asking()))


@pytest.mark.parametrize("piece", PIECES)
def test_a_raised_version_changes_the_keys_of_what_depends_on_the_code(
    piece: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(study_with())
    monkeypatch.setitem(VERSIONS, piece, VERSIONS[piece] + 1)
    assert changed(before, keys(study_with())) == CODE[piece]


def test_the_code_of_the_report_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(study_with())
    monkeypatch.setattr(identity, "package_digest", lambda name: "other")
    assert changed(before, keys(study_with())) == {"report"}


@pytest.mark.parametrize(("variable", "value"), [("AIRA_DEVICE", "cuda"), ("AIRA_KERNELS", "plain")])
def test_what_computes_is_in_the_keys_of_what_is_computed(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AIRA_DEVICE", "AIRA_KERNELS"):
        monkeypatch.delenv(name, raising=False)
    before = keys(study_with())
    monkeypatch.setenv(variable, value)
    # What is made of the searches is found by their keys, which say the device.
    assert changed(before, keys(study_with())) == SCORED | AFTER_PRETRAIN


def test_widths_count_as_they_come_out_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Designs that are no deeper than `full_width_layers` are as wide as without it; another rule is another key."""
    plain = keys(study_with())
    assert changed(plain, keys(study_with("proxy.full_width_layers", 4))) == {"report"}
    before = keys(study_with("proxy.full_width_layers", 2))
    monkeypatch.setattr(type(study_with().proxy), "at_depth", lambda self, layers: self.model_copy(
        update={"d_model": 8, "n_heads": 1, "full_width_layers": None}))  # fmt: skip
    assert changed(before, keys(study_with("proxy.full_width_layers", 2))) == SCORED


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for folder, word in (("one", "first"), ("moved", "first"), ("other", "second")):
        (tmp_path / folder).mkdir()
        for number in range(30):
            (tmp_path / folder / f"{number:02d}.txt").write_text(f"{word} document {number}\n" * 20)
    return tmp_path


def test_files_are_known_by_what_they_hold(texts: Path) -> None:
    def of(folder: str) -> dict[str, Any]:
        return keys(study_with("pretrain.data", {"name": "files", "paths": [str(texts / folder)]}))

    assert changed(of("one"), of("moved")) == ONLY_REPORT  # it shows where they lay
    assert changed(of("one"), of("other")) == AFTER_PRETRAIN
    before = of("one")
    (texts / "one" / "00.txt").write_text("another first document\n" * 20)
    assert changed(before, of("one")) == AFTER_PRETRAIN
    assert of("one")["search"] == before["search"]


def test_the_text_of_a_proxy_is_known_by_what_it_holds(texts: Path) -> None:
    def of(folder: str) -> dict[str, Any]:
        data = json.loads(json.dumps(TINY_STUDY))
        data["task"]["name"] = "NeuralArchitectureSearchDCLM2PrimitivesLoss"
        data["proxy"] = {**data["proxy"], "dataset": "dclm", "language": {"paths": [str(texts / folder)], "seq_len": 8}}
        del data["proxy"]["tasks"], data["proxy"]["difficulty"]
        return keys(parse_study(data, "test"))

    from aira_lib.evaluations.key import _settings

    before = of("one")
    assert changed(before, of("moved")) == ONLY_REPORT
    assert changed(before, of("other")) == SCORED
    (texts / "one" / "00.txt").write_text("another first document\n" * 20)
    _settings.cache_clear()  # a process that has read a text goes on with it
    assert changed(before, of("one")) == SCORED


def test_records_are_known_by_the_keys_that_their_manifests_say() -> None:
    """What was searched on a GPU is archived and read where there is none."""
    study = study_with()
    (unit,) = units_of("archive", study, keys=["made-elsewhere", "and-there"])
    assert unit.inputs == ("and-there", "made-elsewhere")
    assert unit.key != units_of("archive", study)[0].key


def test_recorded_replies_are_known_by_what_they_say(tmp_path: Path) -> None:
    """Another recording at the same path was answered with the old record; the same one elsewhere was not found."""

    def key(path: Path) -> str:
        return units_of("search", study_with("agents", [{"model": f"replay:{path}"}]))[0].key

    said = '{"prompt": "p", "seed": 1, "text": "%s"}\n'
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_text(said % "first")
    other.write_text(said % "second")
    first, second = key(one), key(other)
    assert first != second
    one.write_text(said % "second")
    assert key(one) == second


def test_packages_of_candidates_are_known_by_their_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(study_with("task.packages", ["PyYAML", "rich"]))
    assert changed(before, keys(study_with("task.packages", ["rich", "pyyaml"]))) == ONLY_REPORT
    monkeypatch.setattr(further, "installed", lambda name: "0.0.1" if name == "PyYAML" else installed(name))
    assert changed(before, keys(study_with("task.packages", ["PyYAML", "rich"]))) == AFTER_SEARCH


def test_templates_of_prompts_are_known_by_what_they_say(tmp_path: Path) -> None:
    def of(path: Path, operator: str = "debug") -> dict[str, Any]:
        agent = {"model": "openai/x", "operators": {operator: {"prompt": str(path)}}}
        return keys(study_with("agents", [agent]))

    one, moved = tmp_path / "one.jinja", tmp_path / "moved.jinja"
    one.write_text("Mend it. {{ parent_code }}")
    before = of(one)
    one.rename(moved)
    assert changed(before, of(moved)) == ONLY_REPORT  # it shows where it lay
    assert changed(before, of(moved, "improve")) == AFTER_SEARCH
    moved.write_text("Mend it well. {{ parent_code }}")
    assert changed(before, of(moved)) == AFTER_SEARCH


def test_layers_of_two_people_that_are_called_alike_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are the first of their version: the second found the first one's scores in the store they share."""

    def key(module: str) -> str:
        own = replace(PRIMITIVES.named("M"), symbol="Q", module=module)
        monkeypatch.setitem(PRIMITIVES._entries, "Q", own)
        return key_of(("A", "Q"), study_with().proxy, 0).digest

    assert key("hers.layers:Q") != key("his.layers:Q")
    assert "primitive_modules" not in key_of(("A", "M", "Mb", "W"), study_with().proxy, 0).settings
