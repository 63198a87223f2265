"""Further packages that a study names for its candidates, whatever the family of its task."""

from importlib.metadata import distributions

from aira_lib.errors import UserError, closest
from aira_lib.naming import distribution_name
from aira_lib.study import TaskSection
from aira_lib.tasks.airs.packages import installed


def further_packages(section: TaskSection) -> dict[str, str]:
    """The installed versions of a task's further packages, by the names that an index has for them.

    Raises:
        UserError: one is not installed; the line says how to install it, and names one of a like name that is.
    """
    found = {}
    for name in section.packages:
        version = installed(name)
        if version is None:
            raise UserError(f"task.packages: {name!r} is not installed in AIRA's environment; {_remedy(name)}")
        found[distribution_name(name)] = version
    return found


def _remedy(name: str) -> str:
    close = closest(name, {each.name for each in distributions() if each.name})
    return f"`pip install {name}`, or {f'did you mean {close!r}?' if close else 'leave it out'}"
