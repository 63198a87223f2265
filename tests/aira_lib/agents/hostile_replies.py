"""Replies of a megabyte that are made to take long, read one after the other, each within processor time of its own.

Run as a program: it prints the name of each reply before it reads it, and the kernel ends it (SIGXCPU) where one takes
longer than `SECONDS`. A reply may take about one; a method whose time grows with the square takes minutes for these.
"""

import math
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from aira_lib.agents.bounds import ReplyError
from aira_lib.agents.patch import change_of, parse_edit
from aira_lib.agents.reply import parse_reply
from aira_lib.agents.spoken import spoken

SECONDS = 4
SIZE = 1_000_000
F = "```"

# What is repeated up to the size; then what stands around it.
PIECES = [
    "~", "`", "a", " ", "\n", "\t\n", "\\", "'", '"', "'''", '"""', "#", "(", "[", "{", "f'{", "~~~", "```\n", "~ `",
    "<think>", "</think>", "<think></think>", "[THINK][/THINK]", "<|channel|>", "<|channel|>analysis<|message|>",
    "</s>", "<|end|>\n", "analysis", "assistantfinal", "<", "</", "◁", "@@\n", "@@ -1 +1 @@\n", "@@\n+a\n",
    "@@ -1 +1 @@\n+a\n\n", "<<<<<<< SEARCH\n", "<<<<<<< SEARCH\na = 1\n=======\nb = 2\n>>>>>>> REPLACE\n", "=======\n",
    "diff \n", "--- \n", "CHANGE", "CHANGE:*", "* \n", "x = 1\n", "x;", "1+", "-", "lambda:", "if x:\n ", "not ",
    f"{F}python\n", f"{F}\n'''\n", f"{F}python\n'''\n{F}\n", f"'''\n{F}\n", f"'\\\n{F}\n", f"{F} words\n",
    f'x = """\n{F}\n"""\n{F}\n', " \\\n", "\x0c", "\u2028", "é", "\ud800", "0x", "1_", "x.",
]  # fmt: skip
AROUND: list[tuple[str, str]] = [
    ("", ""), ("", "`"), ("~~~", "`"), (f"{F}python\n", ""), (f"{F}python\n", f"\n{F}\n"),
    (f"{F}python\nx = '''", f"'''\nprint(x)\n{F}\n"), (f"{F}python\nx = f'", f"'\nprint(x)\n{F}\n"),
    (f"{F}python\nx = ", f"1\nprint(x)\n{F}\n"), ("<think>", "x"), ("<think>", "</think>"), ("CHANGE:", ""),
    ("@@\n", ""), ("<<<<<<< SEARCH\n", "\n=======\nb\n>>>>>>> REPLACE\n"), ("<|channel|>analysis<|message|>", ""),
]  # fmt: skip
PROGRAM = "\n" * 100_000 + "a = 1\n" * 10_000
READERS: list[Callable[[str], object]] = [
    parse_reply, spoken, lambda text: parse_edit(text, PROGRAM), lambda text: change_of(text[:4_000]),
]  # fmt: skip


KNOWN = [
    "~" * 1_200 + "`", "~" * (SIZE - 1) + "`", "~~~" + "a" * (SIZE - 4) + "`", "<think></think>" * (SIZE // 15),
    f"{F}python\nx = f'" + "{a}" * 63_000 + f"'\nprint(x)\n{F}\n",
    (f"{F}python\nx = f'" + "{a}" * 63_000 + f"'\nprint(x)\n{F}\n") * 5,
    "@@\n+a\n" * (SIZE // 6), "<<<<<<< SEARCH\n" + "\n" * 90_000 + "=======\nb\n>>>>>>> REPLACE\n",
    f"@@ -{'1' * 5_000} +1 @@\n-a\n+b\n", "</s>" * (SIZE // 4),
]  # fmt: skip
"""Inputs for which one method or another took minutes or failed."""


def replies() -> Iterator[tuple[str, str]]:
    for number, text in enumerate(KNOWN):
        yield f"known {number}", text
    for piece in PIECES:
        for before, after in AROUND:
            # All that a reply may hold, and all that is compiled of one.
            for size in (SIZE, 190_000):
                count = (size - len(before) - len(after)) // len(piece)
                yield f"{before!r} {count} times {piece!r} {after!r}", before + piece * count + after


def main(every: int) -> None:
    for number, (name, text) in enumerate(replies()):
        if number >= len(KNOWN) and number % every:
            continue
        print(name, flush=True)
        for reader in READERS:
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + SECONDS, -1))
            with suppress(ReplyError):
                reader(text)
    print("all", flush=True)


if __name__ == "__main__":
    import sys

    main(int(sys.argv[1]))
