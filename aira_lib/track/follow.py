"""Follow logs to MLflow while they grow.

On one machine the launcher follows the logs of all stages (`Follower`: one writer, as SQLite wants it). On a cluster
every stage follows its own (`followed`). A log says by itself which run it belongs to: its first tags are
`aira.run` (empty for the study's parent run) and `aira.run_name`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aira_lib.store import LostClaim
from aira_lib.track.log import RunStatus, read_events
from aira_lib.track.mlflow_sync import DIGEST_TAG, MLflowSync

SECONDS_BETWEEN_SYNCS = 5.0
LOG_NAME = "track.jsonl"
RUN_TAG = "aira.run"
RUN_NAME_TAG = "aira.run_name"


def study_tags(study: str, digest: str) -> dict[str, str]:
    """Tags of a study's parent run."""
    return {"aira.study": study, DIGEST_TAG: digest}


class Follower:
    """Carries every log below a folder to MLflow, in a thread of its own, until closed."""

    def __init__(self, tracking: str, study: str, digest: str, logs: Callable[[], Iterator[Path]]) -> None:
        """Begin to follow.

        Args:
            tracking: MLflow tracking URI.
            study: the study's name; its experiment is ``aira/<study>``.
            digest: the study's digest, the key of its parent run.
            logs: gives the log files there are, each time it is called.
        """
        self._sync = MLflowSync(tracking, f"aira/{study}", study_tags(study, digest))
        self._logs, self._offsets = logs, dict[Path, int]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self, study_status: RunStatus | None) -> None:
        """Carry what is left and set the status of the study's parent run, unless it is None (still going on)."""
        self._stop.set()
        self._thread.join()
        self._sync.retry_now()
        self._carry()
        if study_status:
            self._sync.set_status(None, "", study_status)

    def _follow(self) -> None:
        self._sync.set_status(None, "", "running")
        while not self._stop.wait(SECONDS_BETWEEN_SYNCS):
            self._carry()

    def _carry(self) -> None:
        for log in self._logs():
            name = run_of_log(log)
            if name is not None:
                self._offsets[log] = self._sync.sync(name[0], name[1], log, self._offsets.get(log, 0))


def run_of_log(log: Path) -> tuple[str | None, str] | None:
    """Key (None: the parent) and name of the run that a log belongs to; None while the log does not say."""
    tags: Mapping[str, str] = {}
    for event in read_events(log)[0]:
        if event.kind == "tags":
            tags = event.values
            break
    if RUN_TAG not in tags:
        return None
    return tags[RUN_TAG] or None, tags.get(RUN_NAME_TAG, "")


@contextmanager
def followed(tracking: str | None, study: str, digest: str, log: Path, last: bool) -> Iterator[None]:
    """Follow one log for as long as the block runs; without a tracking URI, do nothing.

    A failure ends the study's parent run as failed, and the end of its last stage (`last`) as finished. It goes on
    where another process has taken the record over.
    """
    if tracking is None:
        yield
        return
    follower = Follower(tracking, study, digest, lambda: iter([log]))
    try:
        yield
    except BaseException as error:
        follower.close(None if isinstance(error, LostClaim) else "failed")
        raise
    follower.close("finished" if last else None)
