"""The page of a running search: written anew now and then, at a small share of the time that the search takes."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from aira_lib.errors import StoreError
from aira_lib.records import Node
from aira_lib.search.page.exchanges import Exchanges
from aira_lib.search.page.page import Settings, render_run

SECONDS_BETWEEN = 5.0
SHARE = 0.02  # of the time at most; a page of 500 nodes takes 0.15 s


class LivePage:
    """Keeps the page of one search. It is a courtesy: a disk or a store that refuses it does not stop the search."""

    def __init__(
        self,
        path: Path,
        push: Callable[[str], None],
        title: str,
        lower_is_better: bool,
        settings: Settings = (),
        transcript: Path | None = None,
    ) -> None:
        """Say what the page is of; `push` carries the file to the store (see `aira_lib.work.Work`)."""
        self._path, self._push, self._title, self._lower_is_better = path, push, title, lower_is_better
        self._settings, self._transcript = settings, transcript
        self._asked = Exchanges() if transcript else None
        self._due = 0.0
        self.facts: Sequence[tuple[str, str]] = ()
        """Names and values for the head of the page, beside what the nodes tell."""

    def refresh(self, nodes: Sequence[Node]) -> None:
        """Write the page of an unfinished search, if it was not written lately."""
        if time.monotonic() >= self._due:
            self._write(nodes, running=True)

    def finish(self, nodes: Sequence[Node]) -> None:
        """Write the page of a finished search."""
        self._write(nodes, running=False)

    def _write(self, nodes: Sequence[Node], running: bool) -> None:
        started = time.monotonic()
        with suppress(OSError, StoreError):
            temporary = self._path.with_name(f".{self._path.name}.tmp")
            temporary.write_text(self._page(nodes, running), encoding="utf-8")
            os.replace(temporary, self._path)
            self._push(self._path.name)
        ended = time.monotonic()
        self._due = ended + max(SECONDS_BETWEEN, (ended - started) / SHARE)

    def _page(self, nodes: Sequence[Node], running: bool) -> str:
        if self._asked and self._transcript:
            self._asked.read_on(self._transcript)
        return render_run(
            nodes, self._title, self._lower_is_better, running, facts=self.facts, settings=self._settings,
            asked=self._asked,
        )  # fmt: skip
