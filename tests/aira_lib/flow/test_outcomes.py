"""What became of a run's units, and how many of them a study can do without."""

import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.errors import StoreError, UserError
from aira_lib.flow.checks import check_study
from aira_lib.flow.outcomes import RunFolder, enough, require_enough
from aira_lib.records import Failure
from aira_lib.store import open_store
from aira_lib.study import Study, digest
from tests.builders import tiny_study


def failure(unit: str, reason: str = "no more memory", stage: str = "search") -> Failure:
    return Failure(stage=stage, unit=unit, reason=reason, exit_code=1)


def sharing(share: float) -> Study:
    return tiny_study(resources={"search": {"min_success": share}})


def test_of_fewer_than_ten_none_may_fail_unless_a_study_says_so() -> None:
    assert [enough("search", tiny_study(), units) for units in range(11)] == [*range(10), 9]
    assert enough("search", tiny_study(), 170) == 153
    assert enough("search", sharing(0.5), 3) == 2
    assert enough("search", sharing(1.0), 170) == 170
    assert enough("pretrain", sharing(0.5), 3) == 3


@given(st.integers(1, 1000), st.integers(0, 5_000))
def test_the_share_is_rounded_up_as_it_is_written(thousandths: int, units: int) -> None:
    """0.07 of 100 units are 7, though 0.07 * 100 is 7.000000000000001 to a computer."""
    study = Study.model_construct(resources=sharing(thousandths / 1000).resources)
    assert enough("search", study, units) == math.ceil(Fraction(thousandths, 1000) * units)


def test_too_many_failures_are_one_line_that_names_the_first() -> None:
    failed = [failure(f"a.s{i}", f"reason {i}") for i in range(5)]
    require_enough("search", sharing(0.5), 5, failed)
    with pytest.raises(UserError) as refused:
        require_enough("search", sharing(0.5), 4, failed)
    line = str(refused.value)
    assert line.startswith("search: 5 of 9 units failed, and 5 have to succeed (resources.search.min_success is 0.5): ")
    assert "a.s0: reason 0; a.s1: reason 1; a.s2: reason 2; and 2 more." in line
    assert "\n" not in line
    with pytest.raises(UserError, match="1 of 1 units failed"):
        require_enough("search", tiny_study(), 0, failed[:1])
    require_enough("search", tiny_study(), 0, [])


def test_the_share_is_in_no_key_and_is_none_of_a_stage_with_one_unit() -> None:
    from aira_lib.flow.units import units_of

    assert [u.key for u in units_of("search", sharing(0.5))] == [u.key for u in units_of("search", tiny_study())]
    assert digest(tiny_study(resources={"search": {"min_success": 0.9}})) == digest(
        tiny_study(resources={"search": {}})
    )
    check_study(sharing(0.5))
    with pytest.raises(UserError, match=r"resources\.archive\.min_success: archive has one unit"):
        check_study(tiny_study(resources={"archive": {"min_success": 0.5}}))
    for share in (0, -1, 1.1, float("nan")):
        with pytest.raises(UserError, match=r"resources\.search\.min_success"):
            sharing(share)


def test_a_run_knows_its_own_units_and_forgets_them_at_once(tmp_path: Path) -> None:
    study, store = tiny_study(), str(tmp_path)
    mine, other = RunFolder(store, study, "run-1"), RunFolder(store, study, "run-2")
    record = f"{open_store(store).uri}/tiny/search/a-b.s0-0123456789ab"
    kept = mine.keep_failure(failure("a-b.s0"))
    mine.keep_failure(failure("a-b.s1", "other"))
    assert mine.is_failure(kept)
    assert not mine.is_failure(record)
    assert not other.is_failure(kept)
    assert mine.of("search").failed["a-b.s0"] == kept
    assert [each.reason for each in mine.failures("search", "pretrain")] == ["no more memory", "other"]
    mine.keep_made("search", record)  # a pod that was started again has made it
    assert mine.of("search").made == {"a-b.s0": record}
    assert [each.unit for each in mine.failures("search")] == ["a-b.s1"]
    assert other.of("search").made == other.of("search").failed == mine.of("pretrain").made == {}
    other.keep_made("search", record)
    mine.forget()
    assert mine.of("search").made == mine.of("search").failed == {}
    assert other.of("search").made == {"a-b.s0": record}
    assert open_store(store).read(f"tiny/outcomes/run-2/search/{record.rpartition('/')[2]}.made") == b""


def test_what_is_no_failure_is_a_line(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path), tiny_study(), "r")
    uri = folder.keep_failure(failure("a.s0"))
    Path(uri.removeprefix("file://")).write_text("{}")
    with pytest.raises(StoreError, match="not a failure; remove it"):
        folder.failures("search")
    with pytest.raises(StoreError, match="is not a relative path"):
        RunFolder(str(tmp_path), tiny_study(), "../r").of("search")
