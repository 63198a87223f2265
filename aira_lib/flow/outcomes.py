"""What became of the units of one run of a study: which left a record, and where; which failed, and why.

A run is a whole study on its way, however many processes, pods or Kubeflow runs it consists of; all of them know its
name. Its folder in the store holds an empty file for each unit whose record is there, named like the record, and a
failure for each that left none:

    STORE/STUDY/outcomes/RUN/STAGE/UNIT-KEY.made
    STORE/STUDY/outcomes/RUN/STAGE/UNIT.json

So a run finds its records without knowing on what other processes compute, which is part of their keys. Nothing else
depends on the folder: another run looks for records by their keys, and tries again what failed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pydantic import ValidationError

from aira_lib.errors import StoreError, UserError
from aira_lib.flow.stage import OUTCOMES
from aira_lib.records import Failure
from aira_lib.store import open_store
from aira_lib.store.base import safe_name
from aira_lib.study import Study
from aira_lib.study.resources import Resources

_MADE, _FAILED = ".made", ".json"
_NAMED = 3
"""Failures in a line."""


@dataclass(frozen=True)
class Outcomes:
    """What is known of the units of one stage in one run.

    Attributes:
        made: Unit -> the URI of its record.
        failed: Unit -> the URI of its failure; a unit that was made after all is not among them.
    """

    made: dict[str, str]
    failed: dict[str, str]


class RunFolder:
    """What became of the units of one run."""

    def __init__(self, store: str, study: Study, run: str) -> None:
        """Name it; nothing is read or written.

        Args:
            store: where records are kept.
            study: whose run.
            run: the run's name.

        Raises:
            StoreError: no store has such a URI, or no name in it can be that of the run.
        """
        self._store, self._study, self._run = open_store(store), study, safe_name(run)

    def keep_made(self, stage: str, record: str) -> None:
        """Say that the record of a unit is there; `record` is its URI."""
        self._store.write(self._name(stage, record.rpartition("/")[2] + _MADE), b"")

    def keep_failure(self, failure: Failure) -> str:
        """Say that a unit failed; the failure's URI."""
        name = self._name(failure.stage, failure.unit + _FAILED)
        self._store.write(name, failure.json_line().encode())
        return f"{self._store.uri}/{name}"

    def of(self, stage: str) -> Outcomes:
        """What is known of the units of a stage, by one look at the store."""
        folder = self._name(stage)
        names = [name[len(folder) + 1 :] for name in self._store.list(folder)]
        records = {name.removesuffix(_MADE) for name in names if name.endswith(_MADE)}
        made = {name.rpartition("-")[0]: f"{self._store.uri}/{self._study.name}/{stage}/{name}" for name in records}
        lost = sorted({name.removesuffix(_FAILED) for name in names if name.endswith(_FAILED)} - made.keys())
        failed = {unit: f"{self._store.uri}/{folder}/{unit}{_FAILED}" for unit in lost}
        return Outcomes(dict(sorted(made.items())), failed)

    def failures(self, *stages: str) -> list[Failure]:
        """The failures of the units of some stages."""
        return [self.failure(uri) for stage in stages for uri in self.of(stage).failed.values()]

    def failure(self, uri: str) -> Failure:
        """The failure at a URI that `keep_failure` gave.

        Raises:
            StoreError: it is not there, or is none.
        """
        try:
            return Failure.model_validate_json(self._store.read(uri[len(self._store.uri) + 1 :]))
        except ValidationError:
            raise StoreError(f"{uri}: not a failure; remove it") from None

    def forget(self) -> None:
        """Remove all that is known, as before a run of the same name begins anew."""
        self._store.remove(self._name())

    def is_failure(self, uri: str) -> bool:
        """Whether a URI is that of a failure in this folder, rather than of a record."""
        return uri.startswith(f"{self._store.uri}/{self._name()}/")

    def _name(self, *parts: str) -> str:
        return safe_name(self._study.name, OUTCOMES, self._run, *parts)


def enough(stage: str, study: Study, units: int) -> int:
    """How many of a stage's units must not fail: their share `min_success`, rounded up."""
    share = Fraction(str(study.resources.get(stage, Resources()).min_success))
    return math.ceil(share * units)


def require_enough(stage: str, study: Study, finished: int, failed: Sequence[Failure]) -> None:
    """Refuse to go on with what too many failures have left of a stage.

    Args:
        stage: the stage.
        study: says how many must not fail.
        finished: how many units have left a record.
        failed: the others.

    Raises:
        UserError: the number of failures, the first of them, and how many there may be.
    """
    units = finished + len(failed)
    needed = enough(stage, study, units)
    if finished >= needed:
        return
    first = "; ".join(f"{each.unit}: {each.reason}" for each in failed[:_NAMED])
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    share = study.resources.get(stage, Resources()).min_success
    raise UserError(
        f"{stage}: {len(failed)} of {units} units failed, and {needed} have to succeed (resources.{stage}.min_success "
        f"is {share:g}): {first}{more}. Mend that and start the study again: it keeps all others"
    )
