"""What a search keeps beside its journal: how its task was opened, and what the best program submitted.

Both are of tasks whose candidates are programs; a design stands in the journal itself.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from aira_lib.agents import best_node
from aira_lib.records import Node
from aira_lib.records.opened import OPENED, SUBMISSION, SUBMITTED_BY, facts_of, in_words, stand_in_of
from aira_lib.work import Work


class Kept:
    """Writes and reads these files of one search."""

    def __init__(self, work: Work, lower_is_better: bool) -> None:
        """Say where, and what is better."""
        self._work, self._lower_is_better = work, lower_is_better

    def begin(self, told: Mapping[str, Any]) -> None:
        """Keep what the family told of the task as it was opened, before anything is asked of a model."""
        if told:
            (self._work.path / OPENED).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            self._work.push(OPENED)
            self._work.log.tags({name: str(told[name]) for name in ("validation",) if name in told})
        self.say_stand_in()

    def told(self) -> dict[str, Any]:
        """What was told, also by an attempt that was interrupted."""
        path = self._work.path / OPENED
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def in_words(self) -> str:
        """Where the validation fitness comes from; empty where there is nothing to tell."""
        return in_words(self.told())

    def facts(self) -> list[tuple[str, str]]:
        """The same, for the page."""
        return facts_of(self.told())

    def say_stand_in(self, nodes: Sequence[Node] = ()) -> None:
        """Enter what stands in for data, and a validation fitness that nobody measures, into the record's stand-ins."""
        told = self.told()
        if data := stand_in_of(told):
            self._work.stand_in(**data.model_dump())
        if told.get("validation", any(node.self_reported for node in nodes)) in ("self-reported", True):
            self._work.stand_in(
                "validation fitness as candidates report it",
                "validation fitness that the harness measures",
                told.get("validation_why", ""),
            )

    def submitted_by(self, node: Node) -> dict[str, bytes]:
        """What a node's program submitted, by file name; empty where that of another is kept."""
        folder = self._work.path / SUBMISSION
        if not (folder / SUBMITTED_BY).is_file():
            return {}
        by = json.loads((folder / SUBMITTED_BY).read_text(encoding="utf-8"))
        if by["code_sha256"] != hashlib.sha256(node.code.encode()).hexdigest():
            return {}
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != SUBMITTED_BY]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    def submission(self, node: Node, earlier: Sequence[Node], submitted: Mapping[str, bytes]) -> None:
        """Keep what a program submitted, if it is the best so far, in the place of what was kept before."""
        if not submitted or node.design is not None:
            return
        if best_node([*earlier, node], self._lower_is_better) is not node:
            return
        folder = self._work.path / SUBMISSION
        before = sorted(path for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        by = {"step": node.step, "code_sha256": hashlib.sha256(node.code.encode()).hexdigest()}
        files = {**submitted, SUBMITTED_BY: json.dumps(by, indent=2).encode() + b"\n"}
        for name, content in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for path in {*before, *(folder / name for name in files)}:
            self._work.push(path.relative_to(self._work.path).as_posix())
