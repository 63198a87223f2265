"""How many parameters a model has, and how many the base Transformer of the same configuration has.

Long Range Arena asks that models compared have at most a tenth more than its Transformer; the ratio is told.
"""

import math
from itertools import pairwise
from typing import Any

import jax

from aira_lib.lra.configuration import Configuration
from aira_lib.lra.interface import Problem

MOST_RATIO = 1.1
"""LRA's rule for comparable results."""


def count_parameters(variables: dict[str, Any]) -> int:
    """Numbers that training changes, from variables or their shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


def base_parameters(configuration: Configuration, problem: Problem) -> int:
    """Parameters of the base Transformer: LRA's encoder with softmax attention, and its head.

    Embedded ids, sinusoidal positions, layers of norm, attention without biases, norm and a perceptron of GELU; a last
    norm; a vector of its own in the first place (CLS) and a perceptron of `mlp_dim`, or for pairs one of `mlp_dim` and
    half of that over both encodings, their difference and their product.
    """
    of = configuration
    norm = 2 * of.emb_dim
    attention = 4 * of.emb_dim * of.qkv_dim
    perceptron = 2 * of.emb_dim * of.mlp_dim + of.mlp_dim + of.emb_dim
    encoder = problem.vocab_size * of.emb_dim + of.num_layers * (2 * norm + attention + perceptron) + norm + of.emb_dim
    half = of.mlp_dim // 2
    widths = (4 * of.emb_dim, of.mlp_dim, half) if problem.dual else (of.emb_dim, of.mlp_dim)
    layers = [*pairwise(widths), (widths[-1], problem.num_classes)]
    return encoder + sum((inner + 1) * outer for inner, outer in layers)
