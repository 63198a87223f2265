"""Have the units of a loop made by Kubeflow runs of their own, and wait: what one small task does for a whole loop.

It may end at any moment and be started again: which runs there are to be is written down before the first of them is
started, each has an id that follows from that, and a run that is there is adopted, not started anew. What became of a
unit, the unit itself says, in the store (`aira_lib.flow.outcomes`). A unit that says nothing, for its pod was killed,
is tried again, in smaller company each time, so that it takes no others along.

Of two that are at it (a node was thought lost, and its pod lives on) one waits: a lease in the store says whose turn it
is, and is asked before each run that is started.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aira_lib.cluster.run import NewRun, Run
from aira_lib.cluster.runs import RunsApi
from aira_lib.cluster.section import Cluster
from aira_lib.device import CUDA_KERNELS, assuming
from aira_lib.errors import StoreError, UserError
from aira_lib.flow.finished import finished_units
from aira_lib.flow.outcomes import RunFolder, require_enough
from aira_lib.flow.stage import Stage
from aira_lib.records import Failure
from aira_lib.remote.checks import pods_of
from aira_lib.remote.chunk import MOST_UNITS, Chunk, Item, cut, pods_of_tasks
from aira_lib.remote.loop import Loop
from aira_lib.remote.parts import part_of
from aira_lib.remote.plans import Planned, Plans
from aira_lib.remote.told import Told
from aira_lib.remote.waiting import Patience, TakenOver, Turn
from aira_lib.settings import Settings
from aira_lib.store import open_store

ROUNDS = (MOST_UNITS, 5, 1)
"""How often a unit that says nothing is tried, and with how many others in a run at most."""

NOT_THERE = "it is not in the store, and this pipeline starts none; run the study's searches first"

LOOK_SECONDS = 30.0

_NO_PLUGIN = {"mlflow": {"disabled": True}}
"""Units log to runs below the study's; Kubeflow's plugin would make a tree of runs beside them for each chunk."""


@dataclass(frozen=True)
class Orders:
    """What a fan-out is told beside its loop.

    Attributes:
        reference: Of the study.
        parent: Id of the Kubeflow run that it is a task of.
        at_once: How many items may be worked on at once.
    """

    reference: str
    parent: str
    at_once: int


class FanOut:
    """One loop of a study on a cluster.

    Args:
        loop: Whose units are to be made.
        orders: See there.
        cluster: What it is.
        settings: Where records are.
        runs: Kubeflow's API.
        compiled: Makes of a chunk what Kubeflow runs.
        say: Told how far it is, a line at a time.
        pause: Waits so many seconds.
    """

    def __init__(
        self, loop: Loop, orders: Orders, cluster: Cluster, settings: Settings, runs: RunsApi,
        compiled: Callable[[Chunk], dict[str, Any]], say: Callable[[str], None] = print,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.loop, self.orders, self._cluster, self._settings = loop, orders, cluster, settings
        self._runs, self._compiled, self._say, self._pause = runs, compiled, say, pause
        self._store = open_store(settings.store)
        self.folder = RunFolder(settings.store, loop.study, orders.parent)
        self._plans = Plans(self._store, loop, orders.parent)
        self._patience = Patience(say, pause)
        self._lost: dict[str, str] = {}
        self._active: dict[str, Planned] = {}
        self._told = Told(len(loop.items))

    def carry_out(self, start: bool = True) -> dict[str, list[str]]:
        """Have all units made; the URIs of the records by stage, in the order of the items.

        Args:
            start: False: nothing is started, and what is not there counts as failed.

        Raises:
            UserError: too many units failed (see `min_success`), or Kubeflow refuses.
        """
        while True:
            try:
                with self._patience.alone(self._store, self._plans.turn) as turn:
                    return self._carry_out(start, turn)
            except TakenOver:
                self._active.clear()
                self._say("another process took over, since this one was silent for too long")

    def _carry_out(self, start: bool, turn: Turn) -> dict[str, list[str]]:
        attempt = self._patience.given(self._begun)
        self._patience.given(self._find)
        for number, most in enumerate(ROUNDS if start else ()):
            if not (items := self._open()):
                break
            if number:
                self._say(
                    f"{len(items)} {self.loop.name} ended without a word, such as in a pod that was killed: again"
                )
            chunks = list(cut(items, most))
            planned = self._patience.given(partial(self._plans.of_round, attempt, number, chunks))
            self._watch(planned, most, turn)
        for item in self._open():
            why = self._lost.get(item.name, "its run was not there any more")
            self._fail(item, f"it ended without a word ({why}); its pods' logs say more" if start else NOT_THERE)
        self._require(attempt)
        return self._patience.given(self._made)

    def _begun(self) -> int:
        """Which attempt this is; what failed in an attempt that was given up is forgotten as the next begins."""
        attempt = self._plans.attempt()
        if attempt and not self._plans.has_begun(attempt):
            for stage in self.loop.stages:
                for uri in self.folder.of(stage.name).failed.values():
                    self._store.remove(uri[len(self._store.uri) + 1 :])
        return attempt

    def stop_with_parent(self) -> None:
        """End the runs that are at work if the run that this is a task of was cancelled; others are to be adopted."""
        parent = self._runs.get(self.orders.parent)
        if parent is None or parent.state not in ("CANCELING", "CANCELED"):
            return
        for each in self._active.values():
            self._runs.terminate(each.id)
            self._say(f"cancelled run {each.id} ({each.name}), as the run that started it is")

    # --- starting and watching them -----------------------------------------------------------------------------------

    def _watch(self, planned: Sequence[Planned], most: int, turn: Turn) -> None:
        """Start runs, a few at once, and wait until all have ended."""
        waiting, active, at_once = deque(planned), self._active, math.ceil(self.orders.at_once / most)
        while waiting or active:
            names = {item.name for item in self._open()}
            while waiting and len(active) < at_once:
                each = waiting.popleft()
                if names.intersection(each.items):
                    self._patience.given(partial(self._start, each, min(most, self.orders.at_once), turn))
                    active[each.id] = each
            self._patience.given(partial(self._tell, len(active), len(waiting)))
            for each in list(active.values()):
                run = self._patience.given(partial(self._runs.get, each.id))
                if run is None or run.ended:
                    self._ended(active.pop(each.id), run)
            if active:
                self._pause(LOOK_SECONDS)
        self._patience.given(partial(self._tell, 0, 0))

    def _start(self, planned: Planned, at_once: int, turn: Turn) -> Run:
        """The run, which may be there already."""
        if (found := self._runs.started(planned.id)) is not None:
            self._say(f"adopted run {planned.id} ({planned.name})")
            return found
        kubeflow = self._cluster.kubeflow
        run = NewRun(
            id=planned.id,
            name=planned.name,
            experiment_id=self._runs.experiment(kubeflow.experiment),
            source=self._compiled(self._chunk(planned, at_once)),
            parameters={},
            service_account=kubeflow.service_account,
            description=part_of(self.orders.parent),
            plugins=_NO_PLUGIN,
        )
        made = self._runs.create(run, before=turn.confirm)
        self._say(f"started run {planned.id} ({planned.name}: {len(planned.items)})")
        return made

    def _chunk(self, planned: Planned, at_once: int) -> Chunk:
        items = [item for item in self.loop.items if item.name in planned.items]
        return chunk_of(self.loop, items, self.orders, self._cluster, self._settings.store, at_once)

    def _ended(self, planned: Planned, run: Run | None) -> None:
        """Remember why units of a run said nothing; those of a run that somebody cancelled are not tried again."""
        why = f"run {planned.id} is not there any more" if run is None else _why(run)
        for item in self._open():
            if item.name in planned.items:
                self._lost[item.name] = why
                if run is not None and run.state == "CANCELED":
                    self._fail(item, f"somebody cancelled its run ({why})")

    # --- what became of the units -------------------------------------------------------------------------------------

    def _find(self) -> None:
        """Note what is there already: no pod is started, and no GPU waited for, to find it."""
        on_gpus = {item.name for item in self.loop.items if self._has_gpus(item)}
        names = {item.name for item in self.loop.items}
        self._find_of(names - on_gpus)
        for each in CUDA_KERNELS if on_gpus else ():
            with assuming("cuda", each):
                self._find_of(on_gpus)

    def _find_of(self, names: set[str]) -> None:
        """Note what there is of some items, by keys as they are foretold here."""
        for stage in self.loop.stages if names else ():
            wanted = names - self.folder.of(stage.name).made.keys()
            units = [unit for unit in self.loop.units(stage) if unit.name in wanted] if wanted else []
            for unit in finished_units(self.loop.study, self._settings, units):
                self.folder.keep_made(stage.name, f"{self._store.uri}/{unit.folder(self.loop.study)}")

    def _has_gpus(self, item: Item) -> bool:
        stages = self.loop.stages_of(item)
        of_each = (pods_of(stage, self.loop.study, self._cluster)[item.scale] for stage in stages)
        return any(pod.gpus for pod in of_each)

    def _open(self) -> list[Item]:
        return self._patience.given(lambda: self.loop.open(self.loop.known(self.folder)))

    def _made(self) -> dict[str, list[str]]:
        made = {stage.name: self.folder.of(stage.name).made for stage in self.loop.stages}
        names = [item.name for item in self.loop.items]
        return {stage: [of[name] for name in names if name in of] for stage, of in made.items()}

    def _fail(self, item: Item, reason: str) -> None:
        stage = self.loop.stage_of(item, self._patience.given(lambda: self.loop.known(self.folder)))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        failure = Failure(stage=stage.name, unit=item.name, reason=reason, exit_code=1, time=now)
        self._patience.given(partial(self.folder.keep_failure, failure))

    def _require(self, attempt: int) -> None:
        try:
            for stage in self.loop.stages:
                self._require_of(stage)
        except StoreError:  # what became of the units was not read
            raise
        except UserError:
            self._patience.given(partial(self._plans.give_up, attempt))
            raise

    def _require_of(self, stage: Stage) -> None:
        known = self._patience.given(partial(self.folder.of, stage.name))
        failures = self._patience.given(partial(self.folder.failures, stage.name))
        for each in failures:
            self._say(f"{each.stage} {each.unit} failed: {each.reason}")
        require_enough(stage.name, self.loop.study, len(known.made), failures)

    def _tell(self, active: int, waiting: int) -> None:
        known = self.loop.known(self.folder)
        failed = sum(len(of.failed) for of in known.values())
        if line := self._told.line(len(self.loop.items) - len(self.loop.open(known)), failed, active, waiting):
            self._say(f"{self.loop.name}: {line}")


def chunk_of(loop: Loop, items: Sequence[Item], orders: Orders, cluster: Cluster, store: str, at_once: int) -> Chunk:
    """The chunk of some items of a loop, all of one scale.

    Args:
        loop: the loop.
        items: of it, all of the same stages.
        orders: see there.
        cluster: whose pods they get.
        store: where records are kept.
        at_once: how many items are worked on at once.

    Raises:
        UserError: the cluster lacks a preset.
    """
    stages = loop.stages_of(items[0])
    pods = {stage.name: pods_of(stage, loop.study, cluster)[items[0].scale] for stage in stages}
    return Chunk(
        name=f"aira-{loop.study.name}-{loop.name}",
        study=loop.study.name,
        reference=orders.reference,
        store=store,
        run=orders.parent,
        parameter=loop.parameter,
        items=tuple(item.given for item in items),
        pods=pods_of_tasks(pods),
        at_once=at_once,
    )


def _why(run: Run) -> str:
    errors: Iterable[str] = dict.fromkeys(task.error for task in run.tasks if task.error)
    said = "; ".join([*filter(None, [run.error]), *errors])
    return f"run {run.id} {run.state.lower()}" + (f": {said[:500]}" if said else "")
