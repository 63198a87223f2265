"""Literature that agents may consult: entries, checkouts, and what a prompt shows of them."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aira_lib.autoresearch.literature.checkouts import commit_of, find_checkouts
from aira_lib.autoresearch.literature.library import (
    MOST_ASKED,
    MOST_DIGEST,
    MOST_SHOWN,
    Library,
    asked_for,
    open_library,
)
from aira_lib.autoresearch.literature.reading import INFO, merged, parsed, shipped
from aira_lib.errors import UserError

HERE, THERE = "1" * 40, "2" * 40


def line(key: str, **said: Any) -> str:
    return json.dumps({"key": key, **said}) + "\n"


def of_own(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / INFO).write_text("".join(lines))
    return folder


def with_code(folder: Path, key: str, at: str = HERE) -> Path:
    code = folder / "code" / key
    code.mkdir(parents=True)
    (code / "COMMIT").write_text(f"{at}\n")
    (code / "model.py").write_text("def attention(): ...\n")
    return code


def test_facts_on_41_papers_are_shipped_and_no_more() -> None:
    papers = shipped().values()
    assert Counter(paper.category for paper in papers) == {"architecture": 20, "training": 16, "optimizer": 5}
    assert sum(paper.code is not None for paper in papers) == 14
    for paper in papers:
        assert paper.title
        assert paper.year
        assert paper.relevance
        long = (paper.task, paper.inputs, paper.outputs, paper.method, paper.model, paper.training, paper.authors)
        assert set(long) == {None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n{", r"own:2: no JSON object"),
        ('{"key": "a", "key": "b"}', r"own:1: .* stands twice"),
        ('["a"]', r"own:1: entry: "),
        (line("a") + line("b", yaer=2024), r"own:2: yaer: "),
        (line("a", year="2024"), r"own:1: year: "),
        (line("a", method="one step"), r"own:1: method: "),
        (line("../a"), r"own:1: key: "),
        (line("a", code={"repo": "https://x"}), r"own:1: code.repo: "),
        (line("a", code={"repo": "x/y", "commit": "abc"}), r"own:1: code.commit: "),
        (line("a", provenance={"by": "me", "date": "2026-01-01"}), r"own:1: provenance.from: "),
        (line("a") + "\n" + line("a"), r"own:3: key 'a' stands in line 1 already"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(text: str, said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}"):
        parsed(text, "own")


def test_entries_are_merged_by_key() -> None:
    own = parsed(line("lee2024grokfast", method=["a filter"], code={"repo": "ironjr/grokfast", "commit": HERE}), "own")
    entry = merged(own, shipped())["lee2024grokfast"]
    assert (entry.method, entry.year) == (("a filter",), 2024)
    assert entry.code
    assert (entry.code.repo, entry.code.commit) == ("ironjr/grokfast", HERE)
    with pytest.raises(UserError, match="'new' is new and has no title"):
        merged(parsed(line("new"), "own"), shipped())
    both = merged(parsed(line("new", title="A new one"), "own"), shipped())
    assert list(both) == [*shipped(), "new"]


def test_a_checkout_stands_at_the_commit_that_its_entry_pins(tmp_path: Path) -> None:
    entries = parsed(line("a", title="A", code={"repo": "x/y", "commit": HERE}) + line("b", title="B"), "own")
    code = with_code(tmp_path, "a")
    assert find_checkouts(tmp_path, entries) == {"a": code}
    (code / "COMMIT").write_text(THERE)
    with pytest.raises(UserError, match=f"stands at {THERE}, and its entry pins {HERE}"):
        find_checkouts(tmp_path, entries)
    (code / "COMMIT").unlink()
    with pytest.raises(UserError, match="says its commit"):
        find_checkouts(tmp_path, entries)
    shutil.move(code, tmp_path / "code" / "c")
    with pytest.raises(UserError, match=r"no entry of task_info\.jsonl has the key 'c'"):
        find_checkouts(tmp_path, entries)
    shutil.rmtree(tmp_path / "code")
    with_code(tmp_path, "b")
    with pytest.raises(UserError, match="pins no commit"):
        find_checkouts(tmp_path, entries)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git, which says what is to be found")
def test_the_commit_is_that_which_git_says(tmp_path: Path) -> None:
    def git(*words: str, at: Path = tmp_path / "a") -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(at), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "a").mkdir()
    git("init", "-q", "-b", "some/branch")
    assert commit_of(tmp_path / "a") is None
    git("commit", "-q", "--allow-empty", "-m", "first")
    first = git("rev-parse", "HEAD")
    assert commit_of(tmp_path / "a") == first
    git("pack-refs", "--all")
    assert commit_of(tmp_path / "a") == first
    git("worktree", "add", "-q", "-b", "other", "../b")
    assert commit_of(tmp_path / "b") == first
    git("commit", "-q", "--allow-empty", "-m", "second", at=tmp_path / "b")
    assert commit_of(tmp_path / "b") == git("rev-parse", "other") != first
    git("checkout", "-q", "--detach")
    assert commit_of(tmp_path / "a") == first


def test_too_much_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = parsed(line("a", title="A", code={"repo": "x/y", "commit": HERE}), "own")
    with_code(tmp_path, "a")
    monkeypatch.setattr("aira_lib.autoresearch.literature.checkouts.MOST_FILES", 1)
    with pytest.raises(UserError, match="more than 1 files"):
        find_checkouts(tmp_path, entries)


def test_what_submitted_code_finds_holds_no_links_and_nothing_of_git(tmp_path: Path) -> None:
    own = of_own(tmp_path / "own", line("lee2024grokfast", code={"repo": "ironjr/grokfast", "commit": HERE}))
    code = with_code(own, "lee2024grokfast")
    (tmp_path / "secret").write_text("secret")
    (code / "link.py").symlink_to(tmp_path / "secret")
    (code / ".git").mkdir()
    (code / ".git" / "config").write_text("url = secret")
    library = open_library(own)
    place = library.lay(tmp_path / "pwc")
    found = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert found == {INFO, "code/lee2024grokfast/COMMIT", "code/lee2024grokfast/model.py"}
    assert parsed((place / INFO).read_text(), INFO) == library.entries

    shown = library.shown(["lee2024grokfast", "lee2024grokfast/model.py", "lee2024grokfast/link.py", "no", "one"])
    assert shown.names == ("lee2024grokfast", "lee2024grokfast/model.py")
    assert "def attention" in shown.text
    assert "secret" not in shown.text
    assert "`no`: there is no such entry" in shown.text
    assert "`one`" not in shown.text  # more than can be asked for at once
    assert "[code here]" in library.digest()


def test_the_identity_is_of_what_is_held(tmp_path: Path) -> None:
    own = of_own(tmp_path / "own", line("lee2024grokfast", code={"repo": "ironjr/grokfast", "commit": HERE}))
    seen = {open_library(None).identity(), open_library(own).identity()}
    code = with_code(own, "lee2024grokfast")
    seen.add(open_library(own).identity())
    (code / "model.py").write_text("pass\n")
    seen.add(open_library(own).identity())
    assert len(seen) == 4
    shutil.copytree(own, tmp_path / "elsewhere")
    assert open_library(tmp_path / "elsewhere").identity() in seen


def test_a_prompt_is_bounded_whatever_there_is() -> None:
    text = "".join(line(f"k{number}", title="T" * 400, task="x" * 19_000) for number in range(300))
    library = Library(parsed(text, "own"))
    assert len(library.digest()) <= MOST_DIGEST
    assert f"more are in ./pwc/{INFO}" in library.digest()
    shown = library.shown([f"k{number}" for number in range(300)])
    assert 0 < len(shown.names) <= MOST_ASKED
    assert len(shown.text) <= MOST_SHOWN + 200


@pytest.mark.parametrize(
    ("plan", "asked"),
    [
        ("I try this.\nCONSULT: a_b-1\n- CONSULT: `c/d/e.py`\nCONSULT: a_b-1", ("a_b-1", "c/d/e.py")),
        ("I shall CONSULT: a later", ()),
        ("", ()),
        ("CONSULT: a.", ("a",)),
    ],
)
def test_what_a_plan_asks_for(plan: str, asked: tuple[str, ...]) -> None:
    assert asked_for(plan) == asked


def test_a_folder_that_holds_nothing_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds neither"):
        open_library(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        open_library(tmp_path / "none")
