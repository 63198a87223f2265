"""The Gaussian process against one written in plain numpy, and the choice of a design by it."""

import itertools
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

from aira_lib.agents.baselines.space import whole
from aira_lib.architecture.pattern import parse

ALL = ("A", "M", "Mb")
EVERYTHING = list(itertools.product(ALL, repeat=4))


@pytest.fixture(scope="module")
def surrogate() -> Any:
    """Imported by the process that runs these tests, not by each that collects them: botorch takes seconds."""
    return import_module("aira_lib.agents.baselines.surrogate")


def test_one_hot_marks_each_layer_once(surrogate: Any) -> None:
    assert surrogate.one_hot([parse("A-Mb")], ALL).tolist() == [[1, 0, 0, 0, 0, 1]]


def test_the_posterior_is_that_of_a_plain_gaussian_process(surrogate: Any) -> None:
    one_hot = surrogate.one_hot
    rng = np.random.default_rng(0)
    designs = [EVERYTHING[int(i)] for i in rng.choice(81, 14, replace=False)]
    fitness = [design.count("A") / 4 + 0.05 * float(rng.normal()) for design in designs]
    model = surrogate.fitted(one_hot(designs, ALL), fitness)
    length = model.covar_module.lengthscale.item()
    noise = model.likelihood.noise.item()
    constant = model.mean_module.constant.item()

    def kernel(a: list[tuple[str, ...]], b: list[tuple[str, ...]]) -> np.ndarray:
        # Designs that differ in h layers are 2 h apart, squared.
        squares = np.array([[2.0 * sum(p != q for p, q in zip(x, y, strict=True)) for y in b] for x in a])
        return np.exp(-squares / (2 * length**2))

    y = np.array(fitness)
    location, scale = y.mean(), y.std(ddof=1)
    gram = kernel(designs, designs) + noise * np.eye(14)
    across = kernel(EVERYTHING, designs)
    mean = constant + across @ np.linalg.solve(gram, (y - location) / scale - constant)
    variance = 1.0 - np.einsum("ij,ji->i", across, np.linalg.solve(gram, across.T))
    posterior = model.posterior(one_hot(EVERYTHING, ALL))
    np.testing.assert_allclose(posterior.mean.detach().numpy()[:, 0], location + scale * mean, rtol=1e-7)
    np.testing.assert_allclose(posterior.variance.detach().numpy()[:, 0], scale**2 * variance, rtol=1e-5)


def test_the_choice_is_the_same_for_a_seed_and_leaves_torch_as_it_was(surrogate: Any) -> None:
    designs = [EVERYTHING[i] for i in range(0, 80, 7)]
    fitness = [float(design.count("M")) for design in designs]
    space, threads = whole(ALL, 4), torch.get_num_threads()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    chosen = [surrogate.best_word(space, designs, fitness, np.random.default_rng(1)) for _ in range(2)]
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert chosen[0] == chosen[1]
    assert chosen[0] is not None
    assert chosen[0] not in designs
    assert chosen[0].count("M") >= 3


def test_a_space_that_is_used_up_has_no_choice(surrogate: Any) -> None:
    space = whole(("A", "M"), 2)
    designs = list(space.everything())
    assert surrogate.best_word(space, designs, [0.0, 1.0, 2.0, 3.0], np.random.default_rng(0)) is None
