"""Which designs are scaled, and to which scales."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from aira_lib.architecture.reference import BASELINES
from aira_lib.errors import nearest
from aira_lib.section import Distinct, Section


def _known(name: str) -> str:
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}{nearest(name, BASELINES)}")
    return name


Baseline = Annotated[str, AfterValidator(_known)]


class ExtrapolateSection(Section):
    """Which base patterns and reference designs are scaled, how, and to which described (not trained) scales."""

    methods: Annotated[tuple[Literal["stretch", "stack"], ...], Distinct] = ("stretch", "stack")
    scales: Annotated[tuple[str, ...], Distinct] = ("350M", "1B", "3B")
    baselines: Annotated[tuple[Baseline, ...], Distinct] = ("Llama 3.2", "Nemotron-H")
