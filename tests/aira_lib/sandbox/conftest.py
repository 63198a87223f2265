"""The strengths of isolation that this machine has."""

import pytest

import aira_lib.sandbox.process as process
from aira_lib.sandbox.launch import Isolation
from aira_lib.sandbox.strength import ladder, works


@pytest.fixture(params=(*ladder(), "none"))
def strength(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Isolation:
    """Each in turn is that of candidates which run here."""
    found: Isolation = request.param
    if found != "none" and not works(found):
        pytest.skip(f"no {found} here")
    monkeypatch.setattr(process, "isolation", lambda: found)
    return found
