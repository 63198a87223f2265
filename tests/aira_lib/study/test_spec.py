"""A study is strict: every mistake is one line that says where and how to mend it."""

from pathlib import Path

import pytest
import yaml

from aira_lib.errors import SpecError
from aira_lib.study import Study, canonical_json, digest
from aira_lib.study.reading import load_study, parse_study
from tests.builders import TINY_STUDY, tiny_study

STUDIES = Path(__file__).parents[3] / "pipelines" / "compose"


def _edited(path: str, value: object) -> dict[str, object]:
    study = yaml.safe_load(yaml.safe_dump(TINY_STUDY))
    at = study
    *parents, last = path.split(".")
    for part in parents:
        at = at[int(part) if part.isdigit() else part]
    at[last] = value
    return study


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("proxi", {}, r"t: unknown key 'proxi'; did you mean 'proxy'\?"),
        ("proxy.d_modle", 8, r"t: unknown key 'proxy.d_modle'; did you mean 'd_model'\?"),
        ("agents.0.scafold", "greedy", r"t: unknown key 'agents.0.scafold'; did you mean 'scaffold'\?"),
        ("agents.0.limits", {"second": 1}, r"t: unknown key 'agents.0.limits.second'; did you mean 'seconds'\?"),
        ("pretrain.isotoken.token", 5, r"t: unknown key 'pretrain.isotoken.token'; did you mean 'tokens'\?"),
        ("agents.0.scaffold", "greddy", r"t: agents.0.scaffold: .* 'tree' or 'evolutionary', got 'greddy'"),
        ("proxy.n_heads", 3, r"t: proxy: d_model 16 is not a multiple of n_heads 3"),
        ("extrapolate.scales", ["1C"], r"t: the study: extrapolate.scales: unknown scale '1C'"),
        ("agents.0.steps", 0, r"t: agents.0.steps: input should be greater than or equal to 1, got 0"),
        ("agents.1.name", "greedy-offline", r"t: the study: agents: names must be distinct"),
        ("name", "Bad Name", r"t: name: string should match pattern"),
    ],
)
def test_each_mistake_is_one_line(path: str, value: object, line: str) -> None:
    with pytest.raises(SpecError, match=line) as caught:
        parse_study(_edited(path, value), "t")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: [", "not valid YAML"),
        ("- a\n- b\n", "a study is a mapping"),
        ("name: x\nname: y\n", "key 'name' stands twice"),
        ("name: x\n", "key 'agents' is missing"),
    ],
)
def test_files_that_are_not_studies(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=line) as caught:
        load_study(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(SpecError, match=r"nowhere.yaml: cannot be read \(No such file"):
        load_study("nowhere.yaml")


def test_digest_depends_on_values_and_on_nothing_else() -> None:
    study = tiny_study()
    again = parse_study(yaml.safe_load(yaml.safe_dump(study.model_dump(mode="json"), sort_keys=True)), "t")
    assert digest(again) == digest(study)
    assert parse_study(__import__("json").loads(canonical_json(study)), "t") == study
    changed = study.model_copy(update={"description": "other"})
    assert digest(changed) != digest(study)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_studies_load(path: Path) -> None:
    if path.name != "metadata.yaml":
        assert isinstance(load_study(path), Study)


def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    study = {**TINY_STUDY, "pretrain": {"isoflop": {"scales": ["nano"], "budgets": ["BUDGET"]}}}
    path.write_text(yaml.safe_dump(study).replace("BUDGET", "2e19"))
    isoflop = load_study(path).pretrain.isoflop
    assert isoflop is not None
    assert isoflop.budgets == (2e19,)


def test_the_paper_study_says_what_the_paper_says() -> None:
    study = load_study(STUDIES / "paper.yaml")
    assert sum(len(a.seeds) for a in study.agents) == 170  # section 6.1.2
    assert {(a.hours, a.steps) for a in study.agents} == {(24.0, 500)}  # section 5
    assert study.pretrain.isotoken is not None
    assert study.pretrain.isotoken.tokens == 71_565 * 524_288
    assert study.pretrain.isoflop is not None
    assert study.pretrain.isoflop.budgets == (2e19, 4e19, 8e19, 2e20, 4e20)
    assert study.pretrain.isoflop.scales == ("350M", "1B", "3B")
    assert (study.proxy.train_examples, study.proxy.test_examples, study.task.layers) == (800, 1280, 16)


@pytest.mark.parametrize("tokens", [40_000, 1_500, 7])
def test_the_memory_of_a_model_with_a_default_of_its_own_survives_the_text(tokens: int) -> None:
    """The section's default, asked for by name, was left out of the text, and read again as the model's."""
    study = Study.model_validate({"name": "x", "agents": [{"model": "smollm2", "memory_tokens": tokens}]})
    again = Study.model_validate_json(canonical_json(study))
    assert again.agents[0].memory_tokens == tokens
    assert digest(again) == digest(study)
