"""The run file of a run that somebody started by hand, so that it can be kept in git and run again."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from aira_lib.cluster.run import Run
from aira_lib.cluster.runs import RunsApi
from aira_lib.errors import UserError
from aira_lib.remote.begin import OWN
from aira_lib.remote.run_file import ATTEMPT, SUFFIX, RunFile
from aira_lib.study.reading import plain_data

_KNOWN = ("preset", "study", "overrides", "store", "confirm", "units_at_once")


def exported(run: Run, runs: RunsApi) -> str:
    """The text of a run file that starts the same again, pinned to the same version of its pipeline.

    Raises:
        UserError: it came with a pipeline of its own, or has parameters that no run file has.
    """
    names = runs.version_names(*run.version) if run.version else None
    if names is None:
        raise UserError(
            f"run {run.id}: it is of no version of a pipeline that Kubeflow has, so no run file can name it (as a part "
            "of another run); export the run that a person started"
        )
    if unknown := sorted(set(run.parameters) - set(_KNOWN)):
        raise UserError(f"run {run.id}: a run file has no {', '.join(unknown)}; its pipeline is none of AIRA's")
    file = RunFile.model_validate(
        {
            "name": _name(run),
            "pipeline": names[0],
            "version": names[1],
            **_said(run.parameters),
            "attempt": int(found[1]) if (found := ATTEMPT.search(run.description)) else 1,
        }
    )
    text = yaml.safe_dump(file.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True)
    return f"# Run {run.id} ({run.name}). Submitted, it is another run, which finds the records of this one.\n{text}"


def _name(run: Run) -> str:
    """Of the run, as a run file may have it; without the digest that submitting put behind it."""
    name = re.sub(r"[^a-z0-9]+", "-", SUFFIX.sub("", run.name).lower())
    return name[:40].strip("-") or "run"


def _said(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as a run file has them; the form sends empty fields, too."""
    said = {key: _whole(value) for key, value in parameters.items() if value}
    if said.get("preset") == OWN:
        del said["preset"]
    study = said.get("study")
    if isinstance(study, str) and study.lstrip().startswith("{"):
        said["study"] = plain_data(study, "the run's study")
    return said


def _whole(value: Any) -> Any:
    """Kubeflow makes every number of a mapping one with a point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return {key: _whole(each) for key, each in value.items()} if isinstance(value, dict) else value
