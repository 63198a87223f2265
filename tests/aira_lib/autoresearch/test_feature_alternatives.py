"""Values that hang on conditions which a script leaves open, such as a profile or the machine."""

import itertools
import random
import textwrap
from pathlib import Path

import pytest

import aira_lib.autoresearch
from aira_lib.autoresearch.features.alternatives import UNRESOLVED, Either, Value, differ, either, side_by_side, written
from aira_lib.autoresearch.features.catalogue import FEATURES, TOGGLES, Analysis, analyse
from aira_lib.autoresearch.features.counting import feature_counts, toggle_counts, transition_counts
from aira_lib.autoresearch.features.events import events_of
from aira_lib.records import Node
from tests.aira_lib.autoresearch.features_script import edited

BASELINE = (Path(aira_lib.autoresearch.__file__).parent / "baseline.py").read_text()
GPU = "PROFILE == 'gpu'"
ASKED = 'import json\nPROFILE = json.load(open("run.json"))["profile"]\n'


def changed(code: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    return code


def of(lines: str, name: str = "depth") -> Value:
    return analyse(ASKED + textwrap.dedent(lines)).features[name].value


# --- our own baseline -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def baseline() -> Analysis:
    return analyse(BASELINE)


def test_of_our_own_baseline_every_feature_is_told(baseline: Analysis) -> None:
    assert baseline.unresolved == 0
    values = {name: found.value for name, found in baseline.features.items()}
    assert values == dict.fromkeys(TOGGLES, False) | {
        "value_embeds": True, "depth": Either(GPU, 8, 4), "head_dim": Either(GPU, 128, 32),
        "batch_size": Either(GPU, 2**19, 1024), "n_kv_head": "=n_head", "mlp_type": "relu2",
        "window_pattern": "SSSL, S = MAX_SEQ_LEN // 2", "matrix_lr": 0.04, "embedding_lr": 0.6, "weight_decay": 0.2,
    }  # fmt: skip
    assert baseline.constants["ASPECT_RATIO"] == Either(GPU, "64", "32")
    assert baseline.constants["RESERVE"] == Either("CLOCK == 'cpu'", "2.0", "5.0")


def test_both_branches_are_evidence(baseline: Analysis) -> None:
    lines = BASELINE.splitlines()
    assert [lines[n - 1].strip() for n in baseline.features["depth"].lines] == ["DEPTH = 4", "DEPTH = 8"]


BESIDE = "            x = x + self.attention[i](norm(x), ve, turns, mask)\n            x = x + self.mlp[i](norm(x))\n"


@pytest.mark.parametrize(("name", "value", "edits"), [
    ("parallel_residual", True,
     [(BESIDE, "            x = x + self.attention[i](norm(x), ve, turns, mask) + self.mlp[i](norm(x))\n")]),
    ("parallel_residual", True,
     [("        for i, window in enumerate(window_sizes()):\n",
       "        for attend, feed, (i, window) in zip(self.attention, self.mlp, enumerate(window_sizes())):\n"),
      (BESIDE, "            h = norm(x)\n            x = x + attend(h, ve, turns, mask) + feed(h)\n")]),
    ("parallel_residual", False, [(BESIDE, BESIDE.replace("x = x + self.mlp", "x += self.mlp"))]),
    ("attn_out_norm", False, [(BESIDE, BESIDE.replace("x = x +", "x +="))]),
    ("attn_out_norm", True, [("self.attention[i](norm(x), ve, turns, mask)",
                              "norm(self.attention[i](norm(x), ve, turns, mask))")]),
    ("n_kv_head", "width // 2 / head_dim",
     [("self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))",
       "self.q, self.out = nn.Linear(width, width), nn.Linear(width, width)\n"
       "        self.k, self.v = nn.Linear(width, width // 2), nn.Linear(width, width // 2)")]),
    ("n_kv_head", 2,
     [("self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))",
       "self.q, self.k = nn.Linear(width, width), nn.Linear(width, 2 * HEAD_DIM)")]),
    ("n_kv_head", UNRESOLVED,
     [("self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))",
       "self.qkv = nn.Linear(width, rows_of(width))")]),
    ("partial_rope", True,
     [("norm(rotated(each, *turns)) for each in (q, k)",
       "norm(torch.cat((rotated(each[..., :16], *turns), each[..., 16:]), dim=-1)) for each in (q, k)")]),
    ("dual_rope_bases", True,
     [("turns = rotations(length, idx.device)", "turns = near = rotations(length, idx.device)\n"
       "        far = rotations(length, idx.device, 500_000.0)"),
      ("            ve = self.value_embeds[str(i)](idx)", "            turns = far if mask is None else near\n"
       "            ve = self.value_embeds[str(i)](idx)")]),
    ("dual_rope_bases", False,
     [("turns = rotations(length, idx.device)", "turns = rotations(length, idx.device, 500_000.0)")]),
    ("value_embeds", False, [("return layer % 2 == (DEPTH - 1) % 2", "return False")]),
    ("value_embeds", True, [("return layer % 2 == (DEPTH - 1) % 2", "return layer > 2")]),
    ("z_loss", Either(GPU, True, False),
     [("RESERVE =", "Z_LOSS = 0.0\nif PROFILE == 'gpu':\n    Z_LOSS = 1e-4\nRESERVE ="),
      ("            mean.backward()", "            mean = mean + Z_LOSS * logits.logsumexp(-1).square().mean()\n"
                                     "            mean.backward()")]),
    ("grad_clipping", Either(GPU, True, False),
     [("            optimizer.step()", "            if PROFILE == 'gpu':\n"
       "                nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n            optimizer.step()")]),
    ("mlp_type", Either(GPU, "relu2", "gelu"),
     [("F.relu(self.up(x)).square()",
       "F.relu(self.up(x)).square() if PROFILE == 'gpu' else F.gelu(self.up(x))")]),
])  # fmt: skip
def test_edits_of_the_baseline_are_read(
    baseline: Analysis, name: str, value: Value, edits: list[tuple[str, str]]
) -> None:
    found = analyse(changed(BASELINE, *edits)).features
    assert found[name].value == value
    assert {each for each in FEATURES if found[each].value != baseline.features[each].value} <= {name}


# --- constants --------------------------------------------------------------------------------------------------------

LADDER = """
    if memory > 70:
        DEPTH = 12
    elif memory > 30:
        DEPTH = 8
    else:
        DEPTH = 4
"""


@pytest.mark.parametrize(("lines", "value"), [
    ("DEPTH = 4\nif PROFILE == 'gpu':\n    DEPTH = 8", "8 if PROFILE == 'gpu' else 4"),
    ("if PROFILE != 'gpu':\n    DEPTH = 4\nelse:\n    DEPTH = 8", "8 if PROFILE == 'gpu' else 4"),
    ("DEPTH = 8 if PROFILE == 'gpu' else 4", "8 if PROFILE == 'gpu' else 4"),
    ("DEPTH = 4 if not PROFILE == 'gpu' else 8", "8 if PROFILE == 'gpu' else 4"),
    ("BIG = PROFILE == 'gpu'\nDEPTH = 8 if BIG else 4", "8 if PROFILE == 'gpu' else 4"),
    ("depth = 4\nif PROFILE == 'gpu':\n    depth *= 2\nDEPTH = depth", "8 if PROFILE == 'gpu' else 4"),
    ("DEPTH = 4\nif PROFILE == 'gpu':\n    DEPTH = 4", "4"),
    (LADDER, "12 if memory > 70 else 8 if memory > 30 else 4"),
    ("DEPTH = 8 if torch.cuda.is_available() else 4", "8 if torch.cuda.is_available() else 4"),
    ("DEPTH = 8 if PROFILE == 'gpu' and BIG else 4", "(8 if BIG else 4) if PROFILE == 'gpu' else 4"),
    ("WIDTH = 64 if PROFILE == 'gpu' else 32\nDEPTH = WIDTH // (16 if PROFILE == 'gpu' else 8)", "4"),
    ("W = 2\nif PROFILE == 'gpu':\n    W = 3\nif PROFILE == 'cpu':\n    W = 5\nDEPTH = 2 * W",
     "6 if PROFILE == 'gpu' else 10 if PROFILE == 'cpu' else 4"),
    ("if PROFILE == 'gpu':\n    DEPTH = 8\nelif PROFILE == 'cpu':\n    DEPTH = 4\nelse:\n    raise ValueError(PROFILE)",
     "8 if PROFILE == 'gpu' else 4"),
    ("DEPTH = 4\nif PROFILE != 'gpu':\n    DEPTH = 2\n    print('none')\n    sys.exit(1)", "4"),
    ("DEPTH = 8\nraise SystemExit", "8"),
    # the condition's own name is assigned anew in between: two conditions
    ("A = 1 if PROFILE == 'gpu' else 2\nPROFILE = ask()\nDEPTH = A + (10 if PROFILE == 'gpu' else 20)",
     "(11 if PROFILE == 'gpu' [2] else 21) if PROFILE == 'gpu' else 12 if PROFILE == 'gpu' [2] else 22"),
])  # fmt: skip
def test_a_constant_by_conditions_is_a_choice(lines: str, value: str) -> None:
    assert written(of(lines)) == value


@pytest.mark.parametrize("lines", [
    "DEPTH = 4\nif PROFILE == 'gpu':\n    DEPTH = measured()",  # one branch is not written out
    "if PROFILE == 'gpu':\n    DEPTH = 8",  # and here one has none
    "DEPTH = 4\nmatch PROFILE:\n    case 'gpu':\n        DEPTH = 8",
    "DEPTH = 4\nfor DEPTH in range(9):\n    pass", "DEPTH = 4\nwhile ask():\n    DEPTH = 8",
    "DEPTH = 4\ntry:\n    import flash\n    DEPTH = 8\nexcept ImportError:\n    pass", "DEPTH = 4\nask(DEPTH := 8)",
    "DEPTH = 4\nwith ask() as DEPTH:\n    pass", "DEPTH = 4\ndel DEPTH", "DEPTH = 4\nA, *DEPTH = 1, 2",
    "DEPTH = 4\ndef f():\n    global DEPTH\n    DEPTH = 8",
    "y = 4\nif (y := ask()):\n    W = 2\nDEPTH = y",
    "DEPTH = 4\nif __name__ == '__main__':\n    DEPTH = 8",  # another value where the file is imported
])  # fmt: skip
def test_what_no_condition_settles_is_unresolved(lines: str) -> None:
    assert of(lines) == UNRESOLVED


def test_more_conditions_than_are_followed_leave_a_value_unresolved() -> None:
    rungs = "".join(f"{'if' if n == 9 else 'elif'} memory > {n}0:\n    DEPTH = {n}\n" for n in range(9, 0, -1))
    assert of(f"{rungs}else:\n    DEPTH = 0\nMATRIX_LR = 0.04") == UNRESOLVED
    assert of(f"{rungs}else:\n    DEPTH = 0\nMATRIX_LR = 0.04", "matrix_lr") == 0.04


def test_a_name_of_a_function_is_not_the_condition_of_the_module() -> None:
    passed = ("n_kv_head=num_heads)", "n_kv_head=1 if PROFILE == 'gpu' else 2)")
    code = edited(("DEPTH = 2", "DEPTH = 4 if PROFILE == 'gpu' else 2"), passed)
    assert analyse(ASKED + code).features["n_kv_head"].value == Either(GPU, 1, 2)
    shadowed = code.replace("def build(depth):", "def build(depth, PROFILE):")
    assert not isinstance(analyse(ASKED + shadowed).features["n_kv_head"].value, Either)


def _program(draw: random.Random, depth: int = 0) -> list[str]:
    """Lines of a module that assigns whole numbers, with conditions on P and Q nested at most twice."""
    lines = []
    for _ in range(draw.randint(1, 3)):
        name = draw.choice(["A", "B", "DEPTH"])
        test = draw.choice(["P == 'x'", "P != 'x'", "not P == 'y'", "Q", "P == 'y' or Q", "Q and P != 'x'", "A > B"])
        whole = draw.choice([str(draw.randint(0, 4)), "A + B", "DEPTH * 2", f"(A if {test} else 7)"])
        kind = draw.choice(["set", "add", "if", "if"] if depth < 2 else ["set", "add"])
        if kind == "if":
            lines += [f"if {test}:", *(f"    {each}" for each in _program(draw, depth + 1))]
            if draw.random() < 0.5:
                lines += ["else:", *(f"    {each}" for each in _program(draw, depth + 1))]
        else:
            lines.append(f"{name} = {whole}" if kind == "set" else f"{name} += {whole}")
    return lines


def test_a_choice_is_what_python_computes_under_every_condition() -> None:
    """Programs drawn at random are run with each value of what they leave open."""
    draw, choices = random.Random(0), 0
    for _ in range(300):
        lines = ["A = 1", "B = 2", "DEPTH = 3", *_program(draw)]
        found = analyse("\n".join(lines)).features["depth"].value
        choices += isinstance(found, Either)
        for p, q in itertools.product(["x", "y", "z"], [False, True]):
            world: dict[str, object] = {"P": p, "Q": q}
            exec("\n".join(lines), world)
            assert _under(found, {"P": p, "Q": q}) in (world["DEPTH"], UNRESOLVED), lines
    assert choices > 100


def _under(value: Value, world: dict[str, object]) -> object:
    while isinstance(value, Either):
        value = value.then if eval(value.condition, {}, dict(world)) else value.other
    return value


@pytest.mark.parametrize("code", [
    "".join(f"A{n} = 1 if ask({n}) else 2\n" for n in range(300)) + "DEPTH = A1",
    "DEPTH = " + " if a and (b or not c) else ".join(map(str, range(100))),
    "DEPTH = 1 if " + "not " * 90 + "a else 2",
    "DEPTH = 1 if " + " and ".join(f"a{n}" for n in range(3000)) + " else 2",
    "a = b > 1\nb = a > 1\na = b > 2\n" * 500 + "DEPTH = 1 if a else 2",
    "".join(f"N{n} = N{n - 1} if a{n % 5} > 0 else 3\n" for n in range(3000)) + "DEPTH = 2 if a0 > 0 else 3",
])  # fmt: skip
def test_many_conditions_cost_no_more_than_the_bounds(code: str) -> None:
    from aira_lib.autoresearch.features.source import read_source
    from aira_lib.autoresearch.features.ways import ways_of

    assert len(ways_of(read_source(code))) <= 32
    assert len(written(analyse(code).features["depth"].value)) < 5_000


# --- comparisons ------------------------------------------------------------------------------------------------------


def test_a_branch_that_changed_is_a_change_and_the_same_branches_are_none() -> None:
    two = Either("c", 8, 4)
    assert differ(two, Either("c", 8, 4)) is False
    assert differ(two, Either("c", 12, 4)) is True
    assert differ(two, 4) is True
    assert differ(4, two) is True
    assert differ(two, Either("c", 4, 8)) is True
    assert differ(two, Either("d", 12, 16)) is True  # whichever holds
    assert differ(two, Either("d", 8, 4)) is None  # nobody knows whether c and d are one
    assert differ(two, Either("c", Either("d", 8, 9), 4)) is True
    assert differ(Either("c", Either("d", 1, 2), 3), Either("d", Either("c", 1, 3), Either("c", 2, 3))) is False
    assert differ(UNRESOLVED, UNRESOLVED) is None
    assert differ(Either("c", UNRESOLVED, 4), 4) is None


def test_side_by_side_is_every_combination_of_conditions() -> None:
    draw = random.Random(1)

    def tree(depth: int) -> Value:
        return draw.randint(0, 2) if depth == 0 else either(draw.choice("abc"), tree(depth - 1), tree(depth - 1))

    for _ in range(200):
        one, other = tree(3), tree(2)
        worlds = [dict(zip("abc", holds, strict=True)) for holds in itertools.product([True, False], repeat=3)]
        assert set(side_by_side(one, other)) == {(_under(one, w), _under(other, w)) for w in worlds}


# --- counts -----------------------------------------------------------------------------------------------------------

PROFILES = ASKED + edited(("DEPTH = 2", "DEPTH = 2\nif PROFILE == 'gpu':\n    DEPTH = 8"))
RELU = "F.relu(self.c_fc(x)).square()"
BY_PROFILE = f"{RELU} if PROFILE == 'gpu' else F.gelu(self.c_fc(x))"
CLIP = "if PROFILE {} 'gpu':\n        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"


def test_counts_of_choices() -> None:
    steps = [
        (PROFILES, 2.0),
        (changed(PROFILES, ("WARMUP = 0.0", "WARMUP = 0.1")), 1.9),  # the same choice of depths: no feature changed
        (changed(PROFILES, ("DEPTH = 8", "DEPTH = 12")), 1.8),  # one branch
        (changed(PROFILES, (RELU, BY_PROFILE)), 1.7),  # depth back, mlp_type in one branch
        (changed(PROFILES, (RELU, BY_PROFILE), ("# after backward", CLIP.format("=="))), 1.6),  # on in one branch
        (changed(PROFILES, (RELU, BY_PROFILE), ("# after backward", CLIP.format("!="))), 1.5),  # on here, off there
        (changed(PROFILES, (RELU, BY_PROFILE), ("PROFILE == 'gpu':\n    DEPTH", "OTHER:\n    DEPTH")), 1.4),
    ]
    nodes = [Node(step=n, id=f"n{n}", operator="draft", code=code, status="ok", validation=score)
             for n, (code, score) in enumerate(steps)]  # fmt: skip
    events = events_of("one", nodes)
    assert [tuple(event.changed) for event in events] == [
        (), (), ("depth",), ("depth", "mlp_type"), ("grad_clipping",), ("grad_clipping",), ("grad_clipping",)
    ]  # fmt: skip
    assert events[2].changed["depth"] == (Either(GPU, 8, 2), Either(GPU, 12, 2))
    assert (events[2].solo, events[1].one_change) == ("depth", "WARMUP")
    assert "depth" in events[6].unresolved  # it hangs on another condition
    counts = {row.feature: row for row in feature_counts(events)}
    assert (counts["depth"].gains.count, counts["grad_clipping"].gains.count) == (2, 3)
    clipping = {row.feature: row for row in toggle_counts(events)}["grad_clipping"]
    assert (clipping.added.count, clipping.removed.count) == (1, 1)  # what goes on here and off there is neither
    assert [(name, gains.count) for name, gains, _, _ in transition_counts(events)] == [("relu2 to gelu", 1)]


def test_a_name_is_not_two_constants_at_once() -> None:
    """An edit by another profile changes what it changes, and nothing that hangs on the first profile."""
    code = changed(BASELINE, ("DEPTH = 4\n", 'DEPTH = 6 if PROFILE == "cpu" else 4\n'))
    before, after = analyse(BASELINE), analyse(code)
    differing = {
        name for name in FEATURES if differ(before.features[name].value, after.features[name].value) is not False
    }
    assert differing == {"depth"}
    assert not [name for name in before.constants if differ(before.constants[name], after.constants[name])]
    assert differ(Either("A == 1", 1, Either("A == 2", 2, 3)), Either("A == 2", 2, Either("A == 1", 1, 3))) is False
    assert differ(Either("A == 1", 1, Either("B == 2", 2, 3)), Either("B == 2", 2, Either("A == 1", 1, 3))) is True
