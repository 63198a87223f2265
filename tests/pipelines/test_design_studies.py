"""The studies of Long Range Arena: what they search, and that the recording holds the baselines as they are now."""

from pathlib import Path

from aira_lib.agents.patch import change_of, parse_edit
from aira_lib.agents.replay import ReplayModel
from aira_lib.agents.reply import parse_reply
from aira_lib.lra.baselines import BASELINES, baseline_path
from aira_lib.study.reading import load_study
from aira_lib.tasks.programs.folder import load_program_folder

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "pipelines/design"


def test_the_recording_holds_the_baselines_and_an_edit_of_one() -> None:
    (agent,) = load_study(DESIGN / "lra-laptop.yaml").agents
    replies = ReplayModel(ROOT / agent.model.removeprefix("replay:")).replies
    assert len(replies) == len({reply.seed for reply in replies}) == agent.steps
    programs = {parse_reply(reply.text, "model.py").code.strip() for reply in replies}
    baselines = {baseline_path(name).read_text().strip() for name in BASELINES}
    assert baselines < programs
    (edited,) = programs - baselines
    changed = set(edited.splitlines()) - set(baseline_path("linear").read_text().splitlines())
    assert 0 < len(changed) < 5


def test_the_paper_study_is_a_sixth_of_its_searches() -> None:
    study = load_study(DESIGN / "lra-paper.yaml")
    searches = {kind: [len(a.seeds) for a in study.agents if a.scaffold == kind] for kind in ("greedy", "one-shot")}
    assert searches == {"greedy": [10] * 12, "one-shot": [20] * 8}
    assert 6 * sum(map(sum, searches.values())) == 1680
    assert {agent.hours for agent in study.agents} == {24}


def test_studies_name_folders_that_are_there() -> None:
    for name in ("lra-laptop", "lra-paper"):
        folder = load_study(DESIGN / f"{name}.yaml").task.folder
        assert folder
        assert load_program_folder(ROOT / folder).program.settings["task"] == "listops"


def test_the_paper_studies_of_autoresearch_are_its_hundred_searches() -> None:
    alone, with_literature = (load_study(DESIGN / f"autoresearch-{name}.yaml") for name in ("paper", "literature"))
    for study, agents in ((alone, 7), (with_literature, 3)):
        assert [len(agent.seeds) for agent in study.agents] == [10] * agents
        assert {(agent.scaffold, agent.steps, agent.hours) for agent in study.agents} == {("greedy", 500, 24)}
        assert study.resources["search"].gpus_per_node == 1
    assert {agent.model for agent in with_literature.agents} < {agent.model for agent in alone.agents}
    assert alone.task.folder != with_literature.task.folder


def test_the_recorded_edits_apply_to_the_baseline_as_it_is_now() -> None:
    study = load_study(DESIGN / "autoresearch-laptop.yaml")
    (agent,) = study.agents
    replies = ReplayModel(ROOT / agent.model.removeprefix("replay:")).replies
    assert len(replies) == len({reply.seed for reply in replies}) == agent.steps
    assert study.task.folder
    folder = load_program_folder(ROOT / study.task.folder)
    assert folder.baseline
    program = baseline = folder.baseline
    for reply in replies:  # whichever of those before was the best, the lines of the others stand in it
        program = parse_edit(reply.text, program, "train.py").code
        assert change_of(reply.text)
    assert {*program.splitlines()} - {*baseline.splitlines()}
