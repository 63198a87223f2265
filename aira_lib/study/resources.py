"""What of a machine each stage may use, by scale where it must: what a launcher asks for, and no result depends on."""

from typing import Any

from pydantic import Field, ValidationError, model_validator

from aira_lib.section import Section


class ResourcesAtScale(Section):
    """What one unit of a stage gets at one scale; what is left out is as the stage says.

    Processes of one unit are called ranks; each of them has a GPU of its own where there are any.
    """

    nodes: int | None = Field(None, ge=1)
    ranks_per_node: int | None = Field(None, ge=1)
    gpus_per_node: int | None = Field(None, ge=0)
    cores: int | None = Field(None, ge=1)
    memory_gib: float | None = Field(None, gt=0)
    deadline_hours: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _a_gpu_for_each_rank(self) -> "ResourcesAtScale":
        if self.gpus_per_node and self.ranks > self.gpus_per_node:
            raise ValueError(
                f"{self.ranks_per_node} ranks_per_node on {self.gpus_per_node} gpus_per_node: two ranks cannot share "
                "a GPU; ask for as many GPUs as ranks, or for fewer ranks"
            )
        return self

    @property
    def ranks(self) -> int:
        """Processes on each node: as named, else one for each GPU, and one where there are none."""
        return self.ranks_per_node or self.gpus_per_node or 1

    @property
    def ranks_in_all(self) -> int:
        """Processes on all nodes."""
        return self.ranks * (self.nodes or 1)


class Resources(ResourcesAtScale):
    """What one unit of a stage gets: one process without a bound, unless a study says more.

    No key of a record holds any of it: what was made with two ranks is found again with one. `by_scale` is for stages
    that have a unit for each pretraining point; `min_success` for these and for searches: the share of a stage's units
    that must not fail, rounded up to whole units, for the study to go on without the others.
    """

    by_scale: dict[str, ResourcesAtScale] = {}
    min_success: float = Field(0.9, gt=0, le=1)

    @model_validator(mode="after")
    def _consistent_at_each_scale(self) -> "Resources":
        for name in self.by_scale:
            try:
                self.at(name)
            except ValidationError as error:
                raise ValueError(f"by_scale.{name}: {error.errors()[0]['ctx']['error']}") from None
        return self

    def at(self, scale: str | None) -> ResourcesAtScale:
        """What a unit at a scale gets; None: a unit of no scale."""
        own = self.by_scale.get(scale, _NONE) if scale else _NONE
        return ResourcesAtScale(**{**_said(self), **_said(own)})


_NONE = ResourcesAtScale()


def _said(section: ResourcesAtScale) -> dict[str, Any]:
    return section.model_dump(include=set(ResourcesAtScale.model_fields), exclude_none=True)
