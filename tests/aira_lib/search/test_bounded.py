"""No reply holds a search for longer than it may, whatever holds the interpreter's lock meanwhile."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from aira_lib.records import Node, read_rows
from aira_lib.search.bounded import at_most

ROOT = Path(__file__).parents[3]
# The first reply is read as it should be; of the second, reading would take years.
SEARCH = """
import re, sys
from pathlib import Path
import aira_lib.search.candidate as candidate, aira_lib.search.stage as stage
from aira_lib.agents import Reply
from aira_lib.search.bounded import at_most
from aira_lib.study import AgentSection, ProxySection, TaskSection
from tests.builders import work_in

class Model:
    name, asked = "slow", 0
    def reply(self, prompt, seed):
        self.asked += 1
        return Reply("no program")

def read(*given):
    if model.asked == 2:
        STUCK
    return parse(*given)

model, parse = Model(), candidate.parse_reply
stage.model_named = lambda *_: model
candidate.parse_reply = read
candidate._read = at_most(1.0)(candidate._read.__wrapped__)
work = work_in(Path(sys.argv[1]))
stage.search(TaskSection(layers=2), ProxySection(), AgentSection(steps=3, tries=1), 0, work, lambda *_, **__: None)
"""


@pytest.mark.parametrize("stuck", ["re.match('(a+)+$', 'a' * 60 + 'b')", "9 ** 9 ** 9"])
def test_a_search_whose_reply_cannot_be_read_ends_and_keeps_what_it_has(stuck: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEARCH.replace("STUCK", stuck), str(tmp_path / "work")],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "in _read" in done.stderr
    assert [node.step for node in read_rows(tmp_path / "work" / "journal.jsonl", Node)] == [0]


def test_what_ends_in_time_goes_on_and_is_not_ended_later() -> None:
    with pytest.raises(KeyError), at_most(0.1):
        raise KeyError
    with at_most(0.1):
        pass
    time.sleep(0.3)
