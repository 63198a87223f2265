"""The schemas of the 20 public tasks: for each, where a search's validation fitness comes from, or why it cannot."""

from pathlib import Path

import pytest

from aira_lib.contents import folder_digest
from aira_lib.study import TaskSection
from aira_lib.tasks.airs import InvalidSubmission, check_task_folder, load_task_folder, raw_data
from aira_lib.tasks.airs.held_out import read_split
from aira_lib.tasks.airs.opening import OpenFolder, open_folder
from tests.aira_lib.tasks.public_folders import PUBLIC, TRAIN, public_folder

FORECASTS = "test shows in its column 'target' what is to be predicted of rows of train"
SELF_REPORTED = {
    "CodeRetrievalCodeXGlueMRR": "train/ is neither a data set of save_to_disk nor a folder with one CSV file",
    "TimeSeriesForecastingKaggleWebTrafficMASE": FORECASTS,
    "TimeSeriesForecastingRideshareMAE": FORECASTS,
    "TimeSeriesForecastingSolarWeeklyMAE": FORECASTS,
}


def opened(name: str, where: Path) -> OpenFolder:
    folder, shared = public_folder(name, where)
    before = folder_digest(shared)
    made = open_folder(load_task_folder(folder), TaskSection(folder=str(folder)), where / "open", shared)
    assert folder_digest(shared) == before, "a cache was written into the raw data, which are in the search's key"
    return made


def test_there_are_twenty() -> None:
    assert len(PUBLIC) == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_is_held_out_or_says_why_not(name: str, tmp_path: Path) -> None:
    made = opened(name, tmp_path)
    assert made.why_not == SELF_REPORTED.get(name, "")
    assert made.scorer.form is not None
    assert made.scorer.form.rows == PUBLIC[name].rows
    assert made.scorer.seconds < 14_400
    if name in SELF_REPORTED:
        assert made.held_out is None
        return
    assert made.held_out is not None
    assert made.held_out.rows == TRAIN // 5
    labels = read_split(made.held_out.labels).columns
    assert PUBLIC[name].scoring in labels
    assert set(labels) <= set(PUBLIC[name].train)
    assert set(read_split(made.held_out.agent_data / "held_out").columns) == set(PUBLIC[name].test)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GMolecularPropertyPredictionQm9MeanAbsoluteError", "validation on 4 held-out rows"),
        ("TimeSeriesForecastingRideshareMAE", f"validation is self-reported, since {FORECASTS}"),
    ],
)
def test_the_check_goes_the_way_of_the_search(name: str, said: str, tmp_path: Path) -> None:
    folder, shared = public_folder(name, tmp_path)
    found = {finding.what: finding for finding in check_task_folder(folder, shared)}
    assert [finding for finding in found.values() if not finding.holds] == []
    assert found["can be searched"].detail == said


def test_raw_data_are_links_in_folders_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, seen = tmp_path / "raw", tmp_path / "seen"
    (raw / "set" / "many").mkdir(parents=True)
    for name in ("set/a.arrow", "set/many/1", "set/many/2", "set/many/3"):
        (raw / name).write_text(name)
    (raw / "set" / "elsewhere").symlink_to(tmp_path)
    monkeypatch.setattr(raw_data, "_MOST_ENTRIES", 2)
    raw_data.lay_links(raw, seen)
    assert (seen / "set").is_symlink()  # three entries
    monkeypatch.setattr(raw_data, "_MOST_ENTRIES", 3)
    raw_data.lay_links(raw, tmp_path / "again")
    place = tmp_path / "again" / "set"
    assert not place.is_symlink()
    assert (place / "a.arrow").read_text() == "set/a.arrow"
    assert (place / "elsewhere").resolve() == tmp_path
    (place / "cache").write_text("x")
    assert sorted(path.name for path in (raw / "set").iterdir()) == ["a.arrow", "elsewhere", "many"]
    raw_data.lay_links(raw, tmp_path / "inside", Path("/seen/as/this"))
    assert (tmp_path / "inside/set/a.arrow").readlink() == Path("/seen/as/this/set/a.arrow")


def test_missing_numbers_do_not_reach_a_scorer_that_leaves_them_out(tmp_path: Path) -> None:
    scorer = opened("TimeSeriesForecastingSolarWeeklyMAE", tmp_path).scorer
    good, gap = "[0, 0, 0, 0, 0]", "[0, NaN, 0, 0, 0]"
    rows = [f'"{good}"'] * TRAIN
    honest = scorer.test({"submission.csv": "\n".join(["label_target", *rows]).encode()})
    assert honest > 1
    for odd in (gap, gap.replace("NaN", "1e999"), gap.replace("NaN", "null"), gap.replace("NaN", "-Infinity")):
        text = "\n".join(["anything", *rows[:2], f'"{odd}"', *rows[3:]])
        with pytest.raises(InvalidSubmission, match=r"submission\.csv: line 4: .* lacks a finite number"):
            scorer.test({"submission.csv": text.encode()})


def test_a_gap_is_taken_where_a_perfect_submission_has_one(tmp_path: Path) -> None:
    scorer = opened("TimeSeriesForecastingKaggleWebTrafficMASE", tmp_path).scorer
    values = ["1.0"] * 22
    with_gap, elsewhere = list(values), list(values)
    with_gap[2] = elsewhere[20] = "NaN"
    told = [f'"[{", ".join(each)}]"' for each in (with_gap, elsewhere)]
    assert scorer.test({"submission.csv": "\n".join(["x", *[told[0]] * TRAIN]).encode()}) > 0
    with pytest.raises(InvalidSubmission, match="line 2"):
        scorer.test({"submission.csv": "\n".join(["x", *[told[1]] * TRAIN]).encode()})
