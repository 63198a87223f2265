"""The first task of a study on a cluster: which study is meant, what it costs, whether that is wanted."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from aira_lib.cluster.reading import check_store
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow.checks import check_study
from aira_lib.flow.texts import read_study, write_study
from aira_lib.remote.checks import check_cluster
from aira_lib.remote.cost import CONFIRM_GPU_HOURS, cost_lines, costs, require_confirmed
from aira_lib.remote.overrides import overridden
from aira_lib.remote.shipped import PRESETS, shipped_study
from aira_lib.store import open_store
from aira_lib.study import canonical_json
from aira_lib.study.reading import parse_study, plain_data

OWN = "own-study"
"""The preset that means: the study that is given."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*$")
_SUFFIXES = (".yaml", ".yml", ".json")


def begin(
    preset: str, study: str, overrides: Mapping[str, Any], store: str, confirmed: str, cluster: Cluster | None,
    say: Callable[[str], None],
) -> str:  # fmt: skip
    """Find the study that is meant, print what it takes, and keep it in the store; the text that stands for it.

    Args:
        preset: a study that comes with AIRA (see `PRESETS`), or `OWN`.
        study: of `OWN`: JSON or YAML, the URI of such a file, or a text that stands for one (URI#SHA-256).
        overrides: other values of single settings (see `overridden`).
        store: where records are to be kept.
        confirmed: what was entered to confirm the cost; empty: nothing.
        cluster: on which this runs; None: none is known.
        say: told what the study takes.

    Raises:
        UserError: no or two studies are named, the study is not valid, the cluster cannot run it, or its cost has to be
            confirmed; the line says how.
    """
    if cluster is not None:
        check_store(store, "store")
        if _URI.match(study.strip()):
            check_store(study.strip().partition("#")[0].rpartition("/")[0], "study")
    meant = parse_study(overridden(_named(preset.strip(), study.strip()), overrides), _source(preset, overrides))
    check_study(meant)
    if cluster is not None:
        check_cluster(meant, cluster)
    of = costs(meant, cluster)
    for line in cost_lines(meant, of):
        say(line)
    require_confirmed(meant, of, confirmed, cluster.confirm_gpu_hours if cluster else CONFIRM_GPU_HOURS)
    open_store(store).check()
    return write_study(meant, store)


def _named(preset: str, study: str) -> dict[str, Any]:
    """The study before anything is changed, as plain data."""
    if preset in (OWN, "") and study:
        return _given(study)
    if preset in (OWN, ""):
        raise UserError(f"no study is given; choose a preset ({', '.join(PRESETS)}), or give a study")
    if study:
        raise UserError(f"preset is {preset!r}, and a study is given, too; choose preset {OWN!r} to run the latter")
    return shipped_study(preset)


def _given(study: str) -> dict[str, Any]:
    if "\n" not in study and "#" in study and "://" in study:
        return dict(json.loads(canonical_json(read_study(study))))
    place, _, name = study.rpartition("/")
    if "\n" not in study and "://" in place and name.endswith(_SUFFIXES):
        text, source = open_store(place).read(name).decode("utf-8", "replace"), study
    else:
        text, source = study, "study"
    data = plain_data(text, source)
    if not isinstance(data, dict):
        raise UserError(
            f"study {study[:60]!r} is no study; give YAML or JSON, or the URI of a file of it ({', '.join(_SUFFIXES)})"
        )
    return data


def _source(preset: str, overrides: Mapping[str, Any]) -> str:
    return f"study {preset or OWN}" + (f" with overrides {', '.join(map(str, overrides))}" if overrides else "")
