"""Results in the original's form, from a journal made by hand."""

from typing import Any

import pytest

from aira_lib.records import Node
from aira_lib.search.changes import MOST_LINES, difference, since_best, since_parent
from aira_lib.search.page.page import render_run
from aira_lib.search.results import printed_block, result_files, results_table, statuses


def node(step: int, **fields: Any) -> Node:
    made = {"step": step, "id": f"{step:x}bcdef0123456", "operator": "draft", "status": "ok", "code": f"LR = {step}\n"}
    return Node.model_validate({**made, **fields})


JOURNAL = [
    node(0, operator="baseline", plan="The task's baseline, on seeds 0, 1, 2.", validation=1.82,
         measures={"noise_sigma": 0.07, "noise_seeds": 3.0, "peak_vram_mb": 45060.2}),
    node(1, validation=1.75, within_noise=True, change="LR to 1", plan="Why.", parents=("0bcdef0123456",)),
    node(2, status="failed", reason="the program failed:\n\tOOM", operator="improve"),
    node(3, validation=1.5, plan="\nHalve the LR,\tas was said.\nMore.", parents=("0bcdef0123456",),
         output="val_bpb: 0.1\nnum_steps: 7",
         measures={"train_seconds": 300.12, "said_steps": 953.0, "peak_memory_mb": 1536.0, "said_tokens": 499_600_000.0,
                   "parameters": 50_332_176.0, "tokens": 7.0}),
    node(4, validation=1.6, change="LR to 4", parents=("3bcdef0123456",),
         measures={"peak_memory_mb": 100.0, "parameters": 2e6}),
    node(5, validation=1.51, plan="none", parents=("1bcdef0123456",),
         measures={"peak_host_memory_mb": 3000.0, "said_peak_vram_mb": 45_060.2, "said_tokens": 0.0}),
]  # fmt: skip
UNKNOWN = "\tunknown"


def test_the_table_has_a_line_a_step_in_the_originals_columns() -> None:
    assert results_table(JOURNAL, lower_is_better=True) == (
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\tnum_params_M\tsaid_num_steps\tsaid_total_tokens_M"
        "\tsaid_peak_vram_mb\n"
        f"0bcdef0\t1.820000\t44.0\tkeep\tThe task's baseline, on seeds 0, 1, 2.{UNKNOWN * 4}\n"
        f"1bcdef0\t1.750000\tunknown\tnoise\tLR to 1{UNKNOWN * 4}\n"
        f"2bcdef0\t0.000000\t0.0\tcrash\tthe program failed: OOM{UNKNOWN * 4}\n"
        f"3bcdef0\t1.500000\t1.5\tkeep\tHalve the LR, as was said.\t50.332\t953\t499.600{UNKNOWN}\n"
        f"4bcdef0\t1.600000\t0.1\tdiscard\tLR to 4\t2.000{UNKNOWN * 3}\n"
        f"5bcdef0\t1.510000\tunknown\tdiscard\tnone{UNKNOWN * 2}\t0.000\t45060.2\n"
    )


def test_the_block_keeps_what_the_harness_measured_apart_from_what_the_program_said() -> None:
    assert result_files(JOURNAL, True, "BPB")["results.txt"] == printed_block(JOURNAL[3]) == (
        "---\n"
        "val_bpb:          1.500000\n"
        "training_seconds: 300.1\n"
        "peak_memory_mb:   1536.0\n"
        "num_params_M:     50.3\n"
        "--- said by the script, not measured\n"
        "said_num_steps:       953\n"
        "said_total_tokens_M:  499.600\n"
    )  # fmt: skip
    assert "said" not in printed_block(JOURNAL[4])


def test_a_fitness_that_is_no_number_is_a_crash_and_higher_may_be_better() -> None:
    nodes = [
        node(0, validation=float("nan")),
        node(1, validation=0.5),
        node(2, validation=0.4),
        node(3, validation=0.6),
    ]
    assert statuses(nodes, lower_is_better=False) == ["crash", "keep", "discard", "keep"]
    assert statuses(nodes, lower_is_better=True) == ["crash", "keep", "keep", "discard"]
    assert set(result_files(nodes[:1], True)) == {"results.tsv"}


def test_changes_since_the_parent_and_since_the_best_before() -> None:
    assert since_parent(JOURNAL, 4) == since_best(JOURNAL, 4, True) == "@@ -1 +1 @@\n-LR = 3\n+LR = 4"
    # Step 1 was within noise: what came of it is compared with it, and with step 3, which was the best by then.
    assert since_parent(JOURNAL, 5) == "@@ -1 +1 @@\n-LR = 1\n+LR = 5"
    assert since_best(JOURNAL, 5, True) == "@@ -1 +1 @@\n-LR = 3\n+LR = 5"
    assert since_best(JOURNAL, 3, True) == "@@ -1 +1 @@\n-LR = 0\n+LR = 3"
    assert (since_parent(JOURNAL, 0), since_best(JOURNAL, 0, True), since_parent(JOURNAL, 2)) == (None, None, None)
    assert difference("a\n", "a\n") == "(no change)"
    assert difference("a\n" * (MOST_LINES + 1), "b") == f"(not shown: more than {MOST_LINES} lines)"


def test_the_page_shows_both_changes_and_does_not_take_noise_for_the_best() -> None:
    page = render_run(JOURNAL, "t", lower_is_better=True)
    assert '"diff_best":"@@ -1 +1 @@\\n-LR = 3\\n+LR = 5"' in page
    assert '"diff":"@@ -1 +1 @@\\n-LR = 1\\n+LR = 5"' in page
    assert '"measured":[["parameters",50332176.0],["peak_memory_mb",1536.0],["tokens",7.0],["train_seconds"' in page
    assert '"said":[["said_steps",953.0],["said_tokens",499600000.0]]' in page
    early = render_run(JOURNAL[:2], "t", lower_is_better=True)
    assert "1.8200 at step 0" in early


@pytest.mark.parametrize("says", [{"measures": {"a": 1.0}}, {"within_noise": True}])
def test_later_fields_stand_in_a_journal_only_where_they_say_something(says: dict[str, Any]) -> None:
    assert not {"measures", "within_noise"} & set(node(0).model_dump())
    assert set(node(0, **says).model_dump()) - set(node(0).model_dump()) == set(says)
    assert Node.model_validate_json(node(0, **says).json_line()) == node(0, **says)
