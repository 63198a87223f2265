"""Where runs are logged: addresses that MLflow takes, how they are shown, and how a person looks at the runs there."""

import re
import shlex
import shutil
import sys
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from aira_lib.errors import UserError, nearest

_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_MANAGED = ("databricks", "databricks-uc", "uc")
_PLUGINS = "mlflow.tracking_store"
_SECRET = re.compile(r"pass|pwd|token|secret|key", re.IGNORECASE)


def check_address(uri: str) -> None:
    """Refuse an address that MLflow could not take, before anything is run whose logs it should hold. Nobody is asked.

    Raises:
        UserError: the line says what an address looks like.
    """
    scheme, colon, rest = uri.partition(":")
    kind = scheme.partition("+")[0].lower()
    own = {point.name for point in entry_points(group=_PLUGINS)}
    known = (*_SERVERS, *_DATABASES, *_MANAGED, *own)
    what = f"tracking URI {without_login(uri)!r}"
    if kind in _MANAGED and not rest:
        return
    if not colon or kind not in known:
        hint = "; write http://HOST:PORT of a server, sqlite:///FILE, or none"
        raise UserError(f"{what}: MLflow takes no such address{nearest(kind, known) if colon else ''}{hint}")
    if kind in _SERVERS and not _host(uri):
        raise UserError(f"{what}: it names no host; write {kind}://HOST:PORT")
    if kind == "sqlite" and sqlite_file(uri) is None:
        raise UserError(f"{what}: an SQLite address has three slashes and the path of a file, sqlite:///runs/mlflow.db")
    if not rest.startswith("//"):
        raise UserError(f"{what}: two slashes follow its first colon")


def _host(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        return parts.hostname or "" if parts.port != 0 else ""
    except ValueError:
        return ""


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite address; None for any other address."""
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", uri)
    return Path(unquote(match[1])).absolute() if match else None


def sqlite_address(file: Path) -> str:
    """The address of an SQLite file. Only what its reader would take for something else is spelt otherwise.

    Where it is, the driver is named, too: of a plain one MLflow makes a folder by its spelling, beside the real.
    """
    spelt = str(file).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{spelt}" if spelt == str(file) else f"sqlite+pysqlite:///{spelt}"


def without_login(text: str) -> str:
    """An address, or a text with addresses in it, without names, passwords and tokens."""
    text = re.sub(r"(//|(?<=:))[^\s'\"]*@", r"\1", text)  # also of one that lacks its slashes or its scheme
    return re.sub(r"(?<=[?&])[^\s'\"]+", _plain_query, text)


def _plain_query(found: re.Match[str]) -> str:
    pairs = parse_qsl(found[0], keep_blank_values=True)
    return urlencode([(name, "***" if _SECRET.search(name) else value) for name, value in pairs], safe="*/")


def is_database(uri: str) -> bool:
    """Whether a checked address is a database's, with which MLflow's client alone cannot speak."""
    return uri.partition(":")[0].partition("+")[0].lower() in _DATABASES


def how_to_look(uri: str, experiment: str) -> str:
    """What a person does to see the runs: a page to open, or a command for a shell.

    Args:
        uri: a checked address.
        experiment: the name of the study's experiment, which the page lists.
    """
    kind = uri.partition(":")[0].partition("+")[0].lower()
    if kind in (*_SERVERS, *_MANAGED):
        return f"{without_login(uri)} (experiment {experiment})"
    if without_login(uri) != uri:
        return f"experiment {experiment} in {without_login(uri)}"
    # MLflow imports litellm, which would ask a server for prices first: minutes where there is no network.
    return f"LITELLM_LOCAL_MODEL_COST_MAP=True {_mlflow()} ui --backend-store-uri {shlex.quote(uri)}"


def _mlflow() -> str:
    """The program beside this Python, by its name alone where a shell finds it."""
    beside = Path(sys.executable).with_name("mlflow")
    found = shutil.which("mlflow")
    return "mlflow" if found and Path(found) == beside else shlex.quote(str(beside))
