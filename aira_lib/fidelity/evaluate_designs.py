"""`aira proxy evaluate`: designs one after the other through the store of evaluations, with what is left to wait."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from aira_lib.architecture.cost import params
from aira_lib.architecture.pattern import Layers, parse, render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.console import Console, duration, result_console
from aira_lib.datasets.language import stand_in
from aira_lib.device import cores
from aira_lib.errors import PatternError, UserError, read_named
from aira_lib.evaluations import EvaluationStore
from aira_lib.evaluations.key import key_of
from aira_lib.evaluations.store import Answer, Progress
from aira_lib.records import Evaluation, StandIn
from aira_lib.settings import Settings
from aira_lib.store import place_of
from aira_lib.study import DEFAULT_TASK, ProxySection
from aira_lib.study.reading import load_study
from aira_lib.tasks import SearchTask, proxy_for, task_named
from aira_lib.tasks.profile import STUDY_ENDINGS, fitting_profile, profile_named

ASKED_BY = "aira proxy evaluate"
_SECONDS_BETWEEN_LINES = 10.0


def read_patterns(given: Sequence[str], file: Path | None) -> list[Layers]:
    """Designs of the command line and of a file, each once; empty lines and those with # are skipped.

    Raises:
        UserError: a pattern does not parse, or there is none, or no such file.
    """
    found = [parse(text) for text in given]
    for number, line in enumerate(read_named(file, "designs, one a line").splitlines() if file else [], 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                found.append(parse(line.strip()))
            except PatternError as error:
                raise PatternError(f"{file}:{number}: {str(error).splitlines()[0]}") from None
    if not found:
        raise UserError("name a design, such as '8(A-M)', or a file of designs with --file")
    return list(dict.fromkeys(found))


def evaluate_designs(
    designs: Sequence[Layers], settings: Settings, profile: str | None, seed: int | None, task_name: str | None,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Score designs and print the scores, or (`dry_run`) what scoring would take.

    Raises:
        UserError: no such task or profile, a primitive that the task lacks, or a store that refuses.
    """
    task = task_named(task_name or DEFAULT_TASK)
    profile = profile or fitting_profile()
    primitives = space_of(task, profile) if task_name else PRIMITIVES.names()
    for layers in designs:
        if foreign := set(layers) - set(primitives):
            raise UserError(f"{render(layers)} has {', '.join(sorted(foreign))}, which task {task.name} does not have")
    section = proxy_for(task, profile_named(profile, task.dataset)[1])
    if settings.shared_evaluations is None:
        raise UserError("AIRA_EVALUATIONS is none; unset it, or name the store that keeps the scores")
    store = EvaluationStore(settings.shared_evaluations, train, ASKED_BY)
    threads = settings.threads if os.environ.get("AIRA_THREADS") else cores()
    asked = _Asked(store, section, section.seed if seed is None else seed, threads, profile)
    rows = [asked.outlook(layers) for layers in designs] if dry_run else _scored(asked, designs, as_json)
    if as_json:
        print(json.dumps(rows))
    elif dry_run:
        _print_outlook(rows, place_of(store.store.uri))
    else:
        if asked.stand_in:
            print(f"STAND-IN: {asked.stand_in}")
        print(f"{_counts(rows)}; store: {place_of(store.store.uri)}")


def train(layers: Layers, section: ProxySection, *, seed: int, threads: int, progress: Progress) -> Evaluation:
    """The proxy's evaluation. PyTorch, a second, is imported with the first design that the store does not have."""
    from aira_lib.proxy.evaluation import evaluate

    return evaluate(layers, section, seed=seed, threads=threads, progress=progress)


def space_of(task: SearchTask, profile: str) -> tuple[str, ...]:
    """The primitives that count: those of a study that is named as the profile, if it has its own, else the task's."""
    own = load_study(profile).task.primitives if profile.endswith(STUDY_ENDINGS) else None
    return own or task.primitives


@dataclass(frozen=True)
class _Asked:
    """What all designs of one command have in common."""

    store: EvaluationStore
    section: ProxySection
    seed: int
    threads: int
    profile: str

    @property
    def stand_in(self) -> StandIn | None:
        """The text that takes the place of the data set's own."""
        return stand_in(self.section.text, self.section.language) if self.section.text else None

    def outlook(self, layers: Layers) -> dict[str, Any]:
        """What scoring a design would take."""
        from aira_lib.proxy.cost import count_steps, evaluation_flops, seconds_estimate

        there = self.store.find(key_of(layers, self.section, self.seed).digest) is not None
        return {
            "design": render(layers),
            "profile": self.profile,
            "seed": self.seed,
            "found": there,
            "params": params(layers, self.section.at_depth(len(layers)).scale())[0],
            "steps": count_steps(self.section),
            "flops": evaluation_flops(layers, self.section),
            "seconds": 0.0 if there else seconds_estimate(layers, self.section, self.threads),
        }

    def row(self, layers: Layers, answer: Answer) -> dict[str, Any]:
        """What a design scored, as plain data."""
        made = answer.entry.made.model_dump(mode="json") if answer.entry else None
        return {
            "design": render(layers), "profile": self.profile, "seed": self.seed, "found": answer.found,
            **answer.evaluation.model_dump(mode="json"),
            "seconds_trained": answer.entry.evaluation.seconds if answer.entry else answer.evaluation.seconds,
            "made": made,
            "stand_in": self.stand_in.model_dump() if self.stand_in else None,
        }  # fmt: skip


def _scored(asked: _Asked, designs: Sequence[Layers], quiet: bool) -> list[dict[str, Any]]:
    from aira_lib.proxy.stopping import with_bars

    rows: list[dict[str, Any]] = []
    earlier: list[Evaluation] = []
    for number, layers in enumerate(designs, 1):
        title = f"{render(layers)} ({number} of {len(designs)})" if len(designs) > 1 else render(layers)
        with Follow(title) as follow:
            answer = asked.store.answer(
                layers, with_bars(asked.section, earlier), seed=asked.seed, threads=asked.threads,
                progress=follow.update,
            )  # fmt: skip
        earlier.append(answer.evaluation)
        rows.append(asked.row(layers, answer))
        if not quiet:
            _print_scores(rows[-1])
    return rows


class Follow:
    """Progress on standard error: a bar in a terminal, else a line now and then; both with the time left."""

    def __init__(self, title: str) -> None:
        self._title, self._started, self._spoke = title, time.monotonic(), time.monotonic()
        self._console = Console(stderr=True, highlight=False, markup=False)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[note]}"))
        self._bar = Bar(*columns, console=self._console, transient=True) if self._console.is_terminal else None
        self._task = self._bar.add_task(title, total=None, note="") if self._bar else None

    def __enter__(self) -> "Follow":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: float, total: float, note: str) -> None:
        """Say how far the evaluation is; has the shape of `Work.progress`."""
        elapsed = time.monotonic() - self._started
        left = f" · about {duration(elapsed * (total - done) / done)} left" if done else ""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, note=f"{note}{left}")
        elif time.monotonic() - self._spoke > _SECONDS_BETWEEN_LINES:
            self._spoke = time.monotonic()
            self._console.print(f"{self._title}: {done / max(total, 1):.0%}, {note}{left}", soft_wrap=True)


def _print_scores(row: dict[str, Any]) -> None:
    console, made = result_console(), row["made"]
    where = f"found, trained {made['created']} for {made['asked_by']}" if row["found"] else "trained now"
    console.print(f"{row['design']}: {where}, {duration(row['seconds_trained'])}, {row['params']:,} parameters")
    if row["status"] != "ok":
        console.print(f"  failed: {row['reason']}", markup=False, soft_wrap=True)
        return
    if row["stopped_at"]:
        console.print(f"  {row['reason']}: no score of a whole training")
    for name, validation in row["validation_by_task"].items():
        _print_line(console, name, validation, row["test_by_task"].get(name))
        _print_other(console, row, name)
    _print_line(console, "mean", row["validation"], row["test"])


def _print_line(console: Console, name: str, validation: float, test: float | None) -> None:
    said = "" if test is None else f"   test {test:.4f}"
    console.print(f"  {name:<26} validation {validation:.4f}{said}")


def _print_other(console: Console, row: dict[str, Any], name: str) -> None:
    """All accuracies on validation with their intervals; the one that ranks comes first."""
    known = row["validation_accuracies"].get(name) or {}
    by_name = {kind.replace("_", "-"): found for kind, found in known.items() if found}
    for kind, found in sorted(by_name.items(), key=lambda item: item[0] != row["ranked_by"]):
        ranks = ", ranks" if kind == row["ranked_by"] else ""
        console.print(f"    {kind} {found['value']:.4f}, 95 % {found['low']:.4f} to {found['high']:.4f}{ranks}")


def _print_outlook(rows: Sequence[dict[str, Any]], place: str) -> None:
    for row in rows:
        takes = "is in the store" if row["found"] else f"about {duration(row['seconds'])} of training"
        print(
            f"{row['design']}: {takes}, {row['params']:,} parameters, {row['steps']:,} steps, {row['flops']:.2g} FLOPs"
        )
    left = sum(row["seconds"] for row in rows)
    print(f"In all about {duration(left)} (right within a factor of two); store: {place}; nothing was started.")


def _counts(rows: Sequence[dict[str, Any]]) -> str:
    found = sum(row["found"] for row in rows)
    return f"{len(rows) - found} trained, {found} found"
