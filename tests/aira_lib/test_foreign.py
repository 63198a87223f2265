"""What others wrote does no harm in a record or on a terminal, whatever characters it is made of."""

import io
import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from typer.testing import CliRunner

from aira_lib.cli.aira import app
from aira_lib.console import Console
from aira_lib.errors import UserError
from aira_lib.foreign import harmless, in_a_line
from aira_lib.records import Node, StandIn
from aira_lib.tasks.airs import new_task_folder
from aira_lib.tasks.airs.metadata import load_metadata
from aira_lib.tasks.airs.overview import data_overview
from tests.aira_lib.cli.in_process import aira

NASTY = "".join(map(chr, (*range(32), *range(127, 160), 0x200E, 0x202E, 0x2067, 0xD800, 0xDCFF, 0x85)))
# All of Unicode, what does harm often.
TEXTS = st.text(st.one_of(st.sampled_from(NASTY), st.characters()), max_size=60)
HARMFUL_CATEGORIES = ("Cc", "Cs")


def harms(text: str) -> list[str]:
    """The characters that steer a terminal, turn its direction, or cannot be encoded; told by their properties."""
    return [
        character
        for character in text
        if character not in "\t\n"
        and (
            unicodedata.category(character) in HARMFUL_CATEGORIES
            or unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
            or ("MARK" in unicodedata.name(character, "") and unicodedata.category(character) == "Cf")
        )
    ]


@given(TEXTS)
def test_nothing_harmful_is_left_and_nothing_else_changes(text: str) -> None:
    clean = harmless(text)
    assert harms(clean) == []
    clean.encode("utf-8")
    assert harmless(clean) == clean
    plain = text.replace("\r\n", "\n")
    assert len(clean) == len(plain)
    assert all(a == b or harms(a) for a, b in zip(plain, clean, strict=True))


@given(TEXTS)
def test_a_node_is_harmless_and_is_read_as_it_was_written(text: str) -> None:
    written = {"plan": text, "reason": text, "output": text, "change": text, "analysis": text, "design": text}
    node = Node(step=0, id="a", operator="draft", status="failed", **written)  # type: ignore[arg-type]
    assert {getattr(node, name) for name in written} == {harmless(text)}
    assert Node.model_validate_json(node.json_line().encode("utf-8")) == node


@given(TEXTS)
def test_stand_ins_and_errors_are_harmless(text: str) -> None:
    assert harms(StandIn(what=text, instead_of=text, detail=text).json_line()) == []
    assert harms(str(UserError(text))) == []


@given(TEXTS)
def test_a_console_shows_text_and_obeys_none(text: str) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=500, color_system=None, highlight=False, emoji=False)
    table = Table("column")
    table.add_row(text.replace("[", ""))
    console.print(text, markup=False)
    console.print(table)
    assert harms(file.getvalue()) == []


def test_names_of_data_files_are_harmless(tmp_path: Path) -> None:
    for name in (b"a\xff.csv", b"b\x1b[2J.csv"):
        (tmp_path / name.decode("utf-8", "surrogateescape")).write_text("column\n1\n")
    told = data_overview(tmp_path)
    assert harms(told) == []
    assert "./data/a\ufffd.csv" in told


def test_commands_obey_no_task_folder(tmp_path: Path) -> None:
    folder = new_task_folder(tmp_path / "Task")
    (tmp_path / "bro\x1b[2Jken").mkdir()
    (tmp_path / "bro\x1b[2Jken" / "metadata.yaml").write_text("[")
    metadata = folder / "metadata.yaml"
    nasty = '"x\\e]0;title\\a\\u202e"'
    text = re.sub(r"^  (name|category): .*$", lambda found: f"  {found[1]}: {nasty}", metadata.read_text(), flags=re.M)
    metadata.write_text(text)
    for command in (["tasks", "list", str(tmp_path)], ["tasks", "show", str(folder)]):
        said = CliRunner().invoke(app, command)
        assert said.exit_code == 0, said.output
        assert "x\ufffd]0;title" in said.output
        assert harms(said.output) == []


@given(TEXTS, st.integers(10, 80))
def test_what_others_say_within_a_line_is_short_and_on_one(text: str, most: int) -> None:
    line = in_a_line(text, most)
    assert len(line) <= most
    assert harms(line) == []
    assert line.split() == (harmless(text).split() if not line.endswith("...") else line.split())
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ("print('--- EVALUATION RESULT ---', json.dumps({said: 1}))", "its result must have the one key 'Accuracy'"),
        ("sys.exit(said)", "evaluate.py: exit code 1: "),
        ("print(said, file=sys.stderr); sys.exit(2)", "refused by the task: exit code 2: "),
    ],
)
@pytest.mark.parametrize("command", ["score", "check"])
def test_what_a_scorer_says_is_bounded_and_obeyed_by_no_terminal(
    command: str, ends: str, told: str, tmp_path: Path
) -> None:
    folder = new_task_folder(tmp_path / "Task")
    (folder / "evaluate.py").write_text(f"import json, sys\nsaid = '\x1b[2J\u202e' + 'x' * 100_000\n{ends}\n")
    (tmp_path / "submission.csv").write_text("parity\n" + "0\n" * 200)
    submission = [str(tmp_path / "submission.csv")] if command == "score" else []
    ended = aira("tasks", command, str(folder), *submission)
    said = ended.out + ended.err
    assert ended.code == (2 if command == "score" else 1), ended
    assert told.removeprefix("refused by the task: " if command == "check" else "") in said
    assert "\ufffd[2J" in said
    assert harms(said) == []
    assert len(said) < 1_500 + 2 * len(str(tmp_path))


@pytest.mark.parametrize(
    "lines",
    ["wat: 1\n".replace("wat", "w" * 100_000), "metric_lower_is_better: " + "y" * 100_000, "- [\n", "? [a]\n: 1\n"],
)
def test_what_is_wrong_in_metadata_is_told_in_short(lines: str, tmp_path: Path) -> None:
    metadata = new_task_folder(tmp_path / "Task") / "metadata.yaml"
    kept = "" if lines.startswith(("-", "?")) else metadata.read_text().replace("metric_lower_is_better: false\n", "")
    metadata.write_text(f"{kept}{lines}\n")
    with pytest.raises(UserError) as refused:
        load_metadata(metadata)
    assert len(str(refused.value)) < 700 + len(str(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["a\x1b[31mb", "\u202egnp.exe", "\udcff", "\x9b2J"])
def test_the_property_sees_what_is_harmful(text: str) -> None:
    assert harms(text)
    assert harms(json.loads(json.dumps(text)))
    assert not re.search(r"\x1b|\u202e|[\ud800-\udfff]|\x9b", harmless(text))
