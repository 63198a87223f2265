"""The content as one HTML file that opens offline, and as Markdown.

Names, plans and reasons come from agents: HTML escapes everything but the SVG drawn here, and its content policy lets
the browser load nothing at all; Markdown escapes its own marks and HTML's.
"""

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2 import Environment
from markupsafe import Markup, escape

from aira_lib.report.blocks import Content, KeyNumber, Section
from aira_lib.report.columns import Column, Row
from aira_lib.report.strips import Strip, legend
from aira_lib.report.templating import environment

if TYPE_CHECKING:
    from aira_lib.report.drawing import Figure  # a page without figures needs no matplotlib


def html_page(content: Content) -> str:
    """The page as HTML: styles and figures inline, no script, nothing fetched."""
    return _environment().get_template("report.html.jinja").render(content=content)


def own_page(
    kind: str,
    title: str,
    key_numbers: Sequence[KeyNumber],
    summary: Sequence[str],
    sections: Sequence[Section],
    numbers: str,
) -> str:
    """A page of what is no study, in the report's form.

    Args:
        kind: What stands over its heading.
        title: Its heading.
        key_numbers: What it opens with.
        summary: Sentences.
        sections: Its parts.
        numbers: The file beside it that holds them.
    """
    template = _environment().get_template("own.html.jinja")
    return template.render(
        kind=kind, title=title, key_numbers=key_numbers, summary=summary, sections=sections, numbers=numbers
    )


def markdown_page(content: Content) -> str:
    """The page as Markdown beside `figures/`."""
    text = _environment().get_template("report.md.jinja").render(content=content)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _environment() -> Environment:
    made = environment()
    made.filters |= {"md": markdown_text, "code": markdown_code, "prose": html_prose, "md_prose": markdown_prose}
    made.globals |= {
        "cell": html_cell,
        "md_cell": markdown_cell,
        "inline": lambda figure: Markup(_inline(figure)),
        "legend": lambda primitives: Markup(legend(primitives)),
    }
    return made


def _inline(figure: "Figure") -> str:
    return figure.inline().replace("<svg ", '<svg role="img" ', 1)


def html_prose(text: str) -> Markup:
    """A sentence; what stands between backticks is code."""
    parts = (Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(text.split("`")))
    return Markup("").join(parts)


def markdown_prose(text: str) -> str:
    """A sentence; what stands between backticks is code."""
    return "".join(markdown_code(p) if i % 2 else markdown_text(p, ends=True) for i, p in enumerate(text.split("`")))


def html_cell(column: Column, row: Row) -> Markup | str:
    """A cell of an HTML table."""
    value = row.get(column.key)
    if isinstance(value, Strip):
        return Markup(value.svg())
    text = column.text(row)
    return Markup("<code>{}</code>").format(text) if column.style == "code" and value is not None else text


def markdown_cell(column: Column, row: Row, marked: str = "") -> str:
    """A cell of a Markdown table; names in rows that `marked` highlights are bold."""
    value = row.get(column.key)
    if isinstance(value, Strip):
        return markdown_code(str(row.get("pattern") or value)) if value.mini else markdown_code(str(value))
    text = column.text(row)
    if column.style == "code" and value is not None:
        return markdown_code(text)
    bold = "**" if column.style == "name" and marked and row.get(marked) else ""
    return f"{bold}{markdown_text(text)}{bold}"


def markdown_text(text: str, ends: bool = False) -> str:
    """Text that Markdown shows as it is, on one line; `ends` keeps white space at its ends."""
    line = re.sub(r"\s+", " ", text)
    return re.sub(r"([\\`*_{}\[\]|#~])", r"\\\1", html.escape(line if ends else line.strip(), quote=False))


def markdown_code(text: str) -> str:
    """Text as code, unless it holds what would end the table cell or the code, or open a tag."""
    text = " ".join(text.split())
    return markdown_text(text) if set("`|<") & set(text) else f"`{text}`"
