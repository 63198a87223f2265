import json
from io import StringIO

import pytest
from rich.console import Console
from typer.testing import CliRunner

from aira_lib.architecture.pattern import parse, render
from aira_lib.architecture.reference import Design, designs
from aira_lib.cli import app
from aira_lib.errors import PatternError, UserError
from aira_lib.planning.pattern_data import pattern_data
from aira_lib.planning.patterns import show_design, show_pattern, strip


def aira(*arguments: str, columns: int = 120) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)})
    if done.exception:
        raise done.exception
    return done.output


def cells(text: str) -> list[str]:
    return [word for line in text.splitlines() for word in line.split()[1:]]


@pytest.mark.parametrize("width", [1, 10, 33, 80, 200])
def test_strip_shows_every_layer_in_order_whatever_the_width(width: int) -> None:
    layers = parse("3(2A-M-Mb)-40M-A")
    plain = strip(layers, width, colour=False).plain
    assert cells(plain) == list(layers)
    assert all(len(line) <= max(width, 9) for line in plain.splitlines())
    starts = [int(line.split()[0]) for line in plain.splitlines()]
    per_line = [len(line.split()) - 1 for line in plain.splitlines()]
    assert starts == [1 + sum(per_line[:i]) for i in range(len(per_line))]


def test_strip_has_a_colour_a_primitive() -> None:
    text = strip(parse("A-M-Mb-A"), 80, colour=True)
    backgrounds = [span.style.bgcolor for span in text.spans if not isinstance(span.style, str)]
    assert len(set(backgrounds)) == 3
    assert backgrounds[0] == backgrounds[3]


def test_colours_only_in_a_terminal() -> None:
    for terminal in (True, False):
        out = StringIO()
        console = Console(file=out, force_terminal=terminal, color_system="truecolor" if terminal else None, width=80)
        show_pattern(console, "2A-M", None, False)
        assert ("\x1b" in out.getvalue()) == terminal
    assert "\x1b" not in aira("design", "show", "AIRAformer-D")


def test_numbers_are_those_of_the_tables() -> None:
    data = pattern_data("14(A+M)")
    assert (data.canonical, data.n_layers, data.counts) == ("14(A-M)", 28, {"A": 14, "M": 14, "Mb": 0})
    assert data.n_primitives == 2
    assert (data.nearest.name, data.nearest.edit_distance) == ("Llama 3.2@350M", 0)
    first = data.costs[0]
    assert (f"{first.params / 1e9:.2f}", f"{first.params_with_embedding / 1e9:.2f}") == ("0.35", "0.55")
    assert first.flops_per_token == 14 * (188_743_680 + 113_246_208)
    assert first.kv_cache_bytes == 14 * 2 * 512 * 8192 * 2
    assert first.ssm_state_bytes == 0


def test_primitives_choose_the_width() -> None:
    two, three = (pattern_data("A-M", n).costs[0].params for n in (2, 3))
    assert three - two == 28_311_552 - 18_874_368
    assert pattern_data("A-Mb").n_primitives == 3
    assert pattern_data("Mb").a_to_m is None


def test_pattern_command() -> None:
    output = aira("pattern", "5(2A-M)-Mb")
    assert "AIRAformer-D, 1 layer to change: 5(2A-M)-A" in output
    assert "2.00:1" in output
    assert json.loads(aira("pattern", "5(2A-M)-Mb", "--json"))["nearest"]["edit_distance"] == 1


def test_a_typo_shows_the_place() -> None:
    with pytest.raises(PatternError) as caught:
        aira("pattern", "2(2a-M)")
    first, text, caret = str(caught.value).splitlines()
    assert "did you mean 'A'" in first
    assert text[caret.index("^")] == "a"
    assert caught.value.exit_code == 2


def test_list_names_every_design_and_its_contradictions() -> None:
    lines = {line.split("  ")[0].strip(): line.split() for line in aira("design", "list").splitlines()}
    for d in designs():
        assert d.name in lines
        size = ["base"] if not d.scale else lines[d.name][-2:] if not d.contradictions else lines[d.name][-3:-1]
        counts = [str(d.layers.count(p)) for p in ("A", "M", "Mb")]
        said = [str(len(d.contradictions))] if d.contradictions else []
        assert lines[d.name] == [*d.name.split(), str(d.n_layers), *counts, *size, *said]
        assert size[-1] == ("B" if d.scale else "base")
    assert len(json.loads(aira("design", "list", "--json"))) == 72


@pytest.mark.parametrize("columns", [30, 60, 120])
def test_show_tells_everything_about_a_design(columns: int) -> None:
    output = aira("design", "show", "AIRAformer-C/stretched@3B", columns=columns)
    flat = " ".join(output.split())
    assert "8A-4(4M-4A)-4A-4M-16A-3(A-M)" in flat
    assert "10A-5M-5A-5M-5A-5M-5A-20A-3A" in flat
    assert "Table 8, A:M: 2.4:1" in flat
    assert "pattern has 63 layers (A48 M15)" in flat
    assert "2.92 B" in flat
    assert "3.31 B" in flat


@pytest.mark.parametrize("d", designs()[::9], ids=lambda d: d.name)
def test_show_prints_every_design(d: Design) -> None:
    out = StringIO()
    show_design(Console(file=out, width=80), d.name, False)
    flat = " ".join(out.getvalue().split())
    assert d.name in flat
    assert f"pattern {render(d.layers)}" in flat


def test_json_of_a_base_and_of_a_design() -> None:
    base = json.loads(aira("design", "show", "AIRAformer-D", "--json"))
    assert [row["scale"] for row in base["costs"]] == ["350M", "1B", "3B"]
    one = json.loads(aira("design", "show", "AIRAformer-D/stretched@1B", "--json"))
    assert [row["scale"] for row in one["costs"]] == ["1B"]
    assert one["printed_params_b"] == [1.1, 1.36]


def test_an_unknown_design_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'AIRAformer-D'"):
        aira("design", "show", "AIRAformr-D")
