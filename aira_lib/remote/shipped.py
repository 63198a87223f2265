"""The studies that come with AIRA, by the names under which Kubeflow's form offers them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from aira_lib.errors import MissingDependency, UserError, nearest, read_named
from aira_lib.flow.pipelines import pipeline_module
from aira_lib.study.reading import plain_data

Preset = Literal["smoke", "laptop", "paper-2", "paper-3"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

_FILES: dict[str, str] = {"paper-3": "paper"}


def shipped_study(preset: str) -> dict[str, Any]:
    """A study as plain data.

    Raises:
        UserError: there is none of this name.
    """
    if preset not in PRESETS:
        raise UserError(f"preset {preset!r}: there is none{nearest(preset, PRESETS)}")
    path = _folder() / f"{_FILES.get(preset, preset)}.yaml"
    data: dict[str, Any] = plain_data(read_named(path, "a study"), str(path))
    return data


def _folder() -> Path:
    found = find_spec(pipeline_module())
    if found is None or not found.submodule_search_locations:
        raise MissingDependency("studies that come with AIRA", "kfp")
    return Path(found.submodule_search_locations[0])
