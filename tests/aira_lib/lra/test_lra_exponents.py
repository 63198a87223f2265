"""How designs grow with length, against what their formulas say."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aira_lib.lra.exponents import exponents_of
from aira_lib.lra.flops import Uncountable, flops_of
from aira_lib.lra.parameters import base_parameters
from aira_lib.lra.refused import Refused
from tests.aira_lib.lra.submissions import DUAL, SINGLE, TINY, model, submitted

pytestmark = pytest.mark.usefixtures("quickly_compiled")

POOLED = "return nn.Dense(self.num_classes)(x.mean(axis=1))"
SOFTMAX = model(f"x = jax.nn.softmax(x @ x.swapaxes(1, 2)) @ x\n{POOLED}")
LINEAR = model(f"x = x @ (x.swapaxes(1, 2) @ x)\n{POOLED}")
CHUNKED = model(f"""
def chunk(_, rows):
    return None, jax.nn.softmax(rows @ x.swapaxes(1, 2)) @ x
chunks = x.reshape(len(x), -1, 16, self.emb_dim).swapaxes(0, 1)
x = jax.lax.scan(chunk, None, chunks)[1].swapaxes(0, 1).reshape(x.shape)
{POOLED}
""")
"""Softmax attention of 16 places at a time: as many rounds as the length has chunks."""


def measured(tmp_path, source, *, length=256, compiled=False):
    program = submitted(tmp_path, source, configuration=replace(TINY, batch_size=1, max_length=length))
    return exponents_of(program, compiled=compiled)


def test_softmax_is_quadratic_and_linear_attention_linear(tmp_path):
    softmax, linear = (measured(tmp_path, source) for source in (SOFTMAX, LINEAR))
    assert [cost.length for cost in softmax.costs] == [256, 512, 1024]
    assert softmax.flops == (pytest.approx(1.95, abs=0.06), pytest.approx(1.98, abs=0.03))
    assert linear.flops == (pytest.approx(1.0, abs=0.02), pytest.approx(1.0, abs=0.01))


def test_a_loop_counts_as_often_as_it_runs(tmp_path):
    """The compiler's own count takes its body once, and would call this linear."""
    assert measured(tmp_path, CHUNKED).flops == (pytest.approx(1.95, abs=0.06), pytest.approx(1.98, abs=0.03))


def test_memory_is_that_of_the_compiled_gradient(tmp_path):
    found = measured(tmp_path, SOFTMAX, length=64, compiled=True)
    assert found.memory == pytest.approx(2.0, abs=0.25)
    assert found.costs[2].memory > 4 * 256 * 256
    assert measured(tmp_path / "linear", LINEAR, length=64, compiled=True).memory == pytest.approx(1.0, abs=0.25)


def test_of_what_cannot_be_counted_the_reason_is_told(tmp_path):
    loop = "x = jax.lax.stop_gradient(jax.lax.while_loop(lambda a: a.sum() < 0, lambda a: a + 1, x))\n"
    found = measured(tmp_path, model(loop + POOLED))
    assert found.flops is None
    assert found.uncountable == "a while, whose work only its run tells"


def test_a_design_that_fails_at_a_longer_input_is_refused(tmp_path):
    fixed = model(f"x = x + self.param('places', nn.initializers.zeros, (256, self.emb_dim))\n{POOLED}")
    with pytest.raises(Refused, match=r"model\.py, line"):
        measured(tmp_path, fixed)


def test_operations_of_products_are_the_compilers():
    def product(a, b, kernel):
        return jnp.einsum("bij,bjk->bik", a, b), jax.lax.conv(a, kernel, (1,), "VALID")

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 8, 32), (4, 32, 16), (5, 8, 3))]
    theirs = jax.jit(product).lower(*shapes).compile().cost_analysis()["flops"]
    assert flops_of(jax.make_jaxpr(product)(*shapes).jaxpr) == theirs == 2 * 4 * 8 * 32 * 16 + 2 * 4 * 5 * 30 * 8 * 3


def test_branches_count_by_the_dearest_and_functions_by_what_is_in_them():
    def branching(x):
        return jax.lax.cond(x.sum() > 0, lambda a: a @ a, lambda a: a + 1, x)

    shape = jax.ShapeDtypeStruct((10, 10), jnp.float32)
    alone = flops_of(jax.make_jaxpr(lambda x: x.sum() > 0)(shape).jaxpr)
    assert 2000 <= flops_of(jax.make_jaxpr(branching)(shape).jaxpr) - alone <= 2003
    nested = jax.make_jaxpr(jax.checkpoint(jax.jit(branching)))(shape).jaxpr
    assert flops_of(nested) == flops_of(jax.make_jaxpr(branching)(shape).jaxpr)
    with pytest.raises(Uncountable):
        flops_of(jax.make_jaxpr(lambda x: jax.lax.while_loop(lambda a: a.sum() < 9, lambda a: a + 1, x))(shape).jaxpr)


class Base(nn.Module):
    """LRA's Transformer, as small as it may be written."""

    dual: bool

    def setup(self):
        self.embed = nn.Embed(9, 8)
        self.cls = self.param("cls", nn.initializers.zeros, (8,))
        self.layers = [
            (nn.LayerNorm(), nn.MultiHeadDotProductAttention(2, qkv_features=8, use_bias=False),
             nn.LayerNorm(), nn.Dense(16), nn.Dense(8))
            for _ in range(2)
        ]  # fmt: skip
        self.norm = nn.LayerNorm()
        self.head = [nn.Dense(16), nn.Dense(8), nn.Dense(2)] if self.dual else [nn.Dense(16), nn.Dense(3)]

    def encode(self, ids):
        x = jnp.concatenate([jnp.broadcast_to(self.cls, (len(ids), 1, 8)), self.embed(ids)], axis=1)
        for first, attention, second, wide, narrow in self.layers:
            x = x + attention(first(x))
            x = x + narrow(nn.gelu(wide(second(x))))
        return self.norm(x)[:, 0]

    def __call__(self, ids):
        x = self.encode(ids)
        x = jnp.concatenate([x, x, x - x, x * x], axis=-1) if self.dual else x
        for layer in self.head:
            x = layer(x)
        return x


@pytest.mark.parametrize("problem", [SINGLE, DUAL])
def test_the_base_transformer_has_as_many_parameters_as_its_modules(problem):
    made = jax.eval_shape(Base(problem.dual).init, jax.random.key(0), jnp.zeros((1, 4), jnp.int32))
    held = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(made))
    assert base_parameters(replace(TINY, num_layers=2), problem) == held
