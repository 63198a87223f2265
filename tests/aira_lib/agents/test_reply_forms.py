"""Forms of replies that models and servers send besides the plain one."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.agents import ReplyError, parse_reply
from aira_lib.agents.fences import open_quote

PROGRAM = 'open("submission.csv", "w").write("layer\\nA\\n")\n'
OTHER = PROGRAM.replace("A", "M")
FENCE = "```"


def fenced(code: str, label: str = "python", words: str = "") -> str:
    return f"{FENCE}{label}\n{code}{FENCE}{words}\n"


@pytest.mark.parametrize(
    "reply",
    [
        fenced(OTHER, words=" This writes the file.") + "Better:\n" + fenced(PROGRAM),
        fenced("ls\n", "bash", words="Then:") + fenced(PROGRAM),
        fenced(PROGRAM, words=" and that is all."),
        fenced(PROGRAM, words="\u200b"),
        f"{FENCE}text\nthe plan\n{fenced(PROGRAM)}",
        f"{FENCE}markdown\nThe plan.\n{fenced(PROGRAM)}{FENCE}\n",
        f"{FENCE}python\n{OTHER}{fenced(PROGRAM)}",
        fenced("x = '''\n") + fenced(PROGRAM),
        fenced("it's what\n", "") + fenced(PROGRAM),
    ],
)
def test_fences_with_words_and_without_an_end(reply: str) -> None:
    assert parse_reply(reply).code == PROGRAM


@pytest.mark.parametrize(
    "reply",
    [
        fenced(PROGRAM) + "<|im_end|>\n",
        f"{FENCE}python\n{PROGRAM}{FENCE}<|eot_id|>",
        PROGRAM + "</s>",
        "[THINK]Perhaps\n" + fenced(OTHER) + "[/THINK]\n" + fenced(PROGRAM),
        "<thought>\nan odd fence\n```\nhm</thought>\n" + fenced(PROGRAM),
        "<Thinking>an odd fence\n```\nhm</Thinking>\n" + fenced(PROGRAM),
        "<think>a</think>\n<think>b\n```\n</think>" + fenced(PROGRAM),
        "swallowed\n" + fenced(OTHER, words="</thought>") + fenced(PROGRAM),
        "swallowed\nhm [/THINK]" + PROGRAM,
        "<seed:think>\n```\n</seed:think>" + fenced(PROGRAM),
        "◁think▷\n```\n◁/think▷" + fenced(PROGRAM),
        "<|START_THINKING|>\n```\n<|END_THINKING|><|START_RESPONSE|>" + fenced(PROGRAM) + "<|END_RESPONSE|>",
        f"<|begin_of_thought|>\n```\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{PROGRAM}<|end_of_solution|>",
        f"<|channel|>analysis<|message|>Hm\n```\n<|end|><|start|>assistant<|channel|>final<|message|>{PROGRAM}",
        f"<|channel|>analysis<|message|>{fenced(OTHER)}<|end|><|start|>assistant<|channel|>commentary<|message|>more"
        f"<|end|><|start|>assistant<|channel|>final<|message|>{fenced(PROGRAM)}<|return|>",
        f"<|start|>assistant<|channel|>final<|message|>{PROGRAM}<|return|>",
        f"analysisWe need\n```\na program.assistantfinal{PROGRAM}",
    ],
)
def test_marks_of_reasoning_and_of_a_format(reply: str) -> None:
    assert parse_reply(reply).code == PROGRAM


@pytest.mark.parametrize("opening", ["[THINK]", "<thought>", "<|channel|>analysis<|message|>", "◁think▷"])
def test_reasoning_that_does_not_end_is_no_reply(opening: str) -> None:
    with pytest.raises(ReplyError, match="cut off inside its reasoning"):
        parse_reply(f"{opening}so\n{fenced(PROGRAM)}")


@pytest.mark.parametrize(
    "code",
    [
        f"it = 'is'  # it's\ntext = '''\n{FENCE} words\n{FENCE}python\n'''\n{PROGRAM}",
        f'text = "\\\n{FENCE}"\nmore = """\\"""\n{FENCE}\n"""\n{PROGRAM}',
        f"text = '''[THINK]\n[/THINK]\n<|channel|>final<|message|>'''\n{PROGRAM}",
        f'text = r"\\""\nmore = """\n{FENCE}\n"""\n{PROGRAM}',
    ],
)
def test_fences_and_marks_inside_strings(code: str) -> None:
    assert parse_reply("Plan\n" + fenced(code) + "Done.").code == code


def test_words_after_a_closing_fence_are_part_of_the_plan() -> None:
    assert parse_reply(fenced(PROGRAM, words=" It writes.") + "The end.\n").plan == "It writes.\nThe end."


@given(st.lists(st.sampled_from(['"', "'", '"""', "'''", "\\", "#", "x", " ", "\n", "= ", "r", "1;"]), max_size=20))
def test_where_strings_end_is_as_python_has_it(parts: list[str]) -> None:
    code = "".join(parts) + "\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(code, "x", "exec")
        except (SyntaxError, ValueError):
            return
    assert open_quote(code) == ""
    for quote in ('"""', "'''"):
        assert open_quote(f"{code}{quote}{FENCE}\n") == quote
