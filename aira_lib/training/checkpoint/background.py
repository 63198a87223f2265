"""One piece of work at a time beside training."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """A thread of its own, whose errors are raised where its result is asked for."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._work: Future[T] | None = None

    @property
    def busy(self) -> bool:
        """Whether it works at this moment."""
        return self._work is not None and not self._work.done()

    def done_within(self, seconds: float) -> bool:
        """Wait for the work for so long; whether it is done, well or not."""
        return self._work is None or not wait([self._work], seconds).not_done

    def start(self, work: Callable[[], T]) -> None:
        """Begin a piece of work; the one before must have been collected."""
        assert self._work is None
        self._work = self._thread.submit(work)

    def collect(self) -> T | None:
        """Wait for the work and give its result, once; None where there is none. Raises what it raised."""
        work, self._work = self._work, None
        return work.result() if work else None

    def close(self) -> None:
        """End the thread when its work is done."""
        self._thread.shutdown()


class InBackground:
    """A ``with`` block around what works beside it, in `_background`: its end waits for all, unless it is an error."""

    _background: Background[Any]

    def wait(self) -> None:
        """Return when all is done."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._background.close()
