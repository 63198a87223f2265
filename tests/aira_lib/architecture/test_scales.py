import subprocess
import sys

import pytest
from pydantic import ValidationError

from aira_lib.architecture.scales import PAPER_SCALES, SCALE_NAMES, Scale, scale_named
from aira_lib.errors import UserError

# The MLP's multiplier at (two primitives, three).
MULTIPLIER = {"350M": (1.0, 1.5), "1B": (1.5, 1.5), "3B": (1.0, 1.5)}


@pytest.mark.parametrize("n_primitives", [2, 3])
@pytest.mark.parametrize("name", SCALE_NAMES)
def test_every_name_is_a_scale_with_its_source(name: str, n_primitives: int) -> None:
    scale = scale_named(name, n_primitives)
    assert scale.name == name
    assert scale.source
    assert scale.d_model == scale.q_dim
    assert scale.d_ssm == 2 * scale.d_model
    assert (scale.n_layers is None) != (scale.target_params is None)
    assert scale.tokens_per_step % scale.seq_len == 0


@pytest.mark.parametrize("n_primitives", [2, 3])
@pytest.mark.parametrize("name", PAPER_SCALES)
def test_paper_scales_follow_its_rules(name: str, n_primitives: int) -> None:
    scale = scale_named(name, n_primitives)
    hidden = int(MULTIPLIER[name][n_primitives - 2] * int(2 * 4 * scale.d_model / 3))
    assert scale.d_ff == -(-hidden // 256) * 256
    assert scale.tokens_per_step == 4 * 8192 * 16
    assert scale.vocab_size == 128_256
    assert scale.n_kv_heads == 8


@pytest.mark.parametrize("name", sorted(set(SCALE_NAMES) - set(PAPER_SCALES)))
def test_trainable_scales_are_small_and_comparable(name: str) -> None:
    scale = scale_named(name, 3)
    assert scale == scale_named(name, 2)
    assert (scale.vocab_size, scale.tie_embeddings, scale.n_layers) == (256, True, 16)
    # Losses over different contexts are not comparable.
    assert scale.seq_len == scale_named("nano", 3).seq_len
    assert scale.head_dim % 2 == 0


def test_unknown_scales_name_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'micro'"):
        scale_named("mikro", 3)
    with pytest.raises(UserError, match="at least 2 primitives, not 1"):
        scale_named("1B", 1)


def test_larger_spaces_have_the_widths_of_three() -> None:
    for name in SCALE_NAMES:
        assert scale_named(name, 5) == scale_named(name, 4) == scale_named(name, 3)


@pytest.mark.parametrize(
    "change", [{"n_kv_heads": 3}, {"ssm_head_dim": 48}, {"n_groups": 3}, {"d_model": 0}, {"width": 1}]
)
def test_impossible_dimensions_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Scale.model_validate({**scale_named("1B", 3).model_dump(), **change})


def test_the_package_needs_no_heavy_import() -> None:
    code = "import sys, aira_lib.architecture.cost, aira_lib.architecture.reference as r; r.designs();"
    code += "print(sorted({'torch', 'numpy', 'pandas', 'pyarrow', 'yaml'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
