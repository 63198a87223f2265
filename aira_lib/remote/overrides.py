"""Change single settings of a study, as a person does who starts it from a form: by dotted keys, or nested."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from aira_lib.errors import UserError

_EXACT = 2**53
"""Up to which a double holds every whole number."""


def overridden(study: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A study (plain data) with other values in places; whether these are valid is for the study's reader to say.

    A key names a place by dots, entries of a list by their number from 0 on: `agents.0.steps`. A mapping changes what
    it names and leaves the rest; everything else takes the place of what was there. Kubeflow turns whole numbers into
    floating-point ones, so that 2.0 means 2.

    Args:
        study: the study; it stays as it is.
        overrides: place -> value.

    Raises:
        UserError: a key leads through a value that has no keys, to an entry that is not there, or nowhere.
    """
    changed = deepcopy(dict(study))
    for key, value in overrides.items():
        try:
            _set(changed, str(key).split("."), _whole(value), str(key))
        except RecursionError:
            raise UserError(f"overrides: {_shown(str(key))} is deeper than any study; shorten it") from None
    return changed


def _set(place: Any, parts: list[str], value: Any, key: str) -> None:
    if not parts[0]:
        raise UserError(f"overrides: {key!r} names no setting; write one such as proxy.epochs")
    name: Any = _entry(place, parts[0], key) if isinstance(place, list) else parts[0]
    if not isinstance(place, dict | list):
        raise UserError(f"overrides: {key!r} leads through {_shown(place)}, which has no keys; shorten it")
    there = place[name] if isinstance(place, list) else place.get(name)
    if len(parts) > 1:
        if there is None:
            there = place[name] = {}
        _set(there, parts[1:], value, key)
    elif isinstance(value, dict) and isinstance(there, dict | list):
        for inner, each in value.items():
            _set(there, str(inner).split("."), each, f"{key}.{inner}")
    else:
        place[name] = value


def _entry(entries: list[Any], name: str, key: str) -> int:
    if not name.isdecimal() or int(name) >= len(entries):
        raise UserError(f"overrides: {key!r}: a list has entries 0 to {len(entries) - 1}, and none {name!r}")
    return int(name)


def _whole(value: Any) -> Any:
    """The value, with whole numbers as such: what a study takes as either, it reads alike."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
