"""Which examples a prompt shows. This module needs lm-eval; the harness makes a sampler a task."""

import random
from collections.abc import Sequence
from typing import Any

from lm_eval.api.samplers import ContextSampler

from aira_lib.downstream.data import item_digest


class OfOthers(ContextSampler):  # type: ignore[misc]
    """Draws an item's examples from all other items, by the seed and what the item says.

    So a prompt is the same whichever other items are scored, and in whatever order. The harness's own sampler draws
    one prompt after the other, and shows an item itself among its examples where a task has no other split.
    """

    seed: int | None = None

    def set_rnd(self, rnd: int | None) -> "OfOthers":
        """Have the seed."""
        self.seed = rnd
        return self

    def sample(
        self, n: int, eval_doc: dict[str, Any] | None = None, df: Sequence[dict[str, Any]] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Examples for an item.

        Args:
            n: how many; there must be so many others.
            eval_doc: the item.
            df: what to draw from, instead of what the task has.
            **kwargs: the harness passes nothing else.
        """
        pool: Sequence[dict[str, Any]] = df or self.df
        assert eval_doc is not None, "the split of the examples must be the one that is scored"
        drawn = random.Random(f"{self.seed} {item_digest(eval_doc)}")
        order = drawn.sample(range(len(pool)), min(len(pool), n + 1))
        examples = [pool[number] for number in order if pool[number] != eval_doc]
        if len(examples) < n:  # the split has the item more than once
            examples = drawn.sample([each for each in pool if each != eval_doc], n)
        return examples[:n]
