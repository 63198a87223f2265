"""The task that a study names, and the family that it belongs to."""

from aira_lib.errors import UserError, nearest
from aira_lib.study import TaskSection
from aira_lib.tasks.family import FAMILIES, TaskFamily
from aira_lib.tasks.task import SearchTask


def family_of(section: TaskSection) -> TaskFamily:
    """The family that claims a study's task.

    Raises:
        UserError: none does, and the line gives the nearest name; or several do.
    """
    claimed = {name: family for name in FAMILIES if (family := FAMILIES.named(name)).claims(section)}
    if not claimed:
        names = [name for family in FAMILIES.entries() for name in family.names()]
        raise UserError(f"unknown task {section.name!r}{nearest(section.name, names)}")
    if len(claimed) > 1:
        raise UserError(f"task {section.name!r} is claimed by {' and '.join(claimed)}; rename it in one of them")
    return next(iter(claimed.values()))


def task_of(section: TaskSection) -> SearchTask:
    """What is searched; of designs among the section's primitives if it names any.

    Raises:
        UserError: there is no such task.
    """
    return family_of(section).task(section)
