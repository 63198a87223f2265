"""The templates of HTML pages: one head, one style sheet, every text escaped.

A page's content policy lets the browser load nothing at all, so that it opens offline and names from agents stay text.
"""

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
