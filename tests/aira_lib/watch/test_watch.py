"""Searches as seen from another terminal: journals that finish, grow, are cut off or are not there yet."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import aira_lib.watch.follow as module
from aira_lib.agents.transcript import TRANSCRIPT, Exchange
from aira_lib.errors import UserError
from aira_lib.flow.units import search_units
from aira_lib.records import Manifest, Node, SeedRun
from aira_lib.search import sitting
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store
from aira_lib.study import Study, canonical_json
from aira_lib.study.reading import parse_study
from aira_lib.watch.follow import watch, watch_task
from aira_lib.watch.nodes import JOURNAL, read_nodes, write_nodes_page
from aira_lib.watch.searches import Lookout, Watched, seconds_left
from aira_lib.watch.table import cost, one_line
from tests.aira_lib.search_page.test_page import Elements
from tests.builders import TINY_STUDY, node, tiny_study

BPB = "AutoregressiveLanguageModellingAutoresearchBPB"
NODES = [
    node(0, "2M-2Mb", 0.25, usage={"calls": 1.0, "dollars": 0.5}, seconds=30.0),
    node(1, None, None, operator="debug", reason="[red]broken[/]\n\x1b[2J twice", usage={"calls": 1.0, "dollars": 1.0}),
]


@pytest.fixture
def study() -> Study:
    return parse_study(TINY_STUDY, "tiny")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=str(tmp_path / "runs"))


def journal(study: Study, settings: Settings, number: int = 0) -> Path:
    path = Path(settings.store) / search_units(study)[number].folder(study) / JOURNAL
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write(path: Path, nodes: list[Node], torn: str = "") -> None:
    path.write_text("".join(each.json_line() for each in nodes) + torn)


def finish(study: Study, settings: Settings, number: int = 0) -> None:
    unit = search_units(study)[number]
    folder = RecordFolder(open_store(settings.store), unit.folder(study))
    made = Manifest(
        stage="search", version=1, unit=unit.name, key=unit.key, study=study.name, spec_digest="", section={}
    )
    folder.store.write(f"{folder.prefix}/manifest.json", made.json_line().encode())


def printed(study: Study, settings: Settings) -> str:
    console = Console(file=io.StringIO(), width=200)
    watch(study, settings, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_journal_has_the_name_that_the_search_gives_it() -> None:
    assert JOURNAL == sitting.JOURNAL


def test_without_a_terminal_the_table_is_printed_once(study: Study, settings: Settings) -> None:
    write(journal(study, settings), NODES)
    shown = printed(study, settings)
    row = next(line for line in shown.splitlines() if "greedy-offline.s0" in line)
    for cell in (
        "2/3",
        "draft",
        "0.2500",
        "2M-2Mb",
        "50%",
        "$1.50",
        "30 s",
        "[red]broken[/] \N{REPLACEMENT CHARACTER}[2J twice",
    ):
        assert cell in row
    assert "\x1b" not in shown
    assert next(line for line in shown.splitlines() if "greedy-offline.s1" in line).split()[3] == "waiting"


def test_a_line_that_is_being_written_is_left_alone(study: Study, settings: Settings) -> None:
    path = journal(study, settings)
    write(path, NODES[:1], torn=NODES[1].json_line()[:40])
    before = path.read_bytes()
    (first, *_) = Lookout(study, settings).look()
    assert list(first.nodes) == NODES[:1]
    assert path.read_bytes() == before


def test_a_running_search_is_followed_to_its_end(
    study: Study, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = search_units(study)
    write(journal(study, settings), NODES[:1])

    def go_on(seconds: float) -> None:
        write(journal(study, settings), NODES)
        for number in range(len(units)):
            write(journal(study, settings, number), NODES)
            finish(study, settings, number)

    monkeypatch.setattr(module.time, "sleep", go_on)
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    watch(study, settings, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "1/3" in shown
    assert "2/3" in shown
    assert shown.rpartition("Searches of")[2].count("finished") == len(units)


def test_what_is_finished_is_read_once(study: Study, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write(journal(study, settings), NODES)
    finish(study, settings)
    lookout = Lookout(study, settings)
    assert lookout.look()[0].finished
    journal(study, settings).unlink()
    assert len(lookout.look()[0].nodes) == 2


def test_what_a_journal_gained_is_what_a_fresh_look_sees(
    store_uri: str, study: Study, settings: Settings, tmp_path: Path
) -> None:
    settings = replace(settings, store=store_uri)
    store, name = open_store(store_uri), f"{search_units(study)[0].folder(study)}/{JOURNAL}"
    nodes = [node(i, "M", i / 10, plan="é\u2028" * i) for i in range(6)]
    whole = "".join(each.json_line() for each in nodes).encode()
    lookout = Lookout(study, settings)
    for end in (0, 1, 400, 401, len(whole) - 1, len(whole)):
        store.write(name, whole[:end])
        seen = lookout.look()[0].nodes
        assert seen == Lookout(study, settings).look()[0].nodes == tuple(nodes[: whole[:end].count(b"\n")])
    store.remove(name)
    assert lookout.look()[0].nodes == ()


def test_the_operator_at_hand_is_what_the_scaffold_decides(study: Study, settings: Settings) -> None:
    write(journal(study, settings), [node(0, "M", 0.5), node(1, None, None)])
    assert Lookout(study, settings).look()[0].at_hand == "debug"  # both drafts are there, and one of them is broken
    finish(study, settings)
    assert Lookout(study, settings).look()[0].at_hand == ""


def test_while_a_baseline_is_scored_its_seed_is_shown(settings: Settings) -> None:
    agents = [{"name": "a", "model": "openai/gpt-5", "steps": 2}]
    study = parse_study({"name": "bpb", "task": {"name": BPB}, "agents": agents}, "test")
    folder = journal(study, settings).parent

    def shown() -> tuple[str, str]:
        (seen,) = Lookout(study, settings).look()
        assert seen.at_hand in printed(study, settings) or seen.state == "waiting"
        return seen.at_hand, seen.state.rpartition(" ")[2]

    assert shown() == ("baseline", "waiting")  # nothing was written: it may not have begun
    (folder / "task.json").write_text(json.dumps({"validation": "measured", "baseline_seed": 7}))
    for seeds in range(4):
        assert shown() == (f"baseline, seed {7 + min(seeds, 2)}", "ago" if seeds else "running")
        run = SeedRun(of="baseline", node="a", seed=7 + seeds, validation=2.0)
        with (folder / "seeds.jsonl").open("a") as file:
            file.write(run.json_line())
    write(folder / JOURNAL, [node(0, None, 2.0, operator="baseline", evaluation=None)])
    assert shown()[0] == "draft"
    finish(study, settings)
    assert shown() == ("", "finished")


def test_time_left_is_by_the_speed_of_nodes_and_bounded_by_hours() -> None:
    begun = Watched("a", tuple(node(i, "M", 0.5, seconds=10.0) for i in range(4)), 10, False)
    waiting = Watched("b", (), 10, False)
    assert begun.seconds_left() == 60
    assert waiting.seconds_left() is None
    assert seconds_left([waiting]) is None
    assert seconds_left([begun, waiting], workers=2) == 100  # the waiting one takes longest
    assert seconds_left([begun, waiting], workers=1) == 160
    assert replace(begun, hours=50 / 3600).seconds_left() == 10
    assert replace(begun, quiet=4.0).seconds_left() == 56
    assert replace(begun, finished=True).seconds_left() == 0


def test_searches_of_a_task_are_found_in_the_store(study: Study, settings: Settings) -> None:
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(UserError, match="no unfinished search"):
        watch_task(None, settings, console)
    open_store(settings.store).write(f"{study.name}/study.json", canonical_json(study).encode())
    open_store(settings.store).write("other/study.json", b'{"from": "another version"}')
    write(journal(study, settings), NODES)
    watch_task(None, settings, console)
    watch_task(study.task.name, settings, console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("Searches of tiny") == 2
    with pytest.raises(UserError, match="no search of"):
        watch_task("NeuralArchitectureSearchMAD2PrimitivesAccuracy", settings, console)
    with pytest.raises(UserError, match="did you mean"):
        watch_task("NeuralArchitectureSearchMAD2PrimitiveAccuracy", settings, console)


def test_a_damaged_journal_is_one_line(study: Study, settings: Settings) -> None:
    journal(study, settings).write_text("{}\n" + NODES[0].json_line())
    with pytest.raises(UserError, match=r"journal.jsonl:1: not a node"):
        read_nodes(open_store(settings.store), study, search_units(study)[0])


def test_cost_is_dollars_where_they_are_known() -> None:
    assert cost(NODES) == "$1.50"
    assert cost([node(0, "M", 0.5, usage={"dollars": 0.5, "total_tokens": 12_345.0})]) == "$0.50, 12k tokens"
    assert cost([node(0, "M", 0.5, usage={"calls": 1.0})] * 3) == "3 calls"
    assert cost([node(0, "M", 0.5)]) == "–"


def test_a_reason_is_one_short_line() -> None:
    assert one_line("a\nb\t\x07c") == "a b c"
    assert len(one_line("x" * 500)) == 60


def test_the_page_of_a_running_search_has_what_was_asked_so_far(settings: Settings, tmp_path: Path) -> None:
    study = tiny_study(agents=[{"model": "offline", "keep_prompts": True}])
    journal_file = journal(study, settings)
    write(journal_file, NODES)
    exchange = Exchange(step=0, operator="draft", seed=1, prompt="the prompt", reply="the reply")
    torn = exchange.json_line() + exchange.model_copy(update={"step": 1}).json_line()[:-9]
    (journal_file.parent / TRANSCRIPT).write_text(torn)
    page = write_nodes_page(study, "greedy-offline.s0", settings, tmp_path / "page.html")
    first, second = (each["asked"] for each in json.loads(Elements(page.read_text()).data))
    assert [call["prompt"] for call in first] == [["the prompt", 10]]
    assert second == []


def test_the_page_of_a_search_is_written_from_its_journal(study: Study, settings: Settings, tmp_path: Path) -> None:
    write(journal(study, settings), NODES)
    page = write_nodes_page(study, "greedy-offline.s0", settings, tmp_path / "page.html")
    assert "2 (100%)" not in page.read_text()
    assert "1 (50%)" in page.read_text()
    with pytest.raises(UserError, match="has no nodes yet"):
        write_nodes_page(study, "greedy-offline.s1", settings, None)
    with pytest.raises(UserError, match="did you mean"):
        write_nodes_page(study, "gredy-offline.s0", settings, None)
    with pytest.raises(UserError, match="--output"):
        write_nodes_page(study, "greedy-offline.s0", settings, tmp_path / "nowhere" / "page.html")
