"""Templates of one's own: what they may say, what is refused before anything starts, and with which line."""

import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest

import aira_lib.agents.prompt as prompt_module
from aira_lib.agents import Prompt, render_prompt
from aira_lib.agents.prompt import render_analysis
from aira_lib.agents.templates import MOST_BYTES, OwnTemplate, built_in_source, read_template
from aira_lib.agents.trial import tried_templates
from aira_lib.errors import UserError
from aira_lib.study import AgentSection
from aira_lib.study.agent import OperatorName
from tests.aira_lib.agents.test_prompt import NODES, SITUATION
from tests.aira_lib.cli.in_process import aira
from tests.builders import node

COMMON = '{% import "_common.jinja" as common with context -%}\n'
OPERATORS: tuple[OperatorName, ...] = get_args(OperatorName)
KINDS = ("design", "program")


def agent(operator: str, path: Path, **other: Any) -> AgentSection:
    return AgentSection.model_validate(
        {"model": "openai/x", "operators": {operator: {"prompt": str(path)}}, "analyse": "all", **other}
    )


def tried(
    operator: str, source: str, folder: Path, has_designs: bool = True, **other: Any
) -> dict[OperatorName, OwnTemplate]:
    path = folder / "mine.jinja"
    path.write_text(source)
    return tried_templates(agent(operator, path, **other), has_designs)


def asked(operator: OperatorName, situation: Any = SITUATION) -> Prompt:
    nodes = [*NODES, node(4, "2M", 0.5, analysis="it worked")]
    if operator == "analyse":
        return render_analysis(situation, nodes[4])
    parents = {"draft": (None, None), "debug": (nodes[2], None), "improve": (nodes[4], None)}
    return render_prompt(operator, situation, nodes, *parents.get(operator, (nodes[4], nodes[1])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_copy_of_a_built_in_template_says_what_that_says(operator: OperatorName, kind: Any, tmp_path: Path) -> None:
    source = built_in_source(operator, kind)
    for edit in ("file", "patch"):
        tried(operator, source, tmp_path, kind == "design", edit=edit, complexity_cues=True)
    situation = dataclasses.replace(SITUATION, prompts=kind)
    own = dataclasses.replace(situation, templates={operator: OwnTemplate("mine.jinja", source)})
    assert asked(operator, own).text == asked(operator, situation).text
    others = [each for each in OPERATORS if each != operator]
    assert [asked(each, own) for each in others] == [asked(each, situation) for each in others]


def test_the_digest_of_a_prompt_covers_its_template_and_not_where_that_lies() -> None:
    def digest(path: str, source: str) -> str:
        own = {"debug": OwnTemplate(path, source)}
        return asked("debug", dataclasses.replace(SITUATION, templates=own)).digest

    source = built_in_source("debug", "design")
    assert digest("a", source) == digest("b", source) != asked("debug").digest
    # Nothing else than the template differs, and it differs where no variable is filled in.
    assert digest("a", source) != digest("a", f"{source}{{# a remark #}}")


@pytest.mark.parametrize(
    ("operator", "source", "line"),
    [
        ("draft", "fine\n{% if %}", r"mine\.jinja:2: Expected an expression"),
        ("draft", "fine\n\n{{ 1 | shout }}", r"mine\.jinja:3: No filter named 'shout'"),
        (
            "debug",
            "fine\n{{ parent_cod }}",
            r"mine\.jinja:2: unknown variable 'parent_cod'; did you mean",
        ),
        (
            "improve",
            "{% if steps_left > 99 %}\n{{ nowhere }}{% endif %}x",
            r"mine\.jinja:2: unknown variable",
        ),
        ("draft", "x\n{{ parent_code }}", r"mine\.jinja:2: unknown variable 'parent_code'"),
        ("analyse", f"{COMMON}\n{{{{ common.answer() }}}}", r"mine\.jinja:3: 'patching' is undefined"),
        ("draft", f"{COMMON}{{{{ common.anser() }}}}", r"mine\.jinja:2: .* has no attribute 'anser'"),
        ("draft", '\n{% import "/etc/passwd" as p %}', r"mine\.jinja:2: there is no built-in template '/etc/passwd'"),
        ("draft", '\n{% include "other.jinja" %}', r"mine\.jinja:2: there is no built-in template 'other.jinja'"),
        ("draft", "x\n{{ ''.__class__.__mro__ }}", r"mine\.jinja:2: access to attribute '__class__'"),
        ("debug", 'x\n{{ "%.3f"|format(parent_validation) }}', r"mine\.jinja:2: it cannot be filled \(TypeError: "),
        ("draft", "x\n{{ 1 // (steps_left - 1) }}", r"mine\.jinja:2: it cannot be filled \(ZeroDivisionError: "),
        ("draft", "{# nothing #}\n", r"mine\.jinja: the prompt that it makes is empty"),
        ("draft", "{{ " + "(" * 2000 + ")" * 2000 + " }}", r"mine\.jinja:?\d*: .+"),
    ],
)
def test_what_is_no_template_of_its_operator_is_refused_with_its_line(
    operator: str, source: str, line: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"^operators\.{operator}\.prompt: /.*{line}") as refused:
        tried(operator, source, tmp_path)
    assert "\n" not in str(refused.value)


def test_a_name_that_a_template_asks_about_may_stand_for_nothing(tmp_path: Path) -> None:
    """One file for all operators is possible."""
    source = "{% if parent_code is defined %}{{ parent_code }}{% endif %}{{ parent_plan | default('a draft') }}"
    for operator in OPERATORS:
        assert tried(operator, source, tmp_path)[operator].source == source


def test_programs_have_no_designs_to_speak_of(tmp_path: Path) -> None:
    source = "Improve {{ parent_design[0] }}."
    tried("improve", source, tmp_path)
    with pytest.raises(UserError, match=r"mine\.jinja:1: "):
        tried("improve", source, tmp_path, has_designs=False)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, r"mine: no such file \(it is looked for from /"),
        (b"", "mine: the prompt that it makes is empty"),
        (b"fine\nM\xfcnchen", "mine:2: not UTF-8 text"),
        (b"x" * (MOST_BYTES + 1), r"mine: a template has at most \d+,\d+ bytes"),
    ],
)
def test_a_file_that_cannot_be_a_template_is_refused(
    content: bytes | None, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("mine").write_bytes(content)
    with pytest.raises(UserError, match=f"operators.draft.prompt: {line}"):
        tried_templates(agent("draft", Path("mine")), True)
    with pytest.raises(UserError, match=r"no file$"):
        read_template(str(tmp_path))


def test_a_step_that_no_trial_foresaw_ends_in_one_line() -> None:
    own = dataclasses.replace(SITUATION, templates={"draft": OwnTemplate("m", "x\n{{ 1 // (steps_left - 9) }}")})
    with pytest.raises(UserError, match=r"^m:2: it cannot be filled \(ZeroDivisionError"):
        render_prompt("draft", own, [], None)


@pytest.mark.parametrize("model", ["offline", "random", "bo-one-shot:3"])
def test_models_that_read_no_prose_take_no_template(model: str) -> None:
    with pytest.raises(ValueError, match=rf"operators\.improve\.prompt: model {model} reads no prose"):
        AgentSection.model_validate({"model": model, "operators": {"improve": {"prompt": "mine.jinja"}}})
    own = {"improve": {"prompt": "mine.jinja", "model": "openai/x"}}
    assert AgentSection.model_validate({"model": "replay:x", "operators": own}).own_prompts == {"improve": "mine.jinja"}


def test_the_built_in_templates_are_printed_as_they_are() -> None:
    here = Path(prompt_module.__file__).with_name("prompts")
    assert aira("search", "prompt", "debug").out == (here / "debug.jinja").read_text()
    assert aira("search", "prompt", "draft", "--program").out == (here / "program" / "draft.jinja").read_text()
    refused = aira("search", "prompt", "bedug")
    assert (refused.code, refused.err) == (2, "aira: unknown operator 'bedug'; did you mean 'debug'?\n")
