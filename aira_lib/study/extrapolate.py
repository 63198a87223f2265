"""Which designs are scaled, and to which scales."""

from typing import Annotated, Literal

from aira_lib.section import Distinct, Section


class ExtrapolateSection(Section):
    """Which base patterns and reference designs are scaled, how, and to which described (not trained) scales."""

    methods: Annotated[tuple[Literal["stretch", "stack"], ...], Distinct] = ("stretch", "stack")
    scales: Annotated[tuple[str, ...], Distinct] = ("350M", "1B", "3B")
    baselines: Annotated[tuple[str, ...], Distinct] = ("Llama 3.2", "Nemotron-H")
