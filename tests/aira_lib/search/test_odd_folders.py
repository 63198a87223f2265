"""Folders whose scorer allows no held-out rows, or does not run, and submissions of odd files."""

from pathlib import Path

import pytest

import aira_lib.search.stage as stage
from aira_lib.errors import UserError
from aira_lib.records import PAGE, Node, read_rows
from aira_lib.search.stage import search
from aira_lib.study import AgentSection, ProxySection, TaskSection
from tests.aira_lib.search import third_party_folder as third_party
from tests.aira_lib.search.folder_searches import AGENT, GOOD, LIMITS, Scripted, Searched
from tests.aira_lib.search.third_party_folder import NAME, third_party_folder
from tests.builders import work_in


def test_candidates_report_their_own_validation_where_the_scorer_allows_no_other(tmp_path: Path) -> None:
    fixed = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--submission-file")
rows = open(parser.parse_args().submission_file).read().split()[1:]
if len(rows) != 20:
    parser.error("20 rows, please")
if rows[0] == "666":
    raise LookupError("666")
print('--- EVALUATION RESULT ---\\n{"MeanAbsoluteError": 0.25}')
"""
    write = "open('validation.json', 'w').write('%s')\nopen('submission.csv', 'w').write('price\\n' + '%d\\n' * 20)"
    programs = [write % (text, value) for text, value in (
        ('{"validation": 7.5}', 1), ('{"validation": NaN}', 1), ('{"validation": 1}', 666), ("[7.5]", 1),
    )]  # fmt: skip
    agent = AGENT.model_copy(update={"steps": 4, "n_drafts": 4, "debug_probability": 0.0})
    done = Searched(tmp_path, TaskSection(), agent, *programs, evaluate=fixed)
    good, nan, crashed, listed = done.nodes
    assert (good.validation, good.test, good.self_reported) == (7.5, 0.25, True)
    assert nan.reason == "validation.json: nan is not a finite number"
    assert crashed.reason == "submission.csv could not be scored: evaluate.py: exit code 1: LookupError: 666"
    assert "one key" in listed.reason
    assert [node.status for node in done.nodes] == ["ok", "failed", "failed", "failed"]
    assert done.summary["validation"] == "self-reported"
    why = "its scorer does not take other rows than the test split's: evaluate.py: exit code 2: evaluate.py: error: 20"
    assert done.summary["validation_why"].startswith(why)
    assert done.summary["validation_why"].endswith("; metadata.yaml states no optimal_score, so any number counts")
    (entry,) = (each for each in done.work.stand_ins if each.what == "validation fitness as candidates report it")
    assert entry.detail == done.summary["validation_why"]
    assert "self-reported by candidates and not measured, since its scorer" in (done.work.path / PAGE).read_text()
    assert '{"validation": NUMBER}' in done.model.prompts[0]
    assert "It must write `submission.csv` and `validation.json` into" in done.model.prompts[0]
    assert "held_out" not in done.model.prompts[0]


ONE_ROW_MORE = (
    "column = lambda path: [float(row) for row in open(path).read().split()[1:]]\n"
    "import sys, json\n"
    "if len(column(sys.argv[2])) != 20:\n    sys.exit(2)\n"
    "print('--- EVALUATION RESULT ---', json.dumps({'MeanAbsoluteError': 0.5}))"
)


def test_a_search_of_failures_says_from_where_its_fitness_would_have_come(tmp_path: Path) -> None:
    agent = AGENT.model_copy(update={"steps": 2, "n_drafts": 2, "debug_probability": 0.0})
    done = Searched(tmp_path, TaskSection(), agent, "print(1 / 0)", "print(1 / 0)", evaluate=ONE_ROW_MORE)
    assert [node.status for node in done.nodes] == ["failed", "failed"]
    assert done.summary["validation"] == "self-reported"
    assert "validation fitness as candidates report it" in [entry.what for entry in done.work.stand_ins]


def test_an_accuracy_in_percent_and_a_number_that_nobody_measured_do_not_steer(tmp_path: Path) -> None:
    write = (
        "open('validation.json', 'w').write('{\"validation\": %s}')\n"
        "open('submission.csv', 'w').write('price\\n' + '1\\n' * 20)"
    )
    agent = AGENT.model_copy(update={"steps": 4, "n_drafts": 4, "debug_probability": 0.0})
    numbers = ("-97.3", "1e308", "0.75", "0.5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            third_party, "METADATA", third_party.METADATA + "  optimal_score: 0.0\n  estimated_worst_score: 9.0\n"
        )
        done = Searched(tmp_path, TaskSection(), agent, *(write % each for each in numbers), evaluate=ONE_ROW_MORE)
    assert [node.status for node in done.nodes] == ["failed", "failed", "ok", "ok"]
    assert "-97.3 is better than a perfect MeanAbsoluteError, 0" in done.nodes[0].reason
    assert "1e+308 cannot have been measured" in done.nodes[1].reason
    assert done.summary["best"]["validation"] == 0.5
    assert "so any number counts" not in done.summary["validation_why"]


@pytest.mark.parametrize(
    ("scripts", "line"),
    [
        ({"prepare": "raise KeyError('houses')"}, r"prepare\.py: exit code 1: KeyError: 'houses'"),
        ({"evaluate_prepare": "import sys; sys.exit('no labels here')"}, r"evaluate_prepare\.py: .*no labels here"),
        ({"evaluate": "import a_scorer_nobody_has"}, "install what its scorer needs"),
        ({"evaluate": "print('nothing')"}, r"no rows can be held out.*printed no line.*validation: self-reported"),
        ({"evaluate_prepare": "pass"}, "no rows can be held out|wrote no folder test_with_labels"),
        ({"prepare": "import sys, os; os.makedirs(sys.argv[4] + '/test_with_labels')"}, "which agents would see"),
    ],
)
def test_a_folder_that_cannot_be_searched_stops_the_search_before_a_model_is_asked(
    scripts: dict[str, str], line: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=line) as error:
        Searched(tmp_path, TaskSection(validation="held-out"), AGENT, **scripts)
    assert "\n" not in str(error.value)


def test_names_that_are_no_utf8_fail_their_step_alone(tmp_path: Path) -> None:
    """A candidate once ended a whole search by the name of one file."""
    writes = (
        "import os\nos.mkdir('out')\nopen({name!r}, 'wb').write({content!r})\n"
        "open('validation.json', 'w').write('{{\"validation\": 1.0}}')\n"
    )
    programs = [
        writes.format(name=name, content=content) + GOOD
        for name, content in (
            (b"out/\xff.pkl", b"x"), (b"out/\x1b]0;x\x07.pkl", b"x"), (b"out/\xff.txt", b"\x80\x04N."),
            (b"out/\xff\xfe.bin", b"x"),
        )
    ]  # fmt: skip
    folder, shared = third_party_folder(tmp_path)
    metadata = folder / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("  - submission.csv\n", "  - submission.csv\n  - out/*\n"))
    work = work_in(tmp_path / "work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "model_named", lambda *_: Scripted(*[p.replace("held_out", "test") for p in programs]))
        patch.setenv("AIRA_TASK_DATA", str(shared))
        agent = AgentSection(steps=4, n_drafts=4, model="scripted", limits=LIMITS)
        search(TaskSection(folder=str(folder), name=NAME), ProxySection(), agent, 0, work)
    nodes = read_rows(work.path / "journal.jsonl", Node)
    assert [node.status for node in nodes] == ["failed", "failed", "failed", "ok"]
    assert "out/\ufffd.pkl is a pickle" in nodes[0].reason
    assert "out/\ufffd]0;x\ufffd.pkl is a pickle" in nodes[1].reason
