"""The templates of HTML pages: one head, one style sheet, every text escaped.

A page's content policy lets the browser load nothing at all, so that it opens offline and names from agents stay text.
"""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Templates of `templates/`: HTML is escaped, and a name that is not given is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: bool(name) and ".html" in str(name),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["css"] = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return made


def plain_page(title: str, lines: Sequence[str], drawings: Sequence[str]) -> str:
    """A page of a title, drawings and lines of text in columns, as HTML.

    Args:
        title: Its heading.
        lines: Text without marks.
        drawings: SVG elements of our own drawing, which are not escaped.
    """
    template = environment().get_template("plain.html.jinja")
    return template.render(title=title, lines=lines, drawings=[Markup(drawing) for drawing in drawings])
