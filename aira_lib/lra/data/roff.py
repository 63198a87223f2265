"""Manual pages as plain text: what a reader sees of roff, without a formatter.

Enough for the pages of the Linux man-pages project (man(7) macros): requests and comments go, arguments of macros and
running text stay, fonts and escapes are taken out. Tables keep their cells; the layout of a page is lost.
"""

import re

_TITLE = re.compile(r'^\.TH\s+"?([^\s"]+)"?\s+"?(\w+)"?(.*)$', re.MULTILINE)
_INCLUDE = re.compile(r"\A\.so\s+(\S+)\s*\Z")
_ESCAPES = (
    (re.compile(r"\\f(\[[^\]]*\]|\(..|.)"), ""),  # fonts
    (re.compile(r"\\s[-+]?\d+"), ""),  # sizes
    (re.compile(r"\\\*?(\[[^\]]*\]|\((..))"), " "),  # special characters and strings by name
    (re.compile(r"\\[-e]"), "-"),
    (re.compile(r"\\[&|^/,)%:{}]"), ""),
    (re.compile(r"\\[ ~0]"), " "),
    (re.compile(r"\\."), ""),
)
_WITH_TEXT = {"B", "I", "BI", "BR", "IB", "IR", "RB", "RI", "SB", "SM", "SH", "SS", "TP", "IP", "UR", "MR"}
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"?|(\S+)')


def title_of(source: str) -> tuple[str, str, str] | None:
    """Name, section and the rest of a page's title line; None: it has none."""
    found = _TITLE.search(source)
    return (found[1], found[2], found[3]) if found else None


def included(source: str) -> str | None:
    """The page that another is but another name of (`.so man3/abs.3`); None: it stands for itself."""
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith((r".\"", r"'\""))]
    found = _INCLUDE.match("\n".join(lines))
    return found[1] if found else None


def sections(source: str) -> dict[str, str]:
    """The plain text of each section of a page by its heading, in order; what comes before the first is left out."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in source.splitlines():
        if heading := re.match(r"\.SH\s+(.*)", line):
            lines = found.setdefault(" ".join(plain(heading[1].replace('"', "")).split()).upper(), [])
        elif text := _line(line):
            lines.append(text)
    return {heading: " ".join(" ".join(lines).split()) for heading, lines in found.items()}


def plain(text: str) -> str:
    """A line without escapes."""
    for pattern, instead in _ESCAPES:
        text = pattern.sub(instead, text)
    return text


def _line(line: str) -> str:
    """What a reader sees of a line; nothing of comments and requests."""
    line = re.sub(r'\\["#].*', "", line)
    if line[:1] not in (".", "'"):
        return plain(line)
    macro = re.match(r"[.']\s*(\w+)\s*(.*)", line)
    if not macro or macro[1] not in _WITH_TEXT:
        return ""
    arguments = [(quoted.replace('""', '"') or bare) for quoted, bare in _ARGUMENT.findall(macro[2])]
    # Macros of two fonts join their arguments; the others set them apart.
    joined = len(macro[1]) == 2 and set(macro[1]) <= set("BIR")
    return plain(("" if joined else " ").join(arguments))
