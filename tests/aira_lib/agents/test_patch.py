import difflib
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.agents.bounds import ReplyError
from aira_lib.agents.patch import Edit, PatchError, apply_edits, change_of, parse_edit

PROGRAM = textwrap.dedent("""\
    layers = [
        "A",
        "M",
        "A",
    ]

    def write(layers):
        with open("submission.csv", "w") as file:
            file.write("layer\\n")
            file.write("\\n".join(layers))

    write(layers)
    """)


def block(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def hunk(header: str, *lines: str) -> str:
    return "A plan.\n```diff\n--- a/candidate.py\n+++ b/candidate.py\n" + "\n".join([header, *lines]) + "\n```\n"


def test_a_block_replaces_its_lines() -> None:
    parsed = parse_edit("I change layer 2.\n\n" + block('    "M",', '    "Mb",'), PROGRAM)
    assert (parsed.plan, parsed.code) == ("I change layer 2.", PROGRAM.replace('"M"', '"Mb"'))


def test_blocks_in_a_fence_after_reasoning_with_other_line_ends() -> None:
    text = "<think>\n" + block("nonsense", "x") + "</think>A plan.\n```python\n"
    text += block('    "M",', '    "Mb",') + "```\n```\n" + block("write(layers)\n", "write(layers * 1)\n") + "```"
    with pytest.raises(PatchError, match=r"block 2 (are not in the program|do not stand together)"):
        parse_edit(text, PROGRAM)  # write(layers) is the last line: no empty line follows it
    text = text.replace("write(layers)\n\n", "write(layers)\n").replace("write(layers * 1)\n\n", "write(layers * 1)\n")
    parsed = parse_edit(text.replace("\n", "\r\n"), PROGRAM)
    assert parsed.plan == "A plan."
    assert parsed.code == PROGRAM.replace('"M"', '"Mb"').replace("\nwrite(layers)", "\nwrite(layers * 1)")


def test_a_diff_with_wrong_numbers_applies_where_its_lines_stand() -> None:
    text = hunk("@@ -90,3 +90,3 @@ def write", ' "A",', "x")
    text = hunk("@@ -90,3 +90,3 @@ def write", " layers = [", '     "A",', '-    "M",', '+    "Mb",')
    parsed = parse_edit(text, PROGRAM)
    assert (parsed.plan, parsed.code) == ("A plan.", PROGRAM.replace('"M"', '"Mb"'))


def test_a_diffs_number_decides_between_places() -> None:
    first = parse_edit(hunk("@@ -2,1 +2,1 @@", '-    "A",', '+    "Mb",'), PROGRAM).code
    last = parse_edit(hunk("@@ -4,1 +4,1 @@", '-    "A",', '+    "Mb",'), PROGRAM).code
    assert first.splitlines()[1:4] == ['    "Mb",', '    "M",', '    "A",']
    assert last.splitlines()[1:4] == ['    "A",', '    "M",', '    "Mb",']


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (block('    "A",', '    "M",'), "block 1 stand in 2 places of the program; give more lines"),
        (block('    "X",', '    "M",'), r"block 1 are not in the program: '\"X\",' is not"),
        (block('    "M",\n]', "x"), "block 1 do not stand together"),
        (block('"M",', '"Mb",'), "not in the program"),
        (block("", "x = 1").replace("SEARCH\n\n", "SEARCH\n"), "block 1 names no lines"),
        (block('    "M",', '    "M",'), "it changes nothing"),
        (block('    "M",', '    "M'), "would not compile: unterminated string"),
        (block("]", "]")[:20], "block 1 was cut off"),
        (block('    "M",', "1").replace("=======\n", ""), "block 1 was cut off"),
        (hunk("@@ -2 +2 @@", '-    "A",', '+    "Mb",', "no prefix"), "hunk 1: the line 'no prefix' begins with none"),
        (hunk("@@", '-    "A",', '+    "Mb",'), "hunk 1 stand in 2 places"),
        (hunk("@@ -2,1 +2,1 @@"), "hunk 1 changes nothing or was cut off"),
        (hunk("@@ -99,0 +99,1 @@", "+x = 1"), "hunk 1 names no lines"),
    ],
)
def test_what_does_not_apply_says_why(reply: str, reason: str) -> None:
    with pytest.raises(PatchError, match=reason):
        parse_edit(reply, PROGRAM)


def test_a_whole_program_is_taken_too_and_nothing_is_refused() -> None:
    assert parse_edit("Plan.\n```python\nprint(1)\n```", PROGRAM).code == "print(1)\n"
    with pytest.raises(ReplyError, match="no fenced block"):
        parse_edit("I would rather not.", PROGRAM)


LINES = st.lists(st.sampled_from(["a = 1", "b = 2", "", "c = [3]", "# -- x", "pass"]), max_size=25)


@given(LINES, LINES, st.integers(0, 3))
def test_any_diff_that_difflib_writes_gives_what_it_was_made_from(old: list[str], new: list[str], context: int) -> None:
    while old and not old[-1]:
        old.pop()
    while new and not new[-1]:
        new.pop()
    old, new = old or ["pass"], new or ["pass"]
    diff = list(difflib.unified_diff(old, new, "a/x", "b/x", lineterm="", n=context))
    reply = "```diff\n" + "\n".join(diff) + "\n```"
    if old != new:
        assert parse_edit(reply, "\n".join(old) + "\n").code == "\n".join(new) + "\n"


@pytest.mark.parametrize("reply", [block('    "M",', '    "Mb",'), hunk("@@ -3 +3 @@", '-    "M",', '+    "Mb",')])
def test_a_patch_known_to_be_cut_off_is_refused_even_where_it_applies(reply: str) -> None:
    assert parse_edit(reply, PROGRAM).code == PROGRAM.replace('"M"', '"Mb"')
    with pytest.raises(PatchError, match="it was cut off; the program is still"):
        parse_edit(reply, PROGRAM, cut=True)


def test_edits_apply_one_after_the_other() -> None:
    edits = [Edit("1", ["a = 1"], ["a = 1", "b = 1"]), Edit("2", ["b = 1"], ["b = 2"])]
    assert apply_edits("a = 1\n", edits) == "a = 1\nb = 2\n"


@pytest.mark.parametrize(
    ("plan", "change"),
    [
        ("Because.\nCHANGE: layer 2 from M to Mb\nMore.", "layer 2 from M to Mb"),
        ("**Change:** layer 2\n", "layer 2"),
        ("\n  First line.\nSecond.", "First line."),
        ("", ""),
        ("x" * 500, "x" * 200),
    ],
)
def test_the_change_in_one_line(plan: str, change: str) -> None:
    assert change_of(plan) == change
