"""Tasks with literature: what their prompts tell, what submitted code sees, keys, and what is recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

import aira_lib.search.stage as stage
from aira_lib.autoresearch.literature.reading import INFO
from aira_lib.errors import UserError
from aira_lib.local.search_study import SearchOptions, study_for
from aira_lib.records import Node, read_rows
from aira_lib.sandbox import closes_files, isolation
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, ProxySection, TaskSection
from aira_lib.tasks.airs import new_task_folder
from aira_lib.tasks.family import Opening
from aira_lib.tasks.section import family_of
from tests.aira_lib.search.folder_searches import Scripted
from tests.builders import work_in

COMMIT = "3" * 40
SHOWN = pytest.mark.skipif(not closes_files(isolation()), reason="where files are open, nothing is opened")


def rings(where: Path, literature: bool = True) -> Path:
    folder = new_task_folder(where / "RingsMadeAccuracy", "program")
    with (folder / "program.yaml").open("a") as file:
        file.write(f"literature: {str(literature).lower()}\n")
    return folder


def own(where: Path) -> Path:
    code = where / "own" / "code" / "lee2024grokfast"
    code.mkdir(parents=True)
    (code / "COMMIT").write_text(COMMIT)
    (code / "filter.py").write_text("FACTOR = 0.98\n")
    entry = {"key": "lee2024grokfast", "method": ["OWN SUMMARY"], "code": {"repo": "ironjr/grokfast", "commit": COMMIT}}
    (where / "own" / INFO).write_text(json.dumps(entry) + "\n")
    return where / "own"


def task(folder: Path, literature: Path | None = None) -> TaskSection:
    return TaskSection(folder=str(folder), literature=str(literature) if literature else None)


def key(section: TaskSection) -> str:
    return json.dumps(family_of(section).identity(section, ProxySection()), sort_keys=True)


def test_the_key_knows_what_agents_may_read(tmp_path: Path) -> None:
    folder, mine = rings(tmp_path), own(tmp_path)
    found = [key(task(rings(tmp_path / "without", literature=False))), key(task(folder)), key(task(folder, mine))]
    (mine / "code" / "lee2024grokfast" / "filter.py").write_text("FACTOR = 0.99\n")
    found.append(key(task(folder, mine)))
    assert len(set(found)) == 4
    family_of(task(folder, mine)).check(task(folder, mine), (), ProxySection())


def test_literature_that_nobody_reads_or_that_is_wrong_is_a_users_mistake(tmp_path: Path) -> None:
    mine = own(tmp_path)
    for section, why in (
        (task(rings(tmp_path / "without", literature=False), mine), "RingsMadeAccuracy has no literature to add to"),
        (TaskSection(literature=str(mine)), "has no literature to add to"),
        (task(rings(tmp_path), tmp_path / "none"), "task.literature: .*none: no such folder"),
    ):
        with pytest.raises(UserError, match=why):
            family_of(section).check(section, (), ProxySection())


def test_the_command_line_names_it(tmp_path: Path) -> None:
    folder, mine = rings(tmp_path), own(tmp_path)
    (tmp_path / "replies.jsonl").write_text("")
    model = f"replay:{tmp_path / 'replies.jsonl'}"
    options = SearchOptions(model=model, literature=mine)
    study, _ = study_for(str(folder), options)
    assert study.task.literature == str(mine)
    assert study.name != study_for(str(folder), SearchOptions(model=model))[0].name


class _Asks(Scripted):
    def reply(self, prompt: Any, seed: int) -> Any:
        reply = super().reply(prompt, seed)
        if len(self.prompts) > 1:
            return reply
        asked = "A plan.\nCONSULT: lee2024grokfast\nCONSULT: lee2024grokfast/filter.py\nCONSULT: nothing"
        return type(reply)(reply.text.replace("A plan.", asked))


READS = """\
import json, pathlib
papers = pathlib.Path("pwc/task_info.jsonl").read_text().splitlines()
code = pathlib.Path("pwc/code/lee2024grokfast/filter.py").read_text()
raise SystemExit(f"{len(papers)} papers and {code.strip()}")
"""


@SHOWN
def test_a_step_that_asks_is_shown_it_at_the_next_one_and_both_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, work = _Asks(READS, READS, READS), work_in(tmp_path / "work")
    monkeypatch.setattr(stage, "model_named", lambda *_: model)
    agent = AgentSection(name="greedy-recorded", model="scripted", steps=3, n_drafts=3)
    search(task(rings(tmp_path), own(tmp_path)), ProxySection(), agent, 0, work)
    nodes = read_rows(work.path / "journal.jsonl", Node)
    assert ["papers and FACTOR = 0.98" in f"{node.reason}{node.output}" for node in nodes] == [True] * 3
    assert [node.consulted for node in nodes] == [(), ("lee2024grokfast", "lee2024grokfast/filter.py"), ()]
    assert ["OWN SUMMARY" in prompt for prompt in model.prompts] == [False, True, False]
    assert all("- yang2021tuning: " in prompt for prompt in model.prompts)
    assert "`nothing`: there is no such entry" in model.prompts[1]
    lines = (work.path / "journal.jsonl").read_text().splitlines()
    assert ["consulted" in json.loads(line) for line in lines] == [False, True, False]
    summary = json.loads((work.path / "search.json").read_text())
    assert summary["papers"] == 41


@SHOWN
def test_a_folder_without_literature_tells_of_none(tmp_path: Path) -> None:
    section = task(rings(tmp_path, literature=False))
    (tmp_path / "scratch").mkdir()
    opened: Any = family_of(section).open(section, ProxySection(), Opening(tmp_path / "scratch"))
    assert "CONSULT" not in opened.description
    assert "literature" not in opened.told()
    assert opened.consulted([]).text == ""
