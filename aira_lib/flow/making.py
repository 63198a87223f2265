"""The making of one record: by one process at a time, in a workplace whose log says what it is, the manifest last."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aira_lib.flow.stage import Unit
from aira_lib.flow.units import run_of
from aira_lib.flow.versions import code_version, versions
from aira_lib.records import PAGE, Manifest, StandIn
from aira_lib.settings import Settings
from aira_lib.store import Attempt, Holder, LostClaim, RecordFolder
from aira_lib.track.follow import LOG_NAME, RUN_NAME_TAG, RUN_TAG, study_tags
from aira_lib.track.log import TrackLog
from aira_lib.work import Work


@dataclass(frozen=True)
class Making:
    """What is made, and where.

    Attributes:
        unit: Of which it is the record.
        study: Name of the study; empty of what is of none.
        spec_digest: The study's digest; empty of what is of none.
        settings: With how much of the machine.
        progress: Told how far it is.
    """

    unit: Unit
    study: str
    spec_digest: str
    settings: Settings
    progress: Callable[[float, float, str], None]

    def claimed(
        self, record: RecordFolder, make: Callable[[Attempt], None], waiting: Callable[[Holder | None], None],
        lost: Callable[[], None] = lambda: None,
    ) -> bool:  # fmt: skip
        """Be the one who makes a record, or wait for who does.

        Args:
            record: what is not finished yet.
            make: makes it in an attempt, see `fill`.
            waiting: told now and then who makes it.
            lost: told where another has taken over.

        Returns:
            Whether it was made here.
        """
        while True:
            try:
                with record.claim(self.settings.scratch, (PAGE,), waiting) as attempt:
                    if attempt:
                        make(attempt)
                    return attempt is not None
            except LostClaim:
                lost()

    def fill(
        self, attempt: Attempt, make: Callable[[Work], None], stand_ins: Iterable[StandIn] = (),
        followed: Callable[[Path], AbstractContextManager[None]] = lambda log: nullcontext(),
    ) -> None:  # fmt: skip
        """Make the files of an attempt, and finish it.

        Args:
            attempt: that was claimed.
            make: writes the files.
            stand_ins: those of the records that are read.
            followed: given the log, a block in which that is carried to where it is looked at.

        Raises:
            LostClaim: another has taken over.
        """
        started, log = time.monotonic(), TrackLog(attempt.path / LOG_NAME)
        work = self._workplace(attempt, log)
        for entry in stand_ins:
            work.stand_in(**entry.model_dump())
        log.tags(self._tags())
        log.status("running")
        with followed(log.path):
            make(work)
            log.status("finished")
        attempt.commit(self._manifest(work.stand_ins, time.monotonic() - started))

    def _workplace(self, attempt: Attempt, log: TrackLog) -> Work:
        return Work(
            attempt.path, log, attempt.push, self.progress, self.settings.threads,
            evaluations=self.settings.shared_evaluations, shared=attempt.shared, adopt=attempt.adopt, study=self.study,
        )  # fmt: skip

    def _tags(self) -> dict[str, str]:
        run = run_of(self.unit)
        return {
            RUN_TAG: run.key or "",
            RUN_NAME_TAG: run.name,
            "aira.stage": run.key.partition(":")[0] if run.key else "study",
            "aira.code": code_version(),
            **study_tags(self.study, self.spec_digest),
        }

    def _manifest(self, stand_ins: list[StandIn], seconds: float) -> Manifest:
        unit = self.unit
        return Manifest(
            stage=unit.stage,
            unit=unit.name,
            key=unit.key,
            study=self.study,
            spec_digest=self.spec_digest,
            section=unit.section,
            inputs=unit.inputs,
            stand_ins=tuple(stand_ins),
            versions=versions(),
            seconds=seconds,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
