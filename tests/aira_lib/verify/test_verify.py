"""The checks agree with the paper, and each of them can fail."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aira_lib.architecture import pattern, tables
from aira_lib.cli import app
from aira_lib.verify.check import Check, check, exception, same
from aira_lib.verify.contradictions import contradictions, is_recomputed
from aira_lib.verify.registry import CHECKS, run_checks
from aira_lib.verify.results import error_with_zeros

EXPECTED = {
    "training steps": (285, 285),
    "tokens": (7, 7),
    "parameters": (62, 63),
    "layers of the designs used": (122, 123),
    "A:M ratios": (41, 51),
    "bases": (17, 18),
    "rules: printed patterns": (46, 46),
    "rules: repaired patterns": (34, 34),
    "rules: counts of Tables 9 and 10": (59, 60),
    "rules: counts of Table 11": (21, 22),
    "rules: depths": (38, 39),
    "averages": (59, 63),
    "DCLM core columns": (21, 21),
    "mean and error over agents": (12, 12),
    "search spaces": (4, 4),
    "NS transforms": (18, 18),
    "contradictions found again": (69, 69),
}

Edit = Callable[[str, str, str], None]


def clear_caches() -> None:
    """Of all that may have read the tables; how a pattern is written says no table."""
    for name, module in list(sys.modules.items()):
        if name.startswith("aira_lib.") and name != pattern.__name__:
            for value in vars(module).values():
                if callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Change one line of one table: edit(table, what the line starts with, old=>new)."""
    data = tmp_path / "data"
    shutil.copytree(tables.DATA, data)
    monkeypatch.setattr(tables, "DATA", data)
    clear_caches()

    def change(table: str, start: str, old_new: str) -> None:
        path = data / f"{table}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        (place,) = (i for i, line in enumerate(lines) if line.startswith(start))
        old, new = old_new.split("=>")
        assert lines[place].count(old) == 1, lines[place]
        lines[place] = lines[place].replace(old, new)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        clear_caches()

    yield change
    monkeypatch.undo()
    clear_caches()


def verify(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", *arguments], env={"COLUMNS": "400"})
    return done.exit_code, done.output


def by_name() -> dict[str, Check]:
    return {made.name: made for made in run_checks()}


def test_every_check_gives_the_known_numbers() -> None:
    checks = by_name()
    assert {name: (c.agreed, c.total) for name, c in checks.items()} == EXPECTED
    assert all(c.passed for c in checks.values())
    assert len(checks) == len(CHECKS)


def test_rules_give_36_and_23_counts_and_24_pattern_ratios() -> None:
    checks = by_name()
    groups = {g.name: (g.agreed, g.total) for g in checks["rules: counts of Tables 9 and 10"].groups}
    assert groups == {"Table 9": (36, 36), "Table 10": (23, 24)}
    ratios = {g.name: (g.agreed, g.total) for g in checks["A:M ratios"].groups}
    assert ratios["by the printed pattern"] == (24, 27)


def test_the_misses_are_the_known_ones() -> None:
    checks = by_name()
    assert [m.where for m in checks["parameters"].misses] == ["Composite/stacked@3B"]
    assert [m.where for m in checks["rules: counts of Table 11"].misses] == ["Composer@350M"]
    assert [m.where for m in checks["rules: depths"].misses] == ["AIRAhybrid-C@1B"]
    assert {m.where.split("@")[0] for m in checks["averages"].misses} == {
        "Nemotron-H",
        "Nemotron-2",
        "Mamba",
        "Composer",
    }


def test_all_77_contradictions_are_there_with_both_values() -> None:
    all_of_them = contradictions()
    assert len(all_of_them) == 77
    assert sum(not is_recomputed(c) for c in all_of_them) == 8
    assert all(c.where and c.what and c.printed and c.against and c.printed != c.against for c in all_of_them)
    assert len({(c.where, c.what) for c in all_of_them}) == 77


def test_command_exits_0_and_prints_a_block_a_check() -> None:
    code, output = verify()
    assert code == 0
    for name, (agreed, total) in EXPECTED.items():
        assert re.search(rf"^{re.escape(name)} · .* · {agreed}/{total}$", output, re.MULTILINE)
    assert "915 of 935 numbers agree" in output
    assert "2.9947 B without norms" in output
    assert "\x1b" not in output


def test_json_is_the_same() -> None:
    code, output = verify("--json")
    data = json.loads(output)
    assert (code, data["agrees"], len(data["contradictions"])) == (0, True, 77)
    assert {c["name"]: (c["agreed"], c["total"]) for c in data["checks"]} == EXPECTED
    assert any("NS" in text for text in data["unchecked"])


@pytest.mark.parametrize(
    ("table", "start", "old_new", "check_name", "row"),
    [
        ("steps", "10,nearest,AIRAformer-B,stacked,1B", "8352=>8353", "training steps", "AIRAformer-B/stacked@1B"),
        ("steps", "11,floor,Nemotron-H,,3B", ",4,17=>,5,17", "training steps", "Nemotron-H@3B, 2e19"),
        ("training", "data_parallel", "16=>8", "tokens", "1B, 2 primitives"),
        ("scales", "3B,3,", "12288=>12290", "parameters", "AIRAhybrid-C/stretched@3B"),
        ("designs", "Mamba,,1B", "0.99=>0.98", "parameters", "Mamba@1B"),
        ("designs", "Mamba,,3B", ",35,=>,36,", "layers of the designs used", "Mamba@3B"),
        ("designs", "Llama 3.2,,1B", "1.0,0.97=>1.1,0.97", "A:M ratios", "Llama 3.2@1B"),
        ("bases", "AIRAformer-D", "5(2A-M)-A=>4(2A-M)-3A-M", "bases", "AIRAformer-D"),
        ("bases", "AIRAhybrid-E", "5(Mb-M-A)-M=>5(M-Mb-A)-M", "rules: printed patterns", "AIRAhybrid-E/stacked@1B"),
        ("designs", "AIRAformer-C,stacked,3B", "-12A=>-A-M-10A", "rules: repaired patterns", "AIRAformer-C/stacked@3B"),
        ("designs", "AIRAhybrid-A,stretched,3B", "0,8,36=>0,9,35", "rules: counts", "AIRAhybrid-A/stretched@3B (R2)"),
        ("steps", "11,floor,Nemotron-2,,350M", ",1,8,8=>,1,7,9", "rules: counts of Table 11", "Nemotron-2@350M"),
        ("designs", "AIRAformer-B,stacked,350M", "8,23=>8,24", "rules: depths", "AIRAformer-B/stacked@350M"),
        ("isotoken", "2,Llama 3.2", "57.5=>58.5", "averages", "Llama 3.2@1B, Table 2, accuracy"),
        ("dclm_core", "Mamba", "46.1=>46.4", "DCLM core columns", "Mamba@1B"),
        ("normalized_scores", "Text,configurable", "0.107=>0.109", "mean and error", "Text configurable, means"),
        ("search_spaces", "3,16", "0.00522=>0.00532", "search spaces", "3 primitives, 16 layers"),
        ("lra_best", "Retrieval,configurable", "0.687=>0.688", "NS transforms", "Retrieval configurable"),
        ("lra_best", "Text,configurable", "0.8792=>0.9792", "NS transforms", "Text configurable"),
        ("contradictions", "AIRAformer-A,stretched,1B,\"Table 8, L\"", "20 la=>21 la", "found", "Table 8, L"),
        ("claims", "\"Abstract", "loss 2 of 8=>loss 3 of 8", "found again", "AIRAhybrids beat the Composer find"),
        ("claims", "\"Table 3, normalized average\",Mamba", "60.9=>60.8", "averages", "Mamba@1B"),
        ("exceptions", "rules: depths", "48=>49", "rules: depths", "AIRAhybrid-C@1B"),
    ],
)  # fmt: skip
def test_every_check_can_fail(edit: Edit, table: str, start: str, old_new: str, check_name: str, row: str) -> None:
    edit(table, start, old_new)
    code, output = verify()
    assert code == 1
    assert re.search(rf"^✗ .*{re.escape(check_name)}.*{re.escape(row)}", output, re.MULTILINE), output[-3000:]
    assert "disagree without a contradiction" in output


def test_a_contradiction_that_the_tables_lose_or_gain_fails(edit: Edit) -> None:
    edit("dclm_core", "Nemotron-2", "38.0=>37.9")
    code, output = verify("--json")
    (found_again,) = (c for c in json.loads(output)["checks"] if c["name"] == "contradictions found again")
    assert (code, found_again["passed"]) == (1, False)
    assert [m["ours"] for m in found_again["misses"]] == ["not found in the tables"]
    edit("dclm_core", "Nemotron-2", "37.9=>38.0")
    edit("dclm_core", "Mamba", "37.9=>37.8")
    (miss,) = by_name()["contradictions found again"].failures
    assert (miss.ours, miss.paper) == ("37.9 for all, against Mamba has 37.8", "not listed")


def test_an_explanation_needs_the_listed_values() -> None:
    name = "rules: depths"
    assert exception(name, "AIRAhybrid-C@1B", "48", "40")
    assert exception(name, "AIRAhybrid-C@1B", "32", "40") is None


def test_a_check_without_numbers_has_not_passed() -> None:
    assert not check("empty", "", "", []).passed
    assert check("one", "", "", [same("g", "w", "1", "1")]).passed
    assert check("explained", "", "", [same("g", "w", "1", "2", "known")]).passed
    assert not check("not", "", "", [same("g", "w", "1", "2")]).passed


def test_the_error_relation_is_that_of_real_samples() -> None:
    scores = [0.1, 0.2, 0.05, 0.4, 0.33, 0.0, 0.6, 0.12, 0.2, 0.25, 0.3, 0.5]

    def mean_and_error(values: list[float]) -> tuple[float, float]:
        m = sum(values) / len(values)
        variance = sum((v - m) ** 2 for v in values) / (len(values) - 1)
        return m, (variance / len(values)) ** 0.5

    expected = mean_and_error(scores + [0.0] * 8)[1]
    assert error_with_zeros(*mean_and_error(scores)) == pytest.approx(expected)
