"""Logs of the fake's pods: text with the moment of each line, read to its end or followed."""

import threading
import time
from collections.abc import Callable, Iterator

from tests.fakes.http import Answer, Request
from tests.fakes.selectors import yes

Key = tuple[str, str, str]  # namespace, pod, container


class PodLogs:
    """All logs of a cluster."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._texts: dict[Key, str] = {}
        self._moments: dict[Key, list[str]] = {}  # of each whole line
        self._news = threading.Condition()

    def say(self, key: Key, text: str) -> None:
        with self._news:
            self._moments.setdefault(key, []).extend(_moment() for _ in range(text.count("\n")))
            self._texts[key] = self._texts.get(key, "") + text
            self._news.notify_all()

    def wake(self) -> None:
        """Have followers look whether their pod has ended."""
        with self._news:
            self._news.notify_all()

    def answer(self, key: Key, request: Request, ended: Callable[[], bool]) -> Answer:
        """What a request for a log gets: tailLines, limitBytes, timestamps, sinceTime, follow."""
        text, start = self._texts.get(key, ""), 0
        if "tailLines" in request.query:
            lines = text.splitlines(keepends=True)
            start = len(text) - len("".join(lines[max(0, len(lines) - int(request.query["tailLines"])) :]))
        if yes(request.query, "follow"):
            return Answer(content_type="text/plain", chunks=self._followed(key, start, ended))
        if "sinceTime" in request.query or yes(request.query, "timestamps"):
            text = self._timed(key, text, request.query.get("sinceTime", ""), yes(request.query, "timestamps"))
        limit = int(request.query.get("limitBytes") or len(text.encode()))
        return Answer(body=text[start:].encode()[:limit], content_type="text/plain")

    def _timed(self, key: Key, text: str, since: str, shown: bool) -> str:
        """Lines from a moment on, which a server counts in whole seconds; their moments in front on demand."""
        timed = zip(self._moments.get(key, []), text.split("\n"), strict=False)
        return "".join(f"{when} {line}\n" if shown else f"{line}\n" for when, line in timed if when >= since[:19])

    def _followed(self, key: Key, start: int, ended: Callable[[], bool]) -> Iterator[bytes]:
        while not self._stopping.is_set():
            with self._news:
                over = ended()
                text = self._texts.get(key, "")[start:]
                if not text and not over:
                    self._news.wait(0.1)
            if text:
                start += len(text)
                yield text.encode()
            elif over:
                return


def _moment() -> str:
    nanoseconds = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 10**9)) + f".{nanoseconds % 10**9:09}Z"
