"""`aira run` where a search fails: the study goes on without it where it may, and says so."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from aira_lib.errors import UserError
from aira_lib.local.run import PipelineFailed, raise_what_ended
from aira_lib.track.progress import Progress
from tests.aira_lib.cli.in_process import aira_elsewhere
from tests.builders import TINY_STUDY

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("plain_kernels")

SEARCHES = [{"scaffold": "one-shot", "model": "offline", "seeds": 2}]
LOST = "one-shot-offline.s1"


@pytest.mark.slow
def test_a_study_goes_on_without_a_search_where_it_may_and_says_so(tmp_path: Path) -> None:
    resources = {"search": {"min_success": 0.5}}
    study = {**TINY_STUDY, "agents": SEARCHES, "pretrain": {}, "evaluate": {}, "resources": resources}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    plugin = {"AIRA_PLUGINS": "tests.failing_search", "PYTHONPATH": str(ROOT)}
    env = {**os.environ, **plugin, "AIRA_STORE": str(tmp_path / "runs")}
    (done,) = aira_elsewhere(env, ROOT, ("run", str(tmp_path / "study.yaml"), "--tracking", "none"))
    assert done.code == 1, done.out + done.err
    assert f"✗ search      {LOST}" in done.out
    assert f"search {LOST} failed, and the results are without it: this seed brings no luck" in done.out
    assert "The same command tries it again." in done.out
    (page,) = tmp_path.glob("runs/tiny/report/*/*/report.html")
    assert "1 unit of this study failed" in page.read_text()
    assert LOST in page.read_text()


def units(*failed: tuple[str, str, bool]) -> list[Progress]:
    made = [Progress("search", "a.s0", status="done"), Progress("archive", "all", status="done")]
    return [*made, *(Progress(*names, status="failed", error=names[1], mendable=mine) for *names, mine in failed)]


@pytest.mark.parametrize(
    ("failed", "kind", "line"),
    [
        ([("search", "a.s1", True)], UserError, "search a.s1: a.s1"),
        ([("search", "a.s1", False), ("search", "a.s2", True)], UserError, r"search a.s2: a.s2 \(1 more failed\)"),
        ([("search", "a.s1", True), ("aggregate", "all", False)], PipelineFailed, "aggregate all: all .1 more failed"),
        ([], UserError, "too many searches"),
    ],
)
def test_of_several_failures_that_is_named_which_ended_the_run(
    failed: Any, kind: type[Exception], line: str, tmp_path: Path
) -> None:
    log = tmp_path / "pipeline.log"
    log.write_text("12:00 aira: too many searches failed\n")
    with pytest.raises(kind, match=line):
        raise_what_ended(units(*failed), log)
