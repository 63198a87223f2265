import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from aira_lib.tasks.airs import TaskFolderError, check_task_folder, new_task_folder
from aira_lib.tasks.airs.submissions import Table, copy_exports, drawn, permuted, read_table
from tests.aira_lib.cli import in_process
from tests.aira_lib.cli.in_process import Ended
from tests.aira_lib.tasks.made_folders import change_metadata, made_folder, replace_in
from tests.aira_lib.tasks.public_folders import public_folder


def failures(folder: Path, **options: Any) -> dict[str, str]:
    return {found.what: found.detail for found in check_task_folder(folder, **options) if not found.holds}


def test_the_template_passes_and_is_left_untouched(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    found = list(check_task_folder(folder))
    assert [finding for finding in found if not finding.holds] == []
    assert len(found) == 11
    assert (found[-1].what, found[-1].detail) == ("can be searched", "validation on 80 held-out rows")
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before


def test_metadata_that_does_not_load_ends_the_check(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    change_metadata(folder, {"logging_info.metric": ...})
    (found,) = check_task_folder(folder)
    assert not found.holds
    assert "'logging_info.metric' is missing" in found.detail


def test_a_failing_prepare(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, prepare="import sys; sys.exit('Error: Directory not found: raw')")
    assert failures(folder) == {"runs to its end": "prepare.py: exit code 1: Error: Directory not found: raw"}


def test_a_prepare_that_writes_nothing(tmp_path: Path) -> None:
    found = failures(made_folder(tmp_path, prepare="pass"))
    assert found == {"prepare.py writes train and test": "empty: train, test"}


def test_a_prepare_that_gives_the_labels_away(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    with (folder / "prepare.py").open("a") as file:
        file.write('    (given.agent_data_mount_dir / "test_with_labels").mkdir()\n')
    assert list(failures(folder)) == ["prepare.py keeps the test labels back"]


def test_a_failing_scorer_is_a_failure_not_a_zero(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    replace_in(folder / "evaluate.py", "    labels = read", "    raise OSError('disk')\n    labels = read")
    assert failures(folder) == {"runs to its end": "evaluate.py: exit code 1: OSError: disk"}


def test_a_scorer_that_overruns_its_time(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, evaluate="import time; time.sleep(60)")
    assert failures(folder, seconds=3) == {"runs to its end": "evaluate.py: ran longer than 3 s and was stopped"}


def test_a_scorer_of_the_wrong_direction(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    change_metadata(folder, {"metric_lower_is_better": True})
    found = failures(folder)
    assert set(found) == {"gold beats every other submission", "20 % permuted is not worse than the rest"}
    assert "gold 1, 20 % permuted 0." in found["gold beats every other submission"]


def test_a_scorer_that_does_not_look(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    replace_in(folder / "evaluate.py", '{"Accuracy": accuracy(predictions, labels)}', '{"Accuracy": 0.5}')
    assert set(failures(folder)) == {"gold beats every other submission", "the metric depends on the submission"}


def test_a_scorer_that_takes_a_cut_table(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    replace_in(folder / "evaluate.py", "if len(predictions) != len(labels)", "if False")
    replace_in(folder / "evaluate.py", "strict=True", "strict=False")
    assert failures(folder)["a table without its last row is refused"].startswith("it was scored 0.995")


def test_a_refusal_with_a_traceback_is_not_one(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    replace_in(folder / "evaluate.py", "parser.error(str(error))", "raise")
    assert "must end with exit code 2" in failures(folder)["a table without its last row is refused"]


def test_another_name_another_shape_and_a_gold_that_is_better_than_perfect(tmp_path: Path) -> None:
    """Each is found by itself, in one check."""
    folder = made_folder(tmp_path)
    change_metadata(folder, {"logging_info.shape": "(199,)"})
    replace_in(folder / "evaluate.py", "accuracy(predictions, labels)}", "100 * accuracy(predictions, labels)}")
    folder.rename(tmp_path / "Other")
    assert failures(tmp_path / "Other") == {
        "folder name equals logging_info.name": "Other != ParityMadeAccuracy",
        "gold has the rows of logging_info.shape": "200 rows, shape (199,)",
        "gold is scored within logging_info.optimal_score": "100 is better than a perfect Accuracy, 1 (optimal_score)",
    }


def test_a_gold_under_a_header_that_the_scorer_refuses(tmp_path: Path) -> None:
    """As in a public folder, whose searches take the header that the description shows."""
    folder, shared = public_folder("QuestionAnsweringDuoRCAccuracy", tmp_path)
    found = {each.what: each for each in check_task_folder(folder, shared)}
    (failed,) = (each for each in found.values() if not each.holds)
    assert failed.what == "gold has the header that the task wants"
    assert failed.detail.startswith(
        "gold has 'has_answer,answers', its scorer takes 'has_answer,answer' and not the former (exit code 2: "
    )
    assert "'answer' is not in list" in failed.detail
    assert found["can be searched"].detail == "validation on 4 held-out rows"


def test_a_gold_under_another_header_than_the_description_shows(tmp_path: Path) -> None:
    folder, shared = public_folder("QuestionAnsweringDuoRCAccuracy", tmp_path)
    replace_in(folder / "evaluate.py", "('has_answer', 'answer')", "header")
    found = next(each for each in check_task_folder(folder, shared) if "header" in each.what)
    assert found.holds
    assert found.detail == (
        "gold has 'has_answer,answers', which its scorer takes; the description shows 'has_answer,answer'"
    )


def test_a_gold_that_the_scorer_refuses_under_any_header(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    replace_in(
        folder / "evaluate.py",
        "        if len(predictions)",
        "        raise ValueError('no')\n        if len(predictions)",
    )
    assert "error: no" in failures(folder)["runs to its end"]


def test_no_gold_to_be_had(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    (folder / "custom_labels.py").unlink()
    assert "add gold_submission.csv or custom_labels.py" in failures(folder)["runs to its end"]


def test_gold_from_a_data_set_on_disk(tmp_path: Path) -> None:
    """As public tasks without custom labels: the scoring column of a saved Hugging Face data set (Arrow streams)."""
    folder = made_folder(tmp_path)
    (folder / "custom_labels.py").unlink()
    (folder / "labels.arrow").write_bytes(_arrow_stream(_test_bits(folder)))
    with (folder / "evaluate_prepare.py").open("a") as file:
        file.write(
            "    saved = mount / 'test_with_labels' / 'data-00000-of-00001.arrow'\n"
            "    shutil.copyfile(__file__.replace('evaluate_prepare.py', 'labels.arrow'), saved)\n"
        )
    assert failures(folder) == {}


def test_reference_folders_instead_of_a_table(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    (folder / "gold_submission").mkdir()
    assert failures(folder) == {"reference submissions": "no folder gold_submission_random_1"}
    rows = ["1"] * 200
    for name, text in {
        "gold_submission_random_1": ["parity", *rows],
        "gold_submission_random_2": ["parity", *rows[:-1], "0"],
        "invalid_submission": ["parity", *rows],
    }.items():
        (folder / name).mkdir()
        (folder / name / "submission.csv").write_text("\n".join(text))
    gold = [str(bits.count("1") % 2) for bits in _test_bits(folder)]
    (folder / "gold_submission" / "submission.csv").write_text("\n".join(["parity", *gold]))
    assert list(failures(folder)) == ["invalid_submission is refused"]
    (folder / "invalid_submission" / "submission.csv").write_text("wrong\n1\n")
    assert failures(folder) == {}
    (folder / "gold_submission" / "submission.csv").write_text("\n".join(["parity", *rows]))
    assert "gold beats every other submission" in failures(folder)
    (folder / "gold_submission" / "submission.csv").unlink()
    assert "no file 'submission.csv'" in failures(folder)["runs to its end"]


def _arrow_stream(bits: list[str]) -> bytes:
    table = pa.table({"bits": bits, "parity": [text.count("1") % 2 for text in bits]})
    with pa.BufferOutputStream() as sink:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())


def _test_bits(folder: Path) -> list[str]:
    code = "import utils; print(*[r['bits'] for r in utils.raw_data(None, 'test')])"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_permutations_keep_the_rows_and_most_places() -> None:
    gold = Table(["a"], [[str(i)] for i in range(100)])
    for share, most in ((0.2, 20), (1.0, 100)):
        rows = permuted(gold, share, Random(1)).rows
        moved = sum(a != b for a, b in zip(rows, gold.rows, strict=True))
        assert sorted(rows) == sorted(gold.rows)
        assert most * 0.7 < moved <= most
    assert set(map(tuple, drawn(gold, Random(1)).rows)) < set(map(tuple, gold.rows))
    with pytest.raises(TaskFolderError, match="all equal"):
        permuted(Table(["a"], [["1"]] * 9), 1.0, Random(1))


def test_a_table_survives_a_round_trip(tmp_path: Path) -> None:
    table = Table(["text", "n"], [['a "quoted", cell\nof two lines', "1"], ["", "2"]])
    table.write(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv") == table
    (tmp_path / "t.csv").write_text("only,header\n")
    with pytest.raises(TaskFolderError, match="no row"):
        read_table(tmp_path / "t.csv")


def test_exports_follow_no_links(tmp_path: Path) -> None:
    from aira_lib.tasks.airs import load_task_folder

    task = load_task_folder(made_folder(tmp_path))
    source, log = tmp_path / "work", tmp_path / "log"
    source.mkdir()
    log.mkdir()
    (source / "submission.csv").symlink_to("/etc/passwd")
    with pytest.raises(TaskFolderError, match=r"no file 'submission\.csv'"):
        copy_exports(task, source, log)
    assert os.listdir(log) == []


@pytest.mark.parametrize("name", ["lowercase", "With-Dash", "9Nine", "Two Words"])
def test_a_new_task_needs_a_proper_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(TaskFolderError, match="in CamelCase"):
        new_task_folder(tmp_path / name)


def test_a_new_task_never_overwrites(tmp_path: Path) -> None:
    new_task_folder(tmp_path / "Mine")
    with pytest.raises(TaskFolderError, match="exists already"):
        new_task_folder(tmp_path / "Mine")


def aira(*arguments: str) -> Ended:
    return in_process.aira("tasks", *arguments)


def test_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "FreshTaskAccuracy"
    assert "aira tasks check" in aira("new", str(folder)).out
    listed = aira("list", str(tmp_path)).out
    assert "FreshTaskAccuracy  Accuracy (higher is better)" in listed
    assert "NeuralArchitectureSearchMAD3PrimitivesMbAccuracy" in listed
    assert "parity of eight bits" in aira("show", str(folder)).out
    good = aira("check", str(folder))
    assert (good.code, good.out.splitlines()[-1]) == (0, "conforms")
    (folder / "gold.csv").write_text("parity\n" + "1\n" * 200)
    scored = aira("score", str(folder), str(folder / "gold.csv"))
    assert scored.code == 0
    assert scored.out.startswith("Accuracy: 0.5")
    assert "published best: 1 (" in scored.out
    assert "normalised score: 0." in scored.out
    (folder / "gold.csv").write_text("parity\n1\n")
    refused = aira("score", str(folder), str(folder / "gold.csv"))
    assert (refused.code, refused.out) == (2, "")
    assert "refused by the task: exit code 2" in refused.err
    assert "has 1 rows, but the test data have 200" in refused.err
    (folder / "gold.csv").write_text("parity\n" + "1\n" * 150 + "nan\n" + "1\n" * 49)
    lacking = aira("score", str(folder), str(folder / "gold.csv"))
    assert "line 152: 'nan' lacks a finite number that is asked for" in lacking.err
    missing = aira("score", str(folder), str(folder / "nothing.csv"))
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    assert "no such file or folder; name the submission, submission.csv" in missing.err
    (folder / "prepare.py").write_text("boom")
    bad = aira("check", str(folder))
    assert bad.code == 1
    assert "FAIL  runs to its end: prepare.py: exit code 1: NameError" in bad.out
    unknown = aira("show", "NoSuchTask")
    assert unknown.code == 2
    assert unknown.err.startswith("aira: NoSuchTask: neither a folder nor a built-in task")
