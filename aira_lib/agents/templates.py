"""Templates of prompts: those under prompts/, and a study's own in the place of an operator's.

One's own is Jinja as the built-in ones are. It may import these, such as `{% import "_common.jinja" as common with
context %}`, and nothing else: whatever can change a prompt is then in the file itself, whose contents are in the key of
the search. It is filled in Jinja's sandbox, where it reaches neither files nor Python's insides, and a name that
nothing stands for is an error, as in the built-in ones.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_args

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from aira_lib.contents import file_digest
from aira_lib.errors import UserError, nearest
from aira_lib.study.agent import AgentSection, OperatorName

MOST_BYTES = 256 * 1024
"""Of a file; the longest built-in template has some thousand."""


@dataclass(frozen=True)
class OwnTemplate:
    """A template of one's own: where it lies, for errors, and what it says."""

    path: str
    source: str


def read_template(path: str) -> OwnTemplate:
    """Read a template; a relative path is looked for from the working directory.

    Raises:
        UserError: there is no such file, or it is too large or no UTF-8 text.
    """
    place = _place(path)
    try:
        if not place.is_file():
            where = "" if place.is_absolute() else f" (it is looked for from {Path.cwd()})"
            raise UserError(f"{path}: {'no file' if place.exists() else 'no such file'}{where}")
        with place.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{path}: a template has at most {MOST_BYTES:,} bytes")
    try:
        return OwnTemplate(path, content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8 text") from None


def _place(path: str) -> Path:
    return Path(os.path.expanduser(path))  # not the method of Path, to which an unknown user is an error


def template_digests(agent: AgentSection) -> dict[OperatorName, str]:
    """What the templates of an agent's own hold (SHA-256, hex), wherever they lie, by operator: for keys.

    Raises:
        UserError: one cannot be read.
    """
    return {operator: file_digest(_place(path)) for operator, path in agent.own_prompts.items()}


@cache
def templates() -> jinja2.Environment:
    """The built-in templates."""
    return SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("prompts")),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )


def built_in(operator: str, kind: str) -> jinja2.Template:
    """The template of an operator, of the kind of task if that has one of its own ("design" or "program")."""
    return templates().select_template([f"{kind}/{operator}.jinja", f"{operator}.jinja"])


def built_in_source(operator: str, kind: str) -> str:
    """What that template says.

    Raises:
        UserError: there is no such operator.
    """
    if operator not in (valid := get_args(OperatorName)):
        raise UserError(f"unknown operator {operator!r}{nearest(operator, valid)}")
    return Path(built_in(operator, kind).filename or "").read_text(encoding="utf-8")


def fill(own: OwnTemplate, variables: Mapping[str, Any]) -> str:
    """Fill a template of one's own.

    Raises:
        UserError: it is no template, or not one for these variables; one line with path and line number.
    """
    template = _compiled(own)
    _check_names(own, frozenset(variables))
    try:
        text = template.render(variables)
    except Exception as error:  # whatever its expressions can raise: it is a program
        raise UserError(f"{own.path}:{_line(own, error)}: {_said(error)}") from None
    if not text.strip():
        raise UserError(f"{own.path}: the prompt that it makes is empty")
    return text


@lru_cache(maxsize=32)
def _compiled(own: OwnTemplate) -> jinja2.Template:
    try:
        code = templates().compile(own.source, name=own.path, filename=own.path)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"{own.path}:{error.lineno}: {_said(error)}") from None
    except (RecursionError, SyntaxError, MemoryError):  # of Python's compiler
        raise UserError(f"{own.path}: blocks or expressions in one another, too deep to be compiled") from None
    return jinja2.Template.from_code(templates(), code, templates().make_globals(None))


@lru_cache(maxsize=64)
def _check_names(own: OwnTemplate, known: Collection[str]) -> None:
    """Refuse names that nothing stands for, on whichever way through the template, but those that it asks about."""
    tree = templates().parse(own.source)
    asks = [*tree.find_all(nodes.Test), *tree.find_all(nodes.Filter)]
    asked = {each.node.name for each in asks if each.name in _ASK and isinstance(each.node, nodes.Name)}
    unknown = meta.find_undeclared_variables(tree) - {*known} - asked
    places = [(each.lineno, each.name) for each in tree.find_all(nodes.Name) if each.name in unknown]
    if places:
        line, name = min(places)
        raise UserError(f"{own.path}:{line}: unknown variable {name!r}{nearest(name, known)}")


_ASK = ("defined", "undefined", "default", "d")


def _line(own: OwnTemplate, error: BaseException) -> int:
    """The last line of the template that an error went through."""
    line, trace = 1, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == own.path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _said(error: Exception) -> str:
    """An error of Jinja in its own words, another one with its kind."""
    if isinstance(error, jinja2.TemplatesNotFound | jinja2.TemplateNotFound):
        return f"there is no built-in template {error.name!r}, and no other can be imported"
    text = " ".join(str(getattr(error, "message", None) or error).split())
    return text if isinstance(error, jinja2.TemplateError) else f"it cannot be filled ({type(error).__name__}: {text})"
