"""Refuse searches that nothing would isolate from secrets, before the first process is started."""

from aira_lib.flow.finished import finished_units
from aira_lib.flow.units import search_units
from aira_lib.sandbox import SandboxError
from aira_lib.search.trust import check_trust
from aira_lib.settings import Settings
from aira_lib.study import Study


def check_pending(study: Study, settings: Settings) -> None:
    """Refuse what `check_trust` refuses, unless all searches of such agents are finished: then no program is run.

    Raises:
        UserError: one line that names what is within reach, and what to do.
    """
    try:
        check_trust(study.agents)
    except SandboxError:
        units = search_units(study)
        done = {unit.name for unit in finished_units(study, settings, units)}
        check_trust([unit.agent for unit in units if unit.agent and unit.name not in done])
