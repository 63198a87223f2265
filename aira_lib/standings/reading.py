"""Read the searches of studies out of a store: of each finished one its journal, and what it was of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aira_lib.errors import UserError
from aira_lib.flow.units import search_units
from aira_lib.records import Manifest, StandIn
from aira_lib.report.inputs import SearchRun
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, Store, open_store, place_of
from aira_lib.study import Study
from aira_lib.study.reading import load_study
from aira_lib.tasks.family import Published
from aira_lib.tasks.section import family_of, task_of
from aira_lib.tasks.task import SearchTask
from aira_lib.watch.nodes import read_nodes


@dataclass(frozen=True)
class Searched:
    """One finished search: of which study, on which task, and what it left."""

    study: str
    task: str
    scaffold: str
    key: str
    run: SearchRun


@dataclass
class Records:
    """What studies have come to.

    Attributes:
        tasks: What is searched, by name.
        published: What is published of them.
        searches: The finished ones.
        stand_ins: What stood in for something in any of them.
        unfinished: Studies with searches that are not finished: how many of how many.
    """

    tasks: dict[str, SearchTask] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)
    searches: list[Searched] = field(default_factory=list)
    stand_ins: list[StandIn] = field(default_factory=list)
    unfinished: dict[str, tuple[int, int]] = field(default_factory=dict)

    def scaffolds(self) -> dict[str, str]:
        """The scaffold of each agent."""
        return {each.run.agent: each.scaffold for each in self.searches}


def read_records(studies: Sequence[str], settings: Settings) -> Records:
    """Read the finished searches of studies.

    A search that two studies have in common counts once.

    Raises:
        UserError: a file is no study, two studies score one agent and seed on one task by different searches, tasks
            of one name differ, or nothing is finished.
    """
    records, store = Records(), open_store(settings.store)
    for path in studies:
        _read(load_study(path), store, records)
    if not records.searches:
        raise UserError(
            f"no search of {', '.join(studies)} is finished in {place_of(store.uri)}; run `aira search {studies[0]}`"
        )
    return records


def _read(study: Study, store: Store, records: Records) -> None:
    task = task_of(study.task)
    known = records.tasks.setdefault(task.name, task)
    if (known.metric, known.lower_is_better) != (task.metric, task.lower_is_better):
        raise UserError(f"study {study.name}: another study has a task {task.name} with another metric; rename it")
    records.published.setdefault(task.name, family_of(study.task).published(study.task))
    units = search_units(study)
    missing = 0
    for unit in units:
        manifest = RecordFolder(store, unit.folder(study)).manifest()
        if manifest is None:
            missing += 1
        elif unit.agent is not None:
            nodes = read_nodes(store, study, unit)
            run = SearchRun(unit.agent.name, unit.seed, nodes, unit.agent.steps, task.lower_is_better)
            _take(records, Searched(study.name, task.name, unit.agent.scaffold, unit.key, run), manifest)
    if missing:
        records.unfinished[study.name] = (missing, len(units))


def _take(records: Records, found: Searched, manifest: Manifest) -> None:
    for other in records.searches:
        if (other.task, other.run.agent, other.run.seed) == (found.task, found.run.agent, found.run.seed):
            if other.key == found.key:
                return
            raise UserError(
                f"agent {found.run.agent!r}, seed {found.run.seed}, on {found.task} is another one in study "
                f"{other.study} than in {found.study}; give one of them another name"
            )
    records.searches.append(found)
    records.stand_ins += [each for each in manifest.stand_ins if each not in records.stand_ins]
