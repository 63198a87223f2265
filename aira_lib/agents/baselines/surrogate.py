"""The surrogate of Bayesian optimisation and the choice of the next design by it (botorch; float64, one thread)."""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import RBFKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from aira_lib.agents.baselines.space import Space
from aira_lib.agents.moves import Layers, Rng

SAMPLES = 128  # of the fitness of all designs, over which the improvement is averaged
_LISTED = 1_024  # spaces up to this size are looked at whole
_RANDOM, _BEST, _CLIMBERS, _CLIMB = 192, 4, 3, 6
_FIT = {"maxiter": 100}


def one_hot(designs: Sequence[Layers], primitives: Sequence[str]) -> Tensor:
    """Designs as 0 and 1: [designs, layers * primitives], float64."""
    indices = torch.tensor([[primitives.index(layer) for layer in design] for design in designs])
    return torch.nn.functional.one_hot(indices, len(primitives)).flatten(1).to(torch.float64)


def fitted(x: Tensor, fitness: Sequence[float]) -> SingleTaskGP:
    """Fit a Gaussian process: RBF kernel, one length scale, noise and hyper-parameters by maximal a posteriori.

    Fitness is standardised. One length scale makes similarity a matter of how many layers differ; one for each of 48
    columns is more than 100 designs can tell. Priors are botorch's (for the scale: one that grows with the dimension).

    Args:
        x: Designs, [n, d].
        fitness: Of each; more is better.
    """
    y = torch.tensor(fitness, dtype=torch.float64).unsqueeze(-1)
    model = SingleTaskGP(x, y, covar_module=_kernel(x.shape[-1]))
    # Where the fit fails, the values that the priors hold likeliest stay.
    with contextlib.suppress(ModelFittingError):
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": _FIT})
    return model.eval()


def _kernel(dimension: int) -> RBFKernel:
    """RBF with the prior that botorch gives it by default, but one length scale."""
    prior = LogNormalPrior(loc=math.sqrt(2) + math.log(dimension) / 2, scale=math.sqrt(3))
    constraint = GreaterThan(2.5e-2, transform=None, initial_value=prior.mode)
    return RBFKernel(lengthscale_prior=prior, lengthscale_constraint=constraint)


def best_word(space: Space, designs: Sequence[Layers], fitness: Sequence[float], rng: Rng) -> Layers | None:
    """The untried word of a space with the largest qLogNEI; None if all have been tried.

    A small space is looked at whole. In a larger one the search starts from random words and from the neighbours of
    the best designs, and then climbs from the best few of these, a layer at a time.
    """
    with _reproducible(int(rng.integers(2**31))):
        x = one_hot(designs, space.primitives)
        acquisition = qLogNoisyExpectedImprovement(
            fitted(x, fitness),
            X_baseline=x,
            sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=int(rng.integers(2**31))),
            prune_baseline=True,
        )

        def value(words: Sequence[Layers]) -> list[float]:
            with torch.no_grad():
                found = acquisition(one_hot([space.design(word) for word in words], space.primitives).unsqueeze(1))
            return [float(one) for one in found]

        return _maximised(value, space, _starts(space, designs, fitness, rng), set(designs))


def _starts(space: Space, designs: Sequence[Layers], fitness: Sequence[float], rng: Rng) -> list[Layers]:
    """Words to begin with."""
    if space.size <= _LISTED:
        return list(space.everything())
    order = sorted(range(len(designs)), key=lambda i: -fitness[i])
    best = [word for i in order if (word := space.word(designs[i])) is not None][:_BEST]
    return [space.draw(rng) for _ in range(_RANDOM)] + [near for word in best for near in space.neighbours(word)]


def _maximised(
    value: Callable[[Sequence[Layers]], list[float]], space: Space, starts: Sequence[Layers], tried: set[Layers]
) -> Layers | None:
    known: dict[Layers, float] = {}

    def look(words: Sequence[Layers]) -> None:
        new = [word for word in dict.fromkeys(words) if word not in known and space.design(word) not in tried]
        known.update(zip(new, value(new), strict=True) if new else ())

    look(starts)
    for _ in range(_CLIMB if space.size > _LISTED else 0):
        before = len(known)
        best = sorted(known, key=lambda word: -known[word])[:_CLIMBERS]
        look([near for word in best for near in space.neighbours(word)])
        if len(known) == before:
            break
    return max(known, key=lambda word: known[word], default=None)


@contextlib.contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Fixed random numbers and one thread within, as before it after; no words about fits that end early."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
