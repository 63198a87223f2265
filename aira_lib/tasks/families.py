"""The task families that come with AIRA; one from outside adds itself to `FAMILIES` (see `aira_lib.tasks.family`)."""

from aira_lib.tasks.airs.family import FolderFamily
from aira_lib.tasks.designs.family import DesignFamily
from aira_lib.tasks.family import FAMILIES
from aira_lib.tasks.programs.family import ProgramFamily

FAMILIES.add("designs", DesignFamily())
FAMILIES.add("folder", FolderFamily())
FAMILIES.add("programs", ProgramFamily())
