"""Settings of a folder's scripts to which a study gives other values, and what those may be."""

import sys
from collections.abc import Mapping

from aira_lib.errors import UserError
from aira_lib.tasks.programs.section import ProgramSection, Setting

_OF_A_BUDGET = ("budget_seconds", "compile_allowance_seconds")  # settings that say how long a training may take


def varied(program: ProgramSection, chosen: Mapping[str, Setting]) -> ProgramSection:
    """The same with other values of settings that a study may vary.

    Raises:
        UserError: one is no such setting, its value is not of the kind that the folder's is or not to be chosen, or a
            budget is longer than a training may take; one line.
    """
    for name, value in chosen.items():
        if name not in program.vary:
            allowed = ", ".join(program.vary) or "none"
            raise UserError(f"task.settings: {name!r:.60} is not among those that a study may vary: {allowed}")
        if (wrong := _unlike(value, program.settings[name])) is not None:
            raise UserError(f"task.settings.{name}: {value!r:.60} is no {wrong}")
        if wrong := program.not_to_choose(name, value):
            raise UserError(f"task.settings.{name}: {wrong}")
    found = program.model_copy(update={"settings": {**program.settings, **chosen}})
    _require_room(found)
    return found


def require_choices(program: ProgramSection) -> None:
    """Refuse values that data gave to settings, and that are not to be chosen.

    Raises:
        UserError: one line.
    """
    for name, value in program.settings.items():
        if wrong := program.not_to_choose(name, value):
            raise UserError(f"about.json, which prepare.py wrote: {name}: {wrong}")


def _require_room(program: ProgramSection) -> None:
    """Refuse a budget of training that its limit would cut short: each candidate would be stopped, after all of it."""
    parts = {name: program.settings[name] for name in _OF_A_BUDGET if name in program.settings}
    wanted = sum(float(value) for value in parts.values() if isinstance(value, int | float))
    if wanted > program.limits.train.seconds:
        told = " and ".join(f"{name} {value}" for name, value in parts.items())
        raise UserError(
            f"settings: {told}: more than a training may take here, {program.limits.train.seconds:g} s "
            "(limits.train.seconds of program.yaml); take less, or a folder of your own with a higher limit"
        )


def _unlike(value: Setting, like: Setting) -> str | None:
    """What a value should be and is not, in words; numbers are positive, or 0 where the folder's is."""
    if isinstance(like, bool) or isinstance(value, bool):
        return None if isinstance(value, bool) and isinstance(like, bool) else f"value like {like!r}"
    if isinstance(like, str):
        return None if isinstance(value, str) else "text"
    fits = not isinstance(value, str) and (0 < value <= sys.float_info.max or value == like == 0)
    return None if fits else "positive number"
