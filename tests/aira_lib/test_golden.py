"""Results that keys promise to be the same are the same, or the version of their code was raised."""

import json
from typing import Any

import pytest

from aira_lib.identity import PIECES, VERSIONS, Piece
from tests.golden import alike, kept
from tests.golden.results import RESULTS, defaults, results_of_all


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return results_of_all()


def test_each_piece_has_results() -> None:
    assert tuple(RESULTS) == PIECES == tuple(VERSIONS)


@pytest.mark.parametrize("piece", PIECES)
def test_results_are_those_of_the_version(piece: Piece, results: dict[str, Any]) -> None:
    before = kept(piece)
    assert before, f"no results of {piece!r} are kept: python -m tests.golden --new"
    assert VERSIONS[piece] == before["version"], f"the version of {piece!r} was raised: python -m tests.golden"
    assert alike(before["results"], results[piece]), (
        f"{piece!r} gives other results than those of version {before['version']}: records made before would be found "
        f"for it. Raise VERSIONS[{piece!r}] in aira_lib/identity.py, then python -m tests.golden"
    )


def test_defaults_are_those_that_keys_leave_out() -> None:
    """Keys hold what differs from the defaults: a default that changes would have old records found for new values."""
    before = kept("defaults")
    assert before
    now = json.loads(json.dumps(defaults(), default=str))
    changed = {place: (value, now.get(place)) for place, value in before["results"].items() if now.get(place) != value}
    assert not changed, (
        f"defaults changed, old and new: {changed}. Raise the versions in aira_lib/identity.py of what depends on "
        "them, then python -m tests.golden --new"
    )
    new = sorted(now.keys() - before["results"].keys())
    assert not new, f"settings whose defaults are not kept yet: {new}; python -m tests.golden --new"


def test_alike_tells_results_apart() -> None:
    assert alike({"a": [1, 0.5, "x"]}, {"a": [1, 0.5 + 1e-5, "x"]})
    for other in ([2, 0.5, "x"], [1, 0.51, "x"], [1, 0.5], [1.0, 0.5, "x"], [1, 0.5, "y"]):
        assert not alike({"a": [1, 0.5, "x"]}, {"a": other})
    assert not alike({"a": 1}, {"b": 1})
