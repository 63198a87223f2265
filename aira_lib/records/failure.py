"""What is left of a unit that failed, where the others of its run went on."""

from aira_lib.records.row import HarmlessText, Row


class Failure(Row):
    """A unit that left no record.

    Attributes:
        stage: The unit's.
        unit: Its name.
        reason: Why, in a line.
        exit_code: That of its process, had it been alone: 2 is for what a user can mend.
        pod: Where it ran: a pod, or a machine.
        log: The last lines that it wrote; of the environment nothing.
        time: When, UTC, ISO 8601.
    """

    stage: str
    unit: str
    reason: HarmlessText
    exit_code: int
    pod: HarmlessText = ""
    log: tuple[HarmlessText, ...] = ()
    time: str = ""
