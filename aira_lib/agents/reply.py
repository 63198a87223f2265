"""From what a model sent to a plan and a program, or a reason why not.

Rules, in this order:
1. Reasoning at the start, or up to a closing tag, is dropped (see `aira_lib.agents.spoken`).
2. A block opens with a fence of three or more backticks or tildes and any label. It ends at the first fence outside of
   Python's strings, which words may follow, or where the next block opens; at the very first fence where the lines up
   to that one do not compile.
3. Blocks labelled as another language, blocks that do not compile, and mere data (JSON, a pattern) are no programs.
4. Of several programs the last one that names the artefact is taken, else the last. They are not joined: models
   that send several blocks mostly send a snippet or an alternative beside the program, seldom a program in parts.
5. A last block that never ends is taken if it compiles (some models stop before the fence). Otherwise the reply was
   cut off, whatever program stands before it; only an unlabelled one after a program is just a stray fence.
6. A reply without any fence is a program if all of it compiles and does something.
7. Of a reply that its provider cut off only what ends for certain is taken: a closed block.
The plan is the prose before the program, or after it if there is none before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from aira_lib.agents.bounds import MAX_PLAN, ReplyError
from aira_lib.agents.compiling import Allowance
from aira_lib.agents.fences import PYTHON, Block, fenced_blocks
from aira_lib.agents.spoken import MOST_BLOCKS, spoken


@dataclass(frozen=True)
class Parsed:
    """A usable reply."""

    plan: str
    code: str


def parse_reply(text: str, artefact: str = "submission.csv", cut: bool = False) -> Parsed:
    """Find the plan and the program in a model's reply.

    The time that it takes grows with the text's length alone; compiling the code takes `compiling.SECONDS` at most.

    Args:
        text: The reply, as it came.
        artefact: The file that the program has to write.
        cut: Whether the provider is known to have cut the reply off.

    Raises:
        ReplyError: there is no program in it, with the reason.
    """
    allowance = Allowance()
    text = spoken(text, allowance)
    lines = text.split("\n")
    blocks = list(islice(fenced_blocks(lines, lambda code: not allowance.check(code).problem), MOST_BLOCKS + 1))
    if len(blocks) > MOST_BLOCKS:
        raise ReplyError(f"the reply holds more than {MOST_BLOCKS} fenced blocks")
    if not blocks:
        if not cut and allowance.check(text).program:
            return Parsed("", text.strip() + "\n")
        raise ReplyError("the reply holds no fenced block of code")
    chosen = _choose(blocks, artefact, cut, allowance)
    return Parsed(_plan(lines, blocks, chosen), chosen.code)


def ended(finish: str) -> str:
    """Why a provider ended a reply, in words; empty where the model itself ended it."""
    if finish == "length":
        return "its provider cut it off at the limit of tokens a reply (finish_reason length)"
    if finish == "context":
        return "its prompt is longer than the model's context; lower memory_tokens"
    if finish == "time":
        return "the time of the search was over before there was an answer"
    if finish == "refusal":
        return "the model refused to answer"
    return f"its provider ended it (finish_reason {finish[:40]})" if finish else ""


def _choose(blocks: list[Block], artefact: str, cut: bool, allowance: Allowance) -> Block:
    """The last program that names the artefact, else the last program."""
    python = [block for block in blocks if block.label in PYTHON]
    last = blocks[-1]
    if not last.closed and last.label in PYTHON and (cut or not _ends_well(last, python[:-1], allowance)):
        raise ReplyError("the reply was cut off inside a block of code")
    naming = [block for block in python if artefact in block.code]
    others = [block for block in python if artefact not in block.code]
    chosen = _last_program(naming, allowance) or _last_program(others, allowance)
    if chosen:
        return chosen
    tried = [block for block in python if block.code.strip()]
    problem = allowance.check(tried[-1].code).problem if tried else ""
    raise ReplyError(f"the code does not compile: {problem}" if problem else "the reply holds no Python program")


def _ends_well(last: Block, before: list[Block], allowance: Allowance) -> bool:
    """Whether a block that the reply's end cuts is a program, or but a stray fence after one."""
    return allowance.check(last.code).program or (not last.label and _last_program(before, allowance) is not None)


def _last_program(blocks: list[Block], allowance: Allowance) -> Block | None:
    return next((block for block in reversed(blocks) if allowance.check(block.code).program), None)


def _plan(lines: list[str], blocks: Iterable[Block], chosen: Block) -> str:
    inside = {number for block in blocks for number in range(block.start, block.end)}
    before = "\n".join(line for number, line in enumerate(lines[: chosen.start]) if number not in inside)
    after = "\n".join(line for number, line in enumerate(lines) if number >= chosen.end and number not in inside)
    return (f"{before}\n{chosen.before}".strip() or f"{chosen.after}\n{after}".strip())[:MAX_PLAN]
