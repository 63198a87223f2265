"""The processes of searches share one file of the study, which is written before the first of them reads it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from aira_lib.local.run import LocalRun, keep_study
from aira_lib.local.search_run import _Crew
from aira_lib.settings import Settings
from aira_lib.study.reading import load_study, parse_study
from tests.builders import TINY_STUDY


def test_another_search_begins_while_one_reads_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = parse_study(TINY_STUDY, "x")
    run = LocalRun(study, Settings(store=str(tmp_path)), 2, None)
    read: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: read.append(load_study(command[3])))
    keep_study(run)
    with open(run.study_file) as early:
        crew = _Crew(run, [], tmp_path)
        crew._start("greedy-offline.s0")
        keep_study(run)  # as another launcher's, a moment later
        crew._start("greedy-offline.s1")
        assert early.read()  # what a slow process has opened stays whole
    assert read == [study, study]
