"""The baselines of Long Range Arena: what no encoder may do, and each mixer against its slow definition."""

import ast
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("flax")

import jax.numpy as jnp  # noqa: E402

from aira_lib.lra.baselines import BASELINES, Baseline, baseline_path  # noqa: E402

VOCAB, CLASSES, ROWS, LENGTH, LONGER = 17, 5, 3, 18, 23
QUICK = {"xla_backend_optimization_level": 0}  # tiny programs that run once
SIZES = {"emb_dim": 8, "num_heads": 2, "num_layers": 1, "qkv_dim": 8, "mlp_dim": 12}


def load(name: Baseline) -> ModuleType:
    spec = spec_from_file_location(f"baseline_{name}", baseline_path(name))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for constant in {"CHUNK", "WINDOW"} & {*vars(module)}:
        setattr(module, constant, 5)  # so that a short row has several
    return module


def drawn(shapes: Any, seed: int = 0) -> Any:
    """Variables of these shapes, every one of them drawn, so that nothing hides behind a zero."""
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: generator.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)


def rows(length: int, lengths: tuple[int, ...] = (LENGTH, 11, 1)) -> Any:
    inputs = np.random.default_rng(1).integers(1, VOCAB, (len(lengths), LONGER)).astype(np.int32)
    inputs = np.where(np.arange(LONGER) < np.array(lengths)[:, None], inputs, 0)
    return inputs[:, :length]


def tensors(*shapes: tuple[int, ...]) -> list[Any]:
    generator = np.random.default_rng(2)
    return [generator.normal(size=shape).astype(np.float32) for shape in shapes]


def quick(function: Any, *constants: int) -> Any:
    """A function compiled as a whole: operation by operation takes longer."""
    return jax.jit(lambda *arrays: function(*arrays, *constants), compiler_options=QUICK)


def attended(q: Any, k: Any, v: Any, seen: Any) -> Any:
    """Softmax attention, query by query; seen [B, L, L] says which keys a query sees."""
    out = np.zeros_like(v)
    for b, i, h in np.ndindex(q.shape[:3]):
        keys = np.flatnonzero(seen[b, i])
        if len(keys):
            weights = np.exp(k[b, keys, h] @ q[b, i, h] / np.sqrt(q.shape[-1]))
            out[b, i, h] = weights @ v[b, keys, h] / weights.sum()
    return out


@pytest.mark.parametrize("name", BASELINES)
def test_padding_and_other_rows_have_no_influence(name: Baseline) -> None:
    module = load(name).CustomEncoder(VOCAB, CLASSES, LONGER, **SIZES)
    inputs = rows(LENGTH)
    variables = drawn(jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.ones((1, 4), jnp.int32), train=False)))
    answer = quick(lambda ids: module.apply(variables, ids, train=False))
    logits = np.asarray(answer(inputs))
    assert logits.shape == (ROWS, CLASSES)
    assert np.isfinite(logits).all()
    assert np.ptp(logits, axis=0).min() > 1e-3  # rows that differ are answered differently
    np.testing.assert_allclose(answer(rows(LONGER)), logits, rtol=2e-4, atol=2e-5)  # some places of padding more
    others = np.concatenate([inputs[2:], inputs[:1], inputs[:1]])
    np.testing.assert_allclose(np.asarray(answer(others))[:2], logits[[2, 0]], rtol=2e-4, atol=2e-5)


def test_documents_are_encoded_apart() -> None:
    """In one baseline: another test finds this class the same in all."""
    module = load("linear").CustomDualEncoder(VOCAB, 2, LENGTH, **SIZES)
    ids, key = jax.ShapeDtypeStruct((ROWS, LENGTH), jnp.int32), jax.random.key(0)
    blank = jnp.ones((1, 4), jnp.int32)
    variables = jax.eval_shape(lambda: module.init(key, blank, blank, train=False))

    def apart(variables: Any, first: Any, second: Any) -> Any:
        encoded = [module.apply(variables, each, train=False, method="encode") for each in (first, second)]
        assert encoded[0].shape == (ROWS, SIZES["emb_dim"])
        return module.apply(variables, *encoded, train=False, method="classify")

    together = lambda variables, *ids: module.apply(variables, *ids, train=False)  # noqa: E731
    assert jax.eval_shape(apart, variables, ids, ids).shape == (ROWS, 2)
    shown = [str(jax.make_jaxpr(each)(variables, ids, ids)) for each in (apart, together)]
    assert shown[0] == shown[1]  # `__call__` is the composition of the two, operation by operation


def test_training_drops_at_random() -> None:
    module = load("linear").CustomEncoder(VOCAB, CLASSES, LENGTH, **SIZES)
    ids, key = jax.ShapeDtypeStruct((ROWS, LENGTH), jnp.int32), jax.random.key(0)
    variables = jax.eval_shape(lambda: module.init(key, jnp.ones((1, 4), jnp.int32), train=False))
    shown = {
        train: str(jax.make_jaxpr(lambda v, x: module.apply(v, x, train=train, rngs={"dropout": key}))(variables, ids))  # noqa: B023
        for train in (True, False)
    }
    assert "random_bits" in shown[True]
    assert "random_bits" not in shown[False]


def test_linear_attention_is_its_quadratic_form() -> None:
    q, k, v = tensors(*[(2, 9, 2, 3)] * 3)
    mask = np.arange(9) < np.array([[9], [5]])
    phi = [np.where(each > 0, each + 1, np.exp(each)) for each in (q, k)]
    weights = np.einsum("bqhd,bkhd->bhqk", *phi) * mask[:, None, None, :]
    expected = np.einsum("bhqk,bkhd->bqhd", weights / weights.sum(axis=-1, keepdims=True), v)
    for name in ("linear", "chunked_global"):
        np.testing.assert_allclose(quick(load(name).linear_attention)(q, k, v, mask), expected, rtol=1e-4, atol=1e-5)


def test_softmax_local_and_chunks_are_masked_softmax() -> None:
    length, window = 11, 3
    q, k, v = tensors(*[(2, length, 2, 3)] * 3)
    mask = np.arange(length) < np.array([[length], [7]])
    place = np.arange(length)
    near = np.abs(place[:, None] - place) <= window
    together = place[:, None] // window == place // window
    found = {
        "all": (quick(load("softmax").attention)(q, k, v, mask), np.ones_like(near)),
        "near": (quick(load("local").local_attention, window)(q, k, v, mask), near),
        "chunk": (quick(load("chunked_global").chunk_attention, window)(q, k, v, mask), together),
    }
    for got, pattern in found.values():
        expected = attended(q, k, v, pattern & mask[:, None, :])
        np.testing.assert_allclose(np.asarray(got)[mask], expected[mask], rtol=1e-4, atol=1e-5)


def test_recurrence_is_a_loop_and_each_half_reads_its_own_way() -> None:
    ssm = load("ssm")
    b, a = tensors((2, 11, 4), (2, 11, 4))
    a = 1 / (1 + np.exp(-a))
    expected, state = np.zeros_like(a), np.zeros_like(a[:, 0])
    for t in range(a.shape[1]):
        state = a[:, t] * state + b[:, t]
        expected[:, t] = state
    np.testing.assert_allclose(quick(ssm.recurrence, 4)(a, b), expected, rtol=1e-4, atol=1e-5)
    turned = np.asarray(quick(ssm.from_both_ends)(b))
    np.testing.assert_array_equal(turned[..., :2], b[..., :2])
    np.testing.assert_array_equal(turned[:, 0, 2:], b[:, -1, 2:])


def test_a_baseline_stands_alone_and_says_the_same_where_it_shares() -> None:
    """Only jax and flax are imported; what two files both define is the same, but for what makes each its own."""
    defined: dict[str, set[str]] = {}
    for name in BASELINES:
        tree = ast.parse(baseline_path(name).read_text())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert {alias.name for node in imports for alias in node.names} <= {"jax", "jax.numpy", "flax.linen"}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined.setdefault(node.name, set()).add(ast.dump(node))
    differing = {name for name, texts in defined.items() if len(texts) > 1}
    assert differing == {"Mixer", "Encoder"}


@pytest.mark.parametrize("name", BASELINES)
def test_parameters_stay_within_a_tenth_of_the_base_transformer(name: Baseline) -> None:
    """At Table 12's sizes of ListOps, one layer of it, against the base model's matrices and vectors one by one."""
    d, mlp, layers = 512, 1024, 1
    module = load(name).CustomEncoder(VOCAB, 10, 64, emb_dim=d, num_heads=8, num_layers=layers, qkv_dim=d, mlp_dim=mlp)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.ones((1, 4), jnp.int32), train=False))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    block = 2 * d + 4 * d * d + 2 * d + (d * mlp + mlp) + (mlp * d + d)
    base = VOCAB * d + d + layers * block + 2 * d + (d * mlp + mlp) + (mlp * 10 + 10)
    assert count == base if name == "softmax" else 0.9 < count / base <= 1.1
