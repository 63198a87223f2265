import re
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aira_lib.agents import ReplyError, parse_reply
from aira_lib.agents.fences import dedented
from aira_lib.agents.reply import ended
from tests.aira_lib.agents import hostile_replies

PROGRAM = 'open("submission.csv", "w").write("layer\\nA\\n")\n'
FENCE = "```"
DOUBLE = '"'


def fenced(code: str, label: str = "python", fence: str = FENCE) -> str:
    return f"{fence}{label}\n{code}{fence}\n"


@pytest.mark.parametrize(
    "label",
    ["", "py", "Python", "PYTHON", "python3", "python ", "python title=run.py", "python:", " python", "{.python}"],
)
def test_any_label(label: str) -> None:
    parsed = parse_reply("My plan.\n" + fenced(PROGRAM, label))
    assert (parsed.plan, parsed.code) == ("My plan.", PROGRAM)


@pytest.mark.parametrize(
    "reply",
    [
        PROGRAM,
        fenced(PROGRAM),
        f"plan {FENCE}python\n{PROGRAM}{FENCE}",
        f"{FENCE}python\n{PROGRAM.rstrip()}{FENCE}",
        f"{FENCE}python\n{PROGRAM}",
        fenced(PROGRAM, fence="~~~"),
        fenced(PROGRAM, fence="`````"),
        fenced(PROGRAM).replace("\n", "\r\n"),
        "1. First:\n\n" + "".join(f"   {line}\n" for line in fenced(PROGRAM).splitlines()),
        fenced(PROGRAM) + "Run it:\n" + fenced("python run.py\n", "bash"),
        fenced('{"layers": ["A"]}\n', "json") + fenced(PROGRAM),
        fenced('{"layers": ["A"]}\n', "") + fenced(PROGRAM),
        fenced("A-M-A-M\n", "") + fenced(PROGRAM) + fenced("architecture\n", ""),
        fenced("import numpy\n") + "and then\n" + fenced(PROGRAM),
        fenced(PROGRAM) + "To look at it:\n" + fenced("import os\nprint(os.listdir())\n"),
        fenced("for x in\n") + "no, rather\n" + fenced(PROGRAM),
        fenced(PROGRAM.replace("A", "M")) + "Better:\n" + fenced(PROGRAM),
        fenced(PROGRAM) + FENCE + "\n",
        "<think>Perhaps\n" + fenced(PROGRAM.replace("A", "M")) + "</think>\n" + fenced(PROGRAM),
        "<think>an odd fence\n```\nhm</think>\n" + fenced(PROGRAM),
        "swallowed the opening\n" + fenced(PROGRAM.replace("A", "M")) + "</think>" + fenced(PROGRAM),
        "Use ``` to fence code. Here:\n" + fenced(PROGRAM),
    ],
)
def test_what_models_send(reply: str) -> None:
    assert parse_reply(reply).code == PROGRAM


@pytest.mark.parametrize(
    "code",
    [
        f'text = """\n{FENCE}bash\nls\n{FENCE}\n"""\n{PROGRAM}',
        f"text = '''{FENCE}'''\n{PROGRAM}",
        f'text = """\n{FENCE}\n"""\n{PROGRAM}',
        f'print("<think>")\nprint("</think>")\n{PROGRAM}',
        f'def f():\n    """Say.\n\n    {FENCE}python\n    f()\n    {FENCE}\n    """\n\n\n{PROGRAM}',
    ],
)
def test_fences_and_tags_inside_strings(code: str) -> None:
    assert parse_reply("Plan\n" + fenced(code) + "Done.").code == code


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("I would rather talk.", "no fenced block"),
        ("<think>for ever", "cut off inside its reasoning"),
        ("<think>all of it</think>", "empty"),
        (f"{FENCE}python\nlayers = [\n    'A',", "cut off inside a block"),
        (fenced("import numpy\n") + f"{FENCE}python\nlayers = [\n", "cut off inside a block"),
        (fenced("for x in\n"), r"does not compile: invalid syntax \(line 1\)"),
        (fenced("return 1\n"), "does not compile: 'return' outside function"),
        (fenced("ls -l\n", "bash"), "no Python program"),
        (fenced('{"layers": ["A"]}\n', "json"), "no Python program"),
        (fenced("A-M-A\n", ""), "no Python program"),
        (fenced(""), "no Python program"),
        (fenced("(" * 500), "does not compile: too many nested parentheses"),
        (fenced("x = " + "-" * 50_000 + "1\n"), "does not compile"),
        (fenced("x = 1\n" * 50_000), "longer than 200,000"),
        ("x" * 10_000_000, "longer than 1,000,000"),
        (f"{FENCE}\n" * 100_001, "more than 50 fenced blocks"),
        (f"{FENCE}\n{3 * DOUBLE}\n" * 100_000, "more than 50 fenced blocks|no Python program|does not compile"),
        (f"{FENCE}\n{' ' * 900_000}x\n", "no Python program|cut off"),
    ],
)
def test_what_is_no_program_says_why(reply: str, reason: str) -> None:
    with pytest.raises(ReplyError, match=reason):
        parse_reply(reply)


def test_the_plan_leaves_out_code_and_reasoning() -> None:
    reply = f"<think>secret</think>\nFirst.\n{fenced('import os', 'bash')}Second.\n{fenced(PROGRAM)}After.\n"
    assert parse_reply(reply).plan == "First.\nSecond."
    assert parse_reply(fenced(PROGRAM) + "After.\n").plan == "After."


def test_what_utf8_cannot_hold_is_replaced() -> None:
    parsed = parse_reply("plan \ud800 \x00\n" + fenced("x = '\udfff'\nprint(x)\n"))
    assert (parsed.plan, parsed.code) == ("plan ?", "x = '?'\nprint(x)\n")


@pytest.mark.parametrize(
    ("reply", "taken"),
    [
        (fenced(PROGRAM), True),
        (fenced(PROGRAM) + "And with this", True),
        (PROGRAM, False),
        (f"{FENCE}python\n{PROGRAM}", False),
        (fenced(PROGRAM) + f"Better:\n{FENCE}python\n{PROGRAM}", False),
        (fenced(PROGRAM) + f"Run it:\n{FENCE}bash\npython", True),
    ],
)
def test_of_a_reply_known_to_be_cut_off_only_what_ends_is_taken(reply: str, taken: bool) -> None:
    assert parse_reply(reply).code == PROGRAM, "as long as nobody knows"
    if taken:
        assert parse_reply(reply, cut=True).code == PROGRAM
    else:
        with pytest.raises(ReplyError, match=r"cut off inside a block|no fenced block"):
            parse_reply(reply, cut=True)


@pytest.mark.parametrize(
    ("finish", "told"),
    [("", "^$"), ("length", "limit of tokens"), ("context", "lower memory_tokens"), ("x" * 99, r"reason x{40}\)$")],
)
def test_how_a_reply_ended_in_words(finish: str, told: str) -> None:
    assert re.search(told, ended(finish))


@given(st.lists(st.text(alphabet=" \tx\f", max_size=6)))
def test_indentation_is_taken_off_as_textwrap_does(lines: list[str]) -> None:
    assert dedented(lines) == textwrap.dedent("\n".join(lines)).strip("\n").rstrip() + "\n"


PIECES = ["```", "```python", "~~~", "<think>", "</think>", "x = 1", "'''", '"""', "(", "text", ""]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)))
def test_any_reply_gives_a_program_of_its_own_lines_or_a_reason(lines: list[str]) -> None:
    reply = "\n".join(lines)
    try:
        code = parse_reply(reply).code
    except ReplyError as error:
        reason = str(error)
    else:
        compile(code, "candidate.py", "exec")
        assert "x = 1" in code, "nothing else among the pieces does anything"
        assert code.strip("\n") in reply, "nothing is joined, nothing is added"
        return
    assert re.fullmatch(r"the (reply|code) .+", reason)
    # The plainest of all replies must never be refused.
    assert reply.strip("\n") not in ("x = 1", "```\nx = 1\n```", "```python\nx = 1\n```")


@given(st.lists(st.sampled_from(["text", "more text", ""])), st.sampled_from(["", "text\n", "\n\n"]))
def test_a_program_after_any_prose_is_found(prose: list[str], after: str) -> None:
    parsed = parse_reply("\n".join([*prose, fenced(PROGRAM)]) + after)
    assert parsed.code == PROGRAM
    assert parsed.plan == ("\n".join(prose).strip() or after.strip())


def test_no_reply_of_a_megabyte_takes_longer_than_its_length() -> None:
    command = [sys.executable, "-m", hostile_replies.__name__, "61"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "all"), done.stdout[-500:] + done.stderr[-500:]
