"""How much of a reply is read, and the refusal of what is beyond that or holds no program."""

MAX_REPLY = 1_000_000
"""Characters of a reply."""

MAX_CODE = 200_000
"""Characters of a program."""

MAX_PLAN = 4_000
"""Characters of a plan that are kept."""


class ReplyError(Exception):
    """A reply without a usable program; the text says why."""
