"""What a later stage would refuse is refused before the first search, by the dry run as by the run."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.agents.providers import Provider
from aira_lib.errors import UserError
from aira_lib.flow.checks import check_here, check_study
from aira_lib.flow.units import search_units
from aira_lib.local.run import check_writable
from aira_lib.settings import Settings
from aira_lib.study import Study
from aira_lib.study.reading import parse_study
from tests.aira_lib.cli.in_process import aira
from tests.builders import TINY_STUDY

SCALE = {
    "d_model": 16, "n_heads": 2, "n_kv_heads": 1, "head_dim": 8, "d_ff": 32, "d_ssm": 32, "d_state": 8,
    "ssm_head_dim": 8, "seq_len": 64, "vocab_size": 256, "tokens_per_step": 256, "n_layers": 4,
}  # fmt: skip


def changed(place: str, value: Any) -> dict[str, Any]:
    study: dict[str, Any] = yaml.safe_load(yaml.safe_dump(TINY_STUDY))
    *above, last = place.split(".")
    at: Any = study
    for part in above:
        at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
    at[last] = value
    return study


def with_scale(**other: Any) -> dict[str, Any]:
    study = changed("scales", {"own": {name: value for name, value in {**SCALE, **other}.items() if value is not None}})
    return {**study, "pretrain": {"isotoken": {"scale": "own", "tokens": 8192}}}


@pytest.mark.parametrize(
    ("study", "line"),
    [
        (changed("extrapolate.baselines", ["Lama 3.2"]), r"baselines.0: unknown baseline 'Lama 3.2'; did you mean 'Ll"),
        (changed("pretrain.isoflop", {"scales": ["nano"], "budgets": [0]}), r"budgets.0: .* greater than 0"),
        (changed("pretrain.isoflop", {"scales": ["nano"], "budgets": [-1e12]}), r"budgets.0: .* greater than 0"),
        (changed("pretrain.isoflop", {"scales": ["nano"], "budgets": [float("inf")]}), "budgets.0: .* finite number"),
        (changed("pretrain.isoflop", {"scales": ["nano"], "budgets": [1e3]}), "does not pay for one step of Llama 3.2"),
        (changed("pretrain.isoflop", {"scales": [], "budgets": [1e12]}), "scales: at least 1 entry is needed"),
        (changed("aggregate.0.datasets", ["madd"]), "nothing of data set 'madd'; did you mean 'mad'"),
        (changed("aggregate.0.datasets", ["dclm"]), "nothing of data set 'dclm'; valid: mad"),
        (changed("pretrain.optimizer", {"betas": [0.9, 1.0]}), "betas.1: input should be less than 1"),
        (changed("pretrain.optimizer", {"betas": [-0.1, 0.9]}), "betas.0: input should be greater than or equal to 0"),
        (changed("pretrain.isotoken.seeds", [-5]), "seeds.0: input should be greater than or equal to 0"),
        (changed("pretrain.isotoken.seeds", []), "seeds: at least 1 entry is needed"),
        (changed("task.packages", ["numpy>=2"]), "packages: 'numpy>=2' is no name of a package"),
        (changed("task.packages", ["../numpy"]), "packages: '../numpy' is no name"),
        (changed("task.packages", [""]), "packages: '' is no name"),
        (changed("task.packages", ["a" * 101]), "is no name of a package"),
        (changed("task.packages", ["Py_YAML", "py-yaml"]), "names of packages must be distinct"),
        (changed("proxy.tasks", []), "tasks: at least 1 entry is needed"),
        (changed("proxy.difficulty", {"in-context-recall": {"n_tokens_to_copy": 3}}), "a setting of selective-copying"),
        (changed("proxy.train_examples", 4) | {"agents": [{}]}, None),
        (changed("proxy.validation_fraction", 0.001), "leave a split empty; raise train_examples"),
        (changed("agents.0.seeds", 10_000_000), "an agent has 1 to 10,000 seeds, not 10,000,000"),
        (changed("agents.0.seeds", 10**18), "an agent has 1 to 10,000 seeds"),
        (changed("agents.0.name", "x" * 300), "is longer than"),
        (changed("agents.0.name", "a/b"), "agent 'a/b': a name is no path"),
        (changed("proxy.n_heads", 16), "d_model / n_heads is 1: rotary embeddings turn pairs of channels"),
        (changed("pretrain.data", {"max_train_bytes": 10_000, "max_validation_bytes": 1_000}), None),
        (changed("pretrain.data", {"name": "files", "paths": ["a", "a"]}), "must be distinct, and 'a' stands twice"),
        (changed("proxy.language", {"paths": ["a.txt", "a.txt"]}), "must be distinct, and 'a.txt' stands twice"),
        (changed("pretrain.data", {"name": "files", "paths": ["s3://b/x"]}), "'s3://b/x' is none; copy it"),
        (changed("downstream", {"tasks": ["hellaswagg"]}), "tasks: .*'hellaswagg'; did you mean 'hellaswag'"),
        (changed("downstream", {"tasks": ["piqa:x"]}), "downstream.tasks: .*'piqa:x': shots are a whole number"),
        (changed("downstream.protocols", ["isoflop"]), "protocols: nothing is trained by isoflop; add pretr"),
        (changed("downstream", {}), None),
        (with_scale(), None),
        (with_scale(vocab_size=255), "vocab_size 255 is smaller than the 256 kinds of tokens"),
        (with_scale(tokens_per_step=100), "tokens_per_step 100 is not a multiple of seq_len 64"),
        (with_scale(tokens_per_step=32), "tokens_per_step 32 is not a multiple of seq_len 64"),
        (with_scale(head_dim=7), "head_dim 7 is odd"),
        (with_scale(n_layers=None), "says no depth: give it n_layers or target_params"),
        (with_scale(n_layers=None, target_params=1e15), "fewer than 1e"),
        (with_scale(n_layers=5_000), "a design has 1 to 1,024 layers"),
        (with_scale(seq_len=2_000_000, tokens_per_step=2_000_000), r"max_validation_bytes: .* bytes are too few for a"),
    ],
)  # fmt: skip
def test_what_needs_no_result_is_refused_when_a_study_is_read(study: Mapping[str, Any], line: str | None) -> None:
    if line is None:
        check_study(parse_study(study, "s.yaml"))
        return
    with pytest.raises(UserError, match=line) as refused:
        check_study(parse_study(study, "s.yaml"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        ("pretrain.data", {"name": "files", "paths": ["no/text"]}, "paths: no/text: no such file .*looked for from"),
        ("proxy.language", {"paths": ["/no/such/text.txt"]}, "proxy.language.paths: /no/such/text.txt: no such file"),
        ("agents.0.model", "replay:/no/such/recording", "agents.0.model: .*/no/such/recording"),
        ("task.packages", ["numpy", "no-such-zz"], "task.packages: 'no-such-zz' is not installed .* `pip install no-"),
        ("task.packages", ["numqy"], "`pip install numqy`, or did you mean 'numpy'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["run", "search"])
def test_what_this_machine_lacks_is_refused_by_the_dry_run(
    command: str, place: str, value: Any, line: str, tmp_path: Path
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(changed(place, value)))
    ended = aira(command, str(path), "--dry-run", AIRA_STORE=str(tmp_path / "runs"), AIRA_KERNELS="plain")
    assert ended.code == 2, ended
    assert re.search(line, ended.err), ended.err


@pytest.mark.parametrize("command", ["run", "search"])
def test_a_template_that_is_none_is_refused_by_the_dry_run(command: str, tmp_path: Path) -> None:
    path, recording, template = (tmp_path / name for name in ("s.yaml", "r.jsonl", "t.jinja"))
    recording.touch()
    own = {"debug": {"prompt": str(template)}}
    path.write_text(yaml.safe_dump(changed("agents", [{"model": f"replay:{recording}", "operators": own}])))
    for text, line in ((None, "no such file"), ("x\n{{ y }}", "2: unknown variable 'y'"), ("Mend it.", "")):
        if text is not None:
            template.write_text(text)
        ended = aira(command, str(path), "--dry-run", AIRA_STORE=str(tmp_path / "runs"), AIRA_KERNELS="plain")
        assert ended.code == (2 if line else 0), ended
        said = f"aira: agents.0.operators.debug.prompt: {template}:{line and ' ' * (text is None)}{line}"
        assert (ended.err.startswith(said) and ended.err.count("\n") == 1) if line else not ended.err


def test_each_operator_is_checked_with_its_own_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[tuple[str, float]]()
    monkeypatch.setattr(Provider, "check", lambda self, model, temperature: seen.append((model, temperature)))
    agent = {"model": "offline", "temperature": 0.5, "operators": {"debug": {"temperature": 0.25}}}
    check_here(Study.model_validate(changed("agents", [agent])))
    assert seen == [("offline", 0.5), ("offline", 0.25)]


@pytest.mark.skipif(not find_spec("litellm"), reason="prices come with litellm")
def test_a_budget_in_dollars_without_a_price_is_no_plan() -> None:
    """The plan said "at most $2.00", and the first step that it cannot be kept."""
    agent = {"model": "openai/a-model-of-ones-own", "max_dollars": 2.0}
    with pytest.raises(UserError, match=r"no price is known of model .* set max_tokens_total"):
        check_here(Study.model_validate(changed("agents", [agent])))
    check_here(Study.model_validate(changed("agents", [{**agent, "model": "openai/gpt-4o"}])))
    check_here(Study.model_validate(changed("agents", [{**agent, "max_dollars": None}])))
    operators = {"debug": {"model": "opnai/gpt-4o"}}
    with pytest.raises(UserError, match=r"agents\.0\.operators: unknown model 'opnai/gpt-4o'"):
        check_here(Study.model_validate(changed("agents", [{"model": "openai/gpt-4o", "operators": operators}])))


def test_a_store_that_cannot_be_written_is_refused_before_the_plan_and_left_as_it_is(tmp_path: Path) -> None:
    study = parse_study(TINY_STUDY, "s")
    check_writable(study, Settings(store=str(tmp_path / "a" / "b")))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for store in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        with pytest.raises(UserError, match=str(store)):
            check_writable(study, Settings(store=str(store)))


def test_thousands_of_seeds_are_named_at_once() -> None:
    """A list of n entries was compared n^2 / 2 times, and each search's key read the task anew."""
    study = parse_study(changed("agents", [{"model": "offline", "seeds": 10_000}]), "s")
    names = [unit.name for unit in search_units(study)]
    assert names[-1] == "greedy-offline.s9999"
    assert len({*names}) == 10_000


def test_downstream_tasks_without_items_are_refused_by_the_dry_run(tmp_path: Path) -> None:
    """Hours later their stage would be; and of a set only some may lack items."""
    path, items = tmp_path / "s.yaml", tmp_path / "items"
    for tasks, named in ((["six"], "hellaswag"), (["six", "copa"], "copa"), (["six"], None)):
        path.write_text(yaml.safe_dump(changed("downstream", {"tasks": tasks, "data": str(items)})))
        ended = aira("run", str(path), "--dry-run", AIRA_STORE=str(tmp_path / "runs"), AIRA_KERNELS="plain")
        assert ended.code == (2 if named else 0), ended
        assert "downstream" in ended.out
        assert ended.err.startswith(f"aira: downstream: no items of {named} in {items}") if named else not ended.err
        if named == "copa":
            (items / "piqa").mkdir(parents=True)
            row = '{"goal": "g", "sol1": "one", "sol2": "two", "label": 0}\n'
            (items / "piqa" / "validation.jsonl").write_text(row)
