"""How the archive becomes base patterns."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from aira_lib.section import Distinct, Section, Seed


class AggregateSection(Section):
    """One way to turn the archive into a 16-layer base pattern. Members are chosen in each data set on its own.

    Methods: `cluster-vote` (Composer's N_c: the top cluster of k-means on the score; paper: 3 clusters), `top-k` (the
    fittest k, weight halved every `half_life` ranks; AIRAformer-A: 20), `top-k-uniform` (the fittest k with one vote
    each; AIRAformer-B: 400) and `bayes` (the top cluster's votes as evidence, with an interval for each layer).
    """

    name: str
    method: Literal["cluster-vote", "top-k", "top-k-uniform", "bayes"] = "cluster-vote"
    clusters: int = Field(3, ge=1)
    context: int | Literal["all"] = 0
    top_k: int = Field(20, ge=1)
    half_life: float | None = Field(None, gt=0)
    """In ranks, of `top-k`; None: a quarter of `top_k`. The paper states a "strong" decay and no rate."""
    prior: float = Field(1.0, gt=0)
    """Of `bayes`: votes that every primitive has before any are counted; 1 is uniform over all shares."""
    credibility: float = Field(0.95, gt=0, lt=1)
    rank_by: Literal["validation", "test"] = "validation"
    datasets: Annotated[tuple[str, ...], Distinct] = ()
    """Only designs evaluated on these; empty: all of the archive. Each data set has the same weight."""
    agents: Annotated[tuple[str, ...], Distinct] = ()
    """Only designs that one of these found, by agent name (all its seeds); empty: any."""
    resamples: int = Field(200, ge=0)
    seed: Seed = 0

    @model_validator(mode="after")
    def _sensible(self) -> "AggregateSection":
        if isinstance(self.context, int) and self.context < 0:
            raise ValueError(f"context {self.context} is negative; it counts previous layers, or is 'all'")
        if self.method == "bayes" and self.context != 0:
            raise ValueError(f"method bayes votes on every layer alone: context must be 0, got {self.context}")
        return self
