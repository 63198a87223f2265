"""A search as people know one from the original Autoresearch: `results.tsv`, and the block its script prints.

All numbers are the harness's, validation fitness and `measures` of nodes, but for those whose names begin with `said_`:
these a script said of itself, and nobody measured them. They stand behind the original's columns, and below the block's
lines. What nobody measured, or said, is `unknown` in the table and missing in the block.
"""

from collections.abc import Sequence

from aira_lib.agents import best_node
from aira_lib.foreign import in_a_line
from aira_lib.records import Node
from aira_lib.records.node import SAID

RESULTS, PRINTED = "results.tsv", "results.txt"
_UNKNOWN = "unknown"
_MOST_DESCRIPTION = 200  # characters
_MEMORY = ("peak_vram_mb", "peak_memory_mb")  # of the training, the first that was measured

# Of the block: its name, the measure that holds it, the measure's units in one of the block's, and how it is printed.
_PRINTED: tuple[tuple[str, str, float, str], ...] = (
    ("training_seconds", "train_seconds", 1.0, ".1f"),
    ("total_seconds", "total_seconds", 1.0, ".1f"),
    ("peak_vram_mb", "peak_vram_mb", 1.0, ".1f"),
    ("peak_memory_mb", "peak_memory_mb", 1.0, ".1f"),  # this and the next are none of the original's
    ("peak_host_memory_mb", "peak_host_memory_mb", 1.0, ".1f"),
    ("mfu_percent", "mfu_percent", 1.0, ".2f"),
    ("total_tokens_M", "train_tokens", 1e6, ".1f"),
    ("num_steps", "steps", 1.0, ".0f"),
    ("num_params_M", "parameters", 1e6, ".1f"),
    ("depth", "depth", 1.0, ".0f"),
)
_SAID_LINES: tuple[tuple[str, str, float, str], ...] = (
    ("said_num_steps", f"{SAID}steps", 1.0, ".0f"),
    ("said_total_tokens_M", f"{SAID}tokens", 1e6, ".3f"),
    ("said_peak_vram_mb", f"{SAID}peak_vram_mb", 1.0, ".1f"),
)
_BESIDE = (("num_params_M", "parameters", 1e6, ".3f"), *_SAID_LINES)  # columns of the table behind the original's


def statuses(nodes: Sequence[Node], lower_is_better: bool) -> list[str]:
    """Of each node: `keep` where it became the best, `noise`, `crash` where it failed, and else `discard`."""
    found: list[str] = []
    for index, node in enumerate(nodes):
        if not node.good:
            found.append("crash")
        elif node.within_noise:
            found.append("noise")
        else:
            kept = best_node(nodes[: index + 1], lower_is_better) is node
            found.append("keep" if kept else "discard")
    return found


def results_table(nodes: Sequence[Node], lower_is_better: bool, metric: str = "bpb") -> str:
    """The table: a node a line, in the order of their steps, the baseline first; fields are parted by tabs.

    Args:
        nodes: All nodes of a search.
        lower_is_better: The direction of the fitness.
        metric: What the fitness is, for the head.
    """
    beside = [name for name, *_ in _BESIDE]
    lines = ["\t".join(("commit", f"val_{metric.lower()}", "memory_gb", "status", "description", *beside))]
    for node, status in zip(nodes, statuses(nodes, lower_is_better), strict=True):
        told = dict(_lines(node, _BESIDE))
        known = (told.get(name, _UNKNOWN) for name in beside)
        lines.append("\t".join((node.id[:7], *_numbers(node), status, _description(node), *known)))
    return "\n".join(lines) + "\n"


def printed_block(node: Node, metric: str = "bpb") -> str:
    """What the original's script prints at its end, of a good node; a line is missing where nobody measured it.

    What its script said of itself follows below a line that says so.
    """
    lines = ["---", f"{f'val_{metric.lower()}:':<18}{node.validation:.6f}"]
    lines += [f"{name + ':':<18}{told}" for name, told in _lines(node, _PRINTED)]
    said = [f"{name + ':':<22}{told}" for name, told in _lines(node, _SAID_LINES)]
    return "\n".join([*lines, *(["--- said by the script, not measured", *said] if said else [])]) + "\n"


def _lines(node: Node, of: Sequence[tuple[str, str, float, str]]) -> list[tuple[str, str]]:
    """Names and numbers of what is known of it."""
    known = ((name, node.measures.get(measure), units, form) for name, measure, units, form in of)
    return [(name, f"{value / units:{form}}") for name, value, units, form in known if value is not None]


def result_files(nodes: Sequence[Node], lower_is_better: bool, metric: str = "bpb") -> dict[str, str]:
    """Both as files by their names: the table, and the block of the best node if there is one."""
    files = {RESULTS: results_table(nodes, lower_is_better, metric)}
    best = best_node(nodes, lower_is_better)
    return files | ({PRINTED: printed_block(best, metric)} if best else {})


def _numbers(node: Node) -> tuple[str, str]:
    """Fitness and peak memory; zeros of a crash, as in the original."""
    if not node.good:
        return "0.000000", "0.0"
    memory = next((node.measures[name] for name in _MEMORY if name in node.measures), None)
    return f"{node.validation:.6f}", _UNKNOWN if memory is None else f"{memory / 1024:.1f}"


def _description(node: Node) -> str:
    """The change, the first line of the plan, or why there is neither."""
    first = next((line for line in node.plan.splitlines() if line.strip()), "")
    return in_a_line(node.change or first or node.reason, _MOST_DESCRIPTION)
