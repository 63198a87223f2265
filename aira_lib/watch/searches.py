"""Searches as they stand, read from their journals: what `aira search` and `aira watch` show while they run.

Only journals and manifests are read, so it does not matter what runs the searches: `aira run`, `aira search`, or a
cluster that keeps its records in this store. Nothing is ever written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aira_lib.agents import next_step, total_steps
from aira_lib.agents.step import BASELINE, step_rng
from aira_lib.console import duration
from aira_lib.flow.stage import Unit
from aira_lib.flow.units import search_units
from aira_lib.records import SEED_RUNS, Node
from aira_lib.records.opened import BASELINE_SEED, in_words
from aira_lib.settings import Settings
from aira_lib.store import RecordFolder, open_store, place_of
from aira_lib.study import AgentSection, Study
from aira_lib.tasks.section import family_of, task_of
from aira_lib.watch.nodes import JOURNAL, parse_nodes, told_of

_RECENT = 20  # nodes by which the speed of a search is judged


@dataclass(frozen=True)
class Watched:
    """One search: its nodes so far, how many there may be, whether its record is finished.

    Attributes:
        name: The unit's name, such as ``greedy-offline.s0``.
        nodes: What it has finished, in the order of steps.
        steps: How many nodes it may have.
        finished: Whether its record is complete.
        quiet: Seconds since its last node, or run of a seed; None where there is none.
        hours: Its budget of time; None where it does not matter.
        at_hand: The operator of the node that is being made, of a baseline with the seed; empty where nothing is.
        said: The state in a word, from who runs it; empty where it is judged by the journal.
        validation: Where its fitness comes from, in a line; empty where that goes without saying.
        begun: Whether it is under way though it has no node: its task's baseline is being scored.
    """

    name: str
    nodes: tuple[Node, ...]
    steps: int
    finished: bool
    quiet: float | None = None
    hours: float | None = None
    at_hand: str = ""
    said: str = ""
    validation: str = ""
    begun: bool = False

    @property
    def state(self) -> str:
        """Waiting, finished, or under way; only the machine that runs it knows whether it still does."""
        if self.finished or self.said:
            return self.said or "finished"
        if not self.nodes and not self.begun:
            return "waiting"
        return "running" if self.quiet is None else f"{duration(self.quiet)} ago"

    @property
    def seconds(self) -> float:
        """What its nodes took."""
        return sum(node.seconds for node in self.nodes)

    def seconds_left(self, typical: float | None = None) -> float | None:
        """Time it still takes, by the speed of its recent nodes (before the first: `typical` a node); at most `hours`.

        None where no speed is known.
        """
        if self.finished or self.said == "failed":
            return 0.0
        recent = [node.seconds for node in self.nodes[-_RECENT:]]
        pace = sum(recent) / len(recent) if recent else typical
        if pace is None:
            return None
        begun = min(self.quiet or 0.0, pace) if recent else 0.0
        left = max(0.0, (self.steps - len(self.nodes)) * pace - begun)
        return left if self.hours is None else min(left, max(0.0, self.hours * 3600 - self.seconds))


def seconds_left(searches: Sequence[Watched], workers: int | None = None) -> float | None:
    """Time until all of some searches are finished; None before the first node of any.

    Args:
        searches: The searches.
        workers: How many run at once; by default as many as have begun and are not finished.
    """
    open_ones = [each for each in searches if not each.finished and each.said != "failed"]
    nodes = sum(len(each.nodes) for each in searches)
    if not nodes:
        return None
    typical = sum(each.seconds for each in searches) / nodes
    lefts = [each.seconds_left(typical) or 0.0 for each in open_ones]
    at_once = workers or max(1, sum(bool(each.nodes) for each in open_ones))
    return max(max(lefts, default=0.0), sum(lefts) / at_once)


@dataclass(frozen=True)
class TimeLeft:
    """Time that searches still take: of all together in words, and the seconds of each, by name, as far as known."""

    together: str
    each: Mapping[str, float]


def time_left(searches: Sequence[Watched], workers: int | None = None) -> TimeLeft:
    """By the speed of the searches' own nodes alone, for who knows nothing of their machine; see `seconds_left`."""
    together = seconds_left(searches, workers)
    each = {search.name: left for search in searches if search.nodes and (left := search.seconds_left()) is not None}
    return TimeLeft("time left not yet known" if together is None else f"about {duration(together)} left", each)


class Lookout:
    """Looks at all searches of a study; what was read once is not read again."""

    def __init__(self, study: Study, settings: Settings) -> None:
        """Open the store.

        Raises:
            UserError: the store's name means nothing, or the study's task is unknown.
        """
        self._study, self._store = study, open_store(settings.store)
        self._lower_is_better = task_of(study.task).lower_is_better
        family = family_of(study.task)
        self._programs, self._has_baseline = not family.has_designs, family.has_baseline(study.task)
        self._units = [(unit, unit.agent, unit.seed) for unit in search_units(study) if unit.agent]
        self._finished: dict[str, Watched] = {}
        self._growing: dict[str, _Growing] = {}

    def look(self) -> list[Watched]:
        """The searches as they are now, in the study's order."""
        return [self._finished.get(unit.name) or self._look_at(unit, agent, s) for unit, agent, s in self._units]

    def _look_at(self, unit: Unit, agent: AgentSection, seed: int) -> Watched:
        # The manifest first: a search that ends in between is then shown as running once more, never cut short.
        folder = unit.folder(self._study)
        record = RecordFolder(self._store, folder)
        finished = record.manifest() is not None
        growing = self._growing.setdefault(unit.name, _Growing(record))
        nodes = growing.read()
        steps = total_steps(agent, nodes)
        at_hand = ""
        begins = self._has_baseline and not nodes and agent.noise.baseline_seeds
        baseline = growing.baseline(begins) if begins else ""
        if not finished and len(nodes) < steps:
            step = next_step(nodes, agent, step_rng(seed, len(nodes)), self._lower_is_better)
            at_hand = (baseline or BASELINE) if begins else step.operator
        quiet = None if finished else growing.quiet()
        validation = growing.validation() if self._programs else ""
        watched = Watched(
            unit.name, nodes, steps, finished, quiet, agent.hours, at_hand, validation=validation, begun=bool(baseline)
        )
        if finished:
            self._finished[unit.name] = watched
        return watched


class _Growing:
    """A journal that grows, from one attempt at its search to the next; only what was added since is read."""

    def __init__(self, record: RecordFolder) -> None:
        self._record, self._name = record, ""
        self._nodes: tuple[Node, ...] = ()
        self._offset = 0
        self._validation = ""

    def read(self) -> tuple[Node, ...]:
        """All nodes so far; a line that is being written is left alone."""
        self._name = f"{self._record.files()}/{JOURNAL}"
        added = self._record.store.read_from(self._name, self._offset)
        if not added and not self._record.store.exists(self._name):
            self._nodes, self._offset = (), 0  # it was removed: what comes is another search
        whole = added[: added.rfind(b"\n") + 1]
        place = f"{place_of(self._record.store.uri)}/{self._name}"
        self._nodes += tuple(parse_nodes(whole, place, first=len(self._nodes) + 1))
        self._offset += len(whole)
        return self._nodes

    def quiet(self) -> float | None:
        """Seconds since it grew, or the runs of seeds beside it did; None where there are neither."""
        names = (self._name, f"{self._record.files()}/{SEED_RUNS}")
        return min((age for name in names if (age := self._record.store.age(name)) is not None), default=None)

    def baseline(self, seeds: int) -> str:
        """Which of so many seeds the task's baseline runs on; empty where the record does not say where they begin."""
        first = told_of(self._record).get(BASELINE_SEED)
        if not isinstance(first, int):
            return ""
        store, name = self._record.store, f"{self._record.files()}/{SEED_RUNS}"
        done = store.read(name).count(b"\n") if store.exists(name) else 0
        return f"{BASELINE}, seed {first + min(done, seeds - 1)}"

    def validation(self) -> str:
        """Where the fitness comes from, as the record says from its start; empty before that."""
        self._validation = self._validation or in_words(told_of(self._record))
        return self._validation
