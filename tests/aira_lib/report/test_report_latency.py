"""Measured times in the report: sums beside wholes, a front only where they agree, else the reason."""

from typing import Any

import pytest

from aira_lib.records import BlockTime, DesignTime, Latency
from aira_lib.report.blocks import FigureBlock, Section, TableBlock, TextBlock
from aira_lib.report.columns import Table
from aira_lib.report.comparison import Comparison, compare
from aira_lib.report.content import build
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.latency_section import latency_sections
from aira_lib.report.page import html_page
from tests.aira_lib.report.made_up import made_up_study, score
from tests.aira_lib.report.made_up_downstream import LAYERS, design_point

LOSSES = {"Llama 3.2": 2.30, "Nemotron-H": 2.28, "AIRA-vote/stretched": 2.31, "AIRA-vote/stacked": 2.25}
MS = {"Llama 3.2": 5.0, "Nemotron-H": 6.0, "AIRA-vote/stretched": 7.0, "AIRA-vote/stacked": 8.0}


def design_time(name: str, mode: Any, ratio: float | None = 1.02, **other: Any) -> DesignTime:
    whole = MS[name] / 1e3 * (10 if mode == "train" else 1)
    values = dict(
        design=f"{name}@micro", pattern="3(A-M)", mode=mode, sum_seconds=(ratio or 1) * whole,
        whole_seconds=whole, whole_low=whole * 0.98, whole_high=whole * 1.05, ratio=ratio,
        weights=4_000_000, key_values=100_000 if mode != "train" else 0, states=20_000,
    )  # fmt: skip
    return DesignTime.model_validate({**values, **other})


def measured(designs: list[DesignTime], scale: str = "micro") -> Latency:
    blocks = tuple(
        BlockTime(block=block, mode=mode, seconds=s, low=0.9 * s, high=1.2 * s, repeats=20)  # type: ignore[arg-type]
        for mode in dict.fromkeys(each.mode for each in designs)
        for block, s in (("A", 1e-3), ("M", 0.4e-3), ("head", 2e-3))
    )
    return Latency(
        scale=scale, batch=4, seq_len=256, device="cpu", device_name="a processor", threads=2, precision="fp32",
        kernels="torch", graph=False, blocks=blocks, designs=tuple(designs),
    )  # fmt: skip


def comparison() -> Comparison:
    return compare([score(design_point(name), loss) for name, loss in LOSSES.items()], [], ["Llama 3.2"])


def section_of(latency: Latency) -> Section:
    (section,) = latency_sections(latency, comparison())
    return section


def tables_of(section: Section) -> dict[str, Table]:
    return {block.table.name: block.table for block in section.blocks if isinstance(block, TableBlock)}


def words_of(section: Section) -> str:
    return " ".join(block.text for block in section.blocks if isinstance(block, TextBlock))


def test_a_front_where_sums_and_wholes_agree() -> None:
    section = section_of(measured([design_time(name, "prefill") for name in LOSSES]))
    table = tables_of(section)["latency_designs"]
    # By hand: from the fastest on, each must have a lower loss than all faster ones; 7 ms at 2.31 has not.
    assert {row["design"]: row["front"] for row in table.rows} == {
        "Llama 3.2": "yes", "Nemotron-H": "yes", "AIRA-vote/stretched": "no", "AIRA-vote/stacked": "yes"
    }  # fmt: skip
    assert table.rows[0]["sum_seconds"] == pytest.approx(1.02 * 5e-3)
    assert table.columns[2].text(table.rows[0]) == "5.100"
    assert [block.figure is not None for block in section.blocks if isinstance(block, FigureBlock)] == [True]
    assert "no Pareto front" not in words_of(section)


def test_no_front_where_they_differ_and_the_reason_stands_there() -> None:
    designs = [design_time(name, "prefill") for name in LOSSES]
    designs += [design_time(name, "decode", ratio=1.3 if name == "Nemotron-H" else 1.0) for name in LOSSES]
    designs += [design_time(name, "train") for name in list(LOSSES)[:3]]
    designs += [design_time("AIRA-vote/stacked", "train", whole_seconds=None, ratio=None, note="out of memory")]
    section = section_of(measured(designs))
    said = words_of(section)
    assert "There is no Pareto front for decoding a token: the sum of blocks is not within 10 % of the whole" in said
    assert "Nemotron-H (+30.0 %)" in said
    assert "There is no Pareto front for a training step: AIRA-vote/stacked could not be measured as a whole" in said
    rows = tables_of(section)["latency_designs"].rows
    assert {row["front"] for row in rows if row["mode"] != "prefill"} == {None}


def test_losses_of_another_scale_are_not_joined() -> None:
    section = section_of(measured([design_time(name, "prefill") for name in LOSSES], scale="mini"))
    assert "no design has both a loss and a time" in words_of(section)
    assert not [block for block in section.blocks if isinstance(block, FigureBlock)]


def test_a_design_without_a_loss_is_neither_on_a_front_nor_off_it() -> None:
    scored = {name: loss for name, loss in LOSSES.items() if name != "AIRA-vote/stacked"}
    losses = [score(design_point(name, seed=s), loss + 0.1 * s) for name, loss in scored.items() for s in (0, 1)]
    designs = measured([design_time(name, "prefill") for name in LOSSES])
    (section,) = latency_sections(designs, compare(losses, [], ["Llama 3.2"]))
    table = tables_of(section)["latency_designs"]
    front = {row["design"]: row["front"] for row in table.rows}
    assert front["AIRA-vote/stacked"] is None
    assert front["Llama 3.2"] == "yes"
    # The two seeds lie 0.1 apart: a standard deviation of 0.1 / sqrt(2).
    (loss,) = [column for column in table.columns if column.key == "loss"]
    assert loss.text(table.rows[0]) == "2.3500 ± 0.0707"


def test_times_of_a_busy_machine_say_so() -> None:
    quiet = measured([design_time(name, "prefill") for name in LOSSES])
    assert "busy" not in words_of(section_of(quiet)) + words_of(section_of(quiet.model_copy(update={"load": 0.3})))
    said = words_of(section_of(quiet.model_copy(update={"load": 5.23})))
    assert "The machine was busy: 5.2 processes a core before this began." in said


def test_the_section_is_there_only_where_times_are() -> None:
    plain, with_times = (
        build(made_up_study(), ReportInputs(latency=each))
        for each in (None, measured([design_time(name, "decode") for name in LOSSES]))
    )
    assert "latency" not in {section.id for section in plain.sections}
    assert "latency_blocks" in {table.name for table in with_times.tables()}
    assert '<section id="latency">\n<!-- seconds -->' in html_page(with_times)


def test_every_design_of_the_layers_has_a_time() -> None:
    assert set(LOSSES) <= set(LAYERS)
    rows = tables_of(section_of(measured([design_time(name, "decode") for name in LOSSES])))["latency_blocks"].rows
    assert [row["block"] for row in rows] == ["A", "M", "head"]
    assert rows[0]["quartiles"] == "0.900 to 1.200"
