import dataclasses
import re
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest

import aira_lib.agents.prompt as prompt_module
from aira_lib.agents import Situation, render_prompt
from aira_lib.agents.memory import MOST_GOOD
from aira_lib.agents.prompt import complexity, read_memory
from aira_lib.agents.step import Operator
from aira_lib.records import Evaluation
from aira_lib.study import CandidateLimits
from tests.builders import node

SITUATION = Situation(
    description="THE TASK", primitives=("A", "M"), layers=2, data_overview="THE DATA",
    limits=CandidateLimits(seconds=50, memory_mb=777), cores=3, seconds_left=33.3, steps_left=9,
)  # fmt: skip
TEST = 0.48151623
NODES = [
    node(0, "A-M", 0.25, test=TEST, plan="plan zero"),
    node(1, "M-A", 0.75, test=TEST, plan="plan ``` one\nMEMORY (JSON):"),
    node(2, None, None, reason="the design has 3 layers", code="layers = []", output="printed this"),
    node(3, "A-M", 0.25, test=TEST, evaluation=Evaluation(status="ok", test_by_task={"x": TEST})),
]


def text_of(operator: Operator, parent: int | None) -> str:
    return render_prompt(operator, SITUATION, NODES, None if parent is None else NODES[parent]).text


@pytest.mark.parametrize(("operator", "parent"), [("draft", None), ("improve", 1), ("debug", 2)])
def test_a_prompt_tells_what_holds_and_never_the_test_fitness(operator: Operator, parent: int | None) -> None:
    text = text_of(operator, parent)
    for told in ("THE TASK", "THE DATA", "777 MB", "33 seconds", "9 steps", "3 cores", "no GPU", "submission.csv"):
        assert told in text, told
    assert str(TEST)[:6] not in text
    assert "test" not in read_memory(text)


def test_improve_shows_the_parent() -> None:
    text = text_of("improve", 1)
    assert "`M-A` (validation fitness 0.75)" in text
    assert "plan ``` one" in text


def test_improve_calls_only_the_best_the_best() -> None:
    assert "Improve the best design so far, `M-A`" in text_of("improve", 1)
    assert "Improve this design, `A-M`" in text_of("improve", 0)


def test_crossover_shows_both_parents() -> None:
    first, second = NODES[0].model_copy(update={"code": "first()"}), NODES[1].model_copy(update={"code": "second()"})
    text = render_prompt("crossover", SITUATION, NODES, first, second).text
    for told in ("`A-M` (validation fitness 0.25)", "`M-A` (validation fitness 0.75)", "first()", "second()"):
        assert told in text
    assert str(TEST)[:6] not in text
    assert (read_memory(text)["parent"], read_memory(text)["other"]) == ("A-M", "M-A")


def test_debug_shows_what_failed() -> None:
    text = text_of("debug", 2)
    for told in ("the design has 3 layers", "layers = []", "printed this"):
        assert told in text


def test_the_memory_is_json_with_each_design_once_best_first() -> None:
    memory = read_memory(text_of("improve", 1))
    assert [entry["design"] for entry in memory["good"]] == ["M-A", "A-M"]
    assert [entry["step"] for entry in memory["good"]] == [1, 0]
    assert memory["tried"] == ["A-M", "M-A"]
    assert memory["failed"] == [{"step": 2, "reason": "the design has 3 layers"}]
    assert (memory["operator"], memory["parent"], memory["layers"]) == ("improve", "M-A", 2)


def test_the_memory_is_capped_to_the_best() -> None:
    many = [node(i, f"{i + 1}A", i / 100) for i in range(90)]
    good = read_memory(render_prompt("draft", SITUATION, many, None).text)["good"]
    assert [entry["step"] for entry in good] == list(range(89, 89 - MOST_GOOD, -1))
    lower = dataclasses.replace(SITUATION, lower_is_better=True)
    good = read_memory(render_prompt("draft", lower, many, None).text)["good"]
    assert [entry["step"] for entry in good] == list(range(MOST_GOOD))


@pytest.mark.parametrize(("operator", "code", "asked"), [
    ("improve", "print(1)", True), ("debug", "x = 1 / 0", True), ("debug", "prose, no program", False),
    ("crossover", "print(1)", False),
])  # fmt: skip
def test_patches_are_asked_for_where_there_is_a_program_to_patch(operator: Operator, code: str, asked: bool) -> None:
    parent = NODES[1].model_copy(update={"code": code})
    patch = dataclasses.replace(SITUATION, edit="patch", one_change=True)
    text = render_prompt(operator, patch, NODES, parent, NODES[0]).text
    assert ("<<<<<<< SEARCH" in text) == ("`CHANGE:`" in text) == asked
    assert ("complete\nprogram" in text) != asked
    assert read_memory(text)["answer"] == ("patch" if asked else "program")
    assert "<<<<<<< SEARCH" not in render_prompt(operator, SITUATION, NODES, parent, NODES[0]).text


def test_the_digest_leaves_out_the_clock_alone() -> None:
    def digest(**changes: Any) -> str:
        return render_prompt("draft", dataclasses.replace(SITUATION, **changes), NODES, None).digest

    assert digest() == digest(seconds_left=1.0) == digest(cores=64)
    others = [digest(steps_left=1), digest(description="another"), render_prompt("draft", SITUATION, [], None).digest]
    assert len({digest(), *others}) == 4


def test_the_gpu_is_told_as_it_is() -> None:
    with_one = render_prompt("draft", dataclasses.replace(SITUATION, gpu="NVIDIA H200, 34 GB of it"), NODES, None)
    assert "3 cores and this GPU for it: NVIDIA H200, 34 GB of it; there is no network" in with_one.text
    assert "no GPU" not in with_one.text
    assert "3 cores and no GPU for it; there is no network" in text_of("draft", None)
    assert with_one.digest == render_prompt("draft", SITUATION, NODES, None).digest, "a matter of the machine"


@pytest.mark.parametrize(("earlier", "level", "told"), [
    (0, "minimal", "Keep it minimal"), (1, "minimal", "Keep it minimal"), (2, "moderate", "moderate complexity"),
    (3, "moderate", "moderate complexity"), (4, "advanced", "an advanced design"),
    (9, "advanced", "an advanced design"),
])  # fmt: skip
def test_complexity_grows_with_the_attempts_from_the_same_point(earlier: int, level: str, told: str) -> None:
    cues = dataclasses.replace(SITUATION, complexity_cues=True)
    drafts = [node(i, "A-M", 0.5) for i in range(earlier)]
    parent = node(50, "M-A", 0.5, operator="improve")
    children = [parent] + [node(60 + i, "A-M", 0.5, operator="improve", parents=("n50",)) for i in range(earlier)]
    for operator, nodes, of in (("draft", drafts, None), ("improve", children, parent)):
        assert complexity(operator, nodes, of) == level  # type: ignore[arg-type]
        text = render_prompt(operator, cues, nodes, of).text  # type: ignore[arg-type]
        assert told in text
        assert sum(cue in text for cue in ("Keep it minimal", "moderate complexity", "an advanced design")) == 1
        assert told not in render_prompt(operator, SITUATION, nodes, of).text  # type: ignore[arg-type]
    assert complexity("debug", children, parent) == complexity("crossover", children, parent) == ""


TEMPLATES = Path(prompt_module.__file__).with_name("prompts")


def of_macros(source: str) -> set[str]:
    """The variables that the macros which a template calls read from the context."""
    environment, found = jinja2.Environment(), set[str]()
    for path, alias in re.findall(r'{% import "([^"]+)" as (\w+) with context', source):
        parsed = environment.parse((TEMPLATES / path).read_text())
        called = set(re.findall(rf"\b{alias}\.(\w+)\(", source))
        macros = [macro for macro in parsed.find_all(jinja2.nodes.Macro) if macro.name in called]
        assert {macro.name for macro in macros} == called
        template = jinja2.nodes.Template(macros, lineno=1)
        template.set_environment(environment)
        found |= jinja2.meta.find_undeclared_variables(template)
    return found


def listed(path: Path) -> set[str]:
    """The variables that a template's head lists; "those of X but a, b, and c" stands for X's."""
    head = path.read_text().partition("-#}")[0]
    text = " ".join(head.partition("Variables: ")[2].split()).rstrip(". ")
    borrowed = re.match(r"those of (\S+\.jinja)(?: but (?P<but>[\w, ]+?))?(?:, and (?P<more>.*))?$", text)
    if not borrowed:
        return set(text.split(", "))
    more, without = ({*(borrowed[name] or "").split(", ")} - {""} for name in ("more", "but"))
    return (listed(path.parent / borrowed[1]) - without) | more


@pytest.mark.parametrize("name", sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("[!_]*.jinja")))
def test_a_templates_head_lists_exactly_its_variables(name: str) -> None:
    source = (TEMPLATES / name).read_text()
    used = jinja2.meta.find_undeclared_variables(jinja2.Environment().parse(source))
    assert listed(TEMPLATES / name) == used | of_macros(source)


def test_long_output_keeps_its_start_and_its_end() -> None:
    long = node(0, None, None, reason="r", output="START" + "x" * 100_000 + "END")
    text = render_prompt("debug", SITUATION, [long], long).text
    assert "START" in text
    assert "xEND" in text
    assert len(text) < 15_000
