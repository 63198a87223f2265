"""The registry of primitives: its words, what it refuses, the costs and colours of its entries."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from aira_lib.architecture import cost
from aira_lib.architecture.pattern import parse, render
from aira_lib.architecture.primitives import PAPER_PRIMITIVES, PRIMITIVES, Primitive, add_primitive
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.errors import PatternError, UserError
from aira_lib.evaluations.key import key_of
from aira_lib.models.language_model import LanguageModel
from aira_lib.study import ProxySection, canonical_json

TOY = Primitive(
    symbol="Toy",
    name="toy",
    words="does nothing much",
    colour="#cc79a7",
    ink="#000000",
    params=lambda scale: scale.d_model,
    flops=lambda scale: 6 * scale.d_model,
    module="torch.nn:Identity",
    mixes=False,
)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry may grow in a test, and is as before after it."""
    monkeypatch.setattr(PRIMITIVES, "_entries", dict(PRIMITIVES._entries))


def test_the_papers_come_first() -> None:
    assert PRIMITIVES.names()[:3] == PAPER_PRIMITIVES
    assert "W" in PRIMITIVES


@pytest.mark.usefixtures("registry")
def test_an_added_primitive_is_read_and_written_at_once() -> None:
    with pytest.raises(PatternError, match="unknown primitive"):
        parse("2Toy-A")
    add_primitive(TOY)
    assert parse("2Toy-A") == ("Toy", "Toy", "A")
    assert render(("Toy", "Toy", "A")) == "2Toy-A"
    with pytest.raises(PatternError, match="unknown primitive 'toy'; did you mean 'Toy'"):
        parse("A-toy")
    with pytest.raises(PatternError, match=r"primitives are A \(or mA\), M, Mb, W and Toy"):
        parse("A-X")
    assert cost.count(("Toy",)) == {"A": 0, "M": 0, "Mb": 0, "Toy": 1}


def test_a_removed_primitive_is_unknown_again() -> None:
    with pytest.raises(PatternError):
        parse("Toy")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"symbol": "toy"}, "a symbol is a capital letter"),
        ({"symbol": "T2"}, "a symbol is a capital letter"),
        ({"symbol": "A"}, "'A' is taken by A"),
        ({"spellings": ("mA",)}, "'mA' is taken by A"),
        ({"spellings": ("t-y",)}, "no word of letters"),
        ({"spellings": ("AM",)}, "'AM' would be others in a row"),
        ({"symbol": "T", "spellings": ("m", "b")}, "would be others in a row"),
        ({"colour": "red"}, "a colour is written as #rrggbb"),
        ({"ink": "#FFF"}, "a colour is written as #rrggbb"),
    ],
)
def test_a_wrong_primitive_is_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        add_primitive(replace(TOY, **changes))  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert PRIMITIVES.names() == ("A", "M", "Mb", "W")


@pytest.mark.usefixtures("registry")
def test_a_module_that_is_not_there_is_one_line() -> None:
    add_primitive(replace(TOY, module="no_such_module_of_mine:Toy"))
    with pytest.raises(UserError, match="primitive 'Toy': its module 'no_such_module_of_mine:Toy' cannot be imported"):
        LanguageModel(("Toy",), scale_named("nano", 3))


@pytest.mark.usefixtures("registry")
def test_a_version_is_in_the_keys_of_designs_that_have_the_primitive() -> None:
    section = ProxySection(tasks=("memorization",))

    def keys() -> list[str]:
        return [key_of(layers, section, 0).digest for layers in (("A", "M"), ("A", "Toy"))]

    add_primitive(TOY)
    plain, first = keys()
    PRIMITIVES._entries["Toy"] = replace(TOY, version=2)
    assert keys()[0] == plain
    assert keys()[1] != first


# --- window attention ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [None, 5, 128, 500])
def test_params_of_window_attention_are_those_of_the_built_model(window: int | None) -> None:
    scale = scale_named("nano", 3).model_copy(update={"window": window})
    for layers in (("W",), ("W", "M", "A", "W", "Mb")):
        model = LanguageModel(layers, scale)
        assert cost.exact_params(layers, scale) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("window", "seen"), [(None, 2048), (100, 100), (8192, 8192), (10_000, 8192)])
def test_costs_of_window_attention_by_hand(window: int | None, seen: int) -> None:
    """The 1B scale: d = 2048, kv = 512, S = 8192; two 16-bit values a cached position and channel."""
    scale = scale_named("1B", 3).model_copy(update={"window": window})
    assert cost.layer_params(scale)["W"] == 2 * 2048 * 2048 + 2 * 2048 * 512
    assert cost.flops_per_token(("W",), scale) == 6 * (2 * 2048 * 2048 + 2 * 2048 * 512) + 12 * seen * 2048
    assert cost.kv_cache_bytes(("W", "W"), scale, context=9000) == 2 * 2 * 512 * min((window or 2048) - 1, 9000) * 2
    assert cost.kv_cache_bytes(("W",), scale, context=10) == 2 * 512 * 10 * 2
    assert cost.ssm_state_bytes(("W",), scale) == 0


def test_a_window_that_is_not_set_leaves_the_canonical_text_of_scales_and_sections_as_it_was() -> None:
    for section in (scale_named("nano", 3), ProxySection()):
        assert "window" not in canonical_json(section)
        changed = section.model_copy(update={"window": 7})
        assert type(section).model_validate_json(canonical_json(changed)) == changed


def test_a_window_of_the_proxy_reaches_its_layers() -> None:
    assert ProxySection(window=9).scale().attention_window == 9
    assert ProxySection().scale().model_copy(update={"seq_len": 64}).attention_window == 16
    with pytest.raises(ValueError, match="window"):
        Scale.model_validate({**scale_named("nano", 3).model_dump(), "window": 0})


# --- colours ---------------------------------------------------------------------------------------------------------

# Linear RGB as two kinds of dichromats see it (Viénot, Brettel and Mollon 1999), and as everybody else.
SIGHTS = {
    "trichromat": np.eye(3),
    "protanope": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "deuteranope": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
}


def linear(colour: str) -> np.ndarray:
    part = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def luminance(rgb: np.ndarray) -> float:
    return float(rgb @ [0.2126, 0.7152, 0.0722])


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB under D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("symbol", PRIMITIVES.names())
def test_letters_can_be_read_on_their_colour(symbol: str) -> None:
    """Contrast of at least 4.5, as WCAG 2 asks of text."""
    found = PRIMITIVES.named(symbol)
    light, dark = sorted((luminance(linear(c)) for c in (found.colour, found.ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("pair", list(combinations(("A", "M", "Mb", "W"), 2)))
def test_colours_differ_for_every_sight(pair: tuple[str, str], sight: str) -> None:
    one, other = (lab(np.clip(SIGHTS[sight] @ linear(PRIMITIVES.named(p).colour), 0, 1)) for p in pair)
    assert np.linalg.norm(one - other) > 20


def test_a_built_model_runs_every_primitive() -> None:
    scale = scale_named("nano", 3)
    tokens = torch.randint(0, scale.vocab_size, (2, 70))
    for symbol in PRIMITIVES:
        assert LanguageModel((symbol,), scale)(tokens).isfinite().all()
