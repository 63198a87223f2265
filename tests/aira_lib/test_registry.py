"""Entries are found by name, and a module from outside may add some."""

import os
import subprocess
import sys

import pytest

from aira_lib.errors import UserError
from aira_lib.registry import Registry


def test_entries_are_found_by_name_in_their_order():
    registry: Registry[int] = Registry("number")
    registry.add("two", 2)
    registry.add("one", 1)
    assert registry.names() == ("two", "one")
    assert registry.entries() == (2, 1)
    assert registry.named("one") == 1
    assert "three" not in registry


def test_an_unknown_name_is_one_line_with_the_nearest():
    registry: Registry[int] = Registry("number")
    registry.add("twelve", 12)
    with pytest.raises(UserError, match=r"unknown number 'twelf'; did you mean 'twelve'\?"):
        registry.named("twelf")


def test_a_name_is_added_once():
    registry: Registry[int] = Registry("number")
    registry.add("one", 1)
    with pytest.raises(ValueError, match="there is a number 'one' already"):
        registry.add("one", 2)


def test_a_module_named_in_the_environment_is_imported_before_a_look_up(tmp_path, monkeypatch):
    (tmp_path / "numbers_of_mine.py").write_text(f"from {__name__} import SHARED\nSHARED.add('seven', 7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AIRA_PLUGINS", "numbers_of_mine")
    assert SHARED.named("seven") == 7


SHARED: Registry[int] = Registry("number")


def test_a_module_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setenv("AIRA_PLUGINS", "no_such_module_of_mine")
    with pytest.raises(UserError, match="AIRA_PLUGINS names 'no_such_module_of_mine', which cannot be imported"):
        SHARED.names()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
        (
            "from aira_lib.training.trainers import TRAINERS\nTRAINERS.add('one-device', None)",
            "is a trainer 'one-device'",
        ),
    ],
)
def test_a_module_that_fails_is_one_line_of_the_command(tmp_path, text, reason):
    """The command line imports it before anything else: a name that is taken ended in a traceback."""
    (tmp_path / "broken_of_mine.py").write_text(text)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "aira_lib.cli", "--version"],
        env={**os.environ, "AIRA_PLUGINS": "broken_of_mine", "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("aira: AIRA_PLUGINS names 'broken_of_mine', which cannot be imported: ")
    assert reason in line
