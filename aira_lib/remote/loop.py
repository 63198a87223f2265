"""The loops of a study: over its searches, and over its pretraining points, with the stages that each has a turn of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aira_lib.errors import UserError, nearest
from aira_lib.flow.outcomes import Outcomes, RunFolder
from aira_lib.flow.run import fetch
from aira_lib.flow.stage import Stage, Unit, stages_of
from aira_lib.flow.units import points_in, search_units, units_of
from aira_lib.records import PretrainPoint
from aira_lib.remote.chunk import Item
from aira_lib.settings import Settings
from aira_lib.study import Study

_PER = {"searches": "search", "points": "point"}
_PARAMETERS = {"searches": "unit", "points": "point"}


@dataclass(frozen=True)
class Loop:
    """Units of a study that pass through the same stages, one after the other.

    Attributes:
        name: Of the loop.
        study: Whose units.
        stages: In their order.
        items: What there is a turn for, in the study's order.
        points: Those of the items; none of searches.
    """

    name: str
    study: Study
    stages: tuple[Stage, ...]
    items: tuple[Item, ...]
    points: tuple[PretrainPoint, ...] = ()

    @property
    def parameter(self) -> str:
        """By which the components of the stages take an item."""
        return _PARAMETERS[self.name]

    def units(self, stage: Stage) -> list[Unit]:
        """The units of one of the stages, with keys as this process foretells them."""
        return units_of(stage.name, self.study, self.points)

    def known(self, folder: RunFolder) -> dict[str, Outcomes]:
        """What became of the units so far, by stage."""
        return {stage.name: folder.of(stage.name) for stage in self.stages}

    def open(self, known: dict[str, Outcomes]) -> list[Item]:
        """The items that are neither through all stages nor failed at one."""
        return [item for item in self.items if not self._closed(item, known)]

    def stage_of(self, item: Item, known: dict[str, Outcomes]) -> Stage:
        """The first stage that has left nothing of an item."""
        return next(stage for stage in self.stages_of(item) if item.name not in known[stage.name].made)

    def stages_of(self, item: Item) -> list[Stage]:
        """Those of the stages that an item passes through."""
        return [stage for stage in self.stages if item.stages is None or stage.name in item.stages]

    def _closed(self, item: Item, known: dict[str, Outcomes]) -> bool:
        of_each = [known[stage.name] for stage in self.stages_of(item)]
        return any(item.name in of.failed for of in of_each) or all(item.name in of.made for of in of_each)


def loop_of(name: str, study: Study, designs: str, settings: Settings) -> Loop:
    """A loop of a study.

    Args:
        name: which.
        study: whose.
        designs: URI of the extrapolation record, which says what points there are; empty for searches.
        settings: where records are.

    Raises:
        UserError: there is no such loop, or the record of the designs is not there.
    """
    if name not in _PER:
        raise UserError(f"loop {name!r}: there is none{nearest(name, _PER)}")
    stages = tuple(stage for stage in stages_of(study) if stage.per == _PER[name])
    if name == "searches":
        return Loop(name, study, stages, tuple(Item(unit.name, unit.name) for unit in search_units(study)))
    if not stages:  # of a study whose searches find no designs
        return Loop(name, study, (), ())
    if not designs:
        raise UserError("the loop over points needs the designs that are trained; give the URI of their record")
    points = points_in(study, [fetch(designs, settings)])
    return Loop(name, study, stages, tuple(_items(study, stages, points, designs)), tuple(points))


def _items(study: Study, stages: Sequence[Stage], points: Sequence[PretrainPoint], designs: str) -> Iterator[Item]:
    for point in points:
        wanted = tuple(stage.name for stage in stages if stage.is_wanted(study, point))
        yield Item(point.id, f"{designs}#{point.id}", point.design.scale.name, wanted)
